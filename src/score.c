/*
 * score.c
 *	  Recency, frequency and monetary scores: where a value stands among the
 *	  cut points of its axis.
 *
 * Cut points and amounts may be decimals of any scale, and comparing them is
 * exact.  Nearly always their units of 1e-4 decide; only an amount and a cut
 * point within the same unit, or an amount beyond int64, need numeric's own
 * comparison.  Cut points are read once per call site and, unless they are a
 * constant of the query, recognized by their bytes from then on: an array from
 * a table or a sub-select may be another one in the next row.
 */
#include "rfm.h"

#include "common/int.h"
#include "utils/fmgrprotos.h"

#define UNITS			INT64CONST(10000)	/* of a whole number */

/* The axes, in the order of the rfm_score's digits. */
enum
{
	RECENCY,
	FREQUENCY,
	MONETARY
};

/*
 * Sets the units below and above cut point i.  Beyond int64 both are the end
 * of the range, which no amount in units reaches: see cuts_decide.
 */
static void
cuts_set_units(Cuts *cuts, int i, Datum cut)
{
	int64		units;
	bool		exact;

	if (money_units(DatumGetNumeric(cut), &units, &exact))
	{
		cuts->floor[i] = units;
		cuts->ceiling[i] = exact || units == PG_INT64_MAX ? units : units + 1;
	}
	else
	{
		Datum		zero = NumericGetDatum(int64_to_numeric(0));
		bool		negative = DatumGetBool(DirectFunctionCall2(numeric_lt, cut, zero));

		cuts->floor[i] = cuts->ceiling[i] = negative ? PG_INT64_MIN : PG_INT64_MAX;
	}
}

/* Reads and checks cut points of which nothing is known. */
static pg_noinline void
cuts_read(Cuts *cuts, const char *bytes, Size size, MemoryContext context)
{
	ArrayType  *copy = MemoryContextAlloc(context, VARHDRSZ + size);
	Datum	   *values;
	int			n;

	SET_VARSIZE(copy, VARHDRSZ + size);
	memcpy(VARDATA(copy), bytes, size);
	if (cuts->source != NULL)
		pfree(cuts->source);
	cuts->source = copy;

	cuts->n = 0;				/* the check may fail */
	n = rfm_check_cutoffs(copy, &values);
	for (int i = 0; i < RFM_MAX_CUTS; i++)
	{
		cuts->floor[i] = cuts->ceiling[i] = PG_INT64_MAX;
		if (i < n)
		{
			cuts->value[i] = values[i];
			cuts_set_units(cuts, i, values[i]);
		}
	}
	cuts->n = n;
	pfree(values);
}

/*
 * Makes *cuts, zeroed at first, the cut points of an array of numerics; what
 * it keeps lives in the context.
 */
void
cuts_load(Cuts *cuts, Datum array, MemoryContext context)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(array);
	const char *bytes = VARDATA_ANY(packed);
	Size		size = VARSIZE_ANY_EXHDR(packed);

	if (cuts->n == 0 ||
		VARSIZE(cuts->source) - VARHDRSZ != size ||
		memcmp(VARDATA(cuts->source), bytes, size) != 0)
		cuts_read(cuts, bytes, size, context);
}

/* The cut points in an argument, cached for the axis in fn_extra. */
static inline const Cuts *
cuts_argument(FunctionCallInfo fcinfo, int argument, int axis)
{
	Cuts	   *cuts = fcinfo->flinfo->fn_extra;

	if (cuts == NULL)
		cuts = fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Cuts) * RFM_AXES);
	cuts += axis;
	if (!cuts->constant)
	{
		cuts_load(cuts, PG_GETARG_DATUM(argument), fcinfo->flinfo->fn_mcxt);
		cuts->constant = rfm_argument_is_constant(fcinfo, argument);
	}
	return cuts;
}

