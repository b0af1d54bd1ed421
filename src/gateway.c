/*
 * gateway.c
 *	  What became of the customers who came by a product, brand or category: for
 *	  each name how many there are, exact sums of what they bought and of its
 *	  squares, and how many had ordered again within a year.
 *
 * The names stand in an array in the order in which they came, found by an open
 * hash.  A survival for each of them while rows come in would take far more
 * memory than the rows: what belongs to the survivals is written to a log, eight
 * bytes a customer, and sorted by name and day and counted at the end.  Days
 * beyond a year are all the same.  From one process or machine to another go the
 * counts, which no longer grow with the customers once every name has every day.
 *
 * Memory: 160 to 320 bytes and the text for each name (half as much again while
 * the arrays grow), 8 to 16 bytes for each customer with days; for what came from
 * elsewhere 16 to 32 bytes for each day of a name, of which there are 734 at most.
 */
#include "rfm.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MAX_NAMES		((uint32) 1 << 30)
#define MIN_SLOTS		16
#define NO_NAME			0		/* an empty slot; names count from 1 */

/* arguments of gateway, behind the state */
#define NAME_ARG		1
#define STAGE_ARG		2
#define REVENUE_ARG		3
#define REVENUE_AFTER_ARG 4
#define DAYS_ARG		5
#define EVENT_ARG		6
#define MINIMUM_ARG		7

/* rates are those by this day, within 95 percent bounds */
#define AT_DAYS			365
#define CONFIDENCE		0.95

/* keys of days, those beyond AT_DAYS as one */
#define MAX_KEYS		(2 * (AT_DAYS + 2))

/* The customers of one name. */
typedef struct NameSums
{
	uint64		id;				/* a word of the heap */
	int64		customers;
	int64		vip_customers;
	int64		promising_customers;
	int128		vip_revenue;
	int128		revenue;
	int128		revenue_after;
	SquareSum	revenue_squares;
	SquareSum	revenue_after_squares;
} NameSums;

/* A customer of a survival. */
typedef struct Watched
{
	uint32		name;			/* its place in the array */
	uint32		key;			/* survival_key */
} Watched;

/* The customers of a name with the same key. */
typedef struct Counted
{
	uint32		name;
	uint32		key;
	int64		customers;
} Counted;

/* The same in a state that travels, where the name is known; more of them than fit are several. */
typedef struct SentCount
{
	uint32		key;
	uint32		customers;
} SentCount;

typedef struct Slot
{
	uint32		hash;
	uint32		name;
} Slot;

typedef struct Gateway
{
	int64		minimum;		/* customers of a name that is returned */
	uint32		nnames;
	uint32		max_names;		/* there is room for */
	NameSums   *names;
	Slot	   *index;			/* NULL when there is nothing to find */
	uint32		index_mask;		/* number of slots - 1 */
	IdHeap		heap;			/* of names */
	Size		nwatched;
	Size		max_watched;
	Watched    *watched;		/* the log */
	Size		ncounted;
	Size		max_counted;
	Size		nmerged;		/* how many were left when they were merged last */
	Counted    *counted;		/* from elsewhere, a name and key perhaps several times */
	MemoryContext context;		/* everything here */
} Gateway;

/* What travels between processes, before names, the number of counts of each, counts and heap. */
typedef struct GatewayHeader
{
	int64		minimum;
	uint64		ncounted;
	uint64		heap_used;
	uint32		nnames;
} GatewayHeader;

/* ---------- names and log ---------- */

/* A state without names. */
static Gateway *
gateway_new(MemoryContext context, int64 minimum)
{
	Gateway    *gateway = MemoryContextAllocZero(context, sizeof(Gateway));

	gateway->context = context;
	gateway->minimum = minimum;
	gateway->heap.context = context;
	gateway->max_names = MIN_SLOTS / 2;
	gateway->names = MemoryContextAlloc(context, gateway->max_names * sizeof(NameSums));
	gateway->index = MemoryContextAllocZero(context, MIN_SLOTS * sizeof(Slot));
	gateway->index_mask = MIN_SLOTS - 1;
	gateway->max_watched = 64;
	gateway->watched = MemoryContextAlloc(context, gateway->max_watched * sizeof(Watched));
	return gateway;
}

