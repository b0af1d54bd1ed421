/*
 * tally.c
 *	  Customers and what they bought, counted by several dimensions at once: the
 *	  GROUP BY of each dimension and the segment, all in one pass.
 *
 * A group is a dimension, one of its values and a segment.  The groups stand in
 * an array in the order in which they came, found by an open hash; the bytes of
 * text and uuid values live in an IdHeap.  Sums are whole numbers, so that they
 * are the same whatever the order of the customers and the number of workers.
 *
 * Memory: 75 to 150 bytes for each group (half as much again while the arrays
 * grow), and the bytes of text and uuid values.
 */
#include "rfm.h"

#include "common/hashfn.h"
#include "common/int.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/arrayaccess.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#define MAX_VALUES		32
#define MAX_GROUPS		((uint32) 1 << 30)
#define MIN_SLOTS		16
#define NO_GROUP		0		/* an empty slot; groups count from 1 */
#define UUID_TEXT_LEN	36

/* arguments of tally, behind the state */
#define SEGMENT_RANK_ARG 1
#define ORDERS_ARG		2
#define REVENUE_ARG		3
#define DAYS_ARG		4
#define VALUES_ARG		5

/* The customers of a segment with one value of a dimension. */
typedef struct Group
{
	uint64		value;			/* an integer, or a word of the heap; 0 for NULL */
	int64		customers;
	int64		repurchased;
	int64		orders;
	int64		days;
	int128		revenue;
	int16		segment_rank;
	uint8		dimension;		/* from 0 */
	uint8		is_null;
	uint8		has_days;
} Group;

/* A value to look for, not yet in the heap of groups. */
typedef struct Value
{
	uint64		word;			/* an integer */
	const char *bytes;			/* of anything else, otherwise NULL */
	uint32		length;
	uint32		hash;
	uint8		is_null;
} Value;

typedef struct Slot
{
	uint32		hash;			/* of dimension, value and segment */
	uint32		group;
} Slot;

typedef struct Tally
{
	int			nvalues;		/* dimensions */
	uint8		kinds[MAX_VALUES];
	uint32		ngroups;
	uint32		max_groups;		/* there is room for */
	Group	   *groups;
	Slot	   *index;			/* NULL when there is nothing to find */
	uint32		index_mask;		/* number of slots - 1 */
	IdHeap		heap;
	MemoryContext context;		/* everything here */
} Tally;

/* A customer to add. */
typedef struct Customer
{
	int16		segment_rank;
	bool		has_days;
	int32		days;
	int64		orders;
	int128		revenue;
} Customer;

/* What travels between processes, before groups and heap. */
typedef struct TallyHeader
{
	uint32		nvalues;
	uint32		ngroups;
	int64		heap_used;
	uint8		kinds[MAX_VALUES];
} TallyHeader;

/* ---------- groups ---------- */

/* A state without groups, ready to find and add some. */
static Tally *
tally_new(MemoryContext context)
{
	Tally	   *tally = MemoryContextAllocZero(context, sizeof(Tally));

	tally->context = context;
	tally->heap.context = context;
	tally->max_groups = MIN_SLOTS / 2;
	tally->groups = MemoryContextAlloc(context, tally->max_groups * sizeof(Group));
	tally->index = MemoryContextAllocZero(context, MIN_SLOTS * sizeof(Slot));
	tally->index_mask = MIN_SLOTS - 1;
	return tally;
}

/* Doubles the index. */
static void
tally_grow_index(Tally *tally)
{
	Size		slots = ((Size) tally->index_mask + 1) * 2;
	Slot	   *old = tally->index;
	uint32		nold = tally->index_mask + 1;

	tally->index = MemoryContextAllocExtended(tally->context, slots * sizeof(Slot),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	tally->index_mask = slots - 1;
	for (uint32 i = 0; i < nold; i++)
	{
		uint32		at = old[i].hash & tally->index_mask;

		CHECK_FOR_INTERRUPTS();
		if (old[i].group == NO_GROUP)
			continue;
		while (tally->index[at].group != NO_GROUP)
			at = (at + 1) & tally->index_mask;
		tally->index[at] = old[i];
	}
	pfree(old);
}

/* Appends a group without customers. */
static Group *
tally_add_group(Tally *tally, int dimension, int16 segment_rank, const Value *value)
{
	Group	   *group;

	if (tally->ngroups == tally->max_groups)
	{
		if (tally->max_groups == MAX_GROUPS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("tally has more than 1 billion groups"),
					 errhint("Leave out dimensions in which nearly every customer has a value of his own.")));
		tally->max_groups *= 2;
		tally->groups = repalloc_huge(tally->groups, (Size) tally->max_groups * sizeof(Group));
	}
	group = &tally->groups[tally->ngroups];
	memset(group, 0, sizeof(*group));
	group->dimension = dimension;
	group->segment_rank = segment_rank;
	group->is_null = value->is_null;
	if (!value->is_null)
		group->value = id_kind_in_heap(tally->kinds[dimension]) ?
			id_from_bytes(&tally->heap, value->bytes, value->length) : value->word;
	tally->ngroups++;
	return group;
}

