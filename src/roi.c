/*
 * roi.c
 *	  roi_simulate: what a campaign brings and costs, and how sure that is.
 *
 * The expected figures are computed in decimal, so that identities hold to the
 * last digit.  The simulation draws the rates from what is known of them and
 * the customers from the rates.  Its generator is xoshiro256** (Blackman and
 * Vigna, 2018), seeded by splitmix64; real.c has its logarithm and
 * exponential: the same seed gives the same answer on every machine.
 */
#include "rfm.h"

#include <math.h>

#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#define MAX_AUDIENCE	INT64CONST(9007199254740992)	/* 2^53: doubles count so far */
#define MAX_RUNS		10000000
#define UNITS			10000.0 /* of money in 1 */

#define ST_SORT			sort_doubles
#define ST_ELEMENT_TYPE	double
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE		static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* ---------- random numbers ---------- */

typedef struct Generator
{
	uint64		state[4];
	double		spare;			/* normal deviates come in pairs */
	bool		has_spare;
} Generator;

static void
generator_init(Generator *generator, uint64 seed)
{
	for (int i = 0; i < 4; i++)
	{
		uint64		z = (seed += UINT64CONST(0x9E3779B97F4A7C15));

		z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
		z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
		generator->state[i] = z ^ (z >> 31);
	}
	generator->has_spare = false;
}

static inline uint64
rotate_left(uint64 x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline uint64
random_bits(Generator *generator)
{
	uint64	   *s = generator->state;
	uint64		result = rotate_left(s[1] * 5, 7) * 9;
	uint64		t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

/* Uniform between 0 and 1, neither of them included. */
static inline double
random_uniform(Generator *generator)
{
	return ((double) (random_bits(generator) >> 12) + 0.5) * 0x1p-52;
}

/* Standard normal, by Marsaglia's polar method. */
static double
random_normal(Generator *generator)
{
	double		x;
	double		y;
	double		s;
	double		factor;

	if (generator->has_spare)
	{
		generator->has_spare = false;
		return generator->spare;
	}
	do
	{
		x = 2 * random_uniform(generator) - 1;
		y = 2 * random_uniform(generator) - 1;
		s = x * x + y * y;
	} while (s >= 1 || s == 0);
	factor = sqrt(-2 * real_log(s) / s);
	generator->spare = y * factor;
	generator->has_spare = true;
	return x * factor;
}

/*
 * Gamma of a shape above 0, scale 1: Marsaglia and Tsang, A Simple Method for
 * Generating Gamma Variables, 2000.
 */
static double
random_gamma(Generator *generator, double shape)
{
	double		boost = 1;
	double		d;
	double		c;

	if (shape < 1)
	{
		boost = real_exp(real_log(random_uniform(generator)) / shape);
		shape += 1;
	}
	d = shape - 1.0 / 3;
	c = 1 / sqrt(9 * d);
	for (;;)
	{
		double		x = random_normal(generator);
		double		v = 1 + c * x;
		double		u;

		if (v <= 0)
			continue;
		v = v * v * v;
		u = random_uniform(generator);
		if (u < 1 - 0.0331 * (x * x) * (x * x) ||
			real_log(u) < 0.5 * x * x + d * (1 - v + real_log(v)))
			return boost * d * v;
	}
}

/* Beta of two shapes of at least 1/2. */
static double
random_beta(Generator *generator, double a, double b)
{
	double		x = random_gamma(generator, a);
	double		y = random_gamma(generator, b);

	return x / (x + y);
}

/* Binomial with n p below 10 or so: its distribution function, inverted. */
static double
random_binomial_small(Generator *generator, double n, double p)
{
	double		odds = p / (1 - p);
	double		none = real_exp(n * real_log1p(-p));

	for (;;)
	{
		double		u = random_uniform(generator);
		double		probability = none;

		/* 200 is far beyond what has a probability; rounding may get there */
		for (double k = 0; k <= n && k < 200; k++)
		{
			if (u < probability)
				return k;
			u -= probability;
			probability *= odds * ((n - k) / (k + 1));
		}
	}
}

/* The logarithm of the binomial probability of k, but for what does not depend on k. */
static double
binomial_log(double n, double p, double k)
{
	if (k == 0)
		return n * real_log1p(-p) + 0.5 * real_log(6.283185307179586476925 * n) - real_stirling_error(n);
	if (k == n)
		return n * real_log(p) + 0.5 * real_log(6.283185307179586476925 * n) - real_stirling_error(n);
	return -real_stirling_error(k) - real_stirling_error(n - k) -
		real_deviance(k, n * p) - real_deviance(n - k, n * (1 - p)) -
		0.5 * (real_log(k / n) + real_log((n - k) / n));
}

/*
 * Binomial with p <= 1/2 and n p >= 10: transformed rejection with squeeze,
 * W. Hörmann, The Generation of Binomial Random Variates, 1993 (BTRS).
 */
static double
random_binomial_large(Generator *generator, double n, double p)
{
	double		spread = sqrt(n * p * (1 - p));
	double		b = 1.15 + 2.53 * spread;
	double		a = -0.0873 + 0.0248 * b + 0.01 * p;
	double		c = n * p + 0.5;
	double		v_r = 0.92 - 4.2 / b;
	double		alpha = (2.83 + 5.1 / b) * spread;
	double		mode = -1;
	double		log_mode = 0;

	for (;;)
	{
		double		u = random_uniform(generator) - 0.5;
		double		v = random_uniform(generator);
		double		us = 0.5 - fabs(u);
		double		k = floor((2 * a / us + b) * u + c);

		if (us >= 0.07 && v <= v_r)
			return k;
		if (k < 0 || k > n)
			continue;
		if (mode < 0)
		{
			mode = floor((n + 1) * p);
			log_mode = binomial_log(n, p, mode);
		}
		if (real_log(v * alpha / (a / (us * us) + b)) <= binomial_log(n, p, k) - log_mode)
			return k;
	}
}

/* Binomial: how many of n, a whole number, when each does so with probability p. */
static double
random_binomial(Generator *generator, double n, double p)
{
	if (p > 0.5)
		return n - random_binomial(generator, n, 1 - p);
	if (n == 0 || p <= 0)
		return 0;
	if (n * p < 10)
		return random_binomial_small(generator, n, p);
	return random_binomial_large(generator, n, p);
}

/* ---------- decimals ---------- */

static inline Datum
add(Datum a, Datum b)
{
	return DirectFunctionCall2(numeric_add, a, b);
}

static inline Datum
subtract(Datum a, Datum b)
{
	return DirectFunctionCall2(numeric_sub, a, b);
}

static inline Datum
multiply(Datum a, Datum b)
{
	return DirectFunctionCall2(numeric_mul, a, b);
}

/* Rounded to units of money, half away from zero. */
static inline Datum
rounded(Datum a)
{
	return DirectFunctionCall2(numeric_round, a, Int32GetDatum(4));
}

static inline int
sign(Datum a)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, a, NumericGetDatum(int64_to_numeric(0))));
}

