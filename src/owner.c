/*
 * owner.c
 *	  Acting for the owner of a model.
 *
 * Everything that evaluates a model's relations runs with the rights of the
 * model's owner inside a security-restricted operation, so that a view or
 * function of the owner cannot act with the rights of whoever refreshes, checks
 * or asks.
 */
#include "rfm.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Finds a model and checks that the caller has the rights of its owner. */
Model
model_find(const char *name)
{
	Model		model = {.name = name};
	Oid			schema;
	HeapTuple	tuple;
	Form_pg_class class;
	bool		is_model;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("model must not be NULL"),
				 errhint("SELECT model FROM rfm.models lists the models.")));
	schema = get_namespace_oid(name, true);
	model.settings = OidIsValid(schema) ? get_relname_relid("settings", schema) : InvalidOid;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(model.settings));
	is_model = false;
	if (HeapTupleIsValid(tuple))
	{
		class = (Form_pg_class) GETSTRUCT(tuple);
		model.owner = class->relowner;
		is_model = OidIsValid(class->reloftype) &&
			class->reloftype == GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("settings"),
												ObjectIdGetDatum(get_namespace_oid("rfm", false)));
		ReleaseSysCache(tuple);
	}
	if (!is_model)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("model \"%s\" does not exist", name),
				 errhint("SELECT model FROM rfm.models lists the models; rfm.create_model makes one.")));
	if (!has_privs_of_role(GetUserId(), model.owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of model \"%s\"", name),
				 errhint("Ask %s, who owns it.", quote_identifier(GetUserNameFromId(model.owner, false)))));
	return model;
}

/* Pins the settings that could change what a command means or where it is computed; returns what AtEOXact_GUC takes to undo it. */
static int
pin_settings(void)
{
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* without it, nothing is aggregated where the partitions are foreign tables */
	(void) set_config_option("enable_partitionwise_aggregate", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("quote_all_identifiers", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

/*
 * Runs a command, as the caller or, in a security-restricted operation, as the
 * owner.  Returns the first column of the first row as text, or NULL; it lives
 * in the SPI procedure's context.
 */
char *
model_run(const Model *model, bool as_owner, const char *command, int nargs, Oid *types, Datum *values, const char *nulls)
{
	Oid			user;
	int			context;
	int			nest_level;
	char	   *result = NULL;

	GetUserIdAndSecContext(&user, &context);
	if (as_owner)
		SetUserIdAndSecContext(model->owner, context | SECURITY_RESTRICTED_OPERATION);
	nest_level = pin_settings();

	if (SPI_execute_with_args(command, nargs, types, values, nulls, false, 0) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\" cannot be run for the owner of a model", command),
				 errhint("Commands that end or start a transaction cannot.")));
	if (SPI_tuptable != NULL && SPI_processed > 0)
		result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, context);
	return result;
}

PG_FUNCTION_INFO_V1(rfm_as_owner);

/* as_owner(model, command, settings, names) */
Datum
rfm_as_owner(PG_FUNCTION_ARGS)
{
	Model		model;
	Oid			types[] = {TEXTOID, get_fn_expr_argtype(fcinfo->flinfo, 2), TEXTARRAYOID};
	Datum		values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)};
	char		nulls[] = {' ', PG_ARGISNULL(2) ? 'n' : ' ', PG_ARGISNULL(3) ? 'n' : ' ', '\0'};

	if (PG_ARGISNULL(1))
		PG_RETURN_VOID();
	SPI_connect();
	model = model_find(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	model_run(&model, true, text_to_cstring(PG_GETARG_TEXT_PP(1)), lengthof(types), types, values, nulls);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(rfm_rows_as_owner);

/*
 * rows_as_owner(model, query, VARIADIC arguments): the rows of a query, whose
 * $1, $2 ... are the arguments, as text, in the snapshot of the caller.
 */
Datum
rfm_rows_as_owner(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Model		model;
	char	   *query;
	Datum	   *values;
	bool	   *is_null;
	Oid		   *types;
	char	   *nulls;
	int			nargs;
	Oid			user;
	int			context;
	int			nest_level;
	bool		same;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SPI_connect();
	model = model_find(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the query and the array of its arguments must not be NULL"),
				 errhint("Single arguments may be.")));
	query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &values, &is_null, &nargs);
	types = palloc(sizeof(Oid) * nargs);
	nulls = palloc(nargs);
	for (int i = 0; i < nargs; i++)
	{
		types[i] = TEXTOID;
		nulls[i] = is_null[i] ? 'n' : ' ';
	}

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(model.owner, context | SECURITY_RESTRICTED_OPERATION);
	nest_level = pin_settings();
	if (SPI_execute_with_args(query, nargs, types, values, nulls, true, 0) != SPI_OK_SELECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a query", query),
				 errhint("Give a SELECT.")));
	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, context);

	same = SPI_tuptable->tupdesc->natts == rsinfo->setDesc->natts;
	for (int i = 0; same && i < rsinfo->setDesc->natts; i++)
		same = SPI_gettypeid(SPI_tuptable->tupdesc, i + 1) == SPI_gettypeid(rsinfo->setDesc, i + 1);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the columns of \"%s\" are not those expected", query),
				 errhint("Give the column definition list the types of the query's columns.")));
	for (uint64 i = 0; i < SPI_tuptable->numvals; i++)
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	}
	SPI_finish();
	PG_RETURN_NULL();
}