/* Doubles the index. */
static void
gateway_grow_index(Gateway *gateway)
{
	Size		slots = ((Size) gateway->index_mask + 1) * 2;
	Slot	   *old = gateway->index;
	uint32		nold = gateway->index_mask + 1;

	gateway->index = MemoryContextAllocExtended(gateway->context, slots * sizeof(Slot),
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	gateway->index_mask = slots - 1;
	for (uint32 i = 0; i < nold; i++)
	{
		uint32		at = old[i].hash & gateway->index_mask;

		CHECK_FOR_INTERRUPTS();
		if (old[i].name == NO_NAME)
			continue;
		while (gateway->index[at].name != NO_NAME)
			at = (at + 1) & gateway->index_mask;
		gateway->index[at] = old[i];
	}
	pfree(old);
}

/* Appends a name without customers. */
static void
gateway_add_name(Gateway *gateway, const char *bytes, uint32 length)
{
	NameSums   *name;

	if (gateway->nnames == gateway->max_names)
	{
		if (gateway->max_names == MAX_NAMES)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("gateway has more than 1 billion names"),
					 errhint("Leave out names that stand for a single customer.")));
		gateway->max_names *= 2;
		gateway->names = repalloc_huge(gateway->names, (Size) gateway->max_names * sizeof(NameSums));
	}
	name = &gateway->names[gateway->nnames];
	memset(name, 0, sizeof(*name));
	name->id = id_from_bytes(&gateway->heap, bytes, length);
	gateway->nnames++;
}

/* The place of a name in the array, made when there is none. */
static uint32
gateway_name(Gateway *gateway, const char *bytes, uint32 length)
{
	uint32		hash = hash_bytes((const unsigned char *) bytes, length);
	Slot	   *slot;

	for (uint32 at = hash;; at++)
	{
		slot = &gateway->index[at & gateway->index_mask];
		if (slot->name == NO_NAME)
			break;
		if (slot->hash == hash)
		{
			uint32		other_length;
			const char *other = id_bytes(&gateway->heap, gateway->names[slot->name - 1].id, &other_length);

			if (other_length == length && memcmp(other, bytes, length) == 0)
				return slot->name - 1;
		}
	}
	gateway_add_name(gateway, bytes, length);
	slot->hash = hash;
	slot->name = gateway->nnames;
	if (gateway->nnames > (gateway->index_mask + 1) / 8 * 5)
		gateway_grow_index(gateway);
	return gateway->nnames - 1;
}

/* Appends to the log. */
static inline void
gateway_log(Gateway *gateway, uint32 name, uint32 key)
{
	if (unlikely(gateway->nwatched == gateway->max_watched))
	{
		gateway->max_watched *= 2;
		gateway->watched = repalloc_huge(gateway->watched, gateway->max_watched * sizeof(Watched));
	}
	gateway->watched[gateway->nwatched++] = (Watched) {name, key};
}

/* Appends a count. */
static void
gateway_add_count(Gateway *gateway, Counted counted)
{
	if (gateway->ncounted == gateway->max_counted)
	{
		gateway->max_counted = Max(64, 2 * gateway->max_counted);
		if (gateway->counted == NULL)
			gateway->counted = MemoryContextAlloc(gateway->context, gateway->max_counted * sizeof(Counted));
		else
			gateway->counted = repalloc_huge(gateway->counted, gateway->max_counted * sizeof(Counted));
	}
	gateway->counted[gateway->ncounted++] = counted;
}

#define ST_SORT sort_keys
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_counted
#define ST_ELEMENT_TYPE Counted
#define ST_COMPARE(a, b) ((a)->name != (b)->name ? ((a)->name > (b)->name) - ((a)->name < (b)->name) : \
						  ((a)->key > (b)->key) - ((a)->key < (b)->key))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Puts counts of the same name and key together, in their order.  Returns how many are left. */
static Size
merge_counted(Counted *counted, Size n)
{
	Size		kept = 0;

	sort_counted(counted, n);
	for (Size i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (kept == 0 || counted[kept - 1].name != counted[i].name || counted[kept - 1].key != counted[i].key)
			counted[kept++] = counted[i];
		else if (__builtin_add_overflow(counted[kept - 1].customers, counted[i].customers, &counted[kept - 1].customers))
			rfm_corrupt("gateway");
	}
	return kept;
}

/*
 * The customers of the log and of the counts by name and key, in this order,
 * each once; palloc'd.  The state stays as it is.
 */
