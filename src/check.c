/*
 * check.c
 *	  Argument checks: every message that more than one function gives stands
 *	  here once, with its SQLSTATE and the hint that says what to do.
 */
#include "rfm.h"

#include "catalog/pg_type.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"

/*
 * Whether an argument is a constant of the query, so that what is made of it
 * may be kept.  A parameter is none: PL/pgSQL gives it other values without
 * setting up the call again.
 */
bool
rfm_argument_is_constant(FunctionCallInfo fcinfo, int argument)
{
	Node	   *call = fcinfo->flinfo->fn_expr;

	return call != NULL && IsA(call, FuncExpr) && IsA(list_nth(((FuncExpr *) call)->args, argument), Const);
}

/* Refuses a score outside 1 .. levels. */
void
rfm_check_score(int score, int levels, const char *axis)
{
	if (score < 1 || score > levels)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s score %d is out of range", axis, score),
				 errhint("Scores run from 1 to %d.", levels)));
}

/*
 * Takes apart an array of numerics and refuses all but one dimension of one
 * to RFM_MAX_CUTS finite values.  Returns their number; *values points to them.
 */
static int
check_numbers(ArrayType *array, Datum **values, const char *what, const char *hint)
{
	int			n;
	bool	   *nulls;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one-dimensional array", what),
				 errhint("%s", hint)));
	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, values, &nulls, &n);
	if (n < 1 || n > RFM_MAX_CUTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have one to eight values, not %d", what, n),
				 errhint("%s", hint)));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain NULL", what),
					 errhint("%s", hint)));
		if (numeric_is_nan(DatumGetNumeric((*values)[i])) ||
			numeric_is_inf(DatumGetNumeric((*values)[i])))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s must be finite numbers", what),
					 errhint("%s", hint)));
	}
	return n;
}

/* Whether values never descend (or, when strict, always ascend). */
static bool
ascending(const Datum *values, int n, bool strict)
{
	for (int i = 1; i < n; i++)
	{
		int			cmp = DatumGetInt32(DirectFunctionCall2(numeric_cmp, values[i - 1], values[i]));

		if (cmp > 0 || (strict && cmp == 0))
			return false;
	}
	return true;
}

/*
 * Takes apart and checks the cut points of an axis.  Equal cut points are
 * allowed: percentiles of tied values give them, and a score then skips a
 * level.  Returns their number; *cuts is palloc'd.
 */
int
rfm_check_cutoffs(ArrayType *cutoffs, Datum **cuts)
{
	int			n = check_numbers(cutoffs, cuts, "cutoffs",
								  "Give one to eight ascending cut points, for example '{90,180,365,545}'.");

	if (!ascending(*cuts, n, false))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cutoffs must ascend"),
				 errhint("Sort them, smallest first, for example '{90,180,365,545}'.")));
	return n;
}

/*
 * Takes apart and checks percentile fractions: one to eight, ascending, each
 * between 0 and 1.  Returns their number; *values is palloc'd.
 */
int
rfm_check_fractions(ArrayType *fractions, Datum **values)
{
	int			n = check_numbers(fractions, values, "fractions",
								  "Give one to eight ascending numbers between 0 and 1, for example '{0.25,0.5,0.75,0.95}'.");
	Datum		zero = NumericGetDatum(int64_to_numeric(0));
	Datum		one = NumericGetDatum(int64_to_numeric(1));

	if (DatumGetBool(DirectFunctionCall2(numeric_lt, (*values)[0], zero)) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, (*values)[n - 1], one)) ||
		!ascending(*values, n, true))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fractions must ascend from 0 to 1"),
				 errhint("Give them as shares, for example '{0.25,0.5,0.75,0.95}' for the quartiles and the top 5 %%.")));
	return n;
}

/* Refuses a negative number of orders. */
void
rfm_negative_orders(int64 orders)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("the number of orders is negative: %lld", (long long) orders),
			 errhint("Count the orders, for example with count(DISTINCT order_id).")));
}

/* Refuses NaN and infinity as money. */
void
rfm_money_nan(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("an amount is NaN or infinite"),
			 errhint("Correct the lines, or leave them out in the view that order_lines names, for example with CASE WHEN amount = 'NaN' THEN NULL ELSE amount END.")));
}

/* Refuses an amount beyond int64 units. */
void
rfm_money_overflow(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("an amount is out of range"),
			 errhint("Amounts must lie between -922337203685477 and 922337203685477.")));
}

/* Refuses lines of one aggregate with different starts of the window. */
void
rfm_window_changed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("window_start changes between rows"),
			 errhint("Give the same window_start for all lines of an aggregate.")));
}

/* Refuses a line at an infinite time before as_of. */
void
rfm_infinite_line(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("ordered_at is infinite"),
			 errhint("Correct the lines, or leave them out in the view that order_lines names.")));
}

/* Refuses bytes or text that no function of ours wrote. */
void
rfm_corrupt(const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid value for type rfm.%s", type),
			 errhint("Only values written by rfm_segments can be read back.")));
}
