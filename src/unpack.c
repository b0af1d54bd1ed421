/*
 * unpack.c
 *	  Profiles as rows: the set-returning side that profile and profile_all
 *	  share.  The caller's column definition list names the columns it wants,
 *	  in any order, and so also tells the types of the ids.
 */
#include "rfm.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pathnodes.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

typedef enum ColumnId
{
	CUSTOMER_ID,
	FIRST_ORDER_ID,
	FIRST_ORDER_AT,
	FIRST_ORDER_UNTIL,
	FIRST_ORDER_DATE,
	FIRST_ORDER_REVENUE,
	FIRST_PRODUCT_ID,
	SECOND_ORDER_AT,
	SECOND_ORDER_DATE,
	LAST_ORDER_AT,
	LAST_ORDER_DATE,
	ORDERS,
	LINES,
	REVENUE,
	SESSIONS_AFTER_PURCHASE,
	RETURN_SESSIONS,
	LEDGER,
	NEXT_CHANGE_AT,
	WINDOW_LINE_AT,
	NEXT_HASH
} ColumnId;

/* The columns there are; InvalidOid stands for an id of the lines' own type. */
static const struct
{
	const char *name;
	Oid			type;
}			columns[] = {
	[CUSTOMER_ID] = {"customer_id", InvalidOid},
	[FIRST_ORDER_ID] = {"first_order_id", InvalidOid},
	[FIRST_ORDER_AT] = {"first_order_at", TIMESTAMPTZOID},
	[FIRST_ORDER_UNTIL] = {"first_order_until", TIMESTAMPTZOID},
	[FIRST_ORDER_DATE] = {"first_order_date", DATEOID},
	[FIRST_ORDER_REVENUE] = {"first_order_revenue", NUMERICOID},
	[FIRST_PRODUCT_ID] = {"first_product_id", InvalidOid},
	[SECOND_ORDER_AT] = {"second_order_at", TIMESTAMPTZOID},
	[SECOND_ORDER_DATE] = {"second_order_date", DATEOID},
	[LAST_ORDER_AT] = {"last_order_at", TIMESTAMPTZOID},
	[LAST_ORDER_DATE] = {"last_order_date", DATEOID},
	[ORDERS] = {"orders", INT8OID},
	[LINES] = {"lines", INT8OID},
	[REVENUE] = {"revenue", NUMERICOID},
	[SESSIONS_AFTER_PURCHASE] = {"sessions_after_purchase", INT8OID},
	[RETURN_SESSIONS] = {"return_sessions", INT8OID},
	[LEDGER] = {"ledger", InvalidOid},
	[NEXT_CHANGE_AT] = {"next_change_at", TIMESTAMPTZOID},
	[WINDOW_LINE_AT] = {"window_line_at", TIMESTAMPTZOID},
	[NEXT_HASH] = {"next_hash", INT8OID},
};

struct Unpacker
{
	ReturnSetInfo *result;
	int			ncolumns;
	ColumnId   *ids;
	Datum	   *values;
	bool	   *nulls;
	IdKind		customer_kind;
	IdKind		order_kind;
	IdKind		product_kind;
	const IdHeap *heap;
	TimestampTz window_start;
	Zone		zone;
	MemoryContext row_context;
};

/* The kind of ids a column holds. */
static IdKind
column_id_kind(const Unpacker *unpacker, ColumnId id)
{
	switch (id)
	{
		case CUSTOMER_ID:
			return unpacker->customer_kind;
		case FIRST_ORDER_ID:
			return unpacker->order_kind;
		default:
			return unpacker->product_kind;
	}
}

/*
 * Finds what a column of the definition list stands for and checks its type.
 * One with a modifier, such as numeric(10,2), is refused: nothing would round.
 */
