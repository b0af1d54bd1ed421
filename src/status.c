/*
 * status.c
 *	  Whether a line counts by its status, asked of every line that is read.
 *
 * The same can be said with <> ALL, but that takes the array apart and calls a
 * comparison with a collation for each of its elements at every line.
 */
#include "rfm.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

/* The statuses that do not count. */
typedef struct Statuses
{
	int			n;
	Datum	   *status;			/* texts, of any header */
} Statuses;

/* Takes an array apart, into CurrentMemoryContext. */
static Statuses *
statuses_read(Datum array)
{
	Statuses   *statuses = palloc(sizeof(Statuses));

	deconstruct_array(DatumGetArrayTypePCopy(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &statuses->status, NULL, &statuses->n);
	return statuses;
}

/* The statuses of a call: of a constant array read once. */
static const Statuses *
get_statuses(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo->fn_extra == NULL)
	{
		MemoryContext old;

		if (!rfm_argument_is_constant(fcinfo, 1))
			return statuses_read(PG_GETARG_DATUM(1));
		old = MemoryContextSwitchTo(flinfo->fn_mcxt);
		flinfo->fn_extra = statuses_read(PG_GETARG_DATUM(1));
		MemoryContextSwitchTo(old);
	}
	return flinfo->fn_extra;
}

PG_FUNCTION_INFO_V1(rfm_status_counts);

/* status_counts(status, excluded): whether the status is none of these, by bytes; NULL is none. */
Datum
rfm_status_counts(PG_FUNCTION_ARGS)
{
	const Statuses *excluded;
	struct varlena *status;
	const char *bytes;
	Size		length;
	bool		counts = true;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(true);
	excluded = get_statuses(fcinfo);
	status = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	bytes = VARDATA_ANY(status);
	length = VARSIZE_ANY_EXHDR(status);
	for (int i = 0; i < excluded->n && counts; i++)
	{
		const struct varlena *other = (struct varlena *) DatumGetPointer(excluded->status[i]);

		counts = length != VARSIZE_ANY_EXHDR(other) || memcmp(bytes, VARDATA_ANY(other), length) != 0;
	}
	PG_FREE_IF_COPY(status, 0);
	PG_RETURN_BOOL(counts);
}

PG_FUNCTION_INFO_V1(rfm_status_counts_support);

/* Planner support of status_counts: as many rows as status IS NULL OR status <> ALL (excluded). */
Datum
rfm_status_counts_support(PG_FUNCTION_ARGS)
{
	Node	   *node = (Node *) PG_GETARG_POINTER(0);
	SupportRequestSelectivity *request = (SupportRequestSelectivity *) node;
	NullTest   *is_null;
	ScalarArrayOpExpr *is_other;

	if (!IsA(node, SupportRequestSelectivity))
		PG_RETURN_POINTER(NULL);

	is_null = makeNode(NullTest);
	is_null->arg = linitial(request->args);
	is_null->nulltesttype = IS_NULL;
	is_null->location = -1;
	is_other = makeNode(ScalarArrayOpExpr);
	is_other->opno = get_negator(TextEqualOperator);
	is_other->useOr = false;
	is_other->inputcollid = C_COLLATION_OID;
	is_other->args = request->args;
	is_other->location = -1;
	request->selectivity = clause_selectivity(request->root,
											  (Node *) make_orclause(list_make2(is_null, is_other)),
											  request->varRelid, request->jointype, request->sjinfo);
	PG_RETURN_POINTER(request);
}
