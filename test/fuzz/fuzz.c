/*
 * fuzz.c
 *	  Feeds corrupt bytes and extreme arguments to the extension, from SQL.
 *
 * A case is an input made from a seed and the number of the case, so that one
 * that fails can be run again by itself.  An input ends at the end of a page
 * that no other follows: to read beyond it is a crash.  What holds for every
 * case: no crash; no error that says that we are to blame (class XX, but for
 * corrupt data) and none for want of memory, of which there is a gigabyte; and
 * what was accepted does no harm where it is used.  The first case for which it
 * does not hold ends the call with an error that tells seed and number.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "parser/parse_agg.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

PG_MODULE_MAGIC;

#define LARGEST_INPUT		((Size) 1024 * 1024)
#define MEMORY			((Size) 1024 * 1024 * 1024) /* that a case may ask for */

/* ---------- random numbers ---------- */

static uint64 random_state;

/* splitmix64 */
static uint64
next_random(void)
{
	uint64		z = (random_state += UINT64CONST(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* A number below n. */
static Size
below(Size n)
{
	return n == 0 ? 0 : next_random() % n;
}

/* The state with which a case starts. */
static void
start_random(int64 seed, int64 number)
{
	random_state = (uint64) seed * UINT64CONST(0xD1342543DE82EF95);
	random_state = next_random() ^ (uint64) number;
	next_random();
}

/* ---------- inputs ---------- */

/* A copy that ends at the end of a page, or up to three bytes before where it has to be aligned. */
static char *
guarded_copy(const char *bytes, Size size, Size alignment)
{
	static char *end = NULL;
	Size		room = TYPEALIGN(alignment, size);

	if (end == NULL)
	{
		Size		page = sysconf(_SC_PAGESIZE);
		char	   *start = mmap(NULL, LARGEST_INPUT + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (start == MAP_FAILED || mprotect(start + LARGEST_INPUT, page, PROT_NONE) != 0)
			elog(ERROR, "no guarded memory: %m");
		end = start + LARGEST_INPUT;
	}
	if (room > LARGEST_INPUT)
		elog(ERROR, "an input of %zu bytes is too long", size);
	memset(end - room, 0x7F, room);
	return memcpy(end - room, bytes, size);
}

/* A number as corrupt counts and lengths are. */
static uint64
extreme_number(Size size)
{
	static const int64 numbers[] = {0, 1, 2, 3, -1, -2, 5, 7, 8, 9, 16, 255, 256, 0x7FFF, 0xFFFF, 0x10000,
		0x1FFFFFFF, 0x20000000, 0x3FFFFFFF, 0x40000000, PG_INT32_MAX, INT64CONST(0x80000000), INT64CONST(0xFFFFFFFF),
		INT64CONST(0x100000000), PG_INT64_MAX, PG_INT64_MIN, PG_INT64_MAX - 1, PG_INT64_MIN + 1,
	INT64CONST(0x7FF8000000000000), INT64CONST(0x7FF0000000000000)};

	switch (below(4))
	{
		case 0:
			return size + below(33) - 16;
		case 1:
			return next_random() >> below(64);
		default:
			return (uint64) numbers[below(lengthof(numbers))];
	}
}

/* Puts bytes in place of others. */
static void
replace_bytes(StringInfo input, Size from, Size length, const char *bytes, Size n)
{
	StringInfoData result;

	initStringInfo(&result);
	appendBinaryStringInfo(&result, input->data, from);
	appendBinaryStringInfo(&result, bytes, n);
	appendBinaryStringInfo(&result, input->data + from + length, input->len - from - length);
	*input = result;
}

/* Changes bytes a little. */
static void
mutate_bytes(StringInfo input, Datum *corpus, int ncorpus)
{
	Size		at = below(input->len);
	Size		length = below(Min(64, input->len - at + 1));
	uint64		number;
	Size		width;

	switch (below(9))
	{
		case 0:
			if (input->len > 0)
				input->data[at] ^= 1 << below(8);
			break;
		case 1:
			if (input->len > 0)
				input->data[at] = (char) next_random();
			break;
		case 2:
		case 3:
		case 4:					/* counts and lengths are aligned, and most stand in front */
			width = (Size) 1 << below(4);
			if (below(2) == 0)
				at = below(Min(input->len, 96));
			at = below(8) == 0 ? at : TYPEALIGN_DOWN(width, at);
			number = extreme_number(input->len);
			if (at + width <= (Size) input->len)
				memcpy(input->data + at, &number, width);
			break;
		case 5:
			replace_bytes(input, at, below(2) == 0 ? input->len - at : length, "", 0);
			break;
		case 6:
			for (Size i = below(40); i > 0; i--)
				appendStringInfoChar(input, below(2) == 0 ? 0 : (char) next_random());
			break;
		case 7:
			replace_bytes(input, at, 0, pnstrdup(input->data + at, length), length);
			break;
		default:
			{
				bytea	   *other = DatumGetByteaPP(corpus[below(ncorpus)]);
				Size		n = VARSIZE_ANY_EXHDR(other);
				Size		from = below(n);

				n = below(2) == 0 ? n - from : below(Min(64, n - from + 1));
				replace_bytes(input, at, Min(n, input->len - at), VARDATA_ANY(other) + from, n);
			}
	}
}

/* An input: one of the corpus, changed, or now and then nothing but noise. */
static StringInfo
make_input(Datum *corpus, int ncorpus)
{
	StringInfo	input = makeStringInfo();
	bytea	   *original = DatumGetByteaPP(corpus[below(ncorpus)]);

	if (below(64) == 0)
		for (Size i = below(300); i > 0; i--)
			appendStringInfoChar(input, (char) next_random());
	else
	{
		appendBinaryStringInfo(input, VARDATA_ANY(original), VARSIZE_ANY_EXHDR(original));
		for (int i = 1 + below(1 + below(5)); i > 0; i--)
			mutate_bytes(input, corpus, ncorpus);
	}
	return input;
}

/* A text: one of the corpus with some of its words changed. */
static StringInfo
make_text(Datum *corpus, int ncorpus)
{
	StringInfo	input = makeStringInfo();
	bytea	   *original = DatumGetByteaPP(corpus[below(ncorpus)]);

	appendBinaryStringInfo(input, VARDATA_ANY(original), VARSIZE_ANY_EXHDR(original));
	for (int i = 1 + below(3); i > 0; i--)
	{
		Size		from = below(input->len);
		Size		to;
		char		number[32];

		while (from > 0 && strchr(" :*-.", input->data[from - 1]) == NULL)
			from--;
		to = from;
		while (to < (Size) input->len && strchr(" :*-.", input->data[to]) == NULL)
			to++;
		snprintf(number, sizeof(number), below(2) == 0 ? INT64_FORMAT : UINT64_FORMAT, (int64) extreme_number(input->len));
		switch (below(6))
		{
			case 0:
				replace_bytes(input, from, to - from, "", 0);
				break;
			case 1:
				replace_bytes(input, from, 0, pnstrdup(input->data + from, to - from), to - from);
				break;
			case 2:
				mutate_bytes(input, corpus, ncorpus);
				break;
			default:
				replace_bytes(input, from, to - from, number, strlen(number));
		}
	}
	return input;
}

/* ---------- cases ---------- */

typedef void (*Case) (void *argument);

/* How the cases of a call ended. */
typedef struct Tally
{
	int64		cases;
	int64		accepted;
	int64		refused;
} Tally;

/* Limits the address space to what is mapped now and MEMORY. */
static void
limit_memory(struct rlimit *before)
{
	FILE	   *file = fopen("/proc/self/statm", "r");
	unsigned long pages;
	struct rlimit limit;

	getrlimit(RLIMIT_AS, before);
	if (file == NULL)
		return;
	if (fscanf(file, "%lu", &pages) == 1)
	{
		limit = *before;
		limit.rlim_cur = pages * sysconf(_SC_PAGESIZE) + MEMORY;
		setrlimit(RLIMIT_AS, &limit);
	}
	fclose(file);
}

/* Whether an error may be the answer to a wrong input. */
static bool
is_refusal(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	if (error->sqlerrcode == ERRCODE_DATA_CORRUPTED)
		return true;
	return category != ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES);
}

/* Runs a case in a subtransaction; returns NULL, or the error, which lies in the caller's context. */
static ErrorData *
try_case(Case run, void *argument)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	MemoryContext context;

	BeginInternalSubTransaction(NULL);
	context = AllocSetContextCreate(CurTransactionContext, "case", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run(argument);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(context);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return error;
}

/* Runs a case and counts how it ended; describe tells what its input was. */
static void
count_case(Tally *tally, Case run, void *argument, char *(*describe) (void *), int64 seed, int64 number)
{
	ErrorData  *error = try_case(run, argument);

	tally->cases++;
	if (error == NULL)
		tally->accepted++;
	else if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
		ereport(ERROR,
				(errcode(error->sqlerrcode), errmsg("case %lld of seed %lld: %s", (long long) number, (long long) seed, error->message),
				 errdetail("%s", describe(argument))));
	else if (is_refusal(error))
		tally->refused++;
	else
		ereport(ERROR,
				(errcode(ERRCODE_ASSERT_FAILURE),
				 errmsg("case %lld of seed %lld: %s: %s", (long long) number, (long long) seed,
						unpack_sql_state(error->sqlerrcode), error->message),
				 errdetail("%s", describe(argument)),
				 errcontext("%s %s %s", error->filename ? error->filename : "", error->funcname ? error->funcname : "",
							error->context ? error->context : "")));
	if (error != NULL)
		FreeErrorData(error);
}

/* The result: cases, accepted, refused. */
static Datum
tally_result(FunctionCallInfo fcinfo, const Tally *tally)
{
	TupleDesc	desc;
	Datum		values[] = {Int64GetDatum(tally->cases), Int64GetDatum(tally->accepted), Int64GetDatum(tally->refused)};
	bool		nulls[lengthof(values)] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* Runs a query over a value, $1, when there is a query. */
static void
use_value(const char *query, Oid type, Datum value)
{
	if (query == NULL)
		return;
	SPI_connect();
	if (SPI_execute_with_args(query, 1, &type, &value, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "\"%s\" is no query", query);
	SPI_finish();
}

static void
take_array(Datum array, Datum **elements, int *n)
{
	deconstruct_array(DatumGetArrayTypePCopy(array), BYTEAOID, -1, false, TYPALIGN_INT, elements, NULL, n);
	if (*n == 0)
		elog(ERROR, "there is nothing to change");
}

/* ---------- states of aggregates ---------- */

/* A function of an aggregate. */
typedef struct Step
{
	FmgrInfo	info;
	int			nargs;
} Step;

typedef struct AggregateCase
{
	Step		combine;
	Step		serialize;
	Step		deserialize;
	Step		final;
	bool		has_type;		/* its states are of a type: received and sent instead */
	Oid			type;			/* of the result */
	const char *query;			/* over the result */
	StringInfo	input;
	bytea	   *other;			/* a real state to combine with, or NULL */
	Datum		result;			/* of a case that was accepted: serialised again */
} AggregateCase;

static void
load_step(Step *step, Oid function, Expr *call)
{
	fmgr_info(function, &step->info);
	fmgr_info_set_expr((Node *) call, &step->info);
	step->nargs = step->info.fn_nargs;
}

/* Looks up the functions of an aggregate. */
static void
load_aggregate(AggregateCase *agg, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(oid));
	Form_pg_aggregate form;
	Oid		   *types;
	Oid			arguments[FUNC_MAX_ARGS];
	int			nargs;
	Expr	   *call;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no aggregate");
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	agg->type = get_func_signature(oid, &types, &nargs);
	for (int i = 0; i < nargs; i++)
		arguments[i] = types[i] == ANYOID ? INT8OID : types[i];
	load_step(&agg->combine, form->aggcombinefn, NULL);
	agg->has_type = !OidIsValid(form->aggserialfn);
	if (agg->has_type)
	{
		Oid			function;
		Oid			parameter;
		bool		is_varlena;

		getTypeBinaryInputInfo(form->aggtranstype, &function, &parameter);
		load_step(&agg->deserialize, function, NULL);
		getTypeBinaryOutputInfo(form->aggtranstype, &function, &is_varlena);
		load_step(&agg->serialize, function, NULL);
		/* Citus does not tell what the call is */
		load_step(&agg->final, form->aggfinalfn, NULL);
		ReleaseSysCache(tuple);
		return;
	}
	build_aggregate_serialfn_expr(form->aggserialfn, &call);
	load_step(&agg->serialize, form->aggserialfn, call);
	build_aggregate_deserialfn_expr(form->aggdeserialfn, &call);
	load_step(&agg->deserialize, form->aggdeserialfn, call);
	build_aggregate_finalfn_expr(arguments, form->aggfinalextra ? nargs + 1 : 1, form->aggtranstype, agg->type,
								 InvalidOid, form->aggfinalfn, &call);
	load_step(&agg->final, form->aggfinalfn, call);
	ReleaseSysCache(tuple);
}

/* Calls a function as part of an aggregate. */
static Datum
call_step(Step *step, AggState *state, Datum first, bool first_null, Datum second, bool second_null, bool *is_null)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, &step->info, step->nargs, InvalidOid, (Node *) state, NULL);
	for (int i = 0; i < step->nargs; i++)
		fcinfo->args[i] = (NullableDatum) {0, true};
	fcinfo->args[0] = (NullableDatum) {first, first_null};
	if (step->nargs > 1)
		fcinfo->args[1] = (NullableDatum) {second, second_null};
	step->info.fn_extra = NULL;
	step->info.fn_mcxt = CurrentMemoryContext;
	result = FunctionCallInvoke(fcinfo);
	if (is_null)
		*is_null = fcinfo->isnull;
	return result;
}

/* Reads the bytes of a state. */
static Datum
read_state(AggregateCase *agg, AggState *state, bytea *bytes)
{
	StringInfoData buffer = {.data = VARDATA(bytes), .len = VARSIZE(bytes) - VARHDRSZ, .maxlen = VARSIZE(bytes) - VARHDRSZ};

	return call_step(&agg->deserialize, state, agg->has_type ? PointerGetDatum(&buffer) : PointerGetDatum(bytes), false, 0, false, NULL);
}

/* Bytes through all functions, as a leader does with what workers send. */
static void
run_aggregate(void *argument)
{
	AggregateCase *agg = argument;
	AggState   *state = makeNode(AggState);
	char	   *varlena = palloc(VARHDRSZ + agg->input->len);
	Datum		merged = 0;
	bool		none = true;
	Datum		next;
	Datum		result;
	bool		is_null;

	state->curaggcontext = CreateStandaloneExprContext();
	SET_VARSIZE(varlena, VARHDRSZ + agg->input->len);
	memcpy(VARDATA(varlena), agg->input->data, agg->input->len);
	varlena = guarded_copy(varlena, VARHDRSZ + agg->input->len, sizeof(int32));

	if (agg->other)
	{
		next = read_state(agg, state, agg->other);
		merged = call_step(&agg->combine, state, 0, true, next, false, &none);
	}
	next = read_state(agg, state, (bytea *) varlena);
	merged = call_step(&agg->combine, state, merged, none, next, false, NULL);
	agg->result = call_step(&agg->serialize, state, merged, false, 0, true, NULL);
	next = read_state(agg, state, (bytea *) DatumGetPointer(agg->result));
	merged = call_step(&agg->combine, state, 0, true, next, false, NULL);
	result = call_step(&agg->final, state, merged, false, 0, true, &is_null);
	if (!is_null)
	{
		int16		length;
		bool		by_value;
		Oid			output;
		bool		is_varlena;

		get_typlenbyval(agg->type, &length, &by_value);
		getTypeOutputInfo(agg->type, &output, &is_varlena);
		result = datumCopy(result, by_value, length);	/* flattens what is expanded */
		OidOutputFunctionCall(output, result);
		use_value(agg->query, agg->type, result);
	}
}

/* The input as a literal. */
static char *
describe_bytes(const StringInfo input)
{
	char	   *hex = palloc(2 * input->len + 1);

	hex[hex_encode(input->data, Min(input->len, 4000), hex)] = '\0';
	return psprintf("%d bytes: \\x%s", input->len, hex);
}

static char *
describe_aggregate(void *argument)
{
	AggregateCase *agg = argument;

	return psprintf("%s%s", describe_bytes(agg->input), agg->other ? ", combined with another state" : "");
}

PG_FUNCTION_INFO_V1(fuzz_states);

/* fuzz_states(aggregate, states, query, first, cases, seed) */
Datum
fuzz_states(PG_FUNCTION_ARGS)
{
	AggregateCase agg = {0};
	Datum	   *corpus;
	int			ncorpus;
	int64		first = PG_GETARG_INT64(3);
	int64		cases = PG_GETARG_INT64(4);
	int64		seed = PG_GETARG_INT64(5);
	Tally		tally = {0};
	struct rlimit limit;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "fuzz", ALLOCSET_DEFAULT_SIZES);

	load_aggregate(&agg, PG_GETARG_OID(0));
	take_array(PG_GETARG_DATUM(1), &corpus, &ncorpus);
	agg.query = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	limit_memory(&limit);
	PG_TRY();
	{
		for (int64 i = first; i < first + cases; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			CHECK_FOR_INTERRUPTS();
			start_random(seed, i);
			agg.other = below(2) == 0 ? NULL : (bytea *) DatumGetPointer(corpus[below(ncorpus)]);
			agg.input = make_input(corpus, ncorpus);
			count_case(&tally, run_aggregate, &agg, describe_aggregate, seed, i);
			MemoryContextSwitchTo(old);
			MemoryContextReset(context);
		}
	}
	PG_FINALLY();
	{
		setrlimit(RLIMIT_AS, &limit);
	}
	PG_END_TRY();
	return tally_result(fcinfo, &tally);
}

PG_FUNCTION_INFO_V1(fuzz_state);

/* fuzz_state(aggregate, state, query): a state as it is through all functions; returns it serialised again. */
Datum
fuzz_state(PG_FUNCTION_ARGS)
{
	AggregateCase agg = {0};
	bytea	   *state = PG_GETARG_BYTEA_PP(1);

	load_aggregate(&agg, PG_GETARG_OID(0));
	agg.query = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	agg.input = makeStringInfo();
	appendBinaryStringInfo(agg.input, VARDATA_ANY(state), VARSIZE_ANY_EXHDR(state));
	run_aggregate(&agg);
	PG_RETURN_DATUM(agg.result);
}

/* ---------- input of types ---------- */

typedef struct TypeCase
{
	Oid			type;
	FmgrInfo	input;
	FmgrInfo	output;
	FmgrInfo	receive;
	FmgrInfo	send;
	Oid			io_param;
	Oid			receive_param;
	const char *query;			/* over the value */
	bool		binary;
	StringInfo	bytes;
} TypeCase;

/* Reads an input that ends at the end of a page. */
static Datum
read_value(TypeCase *type, const char *bytes, Size size)
{
	StringInfoData buffer;
	char	   *copy;

	/* both end with a zero byte, the received one beyond its length */
	copy = palloc0(size + 1);
	memcpy(copy, bytes, size);
	copy = guarded_copy(copy, size + 1, 1);
	if (!type->binary)
		return InputFunctionCall(&type->input, copy, type->io_param, -1);
	buffer = (StringInfoData) {.data = copy, .len = size, .maxlen = size + 1};
	return ReceiveFunctionCall(&type->receive, &buffer, type->receive_param, -1);
}

/* A text or binary input; what it means is written and read again, and must be the same. */
static void
run_type(void *argument)
{
	TypeCase   *type = argument;
	Datum		value = read_value(type, type->bytes->data, type->bytes->len);
	char	   *text = OutputFunctionCall(&type->output, value);
	bytea	   *bytes = SendFunctionCall(&type->send, value);
	Datum		again;

	if (type->binary)
		again = read_value(type, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	else
		again = read_value(type, text, strlen(text));
	if (strcmp(text, OutputFunctionCall(&type->output, again)) != 0)
		elog(ERROR, "written and read, \"%s\" is another value", text);
	use_value(type->query, type->type, value);
}

static char *
describe_type(void *argument)
{
	TypeCase   *type = argument;

	return psprintf("%s %s", type->binary ? "binary" : "text", describe_bytes(type->bytes));
}

PG_FUNCTION_INFO_V1(fuzz_type);

/* fuzz_type(type, texts, query, first, cases, seed); the texts as bytea */
Datum
fuzz_type(PG_FUNCTION_ARGS)
{
	TypeCase	type = {0};
	Datum	   *texts;
	Datum	   *binaries;
	int			ncorpus;
	Oid			function;
	bool		is_varlena;
	int64		first = PG_GETARG_INT64(3);
	int64		cases = PG_GETARG_INT64(4);
	int64		seed = PG_GETARG_INT64(5);
	Tally		tally = {0};
	struct rlimit limit;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "fuzz", ALLOCSET_DEFAULT_SIZES);

	type.type = PG_GETARG_OID(0);
	getTypeInputInfo(type.type, &function, &type.io_param);
	fmgr_info(function, &type.input);
	getTypeOutputInfo(type.type, &function, &is_varlena);
	fmgr_info(function, &type.output);
	getTypeBinaryInputInfo(type.type, &function, &type.receive_param);
	fmgr_info(function, &type.receive);
	getTypeBinaryOutputInfo(type.type, &function, &is_varlena);
	fmgr_info(function, &type.send);
	type.query = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));

	take_array(PG_GETARG_DATUM(1), &texts, &ncorpus);
	binaries = palloc(ncorpus * sizeof(Datum));
	for (int i = 0; i < ncorpus; i++)
	{
		char	   *string = text_to_cstring((text *) DatumGetPointer(texts[i]));

		/* a type without input has nothing to start from but text */
		PG_TRY();
		{
			binaries[i] = PointerGetDatum(SendFunctionCall(&type.send, InputFunctionCall(&type.input, string, type.io_param, -1)));
		}
		PG_CATCH();
		{
			FlushErrorState();
			binaries[i] = texts[i];
		}
		PG_END_TRY();
	}

	limit_memory(&limit);
	PG_TRY();
	{
		for (int64 i = first; i < first + cases; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			CHECK_FOR_INTERRUPTS();
			start_random(seed, i);
			type.binary = below(2) == 0;
			type.bytes = below(3) == 0 ? make_input(type.binary ? binaries : texts, ncorpus) :
				make_text(type.binary ? binaries : texts, ncorpus);
			/* a client's text has been checked before it gets to a type */
			if (!type.binary)
			{
				type.bytes->len = strnlen(type.bytes->data, type.bytes->len);
				if (!pg_verifymbstr(type.bytes->data, type.bytes->len, true))
					for (int c = 0; c < type.bytes->len; c++)
						type.bytes->data[c] &= 0x7F;
				type.bytes->len = strnlen(type.bytes->data, type.bytes->len);
			}
			count_case(&tally, run_type, &type, describe_type, seed, i);
			MemoryContextSwitchTo(old);
			MemoryContextReset(context);
		}
	}
	PG_FINALLY();
	{
		setrlimit(RLIMIT_AS, &limit);
	}
	PG_END_TRY();
	return tally_result(fcinfo, &tally);
}

