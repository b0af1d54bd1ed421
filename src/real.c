/*
 * real.c
 *	  Logarithm, exponential and the distributions behind the intervals, with
 *	  the same bits on every machine.
 *
 * The C library's log, exp and lgamma differ in the last place between CPUs
 * and releases.  Everything here is made of + - * / sqrt and floor, each of
 * which IEEE 754 rounds in exactly one way, and the module is compiled without
 * contraction to fused operations.  Logarithm and exponential are good to the
 * last place or two, the distributions to 11 digits or more.
 *
 * Gamma and beta functions never appear as such, only through what remains
 * when their leading terms have cancelled on paper: Stirling's error and the
 * deviance (C. Loader, Fast and Accurate Computation of Binomial
 * Probabilities, 2000).  So nothing is lost with large arguments.
 */
#include "rfm.h"

#include <math.h>

#include "miscadmin.h"

#define LN2_HIGH	6.93147180369123816490e-01	/* its last 21 bits are zero */
#define LN2_LOW		1.90821492927058770002e-10
#define TWO_PI		6.283185307179586476925

#define MAX_TERMS	10000000	/* of a series or fraction; none comes near */
#define MANY_DF			1e7
#define PRECISION	2.3e-16		/* where a series or fraction ends */

/* 2^exponent for -1022 <= exponent <= 1023 */
static inline double
power_of_two(int exponent)
{
	uint64		bits = (uint64) (exponent + 1023) << 52;
	double		power;

	memcpy(&power, &bits, sizeof(power));
	return power;
}

/*
 * log(1 + x) - x for x between sqrt(1/2) - 1 and sqrt(2) - 1.  With
 * s = x / (2 + x), log(1 + x) = 2 atanh(s) = 2s + 2s^3/3 + 2s^5/5 + ... and
 * 2s = x - sx, so that the difference needs no subtraction of near equals.
 */
static inline double
log1p_minus_x_series(double x)
{
	double		s = x / (2 + x);
	double		w = s * s;
	double		sum = 1.0 / 23;

	sum = sum * w + 1.0 / 21;
	sum = sum * w + 1.0 / 19;
	sum = sum * w + 1.0 / 17;
	sum = sum * w + 1.0 / 15;
	sum = sum * w + 1.0 / 13;
	sum = sum * w + 1.0 / 11;
	sum = sum * w + 1.0 / 9;
	sum = sum * w + 1.0 / 7;
	sum = sum * w + 1.0 / 5;
	sum = sum * w + 1.0 / 3;
	return -s * (x - 2 * w * sum);
}

static inline bool
in_series_range(double x)
{
	return x > -0.2928 && x < 0.4142;
}

/* Natural logarithm of a finite number above 0. */
double
real_log(double x)
{
	uint64		bits;
	int			exponent = 0;
	double		f;

	if (x < power_of_two(-1022))
	{
		x *= power_of_two(54);
		exponent = -54;
	}
	/* x = 2^exponent * (1 + f), 1 + f between sqrt(1/2) and sqrt(2) */
	memcpy(&bits, &x, sizeof(bits));
	exponent += (int) (bits >> 52) - 1023;
	bits = (bits & UINT64CONST(0x000FFFFFFFFFFFFF)) | UINT64CONST(0x3FF0000000000000);
	memcpy(&f, &bits, sizeof(f));
	if (f > 1.4142)
	{
		f *= 0.5;
		exponent++;
	}
	f -= 1;
	return exponent * LN2_HIGH + (f + (log1p_minus_x_series(f) + exponent * LN2_LOW));
}

/* log(1 + x) for x > -1 */
double
real_log1p(double x)
{
	return in_series_range(x) ? x + log1p_minus_x_series(x) : real_log(1 + x);
}

/* e^x; 0 below and infinity above the range of a double */
double
real_exp(double x)
{
	double		k;
	double		r;
	double		sum = 1.0 / 6227020800.0;	/* 1 / 13! */
	int			exponent;

	if (x < -745.2)
		return 0;
	if (x > 709.8)
		return HUGE_VAL;
	k = floor(x * 1.44269504088896340736 + 0.5);
	r = (x - k * LN2_HIGH) - k * LN2_LOW;
	sum = sum * r + 1.0 / 479001600.0;
	sum = sum * r + 1.0 / 39916800.0;
	sum = sum * r + 1.0 / 3628800.0;
	sum = sum * r + 1.0 / 362880.0;
	sum = sum * r + 1.0 / 40320.0;
	sum = sum * r + 1.0 / 5040.0;
	sum = sum * r + 1.0 / 720.0;
	sum = sum * r + 1.0 / 120.0;
	sum = sum * r + 1.0 / 24.0;
	sum = sum * r + 1.0 / 6.0;
	sum = sum * r + 1.0 / 2.0;
	sum = 1 + (r + r * r * sum);

	/* in two steps: the result may be subnormal, 2^1024 is no double */
	exponent = (int) k;
	return sum * power_of_two(exponent / 2) * power_of_two(exponent - exponent / 2);
}

/*
 * What Stirling's formula leaves of log(x!), for x > 0:
 * log Gamma(x + 1) - (x + 1/2) log x + x - log(2 pi) / 2
 */
double
real_stirling_error(double x)
{
	double		error = 0;
	double		w;

	for (; x < 12; x += 1)
		error += (x + 0.5) * real_log1p(1 / x) - 1;
	w = 1 / (x * x);
	return error + (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * (1.0 / 1680 - w *
			(1.0 / 1188 - w * (691.0 / 360360)))))) / x;
}

