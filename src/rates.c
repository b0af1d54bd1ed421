/*
 * rates.c
 *	  Honest rates and averages: Wilson's interval, the chi-square test,
 *	  Welch's interval, and the Kaplan-Meier estimate of how many customers
 *	  something has happened to by a given day when some were not watched
 *	  that long.
 *
 * The state of the Kaplan-Meier aggregate, a survival, counts customers by
 * day: it is as small as there are different days, merging it is adding
 * counts, and the same customers give the same survival in whatever order
 * they came.  Like a profile it is one flat varlena, changed in place: a
 * sorted part, where a day that occurred before is found, and an unsorted tail
 * of new ones that is sorted in when there is no room left.
 */
#include "rfm.h"

#include <ctype.h>
#include <math.h>

#include "access/htup_details.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* ---------- shared checks and shapes ---------- */

/*
 * How many standard errors reach to either bound of an interval, from Student's
 * t with df degrees of freedom, or from the normal distribution (infinity).
 */
static double
interval_reach(double confidence, double df)
{
	if (!(confidence > 0 && confidence < 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("confidence must lie between 0 and 1"),
				 errhint("Give it as a share, for example 0.95.")));
	return real_t_quantile(1 - confidence, df);
}

/* A row of the function's result type, which is looked up once per call site. */
static Datum
make_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	desc = fcinfo->flinfo->fn_extra;

	if (desc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		desc = fcinfo->flinfo->fn_extra = BlessTupleDesc(desc);
		MemoryContextSwitchTo(old);
	}
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* ---------- rates and averages ---------- */

PG_FUNCTION_INFO_V1(rfm_wilson_interval);
PG_FUNCTION_INFO_V1(rfm_chi_square_p_value);
PG_FUNCTION_INFO_V1(rfm_welch_interval);
PG_FUNCTION_INFO_V1(rfm_mean_interval);

/* wilson_interval(successes, trials, confidence) → low, high */
Datum
rfm_wilson_interval(PG_FUNCTION_ARGS)
{
	int64		successes = PG_GETARG_INT64(0);
	int64		trials = PG_GETARG_INT64(1);
	double		z = interval_reach(PG_GETARG_FLOAT8(2), HUGE_VAL);
	Datum		values[2];
	bool		nulls[2] = {trials == 0, trials == 0};

	if (successes < 0 || trials < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the number of %s is negative: %lld", trials < 0 ? "trials" : "successes",
						(long long) (trials < 0 ? trials : successes)),
				 errhint("Count them, for example with count(*) and count(*) FILTER (WHERE ...).")));
	if (successes > trials)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%lld successes are more than the %lld trials",
						(long long) successes, (long long) trials),
				 errhint("Successes come first, then all trials, failures included.")));
	if (trials > 0)
	{
		double		n = (double) trials;
		double		k = (double) successes;
		double		middle = 2 * k + z * z;
		double		reach = z * sqrt(z * z + 4 * k * ((double) (trials - successes) / n));
		double		whole = 2 * (n + z * z);

		values[0] = Float8GetDatum(successes == 0 ? 0 : Max((middle - reach) / whole, 0));
		values[1] = Float8GetDatum(successes == trials ? 1 : Min((middle + reach) / whole, 1));
	}
	return make_row(fcinfo, values, nulls);
}

/* chi_square_p_value(statistic, df) */
Datum
rfm_chi_square_p_value(PG_FUNCTION_ARGS)
{
	double		statistic = PG_GETARG_FLOAT8(0);
	int32		df = PG_GETARG_INT32(1);

	if (!(statistic >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a chi-square statistic is never negative or NaN"),
				 errhint("Give the sum of (observed - expected)^2 / expected.")));
	if (df < 1)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the degrees of freedom must be at least 1, not %d", df),
				 errhint("Comparing a rate between n groups takes n - 1.")));
	PG_RETURN_FLOAT8(real_gamma_tail(df / 2.0, statistic / 2));
}

