/*
 * aggregate_state.c
 *	  The type of the states of aggregates that are computed on several machines.
 *
 * States of type internal travel between the processes of one server only.  What
 * computes on several of them (Citus) sends the text form of the type of the
 * state instead, and so these aggregates have one: a varlena with the kind of
 * the aggregate in one byte, and then the bytes of its serialise function.
 *
 * While rows come in, the state is an expanded object that points to what the
 * aggregate's own functions work on; they know nothing of all this, and are
 * called with that pointer in the place of the state.
 */
#include "rfm.h"

#include "libpq/pqformat.h"
#include "nodes/memnodes.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#define CONTEXT_NAME	"states of rfm_segments"

/* An aggregate; combine, serialize and deserialize work on its own pointer. */
typedef struct Aggregate
{
	ExpandedObjectMethods methods;	/* of its states: tells which aggregate is theirs */
	const char *name;
	PGFunction	combine;
	PGFunction	serialize;
	PGFunction	deserialize;
} Aggregate;

extern Datum rfm_tally_combine(PG_FUNCTION_ARGS);
extern Datum rfm_tally_serialize(PG_FUNCTION_ARGS);
extern Datum rfm_tally_deserialize(PG_FUNCTION_ARGS);
extern Datum rfm_gateway_combine(PG_FUNCTION_ARGS);
extern Datum rfm_gateway_serialize(PG_FUNCTION_ARGS);
extern Datum rfm_gateway_deserialize(PG_FUNCTION_ARGS);
extern Datum rfm_cohorts_combine(PG_FUNCTION_ARGS);
extern Datum rfm_cohorts_serialize(PG_FUNCTION_ARGS);
extern Datum rfm_cohorts_deserialize(PG_FUNCTION_ARGS);
extern Datum rfm_margin_rate_combine(PG_FUNCTION_ARGS);
extern Datum rfm_margin_rate_serialize(PG_FUNCTION_ARGS);
extern Datum rfm_margin_rate_deserialize(PG_FUNCTION_ARGS);

static Size state_flat_size(ExpandedObjectHeader *header);
static void state_flatten(ExpandedObjectHeader *header, void *result, Size size);

#define METHODS			{state_flat_size, state_flatten}

static const Aggregate aggregates[] = {
	[AGGREGATE_TALLY] = {METHODS, "tally", rfm_tally_combine, rfm_tally_serialize, rfm_tally_deserialize},
	[AGGREGATE_GATEWAY] = {METHODS, "gateway", rfm_gateway_combine, rfm_gateway_serialize, rfm_gateway_deserialize},
	[AGGREGATE_COHORTS] = {METHODS, "cohorts", rfm_cohorts_combine, rfm_cohorts_serialize, rfm_cohorts_deserialize},
	[AGGREGATE_MARGIN_RATE] = {METHODS, "margin_rate", rfm_margin_rate_combine, rfm_margin_rate_serialize, rfm_margin_rate_deserialize}
};

/* A state in memory: 64 bytes, for which the allocator has a size. */
typedef struct AggregateState
{
	ExpandedObjectHeader header;
	void	   *state;			/* what the functions of the aggregate work on */
	bytea	   *bytes;			/* serialised, between the two steps of flattening; otherwise NULL */
} AggregateState;

/* ---------- in memory ---------- */

/*
 * Where the states of the aggregate that calls live.  Values below the context
 * of an aggregate stay where they are from row to row, others are copied.  All
 * its states share one context: a grouped aggregate adds up the contexts after
 * each new group, and with one for each state would take quadratic time.
 */
MemoryContext
aggregate_state_context(FunctionCallInfo fcinfo)
{
	MemoryContext parent;

	if (!AggCheckCallContext(fcinfo, &parent))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function works inside an aggregate only"),
				 errhint("Call the aggregate of which it is a step.")));
	for (MemoryContext child = parent->firstchild; child != NULL; child = child->nextchild)
		if (strcmp(child->name, CONTEXT_NAME) == 0)
			return child;
	return AllocSetContextCreate(parent, CONTEXT_NAME, ALLOCSET_DEFAULT_SIZES);
}

/* The aggregate of a state in memory. */
static inline const Aggregate *
object_aggregate(const AggregateState *object)
{
	return (const Aggregate *) object->header.eoh_methods;
}