/* ---------- arguments of functions ---------- */

/* A function or aggregate with the types of its arguments. */
typedef struct Target
{
	char	   *name;
	char		kind;			/* pg_proc.prokind */
	bool		returns_record; /* of columns that the caller names */
	int			nargs;
	char	  **types;
} Target;

typedef struct CallCase
{
	const Target *target;
	StringInfo	query;
} CallCase;

/* Values of a type: extreme ones, wrong ones and some that are right. */
typedef struct Pool
{
	const char *type;
	const char *values;			/* separated by | */
} Pool;

static const Pool pools[] = {
	{"smallint", "0|1|5|9|-1|32767|-32768"},
	{"integer", "0|1|5|30|365|543|999|-1|2147483647|-2147483648|1000000"},
	{"bigint", "0|1|2|30|1000|-1|9223372036854775807|-9223372036854775808|4294967295|4294967296|9007199254740992|1048576"},
	{"numeric", "0|1|-1|0.5|99.99|0.00004|0.00005|922337203685477.5807|922337203685477.58075|-922337203685477.5808|1e30|1e-30|1e131071|-1e131071|1e-16383|NaN|Infinity|-Infinity|79228162514264.337593543950335|3961408125713216879677197.5168"},
	{"real", "0|-0|1|99.99|1e-45|3.4e38|-3.4e38|NaN|Infinity|-Infinity"},
	{"double precision", "0|-0|1|0.05|0.5|0.95|0.999999999|99.99|1e-300|4.9e-324|1.7e308|-1.7e308|1e17|NaN|Infinity|-Infinity|-0.5|2"},
	{"boolean", "t|f"},
	{"text", "|a|vip|promising|UTC|Europe/Berlin|Asia/Kathmandu|Nowhere/None|lifecycle|classic|\xe2\x82\xac|'|\"|x y|%s%n|{}|1|Cancelled|SELECT 1|COMMIT"},
	{"character varying", "|a|vip|UTC|1"},
	{"uuid", "00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff|123e4567-e89b-12d3-a456-426614174000"},
	{"date", "2000-01-01|2024-02-29|4713-01-01 BC|5874897-12-31|infinity|-infinity|294276-12-31|294277-01-01|0001-01-01"},
	{"timestamp with time zone", "2000-01-01 00:00+00|2024-02-29 12:00+00|4713-11-24 00:00:00+00 BC|294276-12-31 23:59:59.999999+00|infinity|-infinity|1970-01-01 00:00+00"},
	{"timestamp without time zone", "2000-01-01|2024-03-31 02:30|4713-11-24 00:00:00 BC|294276-12-31 23:59:59.999999|infinity|-infinity"},
	{"interval", "0|1 day|-1 mon|178000000 years|-178000000 years|2147483647 days|1 microsecond|365 days"},
	{"numeric[]", "{}|{0}|{1,2,3,4}|{90,180,365,545}|{0,1,2,3}|{0.25,0.5,0.75,0.95}|{0,1}|{1}|{NULL}|{0.5,NULL}|{{0.1,0.2},{0.3,0.4}}|{2,1}|{1,1,1}|{NaN}|{-Infinity,Infinity}|{1e131071}|{-1e-16383}|{1,2,3,4,5,6,7,8}|{1,2,3,4,5,6,7,8,9}|[5:6]={0.1,0.2}|{{{{{{1}}}}}}|{0.0000000000000000000000000000000000001}"},
	{"text[]", "{}|{Cancelled,Returned}|{NULL}|{a,NULL,b}|{{a,b},{c,d}}|{\"\"}|[0:1]={a,b}"},
	{"regclass", "pg_class|pg_type"},
	{"name", "a|customer_id"},
	{"oid", "0|1259|4294967295"},
	{"jsonb", "{}|null|[]"},
	{"date[]", "{}|{2000-01-01}|{infinity,NULL}|{5874897-12-31}"},
	{"integer[]", "{}|{1}|{NULL}|{{1,2},{3,4}}|{2147483647}"},
	{"bigint[]", "{}|{1}|{NULL}|{{1,2},{3,4}}|{9223372036854775807}"},
	{"bytea", "|\\x00|\\xffffffffffffffff"},
	{"cstring", ""},
	{"rfm.ledger", "1 - - - -|1 0 - 99.9900 50.0000 2000-01 p 99.9900|1 - 9223371331199999999 - - -4713-11 p 0.0000 5874898-06 a -3961408125713216879677197.5167|1 -211813488000000000 - 3961408125713216879677197.5167 -3961408125713216879677197.5167 2024-01 p 1.0000"},
	{"rfm.cohorts", "1|1 2000-01 2000-01 1 99.9900|1 -4713-11 5874898-06 9223372036854775807 -132922799578491587290380706028034.4575"},
	{"rfm.survival", "5:1:0|0:1:1 30:2:0 2147483647:0:1|0:9007199254740991:1|1:0:9007199254740992"},
	{"rfm.aggregate_state", "03000000000000000000000000|040000000000000000000000000000000000000000000000000000000000000000"},
	{"rfm.profile_state",
		"1 3 0 -9223372036854775808 0 0:0 0|1 3 0 -9223372036854775808 1 0:999900 1 7 0 0 999900 - 0:999900|"
	"1 5 5 0 9223372036854775807 2147483647:18446744073709551615 1 x6162 -211813488000000000 9223371331199999999 9223372036854775807 x -2147483648:0"},
	{"rfm.rules", "levels 2 2 2 segments \"Others\" other cells 8*1|levels 5 5 5 segments \"A\" vip 4-5, \"Others\" other cells 25*1 100*2"},
};