static inline double
to_double(Datum a)
{
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, a));
}

static inline double
quotient(Datum a, Datum b)
{
	return to_double(DirectFunctionCall2(numeric_div, a, b));
}

static inline Datum
from_double(double a)
{
	return NumericGetDatum(money_float8_decimal(a));
}

/* ---------- roi_simulate ---------- */

/* The arguments, in the order of the function's. */
enum
{
	AUDIENCE,
	RESPONSE_RATE,
	CONVERSION_RATE,
	ORDER_VALUE,
	INCENTIVE_RATE,
	OPERATING_RATE,
	MARGIN_RATE,
	BASELINE_RATE,
	CONTACT_COST,
	FIXED_COST,
	RESPONSE_N,
	CONVERSION_N,
	RUNS,
	SEED
};

/* The results, in the order of the function's. */
enum
{
	RESPONDERS,
	BUYERS,
	ADDED_BUYERS,
	ADDED_REVENUE,
	GROSS_PROFIT,
	COST,
	NET_PROFIT,
	ROI_PERCENT,
	ROAS_PERCENT,
	BREAK_EVEN_CONVERSION,
	NET_PROFIT_P05,
	NET_PROFIT_P50,
	NET_PROFIT_P95,
	PROBABILITY_OF_PROFIT,
	RESULTS
};

/* A whole-number argument between low and high. */
static int64
integer_argument(int64 value, int64 low, int64 high, const char *name, const char *hint)
{
	if (value < low || value > high)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must lie between %lld and %lld, not %lld", name,
						(long long) low, (long long) high, (long long) value),
				 errhint("%s", hint)));
	return value;
}

/* A rate as a decimal, between low and 1. */
static Datum
rate_argument(double rate, int low, const char *name)
{
	if (!(rate >= low && rate <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must lie between %d and 1", name, low),
				 errhint("Give it as a share, for example 0.15 for 15 %%.")));
	return from_double(rate);
}

/* An amount of money that is not negative. */
static Datum
money_argument(Datum amount, const char *name)
{
	if (numeric_is_nan(DatumGetNumeric(amount)) || numeric_is_inf(DatumGetNumeric(amount)) ||
		sign(amount) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must be a finite amount of 0 or more", name),
				 errhint("Give an amount in the currency of the orders.")));
	money_from_numeric(DatumGetNumeric(amount));	/* refuses what is out of range */
	return amount;
}