/* Size of the flat form; serialises the state. */
static Size
state_flat_size(ExpandedObjectHeader *header)
{
	AggregateState *object = (AggregateState *) header;

	if (object->bytes == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(header->eoh_context);

		object->bytes = (bytea *) DatumGetPointer(DirectFunctionCall1(object_aggregate(object)->serialize, PointerGetDatum(object->state)));
		MemoryContextSwitchTo(old);
	}
	if (!AllocSizeIsValid(VARSIZE(object->bytes) + 1))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a state of %s does not fit in 1 GB", object_aggregate(object)->name),
				 errhint("Aggregate fewer customers at a time.")));
	return VARSIZE(object->bytes) + 1;
}

/* Writes the flat form. */
static void
state_flatten(ExpandedObjectHeader *header, void *result, Size size)
{
	AggregateState *object = (AggregateState *) header;
	char	   *data = VARDATA(result);

	SET_VARSIZE(result, size);
	data[0] = (char) (object_aggregate(object) - aggregates);
	memcpy(data + 1, VARDATA(object->bytes), size - VARHDRSZ - 1);
	pfree(object->bytes);
	object->bytes = NULL;
}

/* A state as a value. */
static AggregateState *
object_new(MemoryContext context, const Aggregate *aggregate, void *state)
{
	AggregateState *object = MemoryContextAllocZero(context, sizeof(AggregateState));

	EOH_init_header(&object->header, &aggregate->methods, context);
	object->state = state;
	return object;
}

/* The aggregate of flat bytes.  Trusts nothing. */
static const Aggregate *
bytes_aggregate(const char *bytes, Size size)
{
	if (size < 1 || bytes[0] < AGGREGATE_TALLY || bytes[0] > AGGREGATE_MARGIN_RATE)
		rfm_corrupt("aggregate_state");
	return &aggregates[(int) bytes[0]];
}

/* What the functions of the aggregate read, from flat bytes; palloc'd.  Trusts nothing. */
static void *
bytes_state(const char *bytes, Size size)
{
	const Aggregate *aggregate = bytes_aggregate(bytes, size);
	bytea	   *serialized = palloc(VARHDRSZ + size - 1);

	SET_VARSIZE(serialized, VARHDRSZ + size - 1);
	memcpy(VARDATA(serialized), bytes + 1, size - 1);
	return DatumGetPointer(DirectFunctionCall1(aggregate->deserialize, PointerGetDatum(serialized)));
}

/* The aggregate of a value. */
static const Aggregate *
datum_aggregate(Datum datum)
{
	struct varlena *flat;

	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return object_aggregate((AggregateState *) DatumGetEOHP(datum));
	flat = PG_DETOAST_DATUM_PACKED(datum);
	return bytes_aggregate(VARDATA_ANY(flat), VARSIZE_ANY_EXHDR(flat));
}

/* Refuses states of another aggregate. */
static inline void
check_aggregate(const Aggregate *aggregate, const Aggregate *expected)
{
	if (unlikely(aggregate != expected))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a state of %s is none of %s", aggregate->name, expected->name),
				 errhint("Put states of one aggregate together, and finish them with its own function.")));
}

/* What the functions of the aggregate read, from a value: not to be changed. */
static void *
datum_state(Datum datum, const Aggregate *aggregate)
{
	struct varlena *flat;

	check_aggregate(datum_aggregate(datum), aggregate);
	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return ((AggregateState *) DatumGetEOHP(datum))->state;
	flat = PG_DETOAST_DATUM_PACKED(datum);
	return bytes_state(VARDATA_ANY(flat), VARSIZE_ANY_EXHDR(flat));
}

/* Calls the combine function of an aggregate; the first state, which is changed, may be NULL. */
static void *
call_combine(FunctionCallInfo fcinfo, const Aggregate *aggregate, void *state, void *other)
{
	LOCAL_FCINFO(call, 2);

	InitFunctionCallInfoData(*call, fcinfo->flinfo, 2, InvalidOid, fcinfo->context, NULL);
	call->args[0] = (NullableDatum) {PointerGetDatum(state), state == NULL};
	call->args[1] = (NullableDatum) {PointerGetDatum(other), false};
	return DatumGetPointer(aggregate->combine(call));
}

/* The state in the first argument, to be changed: a copy unless it is the aggregate's own.  NULL when there is none. */
static inline AggregateState *
own_state(FunctionCallInfo fcinfo, const Aggregate *aggregate)
{
	AggregateState *object;
	void	   *other;

	if (PG_ARGISNULL(0))
		return NULL;
	if (unlikely(!VARATT_IS_EXTERNAL_EXPANDED_RW(PG_GETARG_POINTER(0))))
	{
		other = datum_state(PG_GETARG_DATUM(0), aggregate);
		return object_new(aggregate_state_context(fcinfo), aggregate, call_combine(fcinfo, aggregate, NULL, other));
	}
	object = (AggregateState *) DatumGetEOHP(PG_GETARG_DATUM(0));
	check_aggregate(object_aggregate(object), aggregate);
	if (unlikely(object->bytes != NULL))
	{
		pfree(object->bytes);
		object->bytes = NULL;
	}
	return object;
}