static ColumnId
resolve_column(const Unpacker *unpacker, Form_pg_attribute attribute)
{
	for (int id = 0; id < (int) lengthof(columns); id++)
	{
		Oid			expected = columns[id].type;
		Oid			type = attribute->atttypid;

		if (strcmp(columns[id].name, NameStr(attribute->attname)) != 0)
			continue;
		if (id == LEDGER)
		{
			if (ledger_is_type(type))
				return id;
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column ledger has type %s in the column definition list", format_type_be(type)),
					 errhint("Declare it as rfm.ledger.")));
		}
		if (expected == InvalidOid)
		{
			IdKind		kind = column_id_kind(unpacker, id);

			/* a column that the lines do not have is NULL, of any type */
			if (kind == ID_NONE || id_kind(type, columns[id].name) == kind)
				return id;
			expected = kind == ID_INT2 ? INT2OID : kind == ID_INT4 ? INT4OID :
				kind == ID_INT8 ? INT8OID : kind == ID_UUID ? UUIDOID : TEXTOID;
		}
		else if (type == expected && attribute->atttypmod < 0)
			return id;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column %s has type %s in the column definition list",
						columns[id].name, format_type_with_typemod(type, attribute->atttypmod)),
				 errhint("Declare it as %s.", format_type_be(expected))));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("a profile has no column \"%s\"", NameStr(attribute->attname)),
			 errhint("The columns are customer_id, first_order_id, first_order_at, first_order_until, first_order_date, first_order_revenue, first_product_id, second_order_at, second_order_date, last_order_at, last_order_date, orders, lines, revenue and next_hash.")));
	return 0;					/* not reached */
}

/* Refuses a call of unpack outside of FROM: its columns are those of the column definition list. */
void
unpack_require_list(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	if (result == NULL || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize) ||
		result->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("unpack cannot be called here"),
				 errhint("Call it in FROM, with the columns you want: FROM rfm.unpack(...) AS u(name type, ...). Its comment lists them.")));
}

/*
 * Prepares the result of unpack(profile, time_zone): a tuplestore of the
 * caller's columns.  The unpacker lives in CurrentMemoryContext.
 */