/* What is known of one of the two groups that welch_interval compares. */
typedef struct Sample
{
	double		n;
	bool		has_mean;
	double		mean;
	double		error;			/* squared standard error of the mean, -1 when unknown */
} Sample;

/* Reads a group's three arguments, the first of them given. */
static Sample
read_sample(FunctionCallInfo fcinfo, int first)
{
	int64		n = PG_GETARG_INT64(first);
	Sample		sample = {(double) n, false, 0, -1};

	if (n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the number of customers is negative: %lld", (long long) n),
				 errhint("Give count(x), avg(x) and var_samp(x) of each group.")));
	if (n > 0 && !PG_ARGISNULL(first + 1))
	{
		sample.mean = PG_GETARG_FLOAT8(first + 1);
		sample.has_mean = true;
	}
	if (n > 1 && sample.has_mean && !PG_ARGISNULL(first + 2))
		sample.error = PG_GETARG_FLOAT8(first + 2) / sample.n;
	if (!isfinite(sample.mean) || !isfinite(sample.error) || (sample.error < 0 && sample.error != -1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a mean or variance is not a finite number, or the variance is negative"),
				 errhint("Give count(x), avg(x) and var_samp(x) of each group.")));
	return sample;
}

/* welch_interval(n_a, mean_a, variance_a, n_b, mean_b, variance_b, confidence) → difference, low, high, df */
Datum
rfm_welch_interval(PG_FUNCTION_ARGS)
{
	Datum		values[4];
	bool		nulls[4] = {true, true, true, true};
	Sample		a;
	Sample		b;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3) || PG_ARGISNULL(6))
		PG_RETURN_NULL();
	a = read_sample(fcinfo, 0);
	b = read_sample(fcinfo, 3);
	interval_reach(PG_GETARG_FLOAT8(6), HUGE_VAL);	/* refuses a bad one in any case */
	if (a.has_mean && b.has_mean)
	{
		double		difference = a.mean - b.mean;

		values[0] = Float8GetDatum(difference);
		nulls[0] = false;
		if (a.error >= 0 && b.error >= 0 && a.error + b.error > 0)
		{
			double		share = a.error / (a.error + b.error);
			double		df = 1 / (share * share / (a.n - 1) + (1 - share) * (1 - share) / (b.n - 1));
			double		reach = interval_reach(PG_GETARG_FLOAT8(6), Max(df, 1)) * sqrt(a.error + b.error);

			values[1] = Float8GetDatum(difference - reach);
			values[2] = Float8GetDatum(difference + reach);
			values[3] = Float8GetDatum(df);
			nulls[1] = nulls[2] = nulls[3] = false;
		}
	}
	return make_row(fcinfo, values, nulls);
}

/* mean_interval(n, mean, variance, confidence) → low, high */
Datum
rfm_mean_interval(PG_FUNCTION_ARGS)
{
	Datum		values[2];
	bool		nulls[2] = {true, true};
	Sample		sample;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	sample = read_sample(fcinfo, 0);
	if (sample.error >= 0)
	{
		double		reach = interval_reach(PG_GETARG_FLOAT8(3), sample.n - 1) * sqrt(sample.error);

		values[0] = Float8GetDatum(sample.mean - reach);
		values[1] = Float8GetDatum(sample.mean + reach);
		nulls[0] = nulls[1] = false;
	}
	return make_row(fcinfo, values, nulls);
}

/* ---------- survivals ---------- */

#define FIRST_CAPACITY	4		/* entries a new survival has room for */
#define MAX_CUSTOMERS	INT64CONST(9007199254740992)	/* 2^53: doubles count so far */

/*
 * Customers with the same day and the same end of it.  The key is the day
 * times two, plus one when they are censored: events come first, as the
 * definition wants it.
 */
typedef struct SurvivalEntry
{
	int64		key;
	int64		customers;
} SurvivalEntry;