/* Whether a group has this value of its dimension. */
static inline bool
group_has_value(const Tally *tally, const Group *group, const Value *value)
{
	const char *bytes;
	uint32		length;

	if (group->is_null || value->is_null)
		return group->is_null == value->is_null;
	if (value->bytes == NULL)
		return group->value == value->word;
	bytes = id_bytes(&tally->heap, group->value, &length);
	return length == value->length && memcmp(bytes, value->bytes, length) == 0;
}

/* The group of a dimension, a segment and a value, made when there is none. */
static Group *
tally_group(Tally *tally, int dimension, int16 segment_rank, const Value *value)
{
	uint32		hash = id_hash(ID_INT8, (uint64) value->hash << 32 | (uint64) dimension << 16 | (uint16) segment_rank);
	Slot	   *slot;
	Group	   *group;

	for (uint32 at = hash;; at++)
	{
		slot = &tally->index[at & tally->index_mask];
		if (slot->group == NO_GROUP)
			break;
		group = &tally->groups[slot->group - 1];
		if (slot->hash == hash && group->segment_rank == segment_rank && group->dimension == dimension &&
			group_has_value(tally, group, value))
			return group;
	}
	group = tally_add_group(tally, dimension, segment_rank, value);
	slot->hash = hash;
	slot->group = tally->ngroups;
	if (tally->ngroups > (tally->index_mask + 1) / 8 * 5)
		tally_grow_index(tally);
	return group;
}

/* Adds to the orders of a group. */
static inline void
group_add_orders(Group *group, int64 orders)
{
	if (unlikely(pg_add_s64_overflow(group->orders, orders, &group->orders)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the orders of a group are out of range"),
				 errhint("Count the orders of each customer, for example with count(DISTINCT order_id).")));
}

/* ---------- the aggregate tally ---------- */

PG_FUNCTION_INFO_V1(rfm_tally_accum);
PG_FUNCTION_INFO_V1(rfm_tally_combine);
PG_FUNCTION_INFO_V1(rfm_tally_serialize);
PG_FUNCTION_INFO_V1(rfm_tally_deserialize);
PG_FUNCTION_INFO_V1(rfm_tally_final);
PG_FUNCTION_INFO_V1(rfm_tally_state_accum);
PG_FUNCTION_INFO_V1(rfm_tally_state_final);

/* Refuses more values than there is room for. */
static void
check_nvalues(int nvalues)
{
	if (nvalues > MAX_VALUES)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_ARGUMENTS),
				 errmsg("tally has %d values, more than %d", nvalues, MAX_VALUES),
				 errhint("Call it several times.")));
}

/* Refuses rows, or states, of one aggregate with different numbers of values. */
static void
check_same_nvalues(const Tally *tally, int nvalues)
{
	if (unlikely(tally->nvalues != nvalues))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of values changes between rows, from %d to %d", tally->nvalues, nvalues),
				 errhint("Give the same values for all rows of an aggregate; NULL is a value like others.")));
}

/* Starts a state: learns the types of the dimensions. */
static Tally *
tally_start(FunctionCallInfo fcinfo)
{
	Tally	   *tally = tally_new(aggregate_state_context(fcinfo));

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the values of tally cannot be a VARIADIC array"),
				 errhint("List them, for example rfm.tally(segment_rank, orders, revenue, NULL, channel, country).")));
	tally->nvalues = PG_NARGS() - VALUES_ARG;
	check_nvalues(tally->nvalues);
	for (int i = 0; i < tally->nvalues; i++)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, VALUES_ARG + i);

		tally->kinds[i] = id_kind_or_none(type);
		if (tally->kinds[i] == ID_NONE)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("value %d of tally has type %s", i + 1, format_type_be(type)),
					 errhint("Cast it to text; values are smallint, integer, bigint, uuid, text or varchar.")));
	}
	return tally;
}