Unpacker *
unpacker_begin(FunctionCallInfo fcinfo, IdKind customer_kind, IdKind order_kind, IdKind product_kind,
			   const IdHeap *heap, TimestampTz window_start, const text *zone)
{
	Unpacker   *unpacker = palloc0(sizeof(Unpacker));
	TupleDesc	desc;

	unpack_require_list(fcinfo);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	unpacker->result = (ReturnSetInfo *) fcinfo->resultinfo;
	unpacker->customer_kind = customer_kind;
	unpacker->order_kind = order_kind;
	unpacker->product_kind = product_kind;
	unpacker->heap = heap;
	unpacker->window_start = window_start;
	zone_init(&unpacker->zone, VARDATA_ANY(zone), VARSIZE_ANY_EXHDR(zone));

	desc = unpacker->result->setDesc;
	unpacker->ncolumns = desc->natts;
	unpacker->ids = palloc(desc->natts * sizeof(ColumnId));
	unpacker->values = palloc(desc->natts * sizeof(Datum));
	unpacker->nulls = palloc(desc->natts * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
		unpacker->ids[i] = resolve_column(unpacker, TupleDescAttr(desc, i));
	unpacker->row_context = AllocSetContextCreate(CurrentMemoryContext, "rfm unpack row",
												  ALLOCSET_DEFAULT_SIZES);
	return unpacker;
}

/* One column of a row; false for NULL. */
static bool
column_value(const Unpacker *unpacker, const ProfileRow *row, ColumnId id, Datum *value)
{
	const Order *first = row->summary.first;
	const Order *second = row->summary.second;
	bool		in_window = row->summary.orders > 0;

	switch (id)
	{
		case CUSTOMER_ID:
			if (!row->assigned || unpacker->customer_kind == ID_NONE)
				return false;
			*value = id_to_datum(unpacker->heap, row->customer, unpacker->customer_kind);
			return true;
		case FIRST_ORDER_ID:
			if (first == NULL)
				return false;
			*value = id_to_datum(unpacker->heap, first->id, unpacker->order_kind);
			return true;
		case FIRST_ORDER_AT:
			if (first == NULL)
				return false;
			*value = TimestampTzGetDatum(first->first_at);
			return true;
		case FIRST_ORDER_UNTIL:
			if (first == NULL)
				return false;
			*value = TimestampTzGetDatum(first->last_at);
			return true;
		case FIRST_ORDER_DATE:
			if (first == NULL)
				return false;
			*value = DateADTGetDatum(zone_date(&unpacker->zone, first->first_at));
			return true;
		case FIRST_ORDER_REVENUE:
			if (first == NULL)
				return false;
			*value = NumericGetDatum(money_to_numeric(money_sum_value(&first->revenue)));
			return true;
		case FIRST_PRODUCT_ID:
			if (first == NULL || !first->has_product)
				return false;
			*value = id_to_datum(unpacker->heap, first->product, unpacker->product_kind);
			return true;
		case SECOND_ORDER_AT:
			if (second == NULL)
				return false;
			*value = TimestampTzGetDatum(second->first_at);
			return true;
		case SECOND_ORDER_DATE:
			if (second == NULL)
				return false;
			*value = DateADTGetDatum(zone_date(&unpacker->zone, second->first_at));
			return true;
		case LAST_ORDER_AT:
			if (!in_window)
				return false;
			*value = TimestampTzGetDatum(row->summary.last_at);
			return true;
		case LAST_ORDER_DATE:
			if (!in_window)
				return false;
			*value = DateADTGetDatum(zone_date(&unpacker->zone, row->summary.last_at));
			return true;
		case ORDERS:
			*value = Int64GetDatum(row->summary.orders);
			return true;
		case LINES:
			*value = Int64GetDatum(row->lines);
			return true;
		case REVENUE:
			*value = NumericGetDatum(money_to_numeric(row->revenue));
			return true;
		case SESSIONS_AFTER_PURCHASE:
			if (row->visits == NULL)
				return false;
			*value = Int64GetDatum(row->visits->sessions);
			return true;
		case RETURN_SESSIONS:
			if (row->visits == NULL)
				return false;
			*value = Int64GetDatum(row->visits->return_sessions);
			return true;
		case LEDGER:
			if (row->ledger == NULL)
				return false;
			*value = PointerGetDatum(ledger_pack(row->ledger));
			return true;
		case NEXT_CHANGE_AT:
			if (row->next_change_at == DT_NOEND)
				return false;
			*value = TimestampTzGetDatum(row->next_change_at);
			return true;
		case WINDOW_LINE_AT:
			if (row->ledger == NULL || row->ledger->window_line_at == DT_NOEND)
				return false;
			*value = TimestampTzGetDatum(row->ledger->window_line_at);
			return true;
		case NEXT_HASH:
			if (row->assigned || row->next_hash == 0)
				return false;
			*value = Int64GetDatum(row->next_hash);
			return true;
	}
	return false;
}

/* Stores one row. */
void
unpacker_put(Unpacker *unpacker, const ProfileRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(unpacker->row_context);

	for (int i = 0; i < unpacker->ncolumns; i++)
		unpacker->nulls[i] = !column_value(unpacker, row, unpacker->ids[i], &unpacker->values[i]);
	tuplestore_putvalues(unpacker->result->setResult, unpacker->result->setDesc,
						 unpacker->values, unpacker->nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(unpacker->row_context);
}

/* ---------- a row as one value ---------- */

/* The columns of rfm.profile_summary, times as numbers. */
static const ColumnId summary_columns[] = {
	FIRST_ORDER_AT, FIRST_ORDER_UNTIL, SECOND_ORDER_AT, LAST_ORDER_AT, ORDERS, LINES, REVENUE, FIRST_ORDER_REVENUE,
	FIRST_PRODUCT_ID
};

/* An id as text, as its type prints it. */
static Datum
id_text(Datum id, IdKind kind)
{
	switch (kind)
	{
		case ID_INT2:
			return CStringGetTextDatum(psprintf("%d", DatumGetInt16(id)));
		case ID_INT4:
			return CStringGetTextDatum(psprintf("%d", DatumGetInt32(id)));
		case ID_INT8:
			return CStringGetTextDatum(psprintf(INT64_FORMAT, DatumGetInt64(id)));
		case ID_UUID:
			return CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(uuid_out, id)));
		default:
			return id;
	}
}