typedef struct Survival
{
	int32		vl_len_;
	uint32		n;				/* entries held, those of the tail perhaps twice */
	uint32		nsorted;		/* of them sorted and distinct */
	uint32		capacity;		/* entries there is room for */
	int64		customers;
	SurvivalEntry entries[FLEXIBLE_ARRAY_MEMBER];
} Survival;

#define GETARG_SURVIVAL(n)	((Survival *) PG_DETOAST_DATUM(PG_GETARG_DATUM(n)))

/* An empty survival, palloc'd. */
static Survival *
survival_new(Size capacity)
{
	Size		size = offsetof(Survival, entries) + capacity * sizeof(SurvivalEntry);
	Survival   *survival;

	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a survival has too many different days to fit in 1 GB"),
				 errhint("Count time in whole days.")));
	survival = palloc0(size);
	SET_VARSIZE(survival, size);
	survival->capacity = (uint32) capacity;
	return survival;
}

static int
compare_entries(const void *a, const void *b)
{
	int64		key_a = ((const SurvivalEntry *) a)->key;
	int64		key_b = ((const SurvivalEntry *) b)->key;

	CHECK_FOR_INTERRUPTS();
	return (key_a > key_b) - (key_a < key_b);
}

/*
 * A sorted copy of a survival and perhaps another one (NULL for none), with
 * room for as many entries again or none.  palloc'd.
 */
static Survival *
survival_compact(const Survival *survival, const Survival *other, bool with_room)
{
	Size		total = (Size) survival->n + (other ? other->n : 0);
	Survival   *result = survival_new(with_room ? Max(2 * total, FIRST_CAPACITY) : total);
	SurvivalEntry *entries = result->entries;
	uint32		n = 0;

	memcpy(entries, survival->entries, survival->n * sizeof(SurvivalEntry));
	result->customers = survival->customers;
	if (other)
	{
		memcpy(entries + survival->n, other->entries, other->n * sizeof(SurvivalEntry));
		result->customers += other->customers;
		if (result->customers > MAX_CUSTOMERS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("a survival has more than %lld customers", (long long) MAX_CUSTOMERS),
					 errhint("Look for survivals that were added more than once.")));
	}
	if (other || survival->nsorted < survival->n)
		qsort(entries, total, sizeof(SurvivalEntry), compare_entries);
	for (Size i = 0; i < total; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (n > 0 && entries[n - 1].key == entries[i].key)
			entries[n - 1].customers += entries[i].customers;
		else
			entries[n++] = entries[i];
	}
	result->n = result->nsorted = n;
	if (!with_room)
	{
		result->capacity = n;
		SET_VARSIZE(result, offsetof(Survival, entries) + n * sizeof(SurvivalEntry));
	}
	return result;
}

/* A survival to read: sorted, perhaps the one given. */
static const Survival *
survival_sorted(const Survival *survival)
{
	return survival->nsorted == survival->n ? survival : survival_compact(survival, NULL, false);
}

/* The entry of a key in the sorted part, NULL when there is none. */
static SurvivalEntry *
survival_find(Survival *survival, int64 key)
{
	uint32		low = 0;
	uint32		high = survival->nsorted;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (survival->entries[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < survival->nsorted && survival->entries[low].key == key)
		return &survival->entries[low];
	return NULL;
}

static void
check_days(int32 days)
{
	if (days < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the number of days is negative: %d", days),
				 errhint("Count the days from the start to the event or, without one, to the end of observation.")));
}

/* The key of a customer's entry, which fits in 32 bits. */
uint32
survival_key(int32 days, bool event)
{
	check_days(days);
	return (uint32) days * 2 + !event;
}

/*
 * The survival of so many customers with each of these keys, which ascend, one
 * at least: what kaplan_meier gives for them.  palloc'd.
 */
struct varlena *
survival_from_counts(const uint32 *keys, const int64 *customers, Size n)
{
	Survival   *survival = survival_new(n);

	survival->n = survival->nsorted = (uint32) n;
	for (Size i = 0; i < n; i++)
	{
		survival->entries[i] = (SurvivalEntry) {keys[i], customers[i]};
		if (__builtin_add_overflow(survival->customers, customers[i], &survival->customers))
			rfm_corrupt("gateway");
	}
	return (struct varlena *) survival;
}

