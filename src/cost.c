/*
 * cost.c
 *	  The cost of a product from two arrays, the one of all products and the one
 *	  of their costs.
 *
 * Where lines are aggregated on the servers that hold them, the products may be
 * elsewhere: their costs travel along as arguments, once per query.
 */
#include "rfm.h"

#include "catalog/pg_type.h"
#include "utils/uuid.h"

/* The arrays of a call, taken apart; they are copies. */
typedef struct Costs
{
	ArrayType  *ids_source;		/* NULL until read */
	ArrayType  *costs_source;
	bool		constant;		/* of the query: need not be looked at again */
	Oid			type;			/* of an id: bigint, uuid or text */
	int			n;
	Datum	   *ids;			/* ascending */
	Datum	   *costs;
	bool	   *no_cost;
} Costs;

/* Orders two ids of a type; texts by their bytes. */
static int
compare(Oid type, Datum a, Datum b)
{
	struct varlena *x,
			   *y;
	int			cmp;

	if (type == INT8OID)
		return (DatumGetInt64(a) > DatumGetInt64(b)) - (DatumGetInt64(a) < DatumGetInt64(b));
	if (type == UUIDOID)
		return memcmp(DatumGetUUIDP(a)->data, DatumGetUUIDP(b)->data, UUID_LEN);
	x = (struct varlena *) DatumGetPointer(a);
	y = (struct varlena *) DatumGetPointer(b);
	cmp = memcmp(VARDATA_ANY(x), VARDATA_ANY(y), Min(VARSIZE_ANY_EXHDR(x), VARSIZE_ANY_EXHDR(y)));
	if (cmp != 0)
		return cmp;
	return (VARSIZE_ANY_EXHDR(x) > VARSIZE_ANY_EXHDR(y)) - (VARSIZE_ANY_EXHDR(x) < VARSIZE_ANY_EXHDR(y));
}

/* Takes arrays apart, into CurrentMemoryContext, which also holds costs. */
static void
costs_read(Costs *costs, ArrayType *ids, ArrayType *values)
{
	bool	   *no_id;
	int			n_values;

	memset(costs, 0, sizeof(*costs));
	ids = DatumGetArrayTypePCopy(PointerGetDatum(ids));
	values = DatumGetArrayTypePCopy(PointerGetDatum(values));
	costs->type = ARR_ELEMTYPE(ids);
	if (costs->type == INT8OID)
		deconstruct_array(ids, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &costs->ids, &no_id, &costs->n);
	else if (costs->type == UUIDOID)
		deconstruct_array(ids, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &costs->ids, &no_id, &costs->n);
	else
		deconstruct_array(ids, TEXTOID, -1, false, TYPALIGN_INT, &costs->ids, &no_id, &costs->n);
	deconstruct_array(values, NUMERICOID, -1, false, TYPALIGN_INT, &costs->costs, &costs->no_cost, &n_values);
	if (n_values != costs->n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("cost_of has %d products, but %d costs", costs->n, n_values),
				 errhint("Give each product one cost, or NULL.")));
	for (int i = 0; i < costs->n; i++)
		if (no_id[i] || (i > 0 && compare(costs->type, costs->ids[i - 1], costs->ids[i]) >= 0))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the products of cost_of do not ascend"),
					 errhint("Sort them, texts in collation \"C\", each once and without NULL.")));
	pfree(no_id);
	costs->ids_source = ids;
	costs->costs_source = values;
}

/* Whether an array is the copy that was kept. */
static bool
is_copy(const ArrayType *copy, const ArrayType *array)
{
	return VARSIZE(copy) == VARSIZE(array) && memcmp(copy, array, VARSIZE(array)) == 0;
}

/* The arrays of a call; those that are constants of the query are read once. */
static const Costs *
get_costs(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	Costs	   *costs = flinfo->fn_extra;
	ArrayType  *ids,
			   *values;
	MemoryContext old;

	if (costs == NULL)
		costs = flinfo->fn_extra = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(Costs));
	if (costs->constant)
		return costs;
	ids = PG_GETARG_ARRAYTYPE_P(1);
	values = PG_GETARG_ARRAYTYPE_P(2);
	if (costs->ids_source == NULL || !is_copy(costs->ids_source, ids) || !is_copy(costs->costs_source, values))
	{
		if (costs->ids_source)
		{
			pfree(costs->ids_source);
			pfree(costs->costs_source);
			pfree(costs->ids);
			pfree(costs->costs);
			pfree(costs->no_cost);
		}
		old = MemoryContextSwitchTo(flinfo->fn_mcxt);
		costs_read(costs, ids, values);
		MemoryContextSwitchTo(old);
		costs->constant = rfm_argument_is_constant(fcinfo, 1) && rfm_argument_is_constant(fcinfo, 2);
	}
	PG_FREE_IF_COPY(ids, 1);
	PG_FREE_IF_COPY(values, 2);
	return costs;
}

PG_FUNCTION_INFO_V1(rfm_cost_of);

/* cost_of(product_id, product_ids, costs) → numeric */
Datum
rfm_cost_of(PG_FUNCTION_ARGS)
{
	const Costs *costs = get_costs(fcinfo);
	Datum		id = PG_GETARG_DATUM(0);
	int			low = 0,
				high = costs->n;

	if (costs->type == TEXTOID)
		id = PointerGetDatum(PG_DETOAST_DATUM_PACKED(id));
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			cmp = compare(costs->type, costs->ids[middle], id);

		if (cmp == 0)
		{
			if (costs->no_cost[middle])
				PG_RETURN_NULL();
			PG_RETURN_DATUM(costs->costs[middle]);
		}
		if (cmp < 0)
			low = middle + 1;
		else
			high = middle;
	}
	PG_RETURN_NULL();
}