static Counted *
gateway_count(const Gateway *gateway, Size *n)
{
	Size	   *until = MemoryContextAllocExtended(CurrentMemoryContext, ((Size) gateway->nnames + 1) * sizeof(Size),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint32	   *keys = MemoryContextAllocHuge(CurrentMemoryContext, (gateway->nwatched + 1) * sizeof(uint32));
	Size		different = gateway->ncounted;
	Counted    *counted;

	/* the log by name: where the keys of each begin, and, when they are there, end */
	for (Size i = 0; i < gateway->nwatched; i++)
	{
		CHECK_FOR_INTERRUPTS();
		until[gateway->watched[i].name + 1]++;
	}
	for (uint32 i = 0; i < gateway->nnames; i++)
		until[i + 1] += until[i];
	for (Size i = 0; i < gateway->nwatched; i++)
	{
		CHECK_FOR_INTERRUPTS();
		keys[until[gateway->watched[i].name]++] = gateway->watched[i].key;
	}
	for (uint32 i = 0; i < gateway->nnames; i++)
	{
		Size		from = i > 0 ? until[i - 1] : 0;

		sort_keys(keys + from, until[i] - from);
		for (Size k = from; k < until[i]; k++)
			different += k == from || keys[k] != keys[k - 1];
	}

	counted = MemoryContextAllocHuge(CurrentMemoryContext, (different + 1) * sizeof(Counted));
	*n = 0;
	for (uint32 i = 0; i < gateway->nnames; i++)
		for (Size k = i > 0 ? until[i - 1] : 0; k < until[i]; k++)
		{
			CHECK_FOR_INTERRUPTS();
			if (*n == 0 || counted[*n - 1].name != i || counted[*n - 1].key != keys[k])
				counted[(*n)++] = (Counted) {i, keys[k], 0};
			counted[*n - 1].customers++;
		}
	pfree(keys);
	pfree(until);
	if (gateway->ncounted > 0)
	{
		memcpy(counted + *n, gateway->counted, gateway->ncounted * sizeof(Counted));
		*n = merge_counted(counted, *n + gateway->ncounted);
	}
	return counted;
}

/* ---------- the aggregate gateway ---------- */

PG_FUNCTION_INFO_V1(rfm_gateway_accum);
PG_FUNCTION_INFO_V1(rfm_gateway_combine);
PG_FUNCTION_INFO_V1(rfm_gateway_serialize);
PG_FUNCTION_INFO_V1(rfm_gateway_deserialize);
PG_FUNCTION_INFO_V1(rfm_gateway_final);
PG_FUNCTION_INFO_V1(rfm_gateway_state_accum);
PG_FUNCTION_INFO_V1(rfm_gateway_state_final);

/* Whether a text is this string. */
static inline bool
text_is(const text *value, const char *string, uint32 length)
{
	return VARSIZE_ANY_EXHDR(value) == length && memcmp(VARDATA_ANY(value), string, length) == 0;
}

/* An argument that is a sum of money; NULL is none. */
static inline int128
money_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? 0 : money_sum_from_datum(PG_GETARG_DATUM(argument));
}

/* Refuses rows, or states, of one aggregate with different minimums. */
static void
check_minimum(const Gateway *gateway, int64 minimum)
{
	if (unlikely(gateway->minimum != minimum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("minimum changes between rows"),
				 errhint("Give the same minimum for all rows of an aggregate, best as a constant.")));
}