PG_FUNCTION_INFO_V1(rfm_kaplan_meier_add);
PG_FUNCTION_INFO_V1(rfm_kaplan_meier_combine);
PG_FUNCTION_INFO_V1(rfm_kaplan_meier_final);

/* Transition: the survival (NULL at first), days, event.  Changes the survival. */
Datum
rfm_kaplan_meier_add(PG_FUNCTION_ARGS)
{
	Survival   *survival;
	SurvivalEntry *entry;
	int64		key;

	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function works inside an aggregate only"),
				 errhint("Use rfm.kaplan_meier(days, event).")));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	key = survival_key(PG_GETARG_INT32(1), PG_GETARG_BOOL(2));

	survival = PG_ARGISNULL(0) ? survival_new(FIRST_CAPACITY) : GETARG_SURVIVAL(0);
	entry = survival_find(survival, key);
	if (entry == NULL && survival->n == survival->capacity)
	{
		survival = survival_compact(survival, NULL, true);
		entry = survival_find(survival, key);
	}
	if (entry == NULL)
	{
		entry = &survival->entries[survival->n++];
		entry->key = key;
		entry->customers = 0;
	}
	entry->customers++;
	survival->customers++;
	PG_RETURN_POINTER(survival);
}

/* Combine: two survivals of different customers, neither is changed. */
Datum
rfm_kaplan_meier_combine(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(PG_ARGISNULL(0) ? 1 : 0));
	PG_RETURN_POINTER(survival_compact(GETARG_SURVIVAL(0), GETARG_SURVIVAL(1), false));
}

/* Final: a compact copy. */
Datum
rfm_kaplan_meier_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(survival_compact(GETARG_SURVIVAL(0), NULL, false));
}

/* ----------
 * Text form: `days:events:censored` of each day on which there was one or the
 * other, ascending, separated by spaces.
 * ----------
 */

PG_FUNCTION_INFO_V1(rfm_survival_in);
PG_FUNCTION_INFO_V1(rfm_survival_out);
PG_FUNCTION_INFO_V1(rfm_survival_recv);
PG_FUNCTION_INFO_V1(rfm_survival_send);

/* The text form of a survival. */
static StringInfoData
survival_text(const Survival *survival)
{
	StringInfoData text;
	uint32		i = 0;

	initStringInfo(&text);
	survival = survival_sorted(survival);
	while (i < survival->n)
	{
		int64		day = survival->entries[i].key / 2;
		int64		count[2] = {0, 0};

		CHECK_FOR_INTERRUPTS();
		for (; i < survival->n && survival->entries[i].key / 2 == day; i++)
			count[survival->entries[i].key % 2] = survival->entries[i].customers;
		appendStringInfo(&text, "%s%lld:%lld:%lld", text.len > 0 ? " " : "", (long long) day,
						 (long long) count[0], (long long) count[1]);
	}
	return text;
}

/* A whole number up to a limit, written without needless zeros, and what stands behind it. */
static int64
take_number(const char **text, int64 limit, char behind)
{
	const char *digit = *text;
	int64		value = 0;

	if (!isdigit((unsigned char) *digit) || (*digit == '0' && isdigit((unsigned char) digit[1])))
		rfm_corrupt("survival");
	for (; isdigit((unsigned char) *digit); digit++)
	{
		value = value * 10 + (*digit - '0');
		if (value > limit)
			rfm_corrupt("survival");
	}
	if (behind != '\0' && *digit++ != behind)
		rfm_corrupt("survival");
	*text = digit;
	return value;
}

