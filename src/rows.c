/*
 * rows.c
 *	  Arrays of a composite type, as an aggregate returns them.
 */
#include "rfm.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

/* An array without rows, of the function's result type. */
void
row_array_begin(RowArray *array, FunctionCallInfo fcinfo)
{
	array->type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	if (!OidIsValid(array->type))
		elog(ERROR, "return type must be an array");
	array->desc = lookup_rowtype_tupdesc_copy(array->type, -1);
	array->n = 0;
	array->capacity = 64;
	array->rows = palloc(array->capacity * sizeof(Datum));
	array->size = ARR_OVERHEAD_NONULLS(1);
}

/* Adds a row, a copy of the values; hint: what to do when there are too many. */
void
row_array_add(RowArray *array, Datum *values, bool *nulls, const char *hint)
{
	HeapTuple	row = heap_form_tuple(array->desc, values, nulls);

	array->size += MAXALIGN(row->t_len);
	if (!AllocSizeIsValid(array->size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rows of the result do not fit in 1 GB"),
				 errhint("%s", hint)));
	if (array->n == array->capacity)
	{
		array->capacity *= 2;
		array->rows = repalloc_huge(array->rows, array->capacity * sizeof(Datum));
	}
	array->rows[array->n++] = HeapTupleGetDatum(row);
}

/* The array, palloc'd. */
Datum
row_array_result(RowArray *array)
{
	return PointerGetDatum(construct_array(array->rows, array->n, array->type, -1, false, TYPALIGN_DOUBLE));
}