/* Transition: adds a customer. */
Datum
rfm_gateway_accum(PG_FUNCTION_ARGS)
{
	Gateway    *gateway = PG_ARGISNULL(0) ? NULL : (Gateway *) PG_GETARG_POINTER(0);
	int64		minimum = PG_ARGISNULL(MINIMUM_ARG) ? 1 : PG_GETARG_INT64(MINIMUM_ARG);
	text	   *name_text;
	uint32		number;
	NameSums   *name;
	int128		revenue;
	int128		revenue_after;

	if (gateway == NULL)
		gateway = gateway_new(aggregate_state_context(fcinfo), minimum);
	check_minimum(gateway, minimum);
	if (PG_ARGISNULL(NAME_ARG))
		PG_RETURN_POINTER(gateway);

	name_text = PG_GETARG_TEXT_PP(NAME_ARG);
	number = gateway_name(gateway, VARDATA_ANY(name_text), VARSIZE_ANY_EXHDR(name_text));
	name = &gateway->names[number];
	revenue = money_argument(fcinfo, REVENUE_ARG);
	revenue_after = money_argument(fcinfo, REVENUE_AFTER_ARG);
	name->customers++;
	name->revenue += revenue;
	square_sum_add(&name->revenue_squares, revenue);
	name->revenue_after += revenue_after;
	square_sum_add(&name->revenue_after_squares, revenue_after);
	if (!PG_ARGISNULL(STAGE_ARG))
	{
		text	   *stage = PG_GETARG_TEXT_PP(STAGE_ARG);

		if (text_is(stage, "vip", 3))
		{
			name->vip_customers++;
			name->vip_revenue += revenue;
		}
		else if (text_is(stage, "promising", 9))
			name->promising_customers++;
	}
	if (!PG_ARGISNULL(DAYS_ARG) && !PG_ARGISNULL(EVENT_ARG))
		gateway_log(gateway, number, Min(survival_key(PG_GETARG_INT32(DAYS_ARG), PG_GETARG_BOOL(EVENT_ARG)), MAX_KEYS - 1));
	PG_RETURN_POINTER(gateway);
}

/* Combine: adds the names and the log of the second state to the first. */
Datum
rfm_gateway_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_state_context(fcinfo);
	Gateway    *a = PG_ARGISNULL(0) ? NULL : (Gateway *) PG_GETARG_POINTER(0);
	const Gateway *b = PG_ARGISNULL(1) ? NULL : (Gateway *) PG_GETARG_POINTER(1);
	uint32	   *numbers;

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL)
		a = gateway_new(context, b->minimum);
	check_minimum(a, b->minimum);
	numbers = MemoryContextAllocHuge(CurrentMemoryContext, (Size) b->nnames * sizeof(uint32));
	for (uint32 i = 0; i < b->nnames; i++)
	{
		const NameSums *other = &b->names[i];
		uint32		length;
		const char *bytes = id_bytes(&b->heap, other->id, &length);
		NameSums   *name;

		CHECK_FOR_INTERRUPTS();
		numbers[i] = gateway_name(a, bytes, length);
		name = &a->names[numbers[i]];
		/* only bytes that were changed overflow */
		if (__builtin_add_overflow(name->customers, other->customers, &name->customers) ||
			__builtin_add_overflow(name->vip_customers, other->vip_customers, &name->vip_customers) ||
			__builtin_add_overflow(name->promising_customers, other->promising_customers, &name->promising_customers) ||
			__builtin_add_overflow(name->vip_revenue, other->vip_revenue, &name->vip_revenue) ||
			__builtin_add_overflow(name->revenue, other->revenue, &name->revenue) ||
			__builtin_add_overflow(name->revenue_after, other->revenue_after, &name->revenue_after))
			rfm_corrupt("gateway");
		square_sum_merge(&name->revenue_squares, &other->revenue_squares);
		square_sum_merge(&name->revenue_after_squares, &other->revenue_after_squares);
	}
	for (Size i = 0; i < b->nwatched; i++)
	{
		CHECK_FOR_INTERRUPTS();
		gateway_log(a, numbers[b->watched[i].name], b->watched[i].key);
	}
	for (Size i = 0; i < b->ncounted; i++)
	{
		CHECK_FOR_INTERRUPTS();
		gateway_add_count(a, (Counted) {numbers[b->counted[i].name], b->counted[i].key, b->counted[i].customers});
	}
	/* however many states come, there are few counts */
	if (a->ncounted > Max(65536, 2 * a->nmerged))
		a->ncounted = a->nmerged = merge_counted(a->counted, a->ncounted);
	pfree(numbers);
	PG_RETURN_POINTER(a);
}