/* Expressions of types that have no input, or whose values are long. */
static const Pool expressions[] = {
	{"rfm.profile_set",
		"(SELECT rfm.profile_all(i, i, '2024-01-01'::timestamptz + i * interval '40 days', 9.9) FROM generate_series(1, 40) i)|"
		"(SELECT rfm.profile_all(i % 3, i::text, date '2024-01-01' + i, i - 5, 'p' || i) FROM generate_series(1, 60) i)|"
		"(SELECT rfm.profile_all(i, i, '2024-05-01'::timestamptz, 1) FROM generate_series(1, 0) i)|"
		"(SELECT rfm.profile_all(i::text, i, '294276-12-31 23:00+00'::timestamptz, 922337203685477, i, NULL, NULL, NULL, NULL, NULL, 5, '2024-05-01'::timestamptz) FROM generate_series(1, 5) i)|"
		"(SELECT rfm.profile_all(i, i, '4713-11-24 00:00:00+00 BC'::timestamptz, -1, i, '2024-05-01', NULL, 'UTC', 1, 0, 5, '2024-05-01') FROM generate_series(1, 5) i)|"
	"(SELECT rfm.profile_all(NULL::int, i, '2024-05-01'::timestamptz, i) FROM generate_series(1, 5) i)"},
	{"rfm.visit_boundaries",
		"(SELECT rfm.visit_boundaries(i, '2024-05-01'::timestamptz, '2024-05-01'::timestamptz) FROM generate_series(1, 40) i)|"
		"(SELECT rfm.visit_boundaries(i::text, '-infinity', 'infinity') FROM generate_series(1, 4) i)|"
		"(SELECT rfm.visit_boundaries(1::bigint, '2024-05-01'::timestamptz, '2024-05-01'::timestamptz) FROM generate_series(1, 3) i)|"
	"(SELECT rfm.visit_boundaries(i, '2024-05-01'::timestamptz, '2024-05-01'::timestamptz) FROM generate_series(1, 0) i)"},
	{"rfm.visit_set",
		"(SELECT rfm.visits_all(i, i, '2024-05-01'::timestamptz + i * interval '1 day', (SELECT rfm.visit_boundaries(i, '2024-05-01'::timestamptz, '2024-05-01'::timestamptz) FROM generate_series(1, 40) i), NULL, 'UTC') FROM generate_series(1, 40) i)|"
	"(SELECT rfm.visits_all(i, i, '2024-05-01'::timestamptz, (SELECT rfm.visit_boundaries(i, '2024-05-01'::timestamptz, '2024-05-01'::timestamptz) FROM generate_series(1, 0) i), '2024-05-01'::timestamptz, NULL) FROM generate_series(1, 0) i)"},
	{"rfm.segment_rule[]",
		"(SELECT array_agg(d) FROM rfm.default_rules('classic') d)|(SELECT array_agg(d) FROM rfm.default_rules('lifecycle') d)|'{}'::rfm.segment_rule[]|"
		"ARRAY[NULL]::rfm.segment_rule[]|ARRAY[(1,'a','vip',1,9,1,9,1,9)]::rfm.segment_rule[]|ARRAY[(NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)]::rfm.segment_rule[]|"
		"ARRAY[(32767,repeat('x', 63),'vip',9,9,9,9,9,9),(-32768,'','other',1,1,1,1,1,1)]::rfm.segment_rule[]|"
		"ARRAY[ARRAY[(1,'a','vip',1,9,1,9,1,9)],ARRAY[(2,'b','vip',1,9,1,9,1,9)]]::rfm.segment_rule[]|"
	"(SELECT array_agg((i,'s' || i,'vip',1,9,1,9,1,9)::rfm.segment_rule) FROM generate_series(1, 120) i)"},
	{"text", "repeat('x', 70)|repeat('\xe2\x82\xac', 300000)|repeat('ab', 5000)"},
	{"rfm.rules", "rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules('classic') d), 9, 9, 9)"},
};