/* What the runs draw from. */
typedef struct Simulation
{
	double		audience;
	double		response_rate;
	double		response_n;		/* 0: the rate is certain */
	double		conversion_rate;
	double		conversion_n;
	double		per_buyer;		/* net profit = per_buyer * buyers */
	double		per_responder;	/* + per_responder * responders */
	double		constant;		/* + constant, all in units of money */
	int			runs;
} Simulation;

/* A rate as it may really be: what is known of it, and Jeffreys' prior. */
static inline double
draw_rate(Generator *generator, double rate, double n)
{
	if (n == 0)
		return rate;
	return random_beta(generator, rate * n + 0.5, (1 - rate) * n + 0.5);
}

/* The percentile of sorted runs, type 7, as money. */
static Datum
runs_percentile(const double *sorted, int runs, int percent)
{
	int64		position = (int64) (runs - 1) * percent;
	double		low = sorted[position / 100];
	double		high = sorted[Min(position / 100 + 1, runs - 1)];
	Datum		units = from_double(low + (high - low) * ((position % 100) / 100.0));

	return rounded(multiply(units, NumericGetDatum(int64_div_fast_to_numeric(1, 4))));
}

/* Runs the campaign many times and fills in the percentiles. */
static void
simulate(const Simulation *simulation, uint64 seed, Datum *values)
{
	Generator	generator;
	double	   *net_profit = palloc(sizeof(double) * simulation->runs);
	int			profitable = 0;

	generator_init(&generator, seed);
	for (int run = 0; run < simulation->runs; run++)
	{
		double		rate;
		double		responders;
		double		buyers;
		double		net;

		CHECK_FOR_INTERRUPTS();
		rate = draw_rate(&generator, simulation->response_rate, simulation->response_n);
		responders = random_binomial(&generator, simulation->audience, rate);
		rate = draw_rate(&generator, simulation->conversion_rate, simulation->conversion_n);
		buyers = random_binomial(&generator, responders, rate);
		net = simulation->per_buyer * buyers + simulation->per_responder * responders +
			simulation->constant;
		/* whole units: a net profit of 0 is no profit because of rounding */
		net_profit[run] = floor(net + 0.5);
		profitable += net_profit[run] > 0;
	}
	sort_doubles(net_profit, simulation->runs);
	values[NET_PROFIT_P05] = runs_percentile(net_profit, simulation->runs, 5);
	values[NET_PROFIT_P50] = runs_percentile(net_profit, simulation->runs, 50);
	values[NET_PROFIT_P95] = runs_percentile(net_profit, simulation->runs, 95);
	values[PROBABILITY_OF_PROFIT] = Float8GetDatum((double) profitable / simulation->runs);
	pfree(net_profit);
}

PG_FUNCTION_INFO_V1(rfm_roi_simulate);