/* Serialise: header, names, the number of counts of each, counts, bytes of the names. */
Datum
rfm_gateway_serialize(PG_FUNCTION_ARGS)
{
	const Gateway *gateway = (Gateway *) PG_GETARG_POINTER(0);
	GatewayHeader header = {0};
	Size		names_size = (Size) gateway->nnames * sizeof(NameSums);
	Size		n;
	Counted    *counted = gateway_count(gateway, &n);
	Size		nsent = 0;
	Size		size;
	bytea	   *result;
	char	   *next;
	uint32	   *number;
	SentCount  *sent;

	for (Size i = 0; i < n; i++)
		nsent += (counted[i].customers - 1) / PG_UINT32_MAX + 1;
	size = VARHDRSZ + sizeof(header) + names_size + (Size) gateway->nnames * sizeof(uint32) + nsent * sizeof(SentCount) + gateway->heap.used;
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a parallel worker holds more than 1 GB of names and days"),
				 errhint("SET max_parallel_workers_per_gather = 0.")));
	header.minimum = gateway->minimum;
	header.ncounted = nsent;
	header.heap_used = gateway->heap.used;
	header.nnames = gateway->nnames;

	result = palloc(size);
	SET_VARSIZE(result, size);
	next = VARDATA(result);
	memcpy(next, &header, sizeof(header));
	next += sizeof(header);
	memcpy(next, gateway->names, names_size);
	next += names_size;
	number = (uint32 *) next;
	memset(number, 0, (Size) gateway->nnames * sizeof(uint32));
	sent = (SentCount *) (number + gateway->nnames);
	for (Size i = 0; i < n; i++)
	{
		int64		left = counted[i].customers;

		CHECK_FOR_INTERRUPTS();
		for (; left > 0; left -= PG_UINT32_MAX)
		{
			number[counted[i].name]++;
			*sent++ = (SentCount) {counted[i].key, (uint32) Min(left, PG_UINT32_MAX)};
		}
	}
	if (gateway->heap.used > 0)
		memcpy(sent, gateway->heap.data, gateway->heap.used);
	pfree(counted);
	PG_RETURN_BYTEA_P(result);
}

/* Deserialise: a state that combine and final only read.  Trusts nothing. */
Datum
rfm_gateway_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	const char *next = VARDATA_ANY(bytes);
	Size		size = VARSIZE_ANY_EXHDR(bytes);
	Gateway    *gateway = palloc0(sizeof(Gateway));
	GatewayHeader header;
	const char *number;
	const char *sent;

	if (size < sizeof(header))
		rfm_corrupt("gateway");
	memcpy(&header, next, sizeof(header));
	next += sizeof(header);
	size -= sizeof(header);
	if (header.nnames > size / sizeof(NameSums) || header.ncounted > size / sizeof(SentCount) ||
		header.heap_used > size ||
		header.nnames * (sizeof(NameSums) + sizeof(uint32)) + header.ncounted * sizeof(SentCount) + header.heap_used != size)
		rfm_corrupt("gateway");

	gateway->minimum = header.minimum;
	gateway->nnames = gateway->max_names = header.nnames;
	/* copied, because they must be aligned */
	gateway->names = memcpy(palloc(size), next, size);
	number = (char *) (gateway->names + gateway->nnames);
	sent = number + gateway->nnames * sizeof(uint32);
	gateway->heap.data = (char *) sent + header.ncounted * sizeof(SentCount);
	gateway->heap.used = gateway->heap.capacity = header.heap_used;
	gateway->heap.fixed = true;
	for (uint32 i = 0; i < gateway->nnames; i++)
	{
		uint32		length;
		const char *name;

		CHECK_FOR_INTERRUPTS();
		if (!id_is_valid(&gateway->heap, gateway->names[i].id, ID_TEXT))
			rfm_corrupt("gateway");
		name = id_bytes(&gateway->heap, gateway->names[i].id, &length);
		if (!pg_verifymbstr(name, length, true))
			rfm_corrupt("gateway");
	}
	gateway->counted = MemoryContextAllocHuge(CurrentMemoryContext, (header.ncounted + 1) * sizeof(Counted));
	gateway->max_counted = header.ncounted + 1;
	for (uint32 i = 0; i < gateway->nnames; i++)
		for (uint32 k = 0; k < ((const uint32 *) number)[i]; k++)
		{
			const SentCount *count = (const SentCount *) sent + gateway->ncounted;

			CHECK_FOR_INTERRUPTS();
			if (gateway->ncounted == header.ncounted || count->key >= MAX_KEYS || count->customers == 0)
				rfm_corrupt("gateway");
			gateway->counted[gateway->ncounted++] = (Counted) {i, count->key, count->customers};
		}
	if (gateway->ncounted != header.ncounted)
		rfm_corrupt("gateway");
	PG_RETURN_POINTER(gateway);
}

/* ---------- the result ---------- */

