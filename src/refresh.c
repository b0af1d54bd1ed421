/*
 * refresh.c
 *	  CALL refresh(model): transactions, locks and rights of a refresh.  What
 *	  is refreshed, and how, stands in SQL; here stands when it commits and as
 *	  whom it runs.
 *
 * Everything that evaluates a model's relations runs with the rights of the
 * model's owner inside a security-restricted operation, so that a view or
 * function of the owner cannot act with the rights of whoever refreshes.
 *
 * Outside a transaction block there are two transactions.  The first logs that
 * the refresh runs and commits.  The second takes the model's lock before its
 * snapshot, so that it sees all that the refresh before it wrote, and does the
 * work in a subtransaction; when that fails, cancelled or not, the failure is
 * logged and committed before it is raised.  Inside a transaction block, where
 * nothing can commit, all of it is part of the caller's transaction.
 */
#include "rfm.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

/* The model at hand. */
typedef struct Model
{
	const char *name;
	Oid			settings;		/* its table, which also is its lock */
	Oid			owner;
} Model;

/* Finds a model and checks that the caller has the rights of its owner. */
static Model
find_model(const char *name)
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

/*
 * Runs a command, as the caller or, in a security-restricted operation, as the
 * owner.  Returns the first column of the first row as text, or NULL; it lives
 * in the SPI procedure's context.
 */
static char *
run(const Model *model, bool as_owner, const char *command, int nargs, Oid *types, Datum *values, const char *nulls)
{
	Oid			user;
	int			context;
	int			nest_level = NewGUCNestLevel();
	char	   *result = NULL;

	GetUserIdAndSecContext(&user, &context);
	if (as_owner)
		SetUserIdAndSecContext(model->owner, context | SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("quote_all_identifiers", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);

	if (SPI_execute_with_args(command, nargs, types, values, nulls, false, 0) < 0)
		elog(ERROR, "refresh could not execute \"%s\"", command);
	if (SPI_tuptable != NULL && SPI_processed > 0)
		result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, context);
	return result;
}

/* Runs a function of the model's name as the owner. */
static char *
run_function(const Model *model, const char *command)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(model->name)};

	return run(model, true, command, 1, types, values, NULL);
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
	model = find_model(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	run(&model, true, text_to_cstring(PG_GETARG_TEXT_PP(1)), lengthof(types), types, values, nulls);
	SPI_finish();
	PG_RETURN_VOID();
}

/* Logs the start; the number of the refresh. */
static int64
log_start(const Model *model)
{
	return strtoi64(run_function(model, "SELECT rfm.log_start($1, 'CALL refresh')"), NULL, 10);
}

/* Logs the end. */
static void
log_end(const Model *model, int64 refresh, const char *changed, const char *error)
{
	Oid			types[] = {TEXTOID, INT8OID, TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(model->name), Int64GetDatum(refresh),
		changed ? CStringGetTextDatum(changed) : (Datum) 0,
	error ? CStringGetTextDatum(error) : (Datum) 0};
	char		nulls[] = {' ', ' ', changed ? ' ' : 'n', error ? ' ' : 'n', '\0'};

	run(model, true, "SELECT rfm.log_end($1, $2, $3::bigint, $4)", 4, types, values, nulls);
}

/* REFRESH MATERIALIZED VIEW, which takes the owner's rights by itself. */
static void
refresh_matview(const Model *model, const char *name)
{
	Oid			matview = get_relname_relid(name, get_namespace_oid(model->name, false));
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(matview));
	bool		populated;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "materialized view \"%s\" of model \"%s\" is missing", name, model->name);
	populated = ((Form_pg_class) GETSTRUCT(tuple))->relispopulated;
	ReleaseSysCache(tuple);
	run(model, false,
		psprintf("REFRESH MATERIALIZED VIEW %s %s", populated ? "CONCURRENTLY" : "",
				 quote_qualified_identifier(model->name, name)),
		0, NULL, NULL, NULL);
}

/* The work: views, then data.  Returns the number of profiles changed, or NULL. */
static char *
refresh_model(const Model *model)
{
	char	   *changed = NULL;
	char	   *storage;

	run_function(model, "SELECT rfm.compile_model($1)");
	storage = run_function(model, "SELECT storage FROM rfm.resolve_settings(rfm.model_settings($1))");
	if (strcmp(storage, "table") == 0)
		changed = run_function(model, "SELECT rfm.refresh_tables($1)");
	else if (strcmp(storage, "materialized") == 0)
	{
		refresh_matview(model, "profiles");
		refresh_matview(model, "snapshot");
		run_function(model, "SELECT rfm.analyze_stored($1)");
	}
	if (strcmp(storage, "view") != 0)
		run_function(model, "SELECT rfm.report_age($1)");
	return changed;
}

/*
 * Takes the model's lock, which only refreshes take.  Without waiting, tells
 * who holds it and returns false.
 */
static bool
lock_model(const Model *model, bool wait)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(model->settings)};
	char	   *pid;

	if (wait)
	{
		LockRelationOid(model->settings, ShareUpdateExclusiveLock);
		return true;
	}
	if (ConditionalLockRelationOid(model->settings, ShareUpdateExclusiveLock))
		return true;
	pid = run(model, false,
			  "SELECT pid FROM pg_locks WHERE relation = $1 AND mode = 'ShareUpdateExclusiveLock' AND granted"
			  " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
			  1, types, values, NULL);
	ereport(NOTICE,
			(errmsg("model \"%s\" is already being refreshed by process %s", model->name, pid ? pid : "(just ended)"),
			 errhint("Call it again later, or with wait => true.")));
	return false;
}

/*
 * The work in a subtransaction, so that its failure can be logged.  Returns
 * the error, or NULL and in *changed what refresh_model returned.
 */
static ErrorData *
try_refresh_model(const Model *model, char **changed)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		*changed = refresh_model(model);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* Says in every error which model was being refreshed. */
static void
refresh_error_context(void *name)
{
	errcontext("refresh of model \"%s\"", (const char *) name);
}

PG_FUNCTION_INFO_V1(rfm_refresh);

/* CALL refresh(model, full_rebuild, wait) */
Datum
rfm_refresh(PG_FUNCTION_ARGS)
{
	bool		atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic;
	bool		wait = PG_ARGISNULL(2) || PG_GETARG_BOOL(2);
	Model		model;
	int64		refresh;
	char	   *changed = NULL;
	ErrorData  *error = NULL;
	ErrorContextCallback context = {.previous = error_context_stack,.callback = refresh_error_context};

	SPI_connect_ext(atomic ? 0 : SPI_OPT_NONATOMIC);
	model = find_model(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	context.arg = (void *) model.name;
	error_context_stack = &context;
	if (atomic)
	{
		if (lock_model(&model, wait))
		{
			refresh = log_start(&model);
			log_end(&model, refresh, refresh_model(&model), NULL);
		}
	}
	else if (lock_model(&model, wait))
	{
		refresh = log_start(&model);
		SPI_commit();

		(void) set_config_option("transaction_isolation", "repeatable read", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
		if (lock_model(&model, wait))
		{
			error = try_refresh_model(&model, &changed);
			log_end(&model, refresh, changed, error ? error->message : NULL);
		}
		else
			log_end(&model, refresh, NULL, "another refresh came first");
		SPI_commit();
		if (error)
			ReThrowError(error);
	}
	error_context_stack = context.previous;
	SPI_finish();
	PG_RETURN_VOID();
}