/* ---------- the steps of the aggregates ---------- */

/* Transition: calls that of the aggregate, which returns NULL when there is no state yet. */
Datum
aggregate_state_accum(FunctionCallInfo fcinfo, AggregateKind kind, PGFunction accum)
{
	NullableDatum argument = fcinfo->args[0];
	AggregateState *object = own_state(fcinfo, &aggregates[kind]);
	Datum		state;

	fcinfo->args[0] = (NullableDatum) {PointerGetDatum(object ? object->state : NULL), object == NULL};
	state = accum(fcinfo);
	/* the caller may not set it again */
	fcinfo->args[0] = argument;
	if (fcinfo->isnull)
		return (Datum) 0;
	if (object == NULL)
		object = object_new(aggregate_state_context(fcinfo), &aggregates[kind], DatumGetPointer(state));
	return EOHPGetRWDatum(&object->header);
}

/* Final: calls that of the aggregate, which only reads. */
Datum
aggregate_state_final(FunctionCallInfo fcinfo, AggregateKind kind, PGFunction final)
{
	NullableDatum argument = fcinfo->args[0];
	Datum		result;

	if (!argument.isnull)
		fcinfo->args[0].value = PointerGetDatum(datum_state(argument.value, &aggregates[kind]));
	result = final(fcinfo);
	fcinfo->args[0] = argument;
	return result;
}

PG_FUNCTION_INFO_V1(rfm_aggregate_state_combine);

/* Combine, of all of these aggregates: adds the second state to the first. */
Datum
rfm_aggregate_state_combine(PG_FUNCTION_ARGS)
{
	const Aggregate *aggregate;
	AggregateState *object;
	void	   *state;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	aggregate = datum_aggregate(PG_GETARG_DATUM(1));
	object = own_state(fcinfo, aggregate);
	state = call_combine(fcinfo, aggregate, object ? object->state : NULL, datum_state(PG_GETARG_DATUM(1), aggregate));
	if (object == NULL)
		object = object_new(aggregate_state_context(fcinfo), aggregate, state);
	return EOHPGetRWDatum(&object->header);
}

/* ---------- the type ---------- */

PG_FUNCTION_INFO_V1(rfm_aggregate_state_in);
PG_FUNCTION_INFO_V1(rfm_aggregate_state_out);
PG_FUNCTION_INFO_V1(rfm_aggregate_state_recv);
PG_FUNCTION_INFO_V1(rfm_aggregate_state_send);

/* Input: pairs of hexadecimal digits. */
Datum
rfm_aggregate_state_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	Size		length = strlen(text);
	struct varlena *flat;

	if (length % 2 != 0 || strspn(text, "0123456789abcdef") != length)
		rfm_corrupt("aggregate_state");
	flat = palloc(VARHDRSZ + length / 2);
	SET_VARSIZE(flat, VARHDRSZ + length / 2);
	hex_decode(text, length, VARDATA(flat));
	bytes_state(VARDATA(flat), length / 2);
	PG_RETURN_POINTER(flat);
}

/* Output. */
Datum
rfm_aggregate_state_out(PG_FUNCTION_ARGS)
{
	struct varlena *flat = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	Size		length = VARSIZE_ANY_EXHDR(flat) * 2;
	char	   *text;

	if (!AllocSizeIsValid(length + 1))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the text of a state does not fit in 1 GB"),
				 errhint("Aggregate fewer customers at a time.")));
	text = palloc(length + 1);
	hex_encode(VARDATA_ANY(flat), length / 2, text);
	text[length] = '\0';
	PG_RETURN_CSTRING(text);
}

/* Binary input: the bytes of the flat form. */
Datum
rfm_aggregate_state_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	int			size = buffer->len - buffer->cursor;
	struct varlena *flat = palloc(VARHDRSZ + size);

	SET_VARSIZE(flat, VARHDRSZ + size);
	pq_copymsgbytes(buffer, VARDATA(flat), size);
	bytes_state(VARDATA(flat), size);
	PG_RETURN_POINTER(flat);
}

/* Binary output. */
Datum
rfm_aggregate_state_send(PG_FUNCTION_ARGS)
{
	struct varlena *flat = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbytes(&buffer, VARDATA_ANY(flat), VARSIZE_ANY_EXHDR(flat));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}
