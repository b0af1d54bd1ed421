/*
 * refresh.c
 *	  CALL refresh(model): transactions, locks and rights of a refresh.  What
 *	  is refreshed, and how, stands in SQL; here stands when it commits and as
 *	  whom it runs.
 *
 * Outside a transaction block there are two transactions.  The first logs that
 * the refresh runs and commits.  The second takes the model's lock before its
 * snapshot, so that it sees all that the refresh before it wrote, and does the
 * work.  Lock and work are a subtransaction; when that fails, cancelled or not,
 * the failure is logged and committed before it is raised.  Inside a transaction
 * block, where nothing can commit, all of it is part of the caller's transaction.
 *
 * TRUNCATE spares no older snapshot its rows.  So the tables below the model
 * are locked, as any reader locks them, before the snapshot is taken: a load
 * that began with TRUNCATE is waited for, one that comes later waits.
 */
#include "rfm.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

/* Runs a command as the owner; its $1 is the model's name and $2 the number of the refresh. */
static char *
run_step(const Model *model, int64 refresh, const char *command)
{
	Oid			types[] = {TEXTOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(model->name), Int64GetDatum(refresh)};

	return model_run(model, true, command, lengthof(types), types, values, NULL);
}

/* Logs the start; the number of the refresh. */
static int64
log_start(const Model *model)
{
	return strtoi64(run_step(model, 0, "SELECT rfm.log_start($1, NULL)"), NULL, 10);
}

/* Logs the end. */
static void
log_end(const Model *model, int64 refresh, const char *error)
{
	Oid			types[] = {TEXTOID, INT8OID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(model->name), Int64GetDatum(refresh),
	error ? CStringGetTextDatum(error) : (Datum) 0};
	char		nulls[] = {' ', ' ', error ? ' ' : 'n', '\0'};

	model_run(model, true, "SELECT rfm.log_end($1, $2, $3)", lengthof(types), types, values, nulls);
}

/* REFRESH MATERIALIZED VIEW, which takes the owner's rights by itself.  Other sessions see which one. */
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
	(void) set_config_option("application_name", psprintf("rfm_segments %s of %s", name, model->name),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	model_run(model, false,
		psprintf("REFRESH MATERIALIZED VIEW %s %s", populated ? "CONCURRENTLY" : "",
				 quote_qualified_identifier(model->name, name)),
		0, NULL, NULL, NULL);
}

/* The tables and views below the model, as numbers in a text. */
static char *
read_relations(const Model *model)
{
	return run_step(model, 0, "SELECT rfm.read_relations($1)");
}

/* Locks relations against TRUNCATE.  Takes no snapshot. */
static void
lock_relations(const char *numbers)
{
	char	   *end;

	for (; numbers != NULL && *numbers != '\0'; numbers = end)
		LockRelationOid((Oid) strtoul(numbers, &end, 10), AccessShareLock);
}

/* The work: views, then data. */
static void
refresh_model(const Model *model, int64 refresh, const char *relations, bool full_rebuild)
{
	char	   *storage;

	lock_relations(relations);
	storage = run_step(model, refresh, "SELECT rfm.refresh_views($1, $2)");
	if (strcmp(storage, "table") == 0)
		run_step(model, refresh, full_rebuild ? "SELECT rfm.refresh_tables($1, $2, true)" : "SELECT rfm.refresh_tables($1, $2, false)");
	else if (strcmp(storage, "materialized") == 0)
	{
		refresh_matview(model, "profiles");
		run_step(model, refresh, "SELECT rfm.log_stage($1, $2, 'profiles')");
		refresh_matview(model, "snapshot");
		run_step(model, refresh, "SELECT rfm.log_stage($1, $2, 'snapshot')");
		run_step(model, refresh, "SELECT rfm.analyze_stored($1)");
	}
	if (strcmp(storage, "view") != 0)
		run_step(model, refresh, "SELECT rfm.report_age($1)");
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
		LockRelationOid(model->settings, ShareUpdateExclusiveLock);
	if (wait || ConditionalLockRelationOid(model->settings, ShareUpdateExclusiveLock))
	{
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(model->settings)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_SCHEMA_NAME),
					 errmsg("model \"%s\" was dropped meanwhile", model->name)));
		return true;
	}
	pid = model_run(model, false,
			  "SELECT pid FROM pg_locks WHERE relation = $1 AND mode = 'ShareUpdateExclusiveLock' AND granted"
			  " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
			  1, types, values, NULL);
	ereport(NOTICE,
			(errmsg("model \"%s\" is already being refreshed by process %s", model->name, pid ? pid : "(just ended)"),
			 errhint("Call it again later, or with wait => true.")));
	return false;
}

/*
 * The second transaction's lock, work and log in a subtransaction, so that
 * failure can be logged.  Returns the error, or NULL.
 */
static ErrorData *
try_refresh_model(const Model *model, int64 refresh, const char *relations, bool full_rebuild, bool wait)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (lock_model(model, wait))
		{
			refresh_model(model, refresh, relations, full_rebuild);
			log_end(model, refresh, NULL);
		}
		else
			log_end(model, refresh, "another refresh came first");
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
	bool		full_rebuild = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	bool		wait = PG_ARGISNULL(2) || PG_GETARG_BOOL(2);
	Model		model;
	int64		refresh;
	char	   *relations;
	ErrorData  *volatile error = NULL;
	ErrorContextCallback context = {.previous = error_context_stack,.callback = refresh_error_context};

	SPI_connect_ext(atomic ? 0 : SPI_OPT_NONATOMIC);
	model = model_find(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("model \"%s\" cannot be refreshed on a standby server", model.name),
				 errhint("Refresh it on the primary server: the standby follows.")));
	context.arg = (void *) model.name;
	error_context_stack = &context;
	if (atomic)
	{
		if (lock_model(&model, wait))
		{
			refresh = log_start(&model);
			refresh_model(&model, refresh, read_relations(&model), full_rebuild);
			log_end(&model, refresh, NULL);
		}
	}
	else if (lock_model(&model, wait))
	{
		refresh = log_start(&model);
		relations = read_relations(&model);
		SPI_commit();

		(void) set_config_option("transaction_isolation", "repeatable read", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
		error = try_refresh_model(&model, refresh, relations, full_rebuild, wait);
		if (error)
			log_end(&model, refresh, error->message);
		PG_TRY();
		{
			SPI_commit();
		}
		PG_CATCH();
		{
			/* a foreign server that died: nothing commits after it, and its message says more than that */
			if (error == NULL)
				PG_RE_THROW();
			FlushErrorState();
		}
		PG_END_TRY();
		if (error)
			ReThrowError(error);
	}
	error_context_stack = context.previous;
	SPI_finish();
	PG_RETURN_VOID();
}