/* Reads a survival from its text form.  Trusts nothing. */
static Survival *
survival_parse(const char *text)
{
	Survival   *survival;
	Size		days = 1;

	for (const char *c = text; *c != '\0'; c++)
		days += *c == ' ';
	survival = survival_new(2 * days);
	for (;;)
	{
		int64		day = take_number(&text, PG_INT32_MAX, ':');
		int64		count[2];

		CHECK_FOR_INTERRUPTS();
		count[0] = take_number(&text, MAX_CUSTOMERS, ':');
		count[1] = take_number(&text, MAX_CUSTOMERS, '\0');
		if (count[0] + count[1] == 0 ||
			(survival->n > 0 && survival->entries[survival->n - 1].key / 2 >= day))
			rfm_corrupt("survival");
		for (int censored = 0; censored < 2; censored++)
		{
			if (count[censored] > 0)
			{
				survival->entries[survival->n].key = day * 2 + censored;
				survival->entries[survival->n++].customers = count[censored];
				survival->customers += count[censored];
			}
		}
		if (survival->customers > MAX_CUSTOMERS)
			rfm_corrupt("survival");
		if (*text == '\0')
			break;
		if (*text++ != ' ')
			rfm_corrupt("survival");
	}
	survival->nsorted = survival->n;
	return survival_compact(survival, NULL, false);
}

/* Input. */
Datum
rfm_survival_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(survival_parse(PG_GETARG_CSTRING(0)));
}

/* Output. */
Datum
rfm_survival_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(survival_text(GETARG_SURVIVAL(0)).data);
}

/* Binary output: the text form. */
Datum
rfm_survival_send(PG_FUNCTION_ARGS)
{
	StringInfoData text = survival_text(GETARG_SURVIVAL(0));
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbytes(&buffer, text.data, text.len);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* Binary input: the text form. */
Datum
rfm_survival_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	int			length = buffer->len - buffer->cursor;
	const char *bytes = pq_getmsgbytes(buffer, length);

	if (memchr(bytes, '\0', length) != NULL)
		rfm_corrupt("survival");
	PG_RETURN_POINTER(survival_parse(pnstrdup(bytes, length)));
}

/* ---------- the Kaplan-Meier estimate ---------- */

/* Where the curve stands: at a day of the survival, that day included. */
typedef struct Curve
{
	const Survival *survival;	/* sorted */
	uint32		next;			/* the first entry of the next day */
	double		reach;			/* standard errors to either bound */
	int64		days;
	int64		at_risk;		/* customers with this day or a later one */
	int64		events;			/* of them on this day */
	int64		censored;
	double		remaining;		/* share that had no event yet, S(t) */
	double		watched_remaining;	/* as customers were last censored: that share, */
	int64		watched;		/* and the customers left to be watched */
	double		variance;		/* Greenwood's sum: of log S(t) */
} Curve;

/* The curve before the first day. */
static void
curve_init(Curve *curve, const Survival *survival, double confidence)
{
	memset(curve, 0, sizeof(Curve));
	curve->survival = survival;
	curve->reach = interval_reach(confidence, HUGE_VAL);
	curve->at_risk = survival->customers;
	curve->remaining = curve->watched_remaining = 1;
	curve->watched = survival->customers;
}

/* Whether there is a further day, and which. */
static bool
curve_next_day(const Curve *curve, int64 *days)
{
	if (curve->next >= curve->survival->n)
		return false;
	*days = curve->survival->entries[curve->next].key / 2;
	return true;
}

/*
 * Takes in the next day, which there is.  The factors (n - d) / n of days
 * without censoring cancel out: where nobody is censored, the rate is exactly
 * the share.
 */
static void
curve_step(Curve *curve)
{
	const Survival *survival = curve->survival;
	int64		count[2] = {0, 0};

	curve_next_day(curve, &curve->days);
	for (; curve->next < survival->n && survival->entries[curve->next].key / 2 == curve->days; curve->next++)
		count[survival->entries[curve->next].key % 2] = survival->entries[curve->next].customers;

	curve->at_risk -= curve->events + curve->censored;
	if (curve->censored > 0)
	{
		curve->watched_remaining = curve->remaining;
		curve->watched = curve->at_risk;
	}
	curve->events = count[0];
	curve->censored = count[1];
	if (curve->events > 0)
	{
		double		at_risk = (double) curve->at_risk;
		double		left = (double) (curve->at_risk - curve->events);

		curve->remaining = curve->watched_remaining * (left / (double) curve->watched);
		curve->variance += (double) curve->events / at_risk / left;
	}
}