/* What "any" may be; arrays and others are refused. */
static const char *const any_types[] = {
	"smallint", "integer", "integer", "bigint", "bigint", "uuid", "text", "text", "character varying", "numeric", "numeric",
	"double precision", "real", "date", "timestamp with time zone", "timestamp with time zone", "timestamp without time zone",
	"boolean", "numeric[]", "interval"
};

/* Columns for what returns records. */
static const char *const column_lists[] = {
	"customer_id bigint, orders bigint, lines bigint, revenue numeric",
	"customer_id integer, first_order_id integer, first_order_at timestamptz, first_order_until timestamptz, first_order_date date, first_order_revenue numeric, second_order_at timestamptz, second_order_date date, last_order_at timestamptz, last_order_date date, orders bigint, next_hash bigint",
	"customer_id integer, first_order_id text, first_product_id text, lines bigint, revenue numeric",
	"customer_id text, revenue numeric, ledger rfm.ledger, next_change_at timestamptz, window_line_at timestamptz",
	"customer_id integer, sessions_after_purchase bigint, return_sessions bigint, next_change_at timestamptz",
	"first_order_id bigint, first_order_date date, last_order_date date, revenue numeric",
	"first_order_id text, first_product_id text, last_order_date date, second_order_date date",
	"a integer", "revenue integer", "customer_id text, customer_id text", "revenue numeric(10,2)"
};