/* Reads a value.  Its bytes stay where they are; they are not copied unless toasted. */
static inline void
value_read(Value *value, const NullableDatum *argument, IdKind kind)
{
	*value = (Value) {.is_null = argument->isnull};
	if (argument->isnull)
		return;
	switch (kind)
	{
		case ID_TEXT:
			{
				struct varlena *text = PG_DETOAST_DATUM_PACKED(argument->value);

				value->bytes = VARDATA_ANY(text);
				value->length = VARSIZE_ANY_EXHDR(text);
				break;
			}
		case ID_UUID:
			value->bytes = (const char *) DatumGetUUIDP(argument->value)->data;
			value->length = UUID_LEN;
			break;
		default:
			value->word = id_from_datum(NULL, argument->value, kind);
			value->hash = id_hash(kind, value->word);
			return;
	}
	value->hash = hash_bytes((const unsigned char *) value->bytes, value->length);
}

/* Reads what tally is told of a customer who has a segment. */
static inline void
customer_read(Customer *customer, FunctionCallInfo fcinfo)
{
	customer->segment_rank = PG_GETARG_INT16(SEGMENT_RANK_ARG);
	customer->orders = PG_ARGISNULL(ORDERS_ARG) ? 0 : PG_GETARG_INT64(ORDERS_ARG);
	customer->has_days = !PG_ARGISNULL(DAYS_ARG);
	customer->days = customer->has_days ? PG_GETARG_INT32(DAYS_ARG) : 0;
	customer->revenue = PG_ARGISNULL(REVENUE_ARG) ? 0 : money_sum_from_datum(PG_GETARG_DATUM(REVENUE_ARG));
}

/* Adds a customer to the group of his value in a dimension. */
static inline void
tally_add(Tally *tally, int dimension, const Customer *customer, const NullableDatum *argument)
{
	Value		value;
	Group	   *group;

	value_read(&value, argument, tally->kinds[dimension]);
	group = tally_group(tally, dimension, customer->segment_rank, &value);
	group->customers++;
	group->repurchased += customer->orders >= 2;
	group_add_orders(group, customer->orders);
	group->revenue += customer->revenue;
	group->days += customer->days;
	group->has_days |= customer->has_days;
}

/* Transition: adds a customer to one group in each dimension. */
Datum
rfm_tally_accum(PG_FUNCTION_ARGS)
{
	Tally	   *tally = PG_ARGISNULL(0) ? tally_start(fcinfo) : (Tally *) PG_GETARG_POINTER(0);
	Customer	customer;

	if (PG_ARGISNULL(SEGMENT_RANK_ARG))
		PG_RETURN_POINTER(tally);
	customer_read(&customer, fcinfo);
	for (int i = 0; i < tally->nvalues; i++)
		tally_add(tally, i, &customer, &fcinfo->args[VALUES_ARG + i]);
	PG_RETURN_POINTER(tally);
}

/* Transition of the form with an array: the same, but learns nothing from the call. */
static Datum
tally_array_accum(FunctionCallInfo fcinfo)
{
	Tally	   *tally = PG_ARGISNULL(0) ? NULL : (Tally *) PG_GETARG_POINTER(0);
	AnyArrayType *values;
	int			nvalues;
	array_iter	next;
	Customer	customer;

	if (PG_ARGISNULL(SEGMENT_RANK_ARG))
	{
		if (tally == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(tally);
	}
	values = PG_ARGISNULL(VALUES_ARG) ? NULL : PG_GETARG_ANY_ARRAY_P(VALUES_ARG);
	if (values == NULL || AARR_NDIM(values) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the values of tally are no list"),
				 errhint("Give an array of one dimension, for example ARRAY[channel, country]; a value that is not known is a NULL in it.")));
	nvalues = AARR_DIMS(values)[0];
	if (tally == NULL)
	{
		check_nvalues(nvalues);
		tally = tally_new(aggregate_state_context(fcinfo));
		tally->nvalues = nvalues;
		memset(tally->kinds, ID_TEXT, nvalues);
	}
	check_same_nvalues(tally, nvalues);
	customer_read(&customer, fcinfo);
	array_iter_setup(&next, values);
	for (int i = 0; i < nvalues; i++)
	{
		NullableDatum value;

		value.value = array_iter_next(&next, &value.isnull, i, -1, false, TYPALIGN_INT);
		tally_add(tally, i, &customer, &value);
	}
	PG_RETURN_POINTER(tally);
}

/* The value of a group, to be looked for elsewhere. */
static void
group_value(Value *value, const Tally *tally, const Group *group)
{
	IdKind		kind = tally->kinds[group->dimension];

	*value = (Value) {.is_null = group->is_null};
	if (group->is_null)
		return;
	value->word = group->value;
	value->hash = id_hash(kind, group->value);
	if (id_kind_in_heap(kind))
		value->bytes = id_bytes(&tally->heap, group->value, &value->length);
}