/* One plus the number of cut points at or below an amount in whole units. */
static inline int
units_level(const Cuts *cuts, int64 units)
{
	int			level = 1;

	for (int i = 0; i < RFM_MAX_CUTS; i++)
		level += cuts->ceiling[i] <= units;
	return level;
}

/*
 * Whether units tell the level of an amount: they do unless something was cut
 * off and a cut point lies within the same unit.  PG_INT64_MAX marks the cut
 * points out of reach, so no amount may have it.
 */
static inline bool
units_decide(const Cuts *cuts, int64 units, bool exact)
{
	if (units == PG_INT64_MAX)
		return false;
	if (!exact)
		for (int i = 0; i < cuts->n; i++)
			if (cuts->floor[i] == units && cuts->ceiling[i] != units)
				return false;
	return true;
}

/* The level of any amount, compared as numeric. */
static pg_noinline int
numeric_level(const Cuts *cuts, Datum amount)
{
	int			level = 1;

	for (int i = 0; i < cuts->n; i++)
		level += DatumGetInt32(DirectFunctionCall2(numeric_cmp, cuts->value[i], amount)) <= 0;
	return level;
}

/* The level of a whole number. */
static inline int
integer_level(const Cuts *cuts, int64 amount)
{
	int64		units;

	if (unlikely(pg_mul_s64_overflow(amount, UNITS, &units)))
		return numeric_level(cuts, NumericGetDatum(int64_to_numeric(amount)));
	return units_level(cuts, units);
}

/* The level of an amount of integer, bigint, numeric or float8. */
static inline int
amount_level(const Cuts *cuts, Datum amount, AmountKind kind)
{
	int64		units;
	bool		exact;

	switch (kind)
	{
		case AMOUNT_INT4:
			return integer_level(cuts, DatumGetInt32(amount));
		case AMOUNT_INT8:
			return integer_level(cuts, DatumGetInt64(amount));
		case AMOUNT_FLOAT8:
			if (money_units_float8(DatumGetFloat8(amount), &units, &exact) &&
				units_decide(cuts, units, exact))
				return units_level(cuts, units);
			return numeric_level(cuts, NumericGetDatum(money_float8_decimal(DatumGetFloat8(amount))));
		default:
			amount = PointerGetDatum(PG_DETOAST_DATUM_PACKED(amount));
			if (money_units((Numeric) DatumGetPointer(amount), &units, &exact) &&
				units_decide(cuts, units, exact))
				return units_level(cuts, units);
			return numeric_level(cuts, amount);
	}
}

/* amount_level for other files. */
int
cuts_level(const Cuts *cuts, Datum amount, AmountKind kind)
{
	return amount_level(cuts, amount, kind);
}

/* The fewer days, the higher: levels minus the number of cut points passed. */
static inline int
recency_level(const Cuts *cuts, int32 days)
{
	int64		units = days * UNITS;
	int			level = cuts->n + 1;

	for (int i = 0; i < RFM_MAX_CUTS; i++)
		level -= cuts->floor[i] < units;
	return level;
}

/* The level of a number of orders, which cannot be negative. */
static inline int
frequency_level(const Cuts *cuts, int64 orders)
{
	if (orders < 0)
		rfm_negative_orders(orders);
	return integer_level(cuts, orders);
}

/* recency_level for other files. */
int
cuts_days_level(const Cuts *cuts, int32 days)
{
	return recency_level(cuts, days);
}

/* frequency_level for other files. */
int
cuts_orders_level(const Cuts *cuts, int64 orders)
{
	return frequency_level(cuts, orders);
}

/* The level of an amount in units. */
int
cuts_money_level(const Cuts *cuts, int128 units)
{
	if (units == (int64) units && units_decide(cuts, (int64) units, true))
		return units_level(cuts, (int64) units);
	return numeric_level(cuts, NumericGetDatum(money_to_numeric(units)));
}

/* monetary_score(amount, cutoffs) */
static inline Datum
monetary_score(FunctionCallInfo fcinfo, AmountKind kind)
{
	const Cuts *cuts = cuts_argument(fcinfo, 1, MONETARY);

	PG_RETURN_INT16(amount_level(cuts, PG_GETARG_DATUM(0), kind));
}