/*
 * The rate, 1 - S(t), and its bounds, which are symmetric in log(-log S(t)).
 * There are none before the first event, and after everyone had one.
 */
static void
curve_rate(const Curve *curve, Datum *values, bool *nulls)
{
	values[0] = Float8GetDatum(1 - curve->remaining);
	nulls[1] = nulls[2] = !(curve->remaining > 0 && curve->remaining < 1);
	if (!nulls[1])
	{
		double		log_remaining = real_log(curve->remaining);
		double		factor = real_exp(curve->reach * sqrt(curve->variance) / -log_remaining);

		values[1] = Float8GetDatum(1 - real_exp(log_remaining / factor));
		values[2] = Float8GetDatum(1 - real_exp(log_remaining * factor));
	}
}

/*
 * The rate after so many days with its bounds, and how many were at risk then.
 * values and nulls have four places.  NULL rates: nobody was watched that long.
 */
void
survival_rate(const struct varlena *survival, int32 at_days, double confidence, Datum *values, bool *nulls)
{
	Curve		curve;
	int64		days = 0;
	int64		at_risk;

	curve_init(&curve, (const Survival *) survival, confidence);
	while (curve_next_day(&curve, &days) && days <= at_days)
	{
		CHECK_FOR_INTERRUPTS();
		curve_step(&curve);
	}

	at_risk = curve.at_risk;
	if (curve.next > 0 && curve.days < at_days)
		at_risk -= curve.events + curve.censored;
	values[3] = Int64GetDatum(at_risk);
	nulls[3] = false;
	nulls[0] = nulls[1] = nulls[2] = true;
	if (at_risk > 0 || curve.remaining == 0)
	{
		nulls[0] = false;
		curve_rate(&curve, values, nulls);
	}
}

PG_FUNCTION_INFO_V1(rfm_kaplan_meier_rate);
PG_FUNCTION_INFO_V1(rfm_kaplan_meier_curve);

/* kaplan_meier_rate(survival, at_days, confidence) → rate, low, high, at_risk */
Datum
rfm_kaplan_meier_rate(PG_FUNCTION_ARGS)
{
	int32		at_days = PG_GETARG_INT32(1);
	Datum		values[4];
	bool		nulls[4];

	check_days(at_days);
	survival_rate((struct varlena *) survival_sorted(GETARG_SURVIVAL(0)), at_days, PG_GETARG_FLOAT8(2), values, nulls);
	return make_row(fcinfo, values, nulls);
}

/* kaplan_meier_curve(survival, min_at_risk, confidence) → a row per day */
Datum
rfm_kaplan_meier_curve(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	Curve	   *curve;
	int64		min_at_risk = PG_GETARG_INT64(1);
	int64		days;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc	desc;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		call->tuple_desc = BlessTupleDesc(desc);
		call->user_fctx = curve = palloc(sizeof(Curve));
		curve_init(curve, survival_compact(GETARG_SURVIVAL(0), NULL, false), PG_GETARG_FLOAT8(2));
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	curve = call->user_fctx;
	if (curve_next_day(curve, &days))
	{
		curve_step(curve);
		if (curve->at_risk >= min_at_risk)
		{
			Datum		values[7];
			bool		nulls[7] = {false, false, false, false, false, false, false};

			values[0] = Int32GetDatum((int32) curve->days);
			values[1] = Int64GetDatum(curve->at_risk);
			values[2] = Int64GetDatum(curve->events);
			values[3] = Int64GetDatum(curve->censored);
			curve_rate(curve, values + 4, nulls + 4);
			SRF_RETURN_NEXT(call, HeapTupleGetDatum(heap_form_tuple(call->tuple_desc, values, nulls)));
		}
	}
	SRF_RETURN_DONE(call);
}