/* Combine: adds the groups of the second state to the first. */
Datum
rfm_tally_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_state_context(fcinfo);
	Tally	   *a = PG_ARGISNULL(0) ? NULL : (Tally *) PG_GETARG_POINTER(0);
	const Tally *b = PG_ARGISNULL(1) ? NULL : (Tally *) PG_GETARG_POINTER(1);

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL)
	{
		a = tally_new(context);
		a->nvalues = b->nvalues;
		memcpy(a->kinds, b->kinds, sizeof(a->kinds));
	}
	check_same_nvalues(a, b->nvalues);
	if (memcmp(a->kinds, b->kinds, sizeof(a->kinds)) != 0)
		rfm_corrupt("tally");
	for (uint32 i = 0; i < b->ngroups; i++)
	{
		const Group *other = &b->groups[i];
		Value		value;
		Group	   *group;

		CHECK_FOR_INTERRUPTS();
		group_value(&value, b, other);
		group = tally_group(a, other->dimension, other->segment_rank, &value);
		group_add_orders(group, other->orders);
		/* only bytes that were changed overflow */
		if (__builtin_add_overflow(group->customers, other->customers, &group->customers) ||
			__builtin_add_overflow(group->repurchased, other->repurchased, &group->repurchased) ||
			__builtin_add_overflow(group->revenue, other->revenue, &group->revenue) ||
			__builtin_add_overflow(group->days, other->days, &group->days))
			rfm_corrupt("tally");
		group->has_days |= other->has_days;
	}
	PG_RETURN_POINTER(a);
}

/* Serialise: header, groups, bytes of their values. */
Datum
rfm_tally_serialize(PG_FUNCTION_ARGS)
{
	const Tally *tally = (Tally *) PG_GETARG_POINTER(0);
	TallyHeader header = {0};
	Size		groups_size = (Size) tally->ngroups * sizeof(Group);
	Size		size = VARHDRSZ + sizeof(header) + groups_size + tally->heap.used;
	bytea	   *result;
	char	   *next;

	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a parallel worker holds more than 1 GB of groups"),
				 errhint("Leave out dimensions in which nearly every customer has a value of his own.")));
	header.nvalues = tally->nvalues;
	header.ngroups = tally->ngroups;
	header.heap_used = tally->heap.used;
	memcpy(header.kinds, tally->kinds, sizeof(header.kinds));

	result = palloc(size);
	SET_VARSIZE(result, size);
	next = VARDATA(result);
	memcpy(next, &header, sizeof(header));
	next += sizeof(header);
	memcpy(next, tally->groups, groups_size);
	next += groups_size;
	if (tally->heap.used > 0)
		memcpy(next, tally->heap.data, tally->heap.used);
	PG_RETURN_BYTEA_P(result);
}

/* Deserialise: a state that combine and final only read.  Trusts nothing. */
Datum
rfm_tally_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	const char *next = VARDATA_ANY(bytes);
	Size		size = VARSIZE_ANY_EXHDR(bytes);
	Tally	   *tally = palloc0(sizeof(Tally));
	TallyHeader header;
	Size		groups_size;

	if (size < sizeof(header))
		rfm_corrupt("tally");
	memcpy(&header, next, sizeof(header));
	next += sizeof(header);
	size -= sizeof(header);
	groups_size = (Size) header.ngroups * sizeof(Group);
	if (header.nvalues < 1 || header.nvalues > MAX_VALUES || header.ngroups > MAX_GROUPS || groups_size > size ||
		header.heap_used < 0 || (Size) header.heap_used != size - groups_size)
		rfm_corrupt("tally");
	for (int i = 0; i < MAX_VALUES; i++)
		if (i < (int) header.nvalues ? header.kinds[i] < ID_INT2 || header.kinds[i] > ID_TEXT : header.kinds[i] != 0)
			rfm_corrupt("tally");

	tally->nvalues = header.nvalues;
	memcpy(tally->kinds, header.kinds, sizeof(tally->kinds));
	tally->ngroups = tally->max_groups = header.ngroups;
	/* copied, because they must be aligned */
	tally->groups = memcpy(palloc(groups_size + header.heap_used), next, groups_size + header.heap_used);
	tally->heap.data = (char *) tally->groups + groups_size;
	tally->heap.used = tally->heap.capacity = header.heap_used;
	tally->heap.fixed = true;
	for (uint32 i = 0; i < tally->ngroups; i++)
	{
		const Group *group = &tally->groups[i];

		IdKind		kind;
		const char *value;
		uint32		length;

		CHECK_FOR_INTERRUPTS();
		if (group->dimension >= tally->nvalues || group->is_null > 1 || group->has_days > 1)
			rfm_corrupt("tally");
		if (group->is_null)
			continue;
		kind = tally->kinds[group->dimension];
		if (!id_is_valid(&tally->heap, group->value, kind))
			rfm_corrupt("tally");
		if (kind != ID_TEXT)
			continue;
		value = id_bytes(&tally->heap, group->value, &length);
		if (!pg_verifymbstr(value, length, true))
			rfm_corrupt("tally");
	}
	PG_RETURN_POINTER(tally);
}