/* A name that is returned, and its part of the counts. */
typedef struct Output
{
	const NameSums *name;
	const char *bytes;
	uint32		length;
	const Counted *counted;
	Size		ncounted;
} Output;

/* By the bytes of the names. */
static int
compare_outputs(const void *a, const void *b)
{
	const Output *x = a;
	const Output *y = b;
	int			cmp = memcmp(x->bytes, y->bytes, Min(x->length, y->length));

	CHECK_FOR_INTERRUPTS();
	return cmp != 0 ? cmp : (x->length > y->length) - (x->length < y->length);
}

/* Appends a name to the result. */
static void
add_row(RowArray *array, const Output *output)
{
	const NameSums *name = output->name;
	bool		has_vips = name->vip_customers > 0;
	Datum		rate[4] = {0};
	bool		no_rate[4] = {true, true, true, true};
	Datum		values[] = {
		PointerGetDatum(cstring_to_text_with_len(output->bytes, output->length)),
		Int64GetDatum(name->customers), Int64GetDatum(name->vip_customers), Int64GetDatum(name->promising_customers),
		has_vips ? NumericGetDatum(money_to_numeric(name->vip_revenue)) : (Datum) 0,
		NumericGetDatum(money_to_numeric(name->revenue)),
		NumericGetDatum(square_sum_to_numeric(&name->revenue_squares)),
		NumericGetDatum(money_to_numeric(name->revenue_after)),
		NumericGetDatum(square_sum_to_numeric(&name->revenue_after_squares)),
		0, 0, 0
	};
	bool		nulls[lengthof(values)] = {[4] = !has_vips};

	if (output->ncounted > 0)
	{
		uint32		keys[MAX_KEYS];
		int64		customers[MAX_KEYS];
		struct varlena *survival;

		for (Size i = 0; i < output->ncounted; i++)
		{
			keys[i] = output->counted[i].key;
			customers[i] = output->counted[i].customers;
		}
		survival = survival_from_counts(keys, customers, output->ncounted);
		survival_rate(survival, AT_DAYS, CONFIDENCE, rate, no_rate);
		pfree(survival);
	}
	for (int i = 0; i < 3; i++)
	{
		values[9 + i] = rate[i];
		nulls[9 + i] = no_rate[i];
	}
	row_array_add(array, values, nulls, "Give a greater minimum.");
	for (int i = 0; i < 9; i++)
		if ((i < 1 || i > 3) && !nulls[i])
			pfree(DatumGetPointer(values[i]));
}

/* Final: the names with enough customers, in order; NULL without any.  The state stays as it is. */
Datum
rfm_gateway_final(PG_FUNCTION_ARGS)
{
	const Gateway *gateway = PG_ARGISNULL(0) ? NULL : (Gateway *) PG_GETARG_POINTER(0);
	Output	   *outputs;
	Counted    *counted;
	Size		ncounted;
	Size		at = 0;
	uint32		n = 0;
	RowArray	array;

	if (gateway == NULL)
		PG_RETURN_NULL();
	outputs = MemoryContextAllocHuge(CurrentMemoryContext, ((Size) gateway->nnames + 1) * sizeof(Output));
	counted = gateway_count(gateway, &ncounted);
	for (uint32 i = 0; i < gateway->nnames; i++)
	{
		const NameSums *name = &gateway->names[i];
		Size		from = at;

		CHECK_FOR_INTERRUPTS();
		while (at < ncounted && counted[at].name == i)
			at++;
		if (name->customers < gateway->minimum)
			continue;
		outputs[n] = (Output) {.name = name,.counted = counted + from,.ncounted = at - from};
		outputs[n].bytes = id_bytes(&gateway->heap, name->id, &outputs[n].length);
		n++;
	}
	if (n == 0)
		PG_RETURN_NULL();
	qsort(outputs, n, sizeof(Output), compare_outputs);

	row_array_begin(&array, fcinfo);
	for (uint32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_row(&array, &outputs[i]);
	}
	return row_array_result(&array);
}

/* ---------- with the type of its states ---------- */

Datum
rfm_gateway_state_accum(PG_FUNCTION_ARGS)
{
	return aggregate_state_accum(fcinfo, AGGREGATE_GATEWAY, rfm_gateway_accum);
}

Datum
rfm_gateway_state_final(PG_FUNCTION_ARGS)
{
	return aggregate_state_final(fcinfo, AGGREGATE_GATEWAY, rfm_gateway_final);
}