/*
 * rfm_score(recency_days, orders, amount, monetary_cutoffs, recency_cutoffs,
 * frequency_cutoffs)
 */
static inline Datum
rfm_score(FunctionCallInfo fcinfo, AmountKind kind)
{
	const Cuts *monetary = cuts_argument(fcinfo, 3, MONETARY);
	const Cuts *recency = cuts_argument(fcinfo, 4, RECENCY);
	const Cuts *frequency = cuts_argument(fcinfo, 5, FREQUENCY);

	PG_RETURN_INT16(100 * recency_level(recency, PG_GETARG_INT32(0)) +
					10 * frequency_level(frequency, PG_GETARG_INT64(1)) +
					amount_level(monetary, PG_GETARG_DATUM(2), kind));
}

PG_FUNCTION_INFO_V1(rfm_recency_score);
PG_FUNCTION_INFO_V1(rfm_frequency_score);
PG_FUNCTION_INFO_V1(rfm_monetary_score_int4);
PG_FUNCTION_INFO_V1(rfm_monetary_score_int8);
PG_FUNCTION_INFO_V1(rfm_monetary_score_numeric);
PG_FUNCTION_INFO_V1(rfm_monetary_score_float8);
PG_FUNCTION_INFO_V1(rfm_rfm_score_int4);
PG_FUNCTION_INFO_V1(rfm_rfm_score_int8);
PG_FUNCTION_INFO_V1(rfm_rfm_score_numeric);
PG_FUNCTION_INFO_V1(rfm_rfm_score_float8);

/* recency_score(days, cutoffs) */
Datum
rfm_recency_score(PG_FUNCTION_ARGS)
{
	const Cuts *cuts = cuts_argument(fcinfo, 1, RECENCY);

	PG_RETURN_INT16(recency_level(cuts, PG_GETARG_INT32(0)));
}

/* frequency_score(orders, cutoffs) */
Datum
rfm_frequency_score(PG_FUNCTION_ARGS)
{
	const Cuts *cuts = cuts_argument(fcinfo, 1, FREQUENCY);

	PG_RETURN_INT16(frequency_level(cuts, PG_GETARG_INT64(0)));
}

/* monetary_score(integer, cutoffs) */
Datum
rfm_monetary_score_int4(PG_FUNCTION_ARGS)
{
	return monetary_score(fcinfo, AMOUNT_INT4);
}

/* monetary_score(bigint, cutoffs) */
Datum
rfm_monetary_score_int8(PG_FUNCTION_ARGS)
{
	return monetary_score(fcinfo, AMOUNT_INT8);
}

/* monetary_score(numeric, cutoffs) */
Datum
rfm_monetary_score_numeric(PG_FUNCTION_ARGS)
{
	return monetary_score(fcinfo, AMOUNT_NUMERIC);
}

/* monetary_score(float8, cutoffs) */
Datum
rfm_monetary_score_float8(PG_FUNCTION_ARGS)
{
	return monetary_score(fcinfo, AMOUNT_FLOAT8);
}

/* rfm_score with an integer amount */
Datum
rfm_rfm_score_int4(PG_FUNCTION_ARGS)
{
	return rfm_score(fcinfo, AMOUNT_INT4);
}

/* rfm_score with a bigint amount */
Datum
rfm_rfm_score_int8(PG_FUNCTION_ARGS)
{
	return rfm_score(fcinfo, AMOUNT_INT8);
}

/* rfm_score with a numeric amount */
Datum
rfm_rfm_score_numeric(PG_FUNCTION_ARGS)
{
	return rfm_score(fcinfo, AMOUNT_NUMERIC);
}

/* rfm_score with a float8 amount */
Datum
rfm_rfm_score_float8(PG_FUNCTION_ARGS)
{
	return rfm_score(fcinfo, AMOUNT_FLOAT8);
}