/* x log(x / mean) + mean - x, for x >= 0 and mean >= 0 */
double
real_deviance(double x, double mean)
{
	double		u = (mean - x) / x;

	if (x == 0)
		return mean;
	if (mean == 0)
		return HUGE_VAL;
	if (in_series_range(u))
		return -x * log1p_minus_x_series(u);
	return x * (real_log(x) - real_log(mean)) + (mean - x);
}

/*
 * The regularised upper incomplete gamma function Q(a, x), for a > 0 and
 * x >= 0: its series below the mean, its continued fraction above (Lentz).
 */
double
real_gamma_tail(double a, double x)
{
	double		term;			/* x^a e^-x / Gamma(a + 1) */

	if (x == 0)
		return 1;
	if (isinf(x))
		return 0;
	term = real_exp(-real_stirling_error(a) - real_deviance(a, x)) / sqrt(TWO_PI * a);
	if (x < a + 1)
	{
		double		next = 1;
		double		sum = 1;

		for (int i = 1; i < MAX_TERMS && next > sum * PRECISION; i++)
		{
			CHECK_FOR_INTERRUPTS();
			next *= x / (a + i);
			sum += next;
		}
		return Max(1 - term * sum, 0);
	}
	else
	{
		double		b = x + 1 - a;
		double		c = HUGE_VAL;
		double		d = 1 / b;
		double		fraction = d;

		for (int i = 1; i < MAX_TERMS; i++)
		{
			double		numerator = i * (a - i);
			double		change;

			CHECK_FOR_INTERRUPTS();
			b += 2;
			d = 1 / (numerator * d + b);
			c = b + numerator / c;
			change = c * d;
			fraction *= change;
			if (fabs(change - 1) <= PRECISION)
				break;
		}
		return Min(term * a * fraction, 1);
	}
}

/* x^a y^b / B(a, b) for x + y = 1, x and y above 0 */
static double
beta_term(double a, double b, double x, double y)
{
	double		n = a + b;

	return sqrt(a / n * b / TWO_PI) *
		real_exp(real_stirling_error(n) - real_stirling_error(a) - real_stirling_error(b) -
				 real_deviance(a, n * x) - real_deviance(b, n * y));
}

/* I_x(a, b) of real_beta by its continued fraction (Lentz), which is good for x up to (a + 1) / (a + b + 2). */
static double
beta_fraction(double a, double b, double x, double y)
{
	double		c = 1;
	double		d;
	double		fraction;

	d = 1 / (1 - (a + b) * x / (a + 1));
	fraction = d;
	for (int i = 1; i < MAX_TERMS; i++)
	{
		double		even = i * (b - i) * x / ((a + 2.0 * i - 1) * (a + 2.0 * i));
		double		odd = -(a + i) * (a + b + i) * x / ((a + 2.0 * i) * (a + 2.0 * i + 1));
		double		change;

		CHECK_FOR_INTERRUPTS();
		d = 1 / (1 + even * d);
		c = 1 + even / c;
		fraction *= c * d;
		d = 1 / (1 + odd * d);
		c = 1 + odd / c;
		change = c * d;
		fraction *= change;
		if (fabs(change - 1) <= PRECISION)
			break;
	}
	return Min(beta_term(a, b, x, y) * fraction / a, 1);
}

/*
 * The regularised incomplete beta function I_x(a, b), for a, b > 0.  y is
 * 1 - x, given so that it can be exact.
 */
double
real_beta(double a, double b, double x, double y)
{
	if (x <= 0)
		return 0;
	if (y <= 0)
		return 1;
	/* of large a and b rounding may put both x and y above their limits */
	if (x > (a + 1) / (a + b + 2))
		return 1 - beta_fraction(b, a, y, x);
	return beta_fraction(a, b, x, y);
}

/*
 * The t > 0 that Student's t with df degrees of freedom exceeds, up or down,
 * with probability tail; df = infinity is the normal distribution.  df >= 1,
 * tail between 0 and 1.
 *
 * The tail is convex, so Newton's method climbs to t from below, where the
 * normal quantile stands (Abramowitz and Stegun 26.2.23, less its error).  Of
 * so many degrees of freedom that df + t * t would lose the digits of t, t is
 * the normal quantile and a little (26.7.5).
 */
double
real_t_quantile(double tail, double df)
{
	double		u = sqrt(-2 * real_log(tail / 2));
	double		t = u - (2.515517 + u * (0.802853 + u * 0.010328)) /
		(1 + u * (1.432788 + u * (0.189269 + u * 0.001308))) - 0.0005;

	if (df > MANY_DF && !isinf(df))
	{
		t = real_t_quantile(tail, HUGE_VAL);
		u = t * t;
		return t * (1 + (u + 1) / (4 * df) + ((5 * u + 16) * u + 3) / (96 * df * df));
	}
	t = Max(t, 1e-9);
	for (int i = 0; i < 200; i++)
	{
		double		at;			/* tail beyond t */
		double		density;	/* at t */
		double		step;

		if (isinf(df))
		{
			at = real_gamma_tail(0.5, t * t / 2);
			density = real_exp(-t * t / 2) / sqrt(TWO_PI);
		}
		else
		{
			double		x = df / (df + t * t);
			double		y = t * t / (df + t * t);

			at = real_beta(df / 2, 0.5, x, y);
			density = beta_term(df / 2, 0.5, x, y) / t;
		}
		step = (at - tail) / (2 * density);
		t = t + step > 0 ? t + step : t / 2;
		/* quadratic: the next step would be rounding */
		if (fabs(step) <= t * 1e-9)
			break;
	}
	return t;
}