/* One of the values that | separates. */
static char *
choose(const char *values)
{
	int			n = 1;
	const char *start = values;

	for (const char *c = values; *c != '\0'; c++)
		n += *c == '|';
	for (n = below(n); n > 0; n--)
		start = strchr(start, '|') + 1;
	return pnstrdup(start, strcspn(start, "|"));
}

/* Appends a value of a type. */
static void
append_value(StringInfo query, const char *type)
{
	const char *value = NULL;

	if (below(12) == 0)
	{
		appendStringInfo(query, "NULL::%s", type);
		return;
	}
	for (int i = 0; i < (int) lengthof(expressions); i++)
		if (strcmp(expressions[i].type, type) == 0 && (below(4) == 0 || strncmp(type, "rfm.profile_set", 15) == 0 ||
													   strncmp(type, "rfm.visit", 9) == 0 || strcmp(type, "rfm.segment_rule[]") == 0))
		{
			appendStringInfoString(query, choose(expressions[i].values));
			return;
		}
	if (below(6) == 0 && strcmp(type, "integer") == 0)
		value = psprintf("%d", (int32) (next_random() >> below(33)));
	else if (below(6) == 0 && strcmp(type, "bigint") == 0)
		value = psprintf(INT64_FORMAT, (int64) (next_random() >> below(64)));
	else if (below(6) == 0 && strcmp(type, "double precision") == 0)
		value = psprintf("%g", (double) (int64) next_random() / (double) (1 + (next_random() >> below(64))));
	else if (below(6) == 0 && strcmp(type, "numeric") == 0)
		value = psprintf("%s" UINT64_FORMAT "." UINT64_FORMAT, below(3) == 0 ? "-" : "", next_random() >> below(64), next_random());
	for (int i = 0; value == NULL && i < (int) lengthof(pools); i++)
		if (strcmp(pools[i].type, type) == 0)
			value = choose(pools[i].values);
	if (value)
		appendStringInfo(query, "%s::%s", quote_literal_cstr(value), type);
	else
		appendStringInfo(query, "NULL::%s", type);
}