/* roi_simulate(audience, response_rate, ...) → the figures of a campaign */
Datum
rfm_roi_simulate(PG_FUNCTION_ARGS)
{
	const char *n_hint = "Give the number of customers that the rate was observed on, or NULL when it is an assumption.";
	Datum		values[RESULTS];
	bool		nulls[RESULTS] = {false};
	TupleDesc	desc;
	Datum		audience;
	Datum		response_rate;
	Datum		conversion_rate;
	Datum		order_value;
	Datum		incentive_rate;
	Datum		operating_rate;
	Datum		margin_rate;
	Datum		baseline_rate;
	Datum		constant_cost;	/* whoever buys */
	Datum		responders;
	Datum		buyers;
	Datum		added_buyers;
	Datum		added_revenue;
	Datum		gross_profit;
	Datum		cost;
	Datum		net_margin;		/* of added revenue, less operations */
	Datum		numerator;
	Datum		denominator;
	int64		response_n = 0;
	int64		conversion_n = 0;
	int			runs;

	for (int i = AUDIENCE; i <= SEED; i++)
	{
		if (PG_ARGISNULL(i) && i != RESPONSE_N && i != CONVERSION_N)
			PG_RETURN_NULL();
	}
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	audience = NumericGetDatum(int64_to_numeric(integer_argument(PG_GETARG_INT64(AUDIENCE), 0, MAX_AUDIENCE, "audience",
																 "Give the number of customers the campaign is sent to.")));
	response_rate = rate_argument(PG_GETARG_FLOAT8(RESPONSE_RATE), 0, "response_rate");
	conversion_rate = rate_argument(PG_GETARG_FLOAT8(CONVERSION_RATE), 0, "conversion_rate");
	order_value = money_argument(PG_GETARG_DATUM(ORDER_VALUE), "order_value");
	incentive_rate = rate_argument(PG_GETARG_FLOAT8(INCENTIVE_RATE), 0, "incentive_rate");
	operating_rate = rate_argument(PG_GETARG_FLOAT8(OPERATING_RATE), 0, "operating_rate");
	margin_rate = rate_argument(PG_GETARG_FLOAT8(MARGIN_RATE), -1, "margin_rate");
	baseline_rate = rate_argument(PG_GETARG_FLOAT8(BASELINE_RATE), 0, "baseline_rate");
	constant_cost = add(multiply(money_argument(PG_GETARG_DATUM(CONTACT_COST), "contact_cost"), audience),
						money_argument(PG_GETARG_DATUM(FIXED_COST), "fixed_cost"));
	if (!PG_ARGISNULL(RESPONSE_N))
		response_n = integer_argument(PG_GETARG_INT64(RESPONSE_N), 1, PG_INT64_MAX, "response_n", n_hint);
	if (!PG_ARGISNULL(CONVERSION_N))
		conversion_n = integer_argument(PG_GETARG_INT64(CONVERSION_N), 1, PG_INT64_MAX, "conversion_n", n_hint);
	runs = (int) integer_argument(PG_GETARG_INT32(RUNS), 1, MAX_RUNS, "runs",
								  "10000 runs are enough for percentiles of two digits or three.");

	responders = multiply(audience, response_rate);
	buyers = multiply(responders, conversion_rate);
	added_buyers = multiply(responders, subtract(conversion_rate, baseline_rate));
	added_revenue = multiply(added_buyers, order_value);
	gross_profit = multiply(margin_rate, added_revenue);
	cost = add(add(multiply(incentive_rate, multiply(buyers, order_value)),
				   multiply(operating_rate, added_revenue)), constant_cost);

	values[RESPONDERS] = rounded(responders);
	values[BUYERS] = rounded(buyers);
	values[ADDED_BUYERS] = rounded(added_buyers);
	values[ADDED_REVENUE] = rounded(added_revenue);
	values[GROSS_PROFIT] = rounded(gross_profit);
	values[COST] = rounded(cost);
	values[NET_PROFIT] = subtract(values[GROSS_PROFIT], values[COST]);

	/* a cost below 0 would turn the sign of a return around */
	nulls[ROI_PERCENT] = nulls[ROAS_PERCENT] = sign(cost) <= 0;
	if (!nulls[ROI_PERCENT])
	{
		Datum		hundred = NumericGetDatum(int64_to_numeric(100));

		values[ROI_PERCENT] = Float8GetDatum(quotient(multiply(hundred, subtract(gross_profit, cost)), cost));
		values[ROAS_PERCENT] = Float8GetDatum(quotient(multiply(hundred, added_revenue), cost));
	}

	/*
	 * With revenue = responders * order_value, net profit is 0 where
	 * revenue * (net_margin * (conversion - baseline_rate) - incentive_rate *
	 * conversion) = constant_cost, and that is where conversion * denominator
	 * = numerator:
	 */
	net_margin = subtract(margin_rate, operating_rate);
	numerator = add(multiply(multiply(responders, order_value), multiply(net_margin, baseline_rate)), constant_cost);
	denominator = multiply(multiply(responders, order_value), subtract(net_margin, incentive_rate));
	if (sign(denominator) < 0)
	{
		numerator = DirectFunctionCall1(numeric_uminus, numerator);
		denominator = DirectFunctionCall1(numeric_uminus, denominator);
	}
	nulls[BREAK_EVEN_CONVERSION] = sign(denominator) == 0 || sign(numerator) < 0 ||
		sign(subtract(denominator, numerator)) < 0;
	if (!nulls[BREAK_EVEN_CONVERSION])
		values[BREAK_EVEN_CONVERSION] = Float8GetDatum(quotient(numerator, denominator));

	if (response_n == 0 && conversion_n == 0)
		nulls[NET_PROFIT_P05] = nulls[NET_PROFIT_P50] = nulls[NET_PROFIT_P95] = nulls[PROBABILITY_OF_PROFIT] = true;
	else
	{
		Simulation	simulation;

		simulation.audience = (double) PG_GETARG_INT64(AUDIENCE);
		simulation.response_rate = PG_GETARG_FLOAT8(RESPONSE_RATE);
		simulation.response_n = (double) response_n;
		simulation.conversion_rate = PG_GETARG_FLOAT8(CONVERSION_RATE);
		simulation.conversion_n = (double) conversion_n;
		simulation.per_buyer = to_double(multiply(order_value, subtract(net_margin, incentive_rate))) * UNITS;
		simulation.per_responder = -to_double(multiply(order_value, multiply(net_margin, baseline_rate))) * UNITS;
		simulation.constant = -to_double(constant_cost) * UNITS;
		simulation.runs = runs;
		simulate(&simulation, (uint64) PG_GETARG_INT64(SEED), values);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