/* ---------- the result ---------- */

/* A group with its value as text. */
typedef struct Output
{
	const Group *group;
	const char *bytes;
	uint32		length;
} Output;

/* Sets the value of an output as text; its bytes are in the heap or palloc'd. */
static void
output_value(Output *output, const Tally *tally)
{
	const Group *group = output->group;
	IdKind		kind = tally->kinds[group->dimension];
	char	   *text;

	if (group->is_null)
		return;
	switch (kind)
	{
		case ID_TEXT:
			output->bytes = id_bytes(&tally->heap, group->value, &output->length);
			break;
		case ID_UUID:
			output->bytes = DatumGetCString(DirectFunctionCall1(uuid_out, id_to_datum(&tally->heap, group->value, kind)));
			output->length = UUID_TEXT_LEN;
			break;
		default:
			output->bytes = text = palloc(MAXINT8LEN + 1);
			output->length = pg_lltoa((int64) group->value, text);
	}
}

/* By dimension, then value by its bytes and NULL last, then segment. */
static int
compare_outputs(const void *a, const void *b)
{
	const Output *x = a;
	const Output *y = b;
	int			cmp = x->group->dimension - y->group->dimension;

	CHECK_FOR_INTERRUPTS();
	if (cmp == 0)
		cmp = x->group->is_null - y->group->is_null;
	if (cmp == 0 && !x->group->is_null)
		cmp = memcmp(x->bytes, y->bytes, Min(x->length, y->length));
	if (cmp == 0 && !x->group->is_null)
		cmp = (x->length > y->length) - (x->length < y->length);
	return cmp != 0 ? cmp : x->group->segment_rank - y->group->segment_rank;
}

/* Final: the groups in order; NULL without customers.  The state stays as it is. */
Datum
rfm_tally_final(PG_FUNCTION_ARGS)
{
	const Tally *tally = PG_ARGISNULL(0) ? NULL : (Tally *) PG_GETARG_POINTER(0);
	Output	   *outputs;
	RowArray	array;

	if (tally == NULL || tally->ngroups == 0)
		PG_RETURN_NULL();
	outputs = MemoryContextAllocExtended(CurrentMemoryContext, (Size) tally->ngroups * sizeof(Output),
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < tally->ngroups; i++)
	{
		CHECK_FOR_INTERRUPTS();
		outputs[i].group = &tally->groups[i];
		output_value(&outputs[i], tally);
	}
	qsort(outputs, tally->ngroups, sizeof(Output), compare_outputs);

	row_array_begin(&array, fcinfo);
	for (uint32 i = 0; i < tally->ngroups; i++)
	{
		const Group *group = outputs[i].group;
		text	   *value = group->is_null ? NULL : cstring_to_text_with_len(outputs[i].bytes, outputs[i].length);
		Numeric		revenue = money_to_numeric(group->revenue);
		Datum		values[] = {
			Int16GetDatum(group->dimension + 1), PointerGetDatum(value), Int16GetDatum(group->segment_rank),
			Int64GetDatum(group->customers), Int64GetDatum(group->repurchased), Int64GetDatum(group->orders),
			NumericGetDatum(revenue), Int64GetDatum(group->days)
		};
		bool		nulls[lengthof(values)] = {false, group->is_null, false, false, false, false, false, !group->has_days};

		CHECK_FOR_INTERRUPTS();
		row_array_add(&array, values, nulls, "Leave out dimensions in which nearly every customer has a value of his own.");
		pfree(revenue);
		if (value)
			pfree(value);
	}
	return row_array_result(&array);
}

/* ---------- with the type of its states ---------- */

Datum
rfm_tally_state_accum(PG_FUNCTION_ARGS)
{
	return aggregate_state_accum(fcinfo, AGGREGATE_TALLY, tally_array_accum);
}

Datum
rfm_tally_state_final(PG_FUNCTION_ARGS)
{
	return aggregate_state_final(fcinfo, AGGREGATE_TALLY, rfm_tally_final);
}