/* Makes a call with random arguments. */
static void
make_call(CallCase *call)
{
	const Target *target = call->target;
	StringInfo	query = call->query = makeStringInfo();
	const char *types[FUNC_MAX_ARGS];
	int			nargs = target->nargs;
	bool		in_from = below(2) == 0;

	for (int i = 0; i < nargs; i++)
		types[i] = strcmp(target->types[i], "\"any\"") == 0 ? any_types[below(lengthof(any_types))] : target->types[i];
	if (target->kind == PROKIND_AGGREGATE || target->kind == PROKIND_WINDOW)
	{
		int			rows = below(5);
		bool		same_rows = below(2) == 0;
		int64		row_state = (int64) next_random();

		appendStringInfo(query, "SELECT %s(", target->name);
		for (int i = 0; i < nargs; i++)
			appendStringInfo(query, "%sa%d", i > 0 ? ", " : "", i);
		appendStringInfoString(query, target->kind == PROKIND_WINDOW ? ") OVER () FROM (" : ")::text FROM (");
		for (int row = 0; row <= rows; row++)
		{
			if (same_rows)
				random_state = row_state;
			appendStringInfoString(query, row > 0 ? " UNION ALL SELECT " : "SELECT ");
			for (int i = 0; i < nargs; i++)
			{
				if (i > 0)
					appendStringInfoString(query, ", ");
				append_value(query, types[i]);
				appendStringInfo(query, " AS a%d", i);
			}
		}
		appendStringInfo(query, ") v%s", rows == 0 && below(4) == 0 ? " WHERE false" : "");
		return;
	}
	appendStringInfo(query, "SELECT %s%s(", in_from ? "* FROM " : "", target->name);
	for (int i = 0; i < nargs; i++)
	{
		if (i > 0)
			appendStringInfoString(query, ", ");
		append_value(query, types[i]);
	}
	appendStringInfoString(query, ")");
	if (in_from && target->returns_record)
		appendStringInfo(query, " AS u(%s)", column_lists[below(lengthof(column_lists))]);
	else if (in_from)
		appendStringInfoString(query, " u");
	else
		appendStringInfoString(query, " AS u");
}

