/*
 * contract.c
 *	  What the rule of a view reads and calls, for the way from the contract
 *	  relations down to the tables.
 */
#include "rfm.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"

typedef struct RuleContents
{
	List	   *relations;		/* OIDs, the view's own among them */
	List	   *functions;		/* OIDs, those of operators and casts, too */
	List	   *unstable;		/* C strings: what makes rows depend on more than the rows read */
} RuleContents;

/* Notes once what makes rows unstable. */
static void
note_unstable(RuleContents *contents, const char *what)
{
	ListCell   *cell;

	foreach(cell, contents->unstable)
	{
		if (strcmp(lfirst(cell), what) == 0)
			return;
	}
	contents->unstable = lappend(contents->unstable, pstrdup(what));
}

/* check_functions_in_node() tells the functions of a node one by one. */
static bool
note_function(Oid function, void *contents)
{
	((RuleContents *) contents)->functions = list_append_unique_oid(((RuleContents *) contents)->functions, function);
	return false;
}

/* CURRENT_DATE and its like, as they are written. */
static const char *
value_function_name(SQLValueFunctionOp op)
{
	switch (op)
	{
		case SVFOP_CURRENT_DATE:
			return "calls CURRENT_DATE";
		case SVFOP_CURRENT_TIME:
		case SVFOP_CURRENT_TIME_N:
			return "calls CURRENT_TIME";
		case SVFOP_CURRENT_TIMESTAMP:
		case SVFOP_CURRENT_TIMESTAMP_N:
			return "calls CURRENT_TIMESTAMP";
		case SVFOP_LOCALTIME:
		case SVFOP_LOCALTIME_N:
			return "calls LOCALTIME";
		case SVFOP_LOCALTIMESTAMP:
		case SVFOP_LOCALTIMESTAMP_N:
			return "calls LOCALTIMESTAMP";
		case SVFOP_CURRENT_CATALOG:
			return "calls CURRENT_CATALOG";
		case SVFOP_CURRENT_SCHEMA:
			return "calls CURRENT_SCHEMA";
		default:
			return "calls CURRENT_USER";
	}
}

/*
 * Notes where a query takes a choice among rows, or combines all of them, so
 * that a row of one customer changes the rows of another.  A subquery that
 * refers to the query around it does so for each of its rows only.
 */
static void
note_query(RuleContents *contents, Query *query)
{
	bool		correlated = contain_vars_of_level((Node *) query, 1);
	ListCell   *cell;

	if (query->limitCount != NULL || query->limitOffset != NULL)
	{
		if (query->sortClause == NIL)
			note_unstable(contents, "has LIMIT without ORDER BY");
		else if (!correlated)
			note_unstable(contents, "has LIMIT");
	}
	if (query->hasDistinctOn && query->sortClause == NIL)
		note_unstable(contents, "has DISTINCT ON without ORDER BY");
	if (query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL && !correlated)
		note_unstable(contents, "has an aggregate over all rows");
	foreach(cell, query->windowClause)
	{
		if (lfirst_node(WindowClause, cell)->partitionClause == NIL && !correlated)
			note_unstable(contents, "has a window over all rows");
	}
}

/* Walks through a query and all below it. */
static bool
rule_walker(Node *node, void *context)
{
	RuleContents *contents = context;

	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, Query))
	{
		note_query(contents, (Query *) node);
		return query_tree_walker((Query *) node, rule_walker, context, QTW_EXAMINE_RTES_BEFORE);
	}
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *entry = (RangeTblEntry *) node;

		if (entry->rtekind == RTE_RELATION)
			contents->relations = list_append_unique_oid(contents->relations, entry->relid);
		return false;			/* query_tree_walker() goes into it */
	}
	if (IsA(node, SQLValueFunction))
		note_unstable(contents, value_function_name(((SQLValueFunction *) node)->op));
	else if (IsA(node, NextValueExpr))
		note_unstable(contents, "calls nextval()");
	else if (IsA(node, TableSampleClause))
		note_unstable(contents, "has TABLESAMPLE");
	else
		check_functions_in_node(node, note_function, context);
	return expression_tree_walker(node, rule_walker, context);
}

/* A list of OIDs as an array. */
static Datum
oid_array(List *list)
{
	Datum	   *oids = palloc(sizeof(Datum) * (list_length(list) + 1));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, list)
		oids[n++] = ObjectIdGetDatum(lfirst_oid(cell));
	return PointerGetDatum(construct_array(oids, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/* A list of C strings as an array of text. */
static Datum
text_array(List *list)
{
	Datum	   *texts = palloc(sizeof(Datum) * (list_length(list) + 1));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, list)
		texts[n++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(rfm_rule_contents);

/*
 * rule_contents(rule) → (relations, functions, unstable)
 *
 * The argument can only come from a catalog: nobody can make a pg_node_tree.
 */
Datum
rfm_rule_contents(PG_FUNCTION_ARGS)
{
	RuleContents contents = {NIL, NIL, NIL};
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "rule_contents must return a row");
	(void) expression_tree_walker(stringToNode(TextDatumGetCString(PG_GETARG_DATUM(0))), rule_walker, &contents);
	values[0] = oid_array(contents.relations);
	values[1] = oid_array(contents.functions);
	values[2] = text_array(contents.unstable);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
