/*
 * cells.c
 *	  The customers of a profile set by score: sums for each cell of the cube,
 *	  without a row per customer ever being made.
 */
#include "rfm.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/tuplestore.h"

#define CELLS (RFM_MAX_LEVELS * RFM_MAX_LEVELS * RFM_MAX_LEVELS)

/* What the customers of one cell add up to. */
typedef struct Cell
{
	int64		customers;
	int64		recency_days;
	int64		orders;
	int128		revenue;
} Cell;

/* Where each value of a customer comes from. */
typedef struct CellReader
{
	const ProfileSet *set;
	DateADT		as_of_date;
	Zone		zone;
} CellReader;

/* Days from the last purchase to as_of. */
static inline int32
recency_days(const CellReader *reader, const Purchases *purchases)
{
	return reader->as_of_date - zone_date(&reader->zone, purchases->last_at);
}

/* Frequency cut points: the smallest whole number above each percentile. */
static ArrayType *
whole_cutoffs(ArrayType *percentiles)
{
	Datum	   *cuts;
	int			n;
	Datum		one = NumericGetDatum(int64_to_numeric(1));

	deconstruct_array(percentiles, NUMERICOID, -1, false, TYPALIGN_INT, &cuts, NULL, &n);
	for (int i = 0; i < n; i++)
		cuts[i] = DirectFunctionCall2(numeric_add, DirectFunctionCall1(numeric_floor, cuts[i]), one);
	return construct_array(cuts, n, NUMERICOID, -1, false, TYPALIGN_INT);
}

/*
 * Makes the cut points of the axes.  Arguments from the given one on: for each
 * axis cut points or, where these are NULL, fractions; the customers are gone
 * through once for all axes with fractions.  False: there are no customers to
 * take percentiles from.
 */
static bool
load_cuts(FunctionCallInfo fcinfo, int argument, const CellReader *reader, Cuts *cuts)
{
	static const AmountKind kinds[RFM_AXES] = {AMOUNT_INT8, AMOUNT_INT8, AMOUNT_NUMERIC};
	Values	   *values[RFM_AXES] = {NULL};
	bool		none = true;

	for (int axis = 0; axis < RFM_AXES; axis++)
	{
		int			cutoffs = argument + 2 * axis;

		if (!PG_ARGISNULL(cutoffs))
			cuts_load(&cuts[axis], PG_GETARG_DATUM(cutoffs), CurrentMemoryContext);
		else if (PG_ARGISNULL(cutoffs + 1))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("cut points and fractions of an axis are both NULL"),
					 errhint("Give one of the two for each axis.")));
		else
		{
			values[axis] = values_begin(kinds[axis], PG_GETARG_DATUM(cutoffs + 1));
			none = false;
		}
	}
	if (none)
		return true;

	for (uint32 i = 0; i < profile_set_customers(reader->set); i++)
	{
		Purchases	purchases;

		CHECK_FOR_INTERRUPTS();
		if (!profile_set_purchases(reader->set, i, &purchases))
			continue;
		if (values[0])
			values_add_number(values[0], recency_days(reader, &purchases));
		if (values[1])
			values_add_number(values[1], purchases.orders);
		if (values[2])
			values_add_number(values[2], purchases.revenue);
	}
	for (int axis = 0; axis < RFM_AXES; axis++)
		if (values[axis])
		{
			ArrayType  *array = values_cutoffs(values[axis]);

			if (array == NULL)
				return false;
			if (axis == 1)
				array = whole_cutoffs(array);
			cuts_load(&cuts[axis], PointerGetDatum(array), CurrentMemoryContext);
		}
	return true;
}

PG_FUNCTION_INFO_V1(rfm_cell_sums);

/*
 * cell_sums(profiles, as_of_date, time_zone, recency cut points, fractions,
 * frequency ..., monetary ...) → a row for each cell with a customer
 */
Datum
rfm_cell_sums(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CellReader	reader;
	Cuts		cuts[RFM_AXES] = {0};
	Cell	   *cells;
	text	   *zone;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return (Datum) 0;
	reader.set = profile_set_from_datum(PG_GETARG_DATUM(0));
	reader.as_of_date = PG_GETARG_DATEADT(1);
	zone = PG_GETARG_TEXT_PP(2);
	zone_init(&reader.zone, VARDATA_ANY(zone), VARSIZE_ANY_EXHDR(zone));
	if (!load_cuts(fcinfo, 3, &reader, cuts))
		return (Datum) 0;

	cells = palloc0(CELLS * sizeof(Cell));
	for (uint32 i = 0; i < profile_set_customers(reader.set); i++)
	{
		Purchases	purchases;
		int32		days;
		int			r,
					f,
					m;
		Cell	   *cell;

		CHECK_FOR_INTERRUPTS();
		if (!profile_set_purchases(reader.set, i, &purchases))
			continue;
		days = recency_days(&reader, &purchases);
		r = cuts_days_level(&cuts[0], days);
		f = cuts_orders_level(&cuts[1], purchases.orders);
		m = cuts_money_level(&cuts[2], purchases.revenue);
		cell = &cells[((r - 1) * RFM_MAX_LEVELS + f - 1) * RFM_MAX_LEVELS + m - 1];
		cell->customers++;
		cell->recency_days += days;
		cell->orders += purchases.orders;
		cell->revenue += purchases.revenue;
	}

	for (int i = 0; i < CELLS; i++)
		if (cells[i].customers > 0)
		{
			int			score = 100 * (i / (RFM_MAX_LEVELS * RFM_MAX_LEVELS) + 1) +
				10 * (i / RFM_MAX_LEVELS % RFM_MAX_LEVELS + 1) + i % RFM_MAX_LEVELS + 1;
			Datum		row[] = {
				Int16GetDatum(score), Int64GetDatum(cells[i].customers), Int64GetDatum(cells[i].recency_days),
				Int64GetDatum(cells[i].orders), NumericGetDatum(money_to_numeric(cells[i].revenue))
			};
			bool		nulls[lengthof(row)] = {false};

			tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
		}
	return (Datum) 0;
}