static void
run_call(void *argument)
{
	CallCase   *call = argument;
	char	   *query = psprintf("SELECT count(u::text) FROM (%s) u", call->query->data);

	SPI_connect();
	SPI_execute(query, false, 0);
	SPI_finish();
}

static char *
describe_call(void *argument)
{
	return ((CallCase *) argument)->query->data;
}

/* The functions that SQL can call, but for input and output, which fuzz_type sees to. */
static Target *
find_targets(int *ntargets)
{
	Target	   *targets;
	MemoryContext caller = CurrentMemoryContext;

	SPI_connect();
	SPI_execute("SELECT p.oid::regproc::text, p.prokind::text, p.prorettype = 'record'::regtype AND p.proargmodes IS NULL,"
				" ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a(t, i) ORDER BY i)"
				" FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang"
				" WHERE p.pronamespace = 'rfm'::regnamespace AND p.prokind IN ('f', 'a', 'w')"
				" AND (l.lanname = 'c' OR p.prokind = 'a')"
				" AND NOT 'internal'::regtype = ANY (p.proargtypes) AND NOT 'cstring'::regtype = ANY (p.proargtypes)"
				" ORDER BY p.oid::regprocedure::text", true, 0);
	*ntargets = (int) SPI_processed;
	targets = MemoryContextAllocZero(caller, SPI_processed * sizeof(Target));
	for (int row = 0; row < *ntargets; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Target	   *target = &targets[row];
		bool		is_null;
		Datum	   *types;
		MemoryContext old = MemoryContextSwitchTo(caller);

		target->name = SPI_getvalue(tuple, desc, 1);
		target->name = MemoryContextStrdup(caller, target->name);
		target->kind = *SPI_getvalue(tuple, desc, 2);
		target->returns_record = DatumGetBool(SPI_getbinval(tuple, desc, 3, &is_null));
		deconstruct_array(DatumGetArrayTypePCopy(SPI_getbinval(tuple, desc, 4, &is_null)), TEXTOID, -1, false, TYPALIGN_INT,
						  &types, NULL, &target->nargs);
		target->types = palloc(target->nargs * sizeof(char *));
		for (int i = 0; i < target->nargs; i++)
			target->types[i] = TextDatumGetCString(types[i]);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return targets;
}

PG_FUNCTION_INFO_V1(fuzz_calls);

/* fuzz_calls(first, cases, seed): calls of all functions with random arguments */
Datum
fuzz_calls(PG_FUNCTION_ARGS)
{
	int64		first = PG_GETARG_INT64(0);
	int64		cases = PG_GETARG_INT64(1);
	int64		seed = PG_GETARG_INT64(2);
	int			ntargets;
	Target	   *targets = find_targets(&ntargets);
	CallCase	call;
	Tally		tally = {0};
	struct rlimit limit;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "fuzz", ALLOCSET_DEFAULT_SIZES);

	if (ntargets == 0)
		elog(ERROR, "no functions");
	limit_memory(&limit);
	PG_TRY();
	{
		for (int64 i = first; i < first + cases; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			CHECK_FOR_INTERRUPTS();
			start_random(seed, i);
			call.target = &targets[i % ntargets];
			make_call(&call);
			count_case(&tally, run_call, &call, describe_call, seed, i);
			MemoryContextSwitchTo(old);
			MemoryContextReset(context);
		}
	}
	PG_FINALLY();
	{
		setrlimit(RLIMIT_AS, &limit);
	}
	PG_END_TRY();
	return tally_result(fcinfo, &tally);
}