/* A row as rfm.profile_summary, the type of the call's result. */
Datum
unpack_summary(FunctionCallInfo fcinfo, const ProfileRow *row, IdKind product_kind, const IdHeap *heap)
{
	Unpacker	unpacker = {.product_kind = product_kind,.heap = heap};
	TupleDesc	desc = fcinfo->flinfo->fn_extra;
	Datum		values[lengthof(summary_columns)];
	bool		nulls[lengthof(summary_columns)];

	if (desc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != lengthof(summary_columns))
			elog(ERROR, "rfm.profile_summary has other columns");
		desc = fcinfo->flinfo->fn_extra = BlessTupleDesc(CreateTupleDescCopy(desc));
		MemoryContextSwitchTo(old);
	}
	for (int i = 0; i < (int) lengthof(summary_columns); i++)
	{
		nulls[i] = !column_value(&unpacker, row, summary_columns[i], &values[i]);
		if (summary_columns[i] == FIRST_PRODUCT_ID && !nulls[i])
			values[i] = id_text(values[i], product_kind);
	}
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* ---------- how many rows the planner may expect ---------- */

/* The aggregate in the sub-select that an argument of unpack comes from, or NULL. */
static Aggref *
find_aggregate(PlannerInfo *root, Node *argument, PlannerInfo **subroot)
{
	Var		   *var = (Var *) argument;
	RelOptInfo *rel;
	TargetEntry *entry;

	if (!IsA(argument, Var) || var->varlevelsup > 0 || var->varattno <= 0 || var->varno >= root->simple_rel_array_size)
		return NULL;
	rel = root->simple_rel_array[var->varno];
	if (rel == NULL || rel->subroot == NULL)
		return NULL;
	entry = get_tle_by_resno(rel->subroot->processed_tlist, var->varattno);
	if (entry == NULL || !IsA(entry->expr, Aggref))
		return NULL;
	*subroot = rel->subroot;
	return (Aggref *) entry->expr;
}

/*
 * Customers that the aggregate will meet: the distinct values of its first
 * argument.  Without statistics every second row is taken for a new one: too
 * few rows expected costs far more than too many.
 */
static double
estimate_customers(PlannerInfo *subroot, Aggref *aggregate)
{
	Node	   *customer = (Node *) ((TargetEntry *) linitial(aggregate->args))->expr;
	EstimationInfo info = {0};
	double		rows = 0;
	double		customers;

	for (int i = 1; i < subroot->simple_rel_array_size; i++)
		if (subroot->simple_rel_array[i] != NULL)
			rows = Max(rows, subroot->simple_rel_array[i]->rows);
	rows = Max(rows, 1);
	customers = estimate_num_groups(subroot, list_make1(customer), rows, NULL, &info);
	return info.flags & SELFLAG_USED_DEFAULT ? Max(1, rows / 2) : customers;
}

PG_FUNCTION_INFO_V1(rfm_unpack_support);

/* Planner support of unpack(profile_all(...)) and unpack(visits_all(...)). */
Datum
rfm_unpack_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestRows))
	{
		SupportRequestRows *rows = (SupportRequestRows *) request;
		PlannerInfo *subroot;
		Aggref	   *aggregate = is_funcclause(rows->node) ?
			find_aggregate(rows->root, linitial(((FuncExpr *) rows->node)->args), &subroot) : NULL;

		if (aggregate != NULL && aggregate->args != NIL)
		{
			rows->rows = estimate_customers(subroot, aggregate);
			PG_RETURN_POINTER(request);
		}
	}
	PG_RETURN_POINTER(NULL);
}
