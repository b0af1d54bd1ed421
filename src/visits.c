/*
 * visits.c
 *	  Sessions of customers after their first order, exact, in one pass over the
 *	  visits in any order.
 *
 * Only whether a session has any visit after a boundary matters, so the
 * boundaries come first: the aggregate visit_boundaries lists when each
 * customer's first order began and ended, and visits_all takes that list as
 * one value.  Most visits lie before the boundary of their customer, or have
 * no customer at all, and never reach the table of sessions.
 *
 * That table is hashed by customer and session together.  Its slots are the
 * entries themselves, 12 bytes each, and stand in the order of their hashes:
 * the table grows, and takes over that of a parallel worker, from front to
 * back.  As in profile_all, rows are read into a small batch, which is applied
 * in steps, each of which prefetches what the next will touch.
 *
 * Of visits at or after as_of only the earliest one of each customer is kept, in
 * an array that is made for the first of them.
 *
 * Memory: 45 to 58 bytes for each customer of the boundaries (8 more when there
 * is a visit at or after as_of), 19 to 38 bytes for each pair of customer and
 * session after the boundary (while the table grows half as much again), and the
 * bytes of uuids and text; beside that the boundaries themselves, 24 bytes each.
 */
#include "rfm.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#define BATCH_VISITS	256		/* rows per batch */
#define AHEAD			16		/* entries to prefetch ahead of a loop */
#define NO_CUSTOMER		0		/* an empty slot; customers count from 1 */
#define MAX_CUSTOMERS	((uint32) 1 << 30)
#define MAX_SESSIONS	((uint32) 1 << 30)
#define RETURNED		((uint32) 1 << 31)
#define MIN_SLOTS_LOG2	10

#define PREFETCH(address) __builtin_prefetch(address)

/* arguments of visits_all, behind the state */
#define CUSTOMER_ARG	1
#define SESSION_ARG		2
#define AT_ARG			3
#define BOUNDARIES_ARG	4
#define AS_OF_ARG		5
#define TIME_ZONE_ARG	6

/* ---------- what the two types hold ---------- */

/* When a customer's first order began and ended. */
typedef struct Boundary
{
	uint64		customer;
	TimestampTz first_order_at;
	TimestampTz first_order_until;
} Boundary;

/* What travels in the flat form, before the boundaries and the bytes of ids. */
typedef struct BoundariesHeader
{
	int32		vl_len_;
	uint8		customer_kind;
	uint32		ncustomers;
	uint64		fingerprint;	/* of the boundaries, in any order */
	int64		heap_used;
} BoundariesHeader;

struct Boundaries
{
	ExpandedObjectHeader eoh;	/* ready for the final function */
	BoundariesHeader header;
	Boundary   *customers;
	uint32		max_customers;
	IdHeap		heap;
	MemoryContext context;		/* everything here */
};

typedef struct Customer
{
	uint64		id;
	TimestampTz first_order_at;
	TimestampTz first_order_until;
	uint32		sessions;		/* with a visit after first_order_at */
	uint32		return_sessions;	/* with a visit after first_order_until */
} Customer;

/* A session of one customer; the id in halves, so that 12 bytes are enough. */
typedef struct Session
{
	uint32		customer;		/* its number, and RETURNED */
	uint32		low;
	uint32		high;
} Session;

/* A slot of the index of customers: empty when customer is NO_CUSTOMER. */
typedef struct CustomerSlot
{
	uint32		hash;
	uint32		customer;
} CustomerSlot;

/* One row. */
typedef struct Visit
{
	uint64		customer;
	uint64		session;		/* a uuid or text: where it starts in the bytes of the batch */
	TimestampTz at;
	uint32		hash;			/* of the customer; after the look-up, of customer and session */
	uint32		number;			/* of the customer */
	uint32		length;			/* of the session's bytes */
	bool		is_next;		/* at or after as_of; has no session */
} Visit;

/*
 * What travels in the flat form and between processes, before customers, their
 * next visits if any, the bytes of their ids, those of the sessions' ids, and
 * sessions.
 */
typedef struct VisitSetHeader
{
	int32		vl_len_;
	uint8		customer_kind;
	uint8		session_kind;
	bool		has_next_visits;
	uint32		ncustomers;
	uint32		nsessions;
	uint64		fingerprint;	/* of the boundaries */
	int64		heap_used;
	int64		session_heap_used;
} VisitSetHeader;

struct VisitSet
{
	ExpandedObjectHeader eoh;	/* ready for the final function */
	VisitSetHeader header;
	Customer   *customers;		/* number i stands at i − 1 */
	TimestampTz *next_visits;	/* of the same, DT_NOEND without; NULL while nobody has one */
	IdHeap		heap;			/* ids of customers */
	CustomerSlot *index;
	uint32		index_mask;		/* number of slots − 1 */
	Session    *sessions;
	uint64		nslots;			/* of sessions */
	int			shift;			/* of a hash, to the slot it belongs in */
	IdHeap		session_heap;
	MemoryContext context;		/* everything here */

	/* how rows become visits */
	TimeReader	at;

	/* visits read but not yet applied */
	IdHeap		batch_bytes;	/* of session ids, not yet hashed */
	IdHeap		batch_heap;
	int			nbatch;
	Visit		batch[BATCH_VISITS];
};

#define BOUNDARIES_HEADER_SIZE MAXALIGN(sizeof(BoundariesHeader))
#define VISITS_HEADER_SIZE MAXALIGN(sizeof(VisitSetHeader))

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "called outside an aggregate");
	return context;
}

/* The type of ids of a kind, as messages name it. */
static Oid
id_type(IdKind kind)
{
	switch (kind)
	{
		case ID_INT2:
			return INT2OID;
		case ID_INT4:
			return INT4OID;
		case ID_INT8:
			return INT8OID;
		case ID_UUID:
			return UUIDOID;
		default:
			return TEXTOID;
	}
}

/* An id as text. */
static char *
id_text(const IdHeap *heap, uint64 word, IdKind kind)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(id_type(kind), &output, &is_varlena);
	return OidOutputFunctionCall(output, id_to_datum(heap, word, kind));
}

/* Where the bytes of an id stand, to be prefetched. */
static inline const char *
id_address(const IdHeap *heap, uint64 word)
{
	return heap->data + (Size) (uint32) word * IDHEAP_GRANULE;
}

/* Refuses what does not fit a datum. */
static void
check_flat_size(Size size, const char *what, const char *hint)
{
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the %s do not fit in 1 GB", what),
				 errhint("%s", hint)));
}

/* Copies memory that may be empty, and returns what comes behind it. */
static char *
put(char *target, const void *source, Size size)
{
	if (size > 0)
		memcpy(target, source, size);
	return target + size;
}

/* Makes flat bytes a heap that does not grow. */
static void
view_heap(IdHeap *heap, char *data, Size used)
{
	memset(heap, 0, sizeof(*heap));
	heap->data = data;
	heap->used = heap->capacity = used;
	heap->fixed = true;
}

/* ---------- visit_boundaries: the aggregate ---------- */

PG_FUNCTION_INFO_V1(rfm_visit_boundaries_accum);
PG_FUNCTION_INFO_V1(rfm_visit_boundaries_combine);
PG_FUNCTION_INFO_V1(rfm_visit_boundaries_serialize);
PG_FUNCTION_INFO_V1(rfm_visit_boundaries_deserialize);
PG_FUNCTION_INFO_V1(rfm_visit_boundaries_final);

Boundaries *
boundaries_new(MemoryContext parent, IdKind customer_kind)
{
	MemoryContext context = AllocSetContextCreate(parent, "rfm visit boundaries", ALLOCSET_DEFAULT_SIZES);
	Boundaries *boundaries = MemoryContextAllocZero(context, sizeof(Boundaries));

	boundaries->context = context;
	boundaries->heap.context = context;
	boundaries->header.customer_kind = customer_kind;
	boundaries->max_customers = 256;
	boundaries->customers = MemoryContextAlloc(context, boundaries->max_customers * sizeof(Boundary));
	return boundaries;
}

/* Starts a state. */
static Boundaries *
boundaries_start(FunctionCallInfo fcinfo)
{
	return boundaries_new(aggregate_context(fcinfo),
						  id_kind(get_fn_expr_argtype(fcinfo->flinfo, CUSTOMER_ARG), "customer_id"));
}

/* Room for this many more boundaries. */
static void
boundaries_reserve(Boundaries *boundaries, uint32 more)
{
	uint64		wanted = (uint64) boundaries->header.ncustomers + more;

	if (wanted <= boundaries->max_customers)
		return;
	if (wanted > MAX_CUSTOMERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("visit_boundaries has more than 1 billion customers"),
				 errhint("Give it one row per customer.")));
	boundaries->max_customers = Max(boundaries->max_customers * 2, (uint32) wanted);
	boundaries->customers = repalloc_huge(boundaries->customers,
										  (Size) boundaries->max_customers * sizeof(Boundary));
}

/* Appends a customer, whose id is in a heap. */
void
boundaries_add(Boundaries *boundaries, const IdHeap *heap, uint64 customer, TimestampTz at, TimestampTz until)
{
	boundaries_reserve(boundaries, 1);
	boundaries->customers[boundaries->header.ncustomers++] = (Boundary)
	{
		id_copy(&boundaries->heap, heap, customer, boundaries->header.customer_kind), at, until
	};
}

/* Transition: appends a customer. */
Datum
rfm_visit_boundaries_accum(PG_FUNCTION_ARGS)
{
	Boundaries *boundaries = PG_ARGISNULL(0) ? boundaries_start(fcinfo) : (Boundaries *) PG_GETARG_POINTER(0);
	Boundary   *boundary;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_POINTER(boundaries);
	if (PG_GETARG_TIMESTAMPTZ(3) < PG_GETARG_TIMESTAMPTZ(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("first_order_until is before first_order_at"),
				 errhint("Give the last and the first line of the first order, as unpack of a profile does.")));
	boundaries_reserve(boundaries, 1);
	boundary = &boundaries->customers[boundaries->header.ncustomers++];
	boundary->customer = id_from_datum(&boundaries->heap, PG_GETARG_DATUM(1), boundaries->header.customer_kind);
	boundary->first_order_at = PG_GETARG_TIMESTAMPTZ(2);
	boundary->first_order_until = PG_GETARG_TIMESTAMPTZ(3);
	PG_RETURN_POINTER(boundaries);
}

/* Combine: appends the customers of the second state. */
Datum
rfm_visit_boundaries_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	Boundaries *a = PG_ARGISNULL(0) ? NULL : (Boundaries *) PG_GETARG_POINTER(0);
	Boundaries *b = PG_ARGISNULL(1) ? NULL : (Boundaries *) PG_GETARG_POINTER(1);

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL)
		a = boundaries_new(context, b->header.customer_kind);
	if (a->header.customer_kind != b->header.customer_kind)
		rfm_corrupt("visit_boundaries");
	boundaries_reserve(a, b->header.ncustomers);
	for (uint32 i = 0; i < b->header.ncustomers; i++)
	{
		Boundary   *boundary = &a->customers[a->header.ncustomers++];

		CHECK_FOR_INTERRUPTS();
		*boundary = b->customers[i];
		boundary->customer = id_copy(&a->heap, &b->heap, boundary->customer, a->header.customer_kind);
	}
	PG_RETURN_POINTER(a);
}

/* Bytes of the flat form. */
static Size
boundaries_flat_size(const Boundaries *boundaries)
{
	Size		size = BOUNDARIES_HEADER_SIZE + (Size) boundaries->header.ncustomers * sizeof(Boundary) +
		boundaries->heap.used;

	check_flat_size(size, "boundaries of visits", "Count the sessions of some of the customers at a time.");
	return size;
}

/* Writes the flat form to memory of boundaries_flat_size bytes. */
static void
boundaries_flatten(const Boundaries *boundaries, char *target, Size size)
{
	BoundariesHeader *header = (BoundariesHeader *) target;

	memset(target, 0, BOUNDARIES_HEADER_SIZE);
	*header = boundaries->header;
	header->heap_used = boundaries->heap.used;
	SET_VARSIZE(header, size);
	target = put(target + BOUNDARIES_HEADER_SIZE, boundaries->customers,
				 (Size) header->ncustomers * sizeof(Boundary));
	put(target, boundaries->heap.data, boundaries->heap.used);
}

/* Reads the flat form: boundaries that point into it. */
static Boundaries *
boundaries_view(const BoundariesHeader *header)
{
	Boundaries *boundaries = palloc0(sizeof(Boundaries));
	char	   *source = (char *) header + BOUNDARIES_HEADER_SIZE;

	boundaries->header = *header;
	boundaries->customers = (Boundary *) source;
	view_heap(&boundaries->heap, source + (Size) header->ncustomers * sizeof(Boundary), header->heap_used);
	return boundaries;
}

/* A flat form that arrived as bytea, which may stand at any multiple of four. */
static void *
aligned_flat(bytea *bytes)
{
	if ((char *) bytes == (char *) MAXALIGN(bytes))
		return bytes;
	return memcpy(palloc(VARSIZE(bytes)), bytes, VARSIZE(bytes));
}

/* Whether bytes from another process are boundaries. */
static bool
boundaries_valid(const BoundariesHeader *header)
{
	Size		size = VARSIZE(header);
	Size		customers_size;
	const Boundaries *boundaries;

	if (size < BOUNDARIES_HEADER_SIZE || !id_kind_is_valid(header->customer_kind))
		return false;
	size -= BOUNDARIES_HEADER_SIZE;
	customers_size = (Size) header->ncustomers * sizeof(Boundary);
	if (customers_size > size || header->heap_used < 0 || (Size) header->heap_used != size - customers_size)
		return false;
	boundaries = boundaries_view(header);
	for (uint32 i = 0; i < header->ncustomers; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!id_is_valid(&boundaries->heap, boundaries->customers[i].customer, header->customer_kind))
			return false;
	}
	return true;
}

/* Serialise: the flat form. */
Datum
rfm_visit_boundaries_serialize(PG_FUNCTION_ARGS)
{
	Boundaries *boundaries = (Boundaries *) PG_GETARG_POINTER(0);
	Size		size = boundaries_flat_size(boundaries);
	char	   *result = palloc(size);

	boundaries_flatten(boundaries, result, size);
	PG_RETURN_BYTEA_P(result);
}

/* Deserialise: boundaries that combine only reads.  Trusts nothing. */
Datum
rfm_visit_boundaries_deserialize(PG_FUNCTION_ARGS)
{
	const BoundariesHeader *header = aligned_flat(PG_GETARG_BYTEA_P(0));

	aggregate_context(fcinfo);
	if (!boundaries_valid(header))
		rfm_corrupt("visit_boundaries");
	PG_RETURN_POINTER(boundaries_view(header));
}

/* A number that tells sets of boundaries apart, in whatever order they stand. */
static uint64
boundaries_fingerprint(const Boundaries *boundaries)
{
	IdKind		kind = boundaries->header.customer_kind;
	uint64		sum = 0;

	for (uint32 i = 0; i < boundaries->header.ncustomers; i++)
	{
		const Boundary *boundary = &boundaries->customers[i];
		uint64		words[3] = {boundary->customer, boundary->first_order_at, boundary->first_order_until};

		CHECK_FOR_INTERRUPTS();
		if (id_kind_in_heap(kind))
		{
			uint32		length;
			const char *bytes = id_bytes(&boundaries->heap, boundary->customer, &length);

			words[0] = hash_bytes_extended((const unsigned char *) bytes, length, 0);
		}
		sum += hash_bytes_extended((const unsigned char *) words, sizeof(words), 0);
	}
	return sum;
}

static Size
boundaries_expanded_size(ExpandedObjectHeader *eoh)
{
	return boundaries_flat_size((Boundaries *) eoh);
}

static void
boundaries_expanded_flatten(ExpandedObjectHeader *eoh, void *result, Size size)
{
	boundaries_flatten((Boundaries *) eoh, result, size);
}

static const ExpandedObjectMethods boundaries_methods = {boundaries_expanded_size, boundaries_expanded_flatten};

/*
 * A pointer to an expanded object, made in the current context, because
 * PostgreSQL 15 flattens and copies a result that it does not find there.
 */
static Datum
expanded_result(ExpandedObjectHeader *eoh, const ExpandedObjectMethods *methods, MemoryContext context)
{
	char	   *pointer = palloc(EXPANDED_POINTER_SIZE);

	if (eoh->eoh_methods == NULL)
		EOH_init_header(eoh, methods, context);
	memcpy(pointer, eoh->eoh_ro_ptr, EXPANDED_POINTER_SIZE);
	return PointerGetDatum(pointer);
}

/* Boundaries that are complete, as a datum. */
Datum
boundaries_result(Boundaries *boundaries)
{
	boundaries->header.fingerprint = boundaries_fingerprint(boundaries);
	return expanded_result(&boundaries->eoh, &boundaries_methods, boundaries->context);
}

/* Final: the state itself; no rows give no customers. */
Datum
rfm_visit_boundaries_final(PG_FUNCTION_ARGS)
{
	Boundaries *boundaries = PG_ARGISNULL(0) ? boundaries_start(fcinfo) : (Boundaries *) PG_GETARG_POINTER(0);

	return boundaries_result(boundaries);
}

/* Boundaries from a datum, expanded or flat. */
static const Boundaries *
boundaries_from_datum(Datum datum)
{
	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return (Boundaries *) DatumGetEOHP(datum);
	return boundaries_view((BoundariesHeader *) PG_DETOAST_DATUM(datum));
}

/*
 * The header of boundaries, without reading all of them.  Only its length may
 * be wrong.
 */
static const BoundariesHeader *
boundaries_header(Datum datum)
{
	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return &((Boundaries *) DatumGetEOHP(datum))->header;
	if (!VARATT_IS_EXTENDED(DatumGetPointer(datum)))
		return (BoundariesHeader *) DatumGetPointer(datum);
	return (BoundariesHeader *) PG_DETOAST_DATUM_SLICE(datum, 0, sizeof(BoundariesHeader) - VARHDRSZ);
}

/* ---------- customers of a visit set ---------- */

/* A set of this many customers, still to be filled in and indexed. */
static VisitSet *
set_new(MemoryContext parent, IdKind customer_kind, IdKind session_kind, uint32 ncustomers, const IdHeap *heap)
{
	MemoryContext context = AllocSetContextCreate(parent, "rfm visits", ALLOCSET_DEFAULT_SIZES);
	VisitSet   *set = MemoryContextAllocZero(context, sizeof(VisitSet));

	set->context = context;
	set->heap.context = context;
	set->session_heap.context = context;
	set->batch_bytes.context = context;
	set->batch_heap.context = context;
	set->header.customer_kind = customer_kind;
	set->header.session_kind = session_kind;
	set->header.ncustomers = ncustomers;
	set->customers = MemoryContextAllocHuge(context, Max((Size) ncustomers, 1) * sizeof(Customer));
	if (heap != NULL && heap->used > 0)
	{
		id_heap_reserve(&set->heap, heap->used);
		memcpy(set->heap.data, heap->data, heap->used);
		set->heap.used = heap->used;
	}
	set->nslots = (uint64) 1 << MIN_SLOTS_LOG2;
	set->shift = 32 - MIN_SLOTS_LOG2;
	set->sessions = MemoryContextAllocZero(context, set->nslots * sizeof(Session));
	return set;
}

/* The number of a customer, or NO_CUSTOMER. */
static uint32
find_customer(const VisitSet *set, uint64 id, uint32 hash, const IdHeap *heap)
{
	for (uint32 slot = hash & set->index_mask;; slot = (slot + 1) & set->index_mask)
	{
		CustomerSlot found = set->index[slot];

		if (found.customer == NO_CUSTOMER)
			return NO_CUSTOMER;
		if (found.hash == hash &&
			id_equal(set->header.customer_kind, &set->heap, set->customers[found.customer - 1].id, heap, id))
			return found.customer;
	}
}

/* The first customer with this hash, nearly always the right one, or NO_CUSTOMER. */
static inline uint32
find_hash(const VisitSet *set, uint32 hash)
{
	for (uint32 slot = hash & set->index_mask;; slot = (slot + 1) & set->index_mask)
	{
		CustomerSlot found = set->index[slot];

		if (found.customer == NO_CUSTOMER || found.hash == hash)
			return found.customer;
	}
}

/* Indexes the customers, at most 5/8 of the slots; refuses one who occurs twice. */
static void
index_customers(VisitSet *set)
{
	IdKind		kind = set->header.customer_kind;
	uint32		n = set->header.ncustomers;
	uint64		slots = 16;

	while (n > slots / 8 * 5)
		slots *= 2;
	set->index = MemoryContextAllocExtended(set->context, slots * sizeof(CustomerSlot),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	set->index_mask = slots - 1;
	for (uint32 i = 0; i < n; i++)
	{
		uint64		id = set->customers[i].id;
		uint32		hash = id_hash(kind, id);
		uint32		slot = hash & set->index_mask;

		CHECK_FOR_INTERRUPTS();
		if (i + AHEAD < n)
			PREFETCH(&set->index[id_hash(kind, set->customers[i + AHEAD].id) & set->index_mask]);
		for (; set->index[slot].customer != NO_CUSTOMER; slot = (slot + 1) & set->index_mask)
			if (set->index[slot].hash == hash &&
				id_equal(kind, &set->heap, set->customers[set->index[slot].customer - 1].id, &set->heap, id))
				ereport(ERROR,
						(errcode(ERRCODE_CARDINALITY_VIOLATION),
						 errmsg("customer_id \"%s\" occurs twice in the boundaries", id_text(&set->heap, id, kind)),
						 errhint("Give visit_boundaries one row per customer.")));
		set->index[slot] = (CustomerSlot) {hash, i + 1};
	}
}

/* ---------- sessions of a visit set ---------- */

/* The hash of a session of a customer. */
static inline uint32
pair_hash(IdKind session_kind, uint32 number, uint64 session)
{
	return id_hash(ID_INT8, (uint64) number << 32 | id_hash(session_kind, session));
}

static inline uint64
session_id(const Session *session)
{
	return (uint64) session->high << 32 | session->low;
}

/* The slot behind this one. */
static inline Session *
next_slot(const VisitSet *set, Session *slot)
{
	return ++slot == set->sessions + set->nslots ? set->sessions : slot;
}

/* Enlarges the table for this many more sessions; it is kept at most 5/8 full. */
static void
sessions_reserve(VisitSet *set, uint32 more)
{
	uint64		wanted = (uint64) set->header.nsessions + more;
	Session    *old = set->sessions;
	uint64		nold = set->nslots;

	if (wanted <= nold / 8 * 5)
		return;
	if (wanted > MAX_SESSIONS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than 1 billion sessions after a first order"),
				 errhint("Count the sessions of some of the customers at a time.")));
	while (wanted > set->nslots / 8 * 5)
	{
		set->nslots *= 2;
		set->shift--;
	}
	set->sessions = MemoryContextAllocExtended(set->context, set->nslots * sizeof(Session),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < nold; i++)
	{
		Session    *slot;

		CHECK_FOR_INTERRUPTS();
		if (old[i].customer == NO_CUSTOMER)
			continue;
		slot = &set->sessions[pair_hash(set->header.session_kind, old[i].customer & ~RETURNED,
										session_id(&old[i])) >> set->shift];
		while (slot->customer != NO_CUSTOMER)
			slot = next_slot(set, slot);
		*slot = old[i];
	}
	pfree(old);
}

/* Takes note of a session of a customer.  There is room in the table. */
static inline void
note_session(VisitSet *set, uint32 number, uint64 session, uint32 hash, const IdHeap *heap, bool returned)
{
	IdKind		kind = set->header.session_kind;
	Customer   *customer = &set->customers[number - 1];
	Session    *slot = &set->sessions[hash >> set->shift];

	for (; slot->customer != NO_CUSTOMER; slot = next_slot(set, slot))
	{
		if ((slot->customer & ~RETURNED) != number ||
			!id_equal(kind, &set->session_heap, session_id(slot), heap, session))
			continue;
		if (returned && !(slot->customer & RETURNED))
		{
			slot->customer |= RETURNED;
			customer->return_sessions++;
		}
		return;
	}
	session = id_copy(&set->session_heap, heap, session, kind);
	slot->customer = returned ? number | RETURNED : number;
	slot->low = (uint32) session;
	slot->high = (uint32) (session >> 32);
	set->header.nsessions++;
	customer->sessions++;
	customer->return_sessions += returned;
}

/* Takes note of a visit at or after as_of. */
static void
note_next_visit(VisitSet *set, uint32 number, TimestampTz at)
{
	uint32		n = set->header.ncustomers;

	if (!set->header.has_next_visits)
	{
		set->next_visits = MemoryContextAllocHuge(set->context, n * sizeof(TimestampTz));
		for (uint32 i = 0; i < n; i++)
			set->next_visits[i] = DT_NOEND;
		set->header.has_next_visits = true;
	}
	set->next_visits[number - 1] = Min(set->next_visits[number - 1], at);
}

/* Prefetches the bytes of the session id that note_session will compare. */
static inline void
prefetch_session(const VisitSet *set, const Visit *visit)
{
	for (Session *slot = &set->sessions[visit->hash >> set->shift]; slot->customer != NO_CUSTOMER; slot = next_slot(set, slot))
	{
		if ((slot->customer & ~RETURNED) == visit->number && slot->high == (uint32) (visit->session >> 32))
		{
			PREFETCH(id_address(&set->session_heap, session_id(slot)));
			return;
		}
	}
}

/* Applies the visits of the batch. */
static void
apply_batch(VisitSet *set)
{
	IdKind		session_kind = set->header.session_kind;
	bool		customers_in_heap = id_kind_in_heap(set->header.customer_kind);
	Visit	   *batch = set->batch;
	int			n = set->nbatch;
	int			kept;

	if (n == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < n; i++)
		PREFETCH(&set->index[batch[i].hash & set->index_mask]);

	/* of known customers */
	kept = 0;
	for (int i = 0; i < n; i++)
	{
		uint32		number = find_hash(set, batch[i].hash);

		if (number == NO_CUSTOMER)
			continue;
		PREFETCH(&set->customers[number - 1]);
		batch[kept] = batch[i];
		batch[kept++].number = number;
	}
	n = kept;
	if (customers_in_heap)
		for (int i = 0; i < n; i++)
			PREFETCH(id_address(&set->heap, set->customers[batch[i].number - 1].id));

	/* after the boundary */
	sessions_reserve(set, n);
	kept = 0;
	for (int i = 0; i < n; i++)
	{
		Visit	   *visit = &batch[i];

		if (unlikely(!id_equal(set->header.customer_kind, &set->heap, set->customers[visit->number - 1].id,
							   &set->batch_heap, visit->customer)))
		{
			/* two ids with one hash */
			visit->number = find_customer(set, visit->customer, visit->hash, &set->batch_heap);
			if (visit->number == NO_CUSTOMER)
				continue;
		}
		if (unlikely(visit->is_next))
		{
			note_next_visit(set, visit->number, visit->at);
			continue;
		}
		if (visit->at <= set->customers[visit->number - 1].first_order_at)
			continue;
		if (id_kind_in_heap(session_kind))
			visit->session = id_from_bytes(&set->batch_heap, set->batch_bytes.data + visit->session, visit->length);
		visit->hash = pair_hash(session_kind, visit->number, visit->session);
		PREFETCH(&set->sessions[visit->hash >> set->shift]);
		batch[kept++] = *visit;
	}
	n = kept;
	if (id_kind_in_heap(session_kind))
		for (int i = 0; i < n; i++)
			prefetch_session(set, &batch[i]);

	for (int i = 0; i < n; i++)
		note_session(set, batch[i].number, batch[i].session, batch[i].hash, &set->batch_heap,
					 batch[i].at > set->customers[batch[i].number - 1].first_order_until);
	set->nbatch = 0;
	set->batch_bytes.used = 0;
	set->batch_heap.used = 0;
}

/* ---------- visits_all: the aggregate ---------- */

PG_FUNCTION_INFO_V1(rfm_visits_all_accum);
PG_FUNCTION_INFO_V1(rfm_visits_all_combine);
PG_FUNCTION_INFO_V1(rfm_visits_all_serialize);
PG_FUNCTION_INFO_V1(rfm_visits_all_deserialize);
PG_FUNCTION_INFO_V1(rfm_visits_all_final);

pg_noreturn static void
boundaries_change(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("boundaries change between rows"),
			 errhint("Give the same boundaries for all visits of an aggregate, for example as a scalar sub-select.")));
}

/* Starts a state with the boundaries given, NULL for none. */
static VisitSet *
start(FunctionCallInfo fcinfo, const Boundaries *boundaries)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	IdKind		customer_kind = id_kind(get_fn_expr_argtype(flinfo, CUSTOMER_ARG), "customer_id");
	IdKind		session_kind = id_kind(get_fn_expr_argtype(flinfo, SESSION_ARG), "session_id");
	uint32		n = boundaries ? boundaries->header.ncustomers : 0;
	VisitSet   *set;
	MemoryContext old;

	if (boundaries && boundaries->header.customer_kind != customer_kind)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("customer_id has type %s in the visits and %s in the boundaries",
						format_type_be(id_type(customer_kind)),
						format_type_be(id_type(boundaries->header.customer_kind))),
				 errhint("Cast one to the type of the other.")));
	set = set_new(aggregate_context(fcinfo), customer_kind, session_kind, n, boundaries ? &boundaries->heap : NULL);
	old = MemoryContextSwitchTo(set->context);
	time_reader_init(&set->at, get_fn_expr_argtype(flinfo, AT_ARG), "visited_at");
	MemoryContextSwitchTo(old);
	for (uint32 i = 0; i < n; i++)
	{
		const Boundary *boundary = &boundaries->customers[i];

		set->customers[i] = (Customer) {boundary->customer, boundary->first_order_at, boundary->first_order_until, 0, 0};
	}
	set->header.fingerprint = boundaries ? boundaries->header.fingerprint : 0;
	index_customers(set);
	return set;
}

/* Appends bytes of a session id to those of the batch. */
static void
add_bytes(VisitSet *set, Visit *visit, const void *bytes, uint32 length)
{
	IdHeap	   *heap = &set->batch_bytes;

	id_heap_reserve(heap, length);
	if (length > 0)
		memcpy(heap->data + heap->used, bytes, length);
	visit->session = heap->used;
	visit->length = length;
	heap->used += length;
}

/*
 * The session of a visit.  Bytes are kept as they are and become an id only
 * when the visit turns out to count: most do not, and need no hash.
 */
static void
read_session(VisitSet *set, Visit *visit, Datum session)
{
	struct varlena *text;

	switch (set->header.session_kind)
	{
		case ID_UUID:
			add_bytes(set, visit, DatumGetUUIDP(session)->data, UUID_LEN);
			break;
		case ID_TEXT:
			text = PG_DETOAST_DATUM_PACKED(session);
			add_bytes(set, visit, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
			if ((Pointer) text != DatumGetPointer(session))
				pfree(text);
			break;
		default:
			visit->session = id_from_datum(NULL, session, set->header.session_kind);
	}
}

/*
 * Transition: reads the visit into the batch, which is applied when full.  The
 * boundaries are read in the first row; later rows must give the same ones,
 * which their number and fingerprint tell.
 */
Datum
rfm_visits_all_accum(PG_FUNCTION_ARGS)
{
	VisitSet   *set;
	Visit	   *visit;

	if (PG_ARGISNULL(BOUNDARIES_ARG))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("boundaries is NULL"),
				 errhint("Compute it with rfm.visit_boundaries.")));
	if (PG_ARGISNULL(0))
		set = start(fcinfo, boundaries_from_datum(PG_GETARG_DATUM(BOUNDARIES_ARG)));
	else
	{
		const BoundariesHeader *header = boundaries_header(PG_GETARG_DATUM(BOUNDARIES_ARG));

		set = (VisitSet *) PG_GETARG_POINTER(0);
		if (unlikely(header->fingerprint != set->header.fingerprint ||
					 header->ncustomers != set->header.ncustomers))
			boundaries_change();
	}
	if (PG_ARGISNULL(CUSTOMER_ARG) || PG_ARGISNULL(SESSION_ARG) || PG_ARGISNULL(AT_ARG))
		PG_RETURN_POINTER(set);

	visit = &set->batch[set->nbatch];
	visit->at = time_read(&set->at, PG_GETARG_DATUM(AT_ARG),
						  PG_ARGISNULL(TIME_ZONE_ARG) ? NULL : PG_GETARG_TEXT_PP(TIME_ZONE_ARG));
	visit->is_next = !PG_ARGISNULL(AS_OF_ARG) && visit->at >= PG_GETARG_TIMESTAMPTZ(AS_OF_ARG);
	if (TIMESTAMP_NOT_FINITE(visit->at))
	{
		/* never comes due */
		if (visit->is_next)
			PG_RETURN_POINTER(set);
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("visited_at is infinite"),
				 errhint("Correct the visits, or leave them out in the view that visits names.")));
	}
	visit->customer = id_from_datum(&set->batch_heap, PG_GETARG_DATUM(CUSTOMER_ARG), set->header.customer_kind);
	visit->hash = id_hash(set->header.customer_kind, visit->customer);
	if (!visit->is_next)
		read_session(set, visit, PG_GETARG_DATUM(SESSION_ARG));
	if (++set->nbatch == BATCH_VISITS)
		apply_batch(set);
	PG_RETURN_POINTER(set);
}

/*
 * For each customer of another set the number in this one, or NULL when the
 * numbers agree, as they do unless the workers computed the boundaries each.
 */
static uint32 *
customer_numbers(const VisitSet *set, const VisitSet *other)
{
	IdKind		kind = set->header.customer_kind;
	uint32		n = set->header.ncustomers;
	uint32		same = 0;
	uint32	   *numbers;

	if (other->header.ncustomers != n || other->header.fingerprint != set->header.fingerprint)
		boundaries_change();
	while (same < n && id_equal(kind, &set->heap, set->customers[same].id, &other->heap, other->customers[same].id))
	{
		CHECK_FOR_INTERRUPTS();
		same++;
	}
	if (same == n)
		return NULL;
	numbers = palloc_extended(n * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < n; i++)
	{
		uint64		id = other->customers[i].id;

		CHECK_FOR_INTERRUPTS();
		numbers[i] = find_customer(set, id, id_hash(kind, id), &other->heap);
		if (numbers[i] == NO_CUSTOMER)
			boundaries_change();
	}
	return numbers;
}

/* Takes over the sessions and next visits of another set. */
static void
merge_set(VisitSet *set, const VisitSet *other)
{
	uint32	   *numbers = customer_numbers(set, other);

	/* in the order of their hashes, so there must be room for all */
	sessions_reserve(set, other->header.nsessions);
	for (uint64 i = 0; i < other->nslots; i++)
	{
		const Session *session = &other->sessions[i];
		uint32		number = session->customer & ~RETURNED;
		uint64		id = session_id(session);

		CHECK_FOR_INTERRUPTS();
		if (number == NO_CUSTOMER)
			continue;
		if (numbers)
			number = numbers[number - 1];
		note_session(set, number, id, pair_hash(set->header.session_kind, number, id),
					 &other->session_heap, (session->customer & RETURNED) != 0);
	}
	if (other->header.has_next_visits)
		for (uint32 i = 0; i < other->header.ncustomers; i++)
			if (other->next_visits[i] != DT_NOEND)
				note_next_visit(set, numbers ? numbers[i] : i + 1, other->next_visits[i]);
	if (numbers)
		pfree(numbers);
}

/* Combine: takes the second state, of another worker, over into the first. */
Datum
rfm_visits_all_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	VisitSet   *a = PG_ARGISNULL(0) ? NULL : (VisitSet *) PG_GETARG_POINTER(0);
	VisitSet   *b = PG_ARGISNULL(1) ? NULL : (VisitSet *) PG_GETARG_POINTER(1);

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL)
	{
		a = set_new(context, b->header.customer_kind, b->header.session_kind, b->header.ncustomers, &b->heap);
		a->header.fingerprint = b->header.fingerprint;
		for (uint32 i = 0; i < b->header.ncustomers; i++)
		{
			a->customers[i] = b->customers[i];
			a->customers[i].sessions = a->customers[i].return_sessions = 0;
		}
		index_customers(a);
	}
	if (a->header.customer_kind != b->header.customer_kind || a->header.session_kind != b->header.session_kind)
		rfm_corrupt("visit_set");
	apply_batch(a);
	apply_batch(b);
	merge_set(a, b);
	PG_RETURN_POINTER(a);
}

/* Bytes of the next visits. */
static Size
next_visits_size(const VisitSetHeader *header)
{
	return header->has_next_visits ? (Size) header->ncustomers * sizeof(TimestampTz) : 0;
}

/* Bytes of the flat form. */
static Size
set_flat_size(const VisitSet *set)
{
	Size		size = VISITS_HEADER_SIZE + (Size) set->header.ncustomers * sizeof(Customer) +
		next_visits_size(&set->header) + set->heap.used + set->session_heap.used + (Size) set->header.nsessions * sizeof(Session);

	check_flat_size(size, "sessions of the visits",
					"Set max_parallel_workers_per_gather to 0 and read the result in the same query, or count the sessions of some of the customers at a time.");
	return size;
}

/* Writes the flat form to memory of set_flat_size bytes. */
static void
set_flatten(const VisitSet *set, char *target, Size size)
{
	VisitSetHeader *header = (VisitSetHeader *) target;

	memset(target, 0, VISITS_HEADER_SIZE);
	*header = set->header;
	header->heap_used = set->heap.used;
	header->session_heap_used = set->session_heap.used;
	SET_VARSIZE(header, size);
	target = put(target + VISITS_HEADER_SIZE, set->customers, (Size) header->ncustomers * sizeof(Customer));
	target = put(target, set->next_visits, next_visits_size(header));
	target = put(target, set->heap.data, set->heap.used);
	target = put(target, set->session_heap.data, set->session_heap.used);
	for (uint64 i = 0; i < set->nslots; i++)
		if (set->sessions[i].customer != NO_CUSTOMER)
			target = put(target, &set->sessions[i], sizeof(Session));
}

/* Reads the flat form: a set without index, which points into it. */
static VisitSet *
set_view(const VisitSetHeader *header)
{
	VisitSet   *set = palloc0(sizeof(VisitSet));
	char	   *source = (char *) header + VISITS_HEADER_SIZE;

	set->header = *header;
	set->customers = (Customer *) source;
	source += (Size) header->ncustomers * sizeof(Customer);
	set->next_visits = (TimestampTz *) source;
	source += next_visits_size(header);
	view_heap(&set->heap, source, header->heap_used);
	source += header->heap_used;
	view_heap(&set->session_heap, source, header->session_heap_used);
	source += header->session_heap_used;
	set->sessions = (Session *) source;
	set->nslots = header->nsessions;
	return set;
}

/* Whether bytes from another process are a set. */
static bool
set_valid(const VisitSetHeader *header)
{
	Size		size = VARSIZE(header);
	uint8		has_next_visits;
	Size		arrays_size;
	const VisitSet *set;

	if (size < VISITS_HEADER_SIZE || !id_kind_is_valid(header->customer_kind) || !id_kind_is_valid(header->session_kind))
		return false;
	memcpy(&has_next_visits, &header->has_next_visits, sizeof(has_next_visits));
	if (has_next_visits > 1)
		return false;
	size -= VISITS_HEADER_SIZE;
	arrays_size = (Size) header->ncustomers * sizeof(Customer) + next_visits_size(header) +
		(Size) header->nsessions * sizeof(Session);
	if (arrays_size > size || header->heap_used < 0 || (Size) header->heap_used > size - arrays_size ||
		header->session_heap_used < 0 || (Size) header->session_heap_used != size - arrays_size - header->heap_used)
		return false;
	/* the sessions' ids must be aligned, as those of the customers are */
	if (header->heap_used % IDHEAP_GRANULE != 0 || header->session_heap_used % IDHEAP_GRANULE != 0)
		return false;
	set = set_view(header);
	for (uint32 i = 0; i < header->ncustomers; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!id_is_valid(&set->heap, set->customers[i].id, header->customer_kind))
			return false;
	}
	for (uint32 i = 0; i < header->nsessions; i++)
	{
		const Session *session = &set->sessions[i];
		uint32		number = session->customer & ~RETURNED;

		CHECK_FOR_INTERRUPTS();
		if (number == NO_CUSTOMER || number > header->ncustomers ||
			!id_is_valid(&set->session_heap, session_id(session), header->session_kind))
			return false;
	}
	return true;
}

/* Serialise: the flat form. */
Datum
rfm_visits_all_serialize(PG_FUNCTION_ARGS)
{
	VisitSet   *set = (VisitSet *) PG_GETARG_POINTER(0);
	Size		size;
	char	   *result;

	apply_batch(set);
	size = set_flat_size(set);
	result = palloc(size);
	set_flatten(set, result, size);
	PG_RETURN_BYTEA_P(result);
}

/* Deserialise: a set without index; combine reads it only.  Trusts nothing. */
Datum
rfm_visits_all_deserialize(PG_FUNCTION_ARGS)
{
	const VisitSetHeader *header = aligned_flat(PG_GETARG_BYTEA_P(0));

	aggregate_context(fcinfo);
	if (!set_valid(header))
		rfm_corrupt("visit_set");
	PG_RETURN_POINTER(set_view(header));
}

static Size
set_expanded_size(ExpandedObjectHeader *eoh)
{
	return set_flat_size((VisitSet *) eoh);
}

static void
set_expanded_flatten(ExpandedObjectHeader *eoh, void *result, Size size)
{
	set_flatten((VisitSet *) eoh, result, size);
}

static const ExpandedObjectMethods set_methods = {set_expanded_size, set_expanded_flatten};

/*
 * Final: the customers with their counts; the sessions are done with.  Without
 * a row nothing is known of the boundaries: a set without customers.
 */
Datum
rfm_visits_all_final(PG_FUNCTION_ARGS)
{
	VisitSet   *set = PG_ARGISNULL(0) ? start(fcinfo, NULL) : (VisitSet *) PG_GETARG_POINTER(0);

	apply_batch(set);
	pfree(set->sessions);
	if (set->session_heap.data)
		pfree(set->session_heap.data);
	set->sessions = NULL;
	set->nslots = 0;
	set->header.nsessions = 0;
	memset(&set->session_heap, 0, sizeof(IdHeap));
	return expanded_result(&set->eoh, &set_methods, set->context);
}

/* A set from a datum, expanded or flat. */
const VisitSet *
visit_set_from_datum(Datum datum)
{
	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return (VisitSet *) DatumGetEOHP(datum);
	return set_view((VisitSetHeader *) PG_DETOAST_DATUM(datum));
}

/*
 * What is known of customer number i from 0 on, who has to be this one: of
 * boundaries in the order of some profiles, the visits are in that order, too.
 * Without any visit nothing is known of the customers.
 */
VisitCounts
visit_set_counts(const VisitSet *set, uint32 i, const IdHeap *heap, uint64 customer)
{
	const Customer *found = &set->customers[i];

	if (set->header.ncustomers == 0)
		return (VisitCounts) {0, 0, DT_NOEND};
	if (i >= set->header.ncustomers || !id_equal(set->header.customer_kind, &set->heap, found->id, heap, customer))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the visits are not of the customers of the profiles"),
				 errhint("Give visits_all the visit_boundaries of the same profiles.")));
	return (VisitCounts) {found->sessions, found->return_sessions,
						  set->header.has_next_visits ? set->next_visits[i] : DT_NOEND};
}

PG_FUNCTION_INFO_V1(rfm_count_visits);

/*
 * count_visits(boundaries, query): the visits that a query counts, whose $1 are
 * the boundaries.  As a parameter that the planner may not take for a constant:
 * a constant would travel to the workers as text, digit by digit.
 */
Datum
rfm_count_visits(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	ParamListInfo parameters = makeParamList(1);
	SPIPlanPtr	plan;
	Datum		visits;
	bool		is_null;

	parameters->params[0] = (ParamExternData) {.value = PG_GETARG_DATUM(0), .ptype = type};
	SPI_connect();
	plan = SPI_prepare_cursor(query, 1, &type, CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL || SPI_execute_plan_with_paramlist(plan, parameters, true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1 || SPI_gettypeid(SPI_tuptable->tupdesc, 1) != get_fn_expr_rettype(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" does not count visits", query),
				 errhint("Give a query of one row, with the result of rfm.visits_all.")));
	visits = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	if (!is_null)
		visits = SPI_datumTransfer(visits, false, -1);
	SPI_finish();
	if (is_null)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(visits);
}

/* ---------- the types ---------- */

PG_FUNCTION_INFO_V1(rfm_visit_boundaries_in);
PG_FUNCTION_INFO_V1(rfm_visit_boundaries_out);
PG_FUNCTION_INFO_V1(rfm_visit_boundaries_recv);
PG_FUNCTION_INFO_V1(rfm_visit_boundaries_send);
PG_FUNCTION_INFO_V1(rfm_visit_set_in);
PG_FUNCTION_INFO_V1(rfm_visit_set_out);
PG_FUNCTION_INFO_V1(rfm_visit_set_recv);
PG_FUNCTION_INFO_V1(rfm_visit_set_send);
PG_FUNCTION_INFO_V1(rfm_visit_set_unpack);

/* No input: the values only come from the aggregates. */
pg_noreturn static void
refuse_input(const char *type, const char *aggregate)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot accept a value of type rfm.%s", type),
			 errhint("Compute it with rfm.%s.", aggregate)));
}

/* Binary output is the text output. */
static Datum
send_text(const char *text)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbytes(&buffer, text, strlen(text));
	return PointerGetDatum(pq_endtypsend(&buffer));
}

Datum
rfm_visit_boundaries_in(PG_FUNCTION_ARGS pg_attribute_unused())
{
	refuse_input("visit_boundaries", "visit_boundaries");
}

Datum
rfm_visit_boundaries_recv(PG_FUNCTION_ARGS pg_attribute_unused())
{
	refuse_input("visit_boundaries", "visit_boundaries");
}

/* Output: what it holds, not its bytes. */
Datum
rfm_visit_boundaries_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(psprintf("(%u customers)", boundaries_header(PG_GETARG_DATUM(0))->ncustomers));
}

Datum
rfm_visit_boundaries_send(PG_FUNCTION_ARGS)
{
	return send_text(DatumGetCString(rfm_visit_boundaries_out(fcinfo)));
}

Datum
rfm_visit_set_in(PG_FUNCTION_ARGS pg_attribute_unused())
{
	refuse_input("visit_set", "visits_all");
}

Datum
rfm_visit_set_recv(PG_FUNCTION_ARGS pg_attribute_unused())
{
	refuse_input("visit_set", "visits_all");
}

/* Output: what it holds, not its bytes. */
Datum
rfm_visit_set_out(PG_FUNCTION_ARGS)
{
	const VisitSet *set = visit_set_from_datum(PG_GETARG_DATUM(0));
	uint64		sessions = 0;

	for (uint32 i = 0; i < set->header.ncustomers; i++)
		sessions += set->customers[i].sessions;
	PG_RETURN_CSTRING(psprintf("(%u customers, " UINT64_FORMAT " sessions)", set->header.ncustomers, sessions));
}

Datum
rfm_visit_set_send(PG_FUNCTION_ARGS)
{
	return send_text(DatumGetCString(rfm_visit_set_out(fcinfo)));
}

typedef enum ColumnId
{
	CUSTOMER_ID,
	SESSIONS_AFTER_PURCHASE,
	RETURN_SESSIONS,
	NEXT_VISIT_AT
} ColumnId;

/* The columns there are; InvalidOid stands for an id of the visits' own type. */
static const struct
{
	const char *name;
	Oid			type;
}			columns[] = {
	[CUSTOMER_ID] = {"customer_id", InvalidOid},
	[SESSIONS_AFTER_PURCHASE] = {"sessions_after_purchase", INT8OID},
	[RETURN_SESSIONS] = {"return_sessions", INT8OID},
	[NEXT_VISIT_AT] = {"next_visit_at", TIMESTAMPTZOID},
};

/* Finds what a column of the definition list stands for and checks its type. */
static ColumnId
resolve_column(IdKind customer_kind, Form_pg_attribute attribute)
{
	Oid			type = attribute->atttypid;

	for (int id = 0; id < (int) lengthof(columns); id++)
	{
		const char *name = columns[id].name;
		Oid			expected = columns[id].type;

		if (strcmp(name, NameStr(attribute->attname)) != 0)
			continue;
		if (expected == InvalidOid ? id_kind(type, name) == customer_kind : type == expected && attribute->atttypmod < 0)
			return id;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column %s has type %s in the column definition list", name,
						format_type_with_typemod(type, attribute->atttypmod)),
				 errhint("Declare it as %s.",
						 format_type_be(expected == InvalidOid ? id_type(customer_kind) : expected))));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("a visit_set has no column \"%s\"", NameStr(attribute->attname)),
			 errhint("The columns are customer_id, sessions_after_purchase, return_sessions and next_visit_at.")));
	return 0;					/* not reached */
}

/* unpack(visit_set) → a row per customer of the boundaries. */
Datum
rfm_visit_set_unpack(PG_FUNCTION_ARGS)
{
	const VisitSet *set = visit_set_from_datum(PG_GETARG_DATUM(0));
	IdKind		kind = set->header.customer_kind;
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "rfm unpack row",
													  ALLOCSET_DEFAULT_SIZES);
	TupleDesc	desc;
	ColumnId   *ids;
	Datum	   *values;
	bool	   *nulls;

	unpack_require_list(fcinfo);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	desc = result->setDesc;
	ids = palloc(desc->natts * sizeof(ColumnId));
	values = palloc(desc->natts * sizeof(Datum));
	nulls = palloc0(desc->natts * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
		ids[i] = resolve_column(kind, TupleDescAttr(desc, i));

	for (uint32 row = 0; row < set->header.ncustomers; row++)
	{
		const Customer *customer = &set->customers[row];
		MemoryContext old = MemoryContextSwitchTo(row_context);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < desc->natts; i++)
			switch (ids[i])
			{
				case CUSTOMER_ID:
					values[i] = id_to_datum(&set->heap, customer->id, kind);
					break;
				case SESSIONS_AFTER_PURCHASE:
					values[i] = Int64GetDatum(customer->sessions);
					break;
				case RETURN_SESSIONS:
					values[i] = Int64GetDatum(customer->return_sessions);
					break;
				case NEXT_VISIT_AT:
					nulls[i] = !set->header.has_next_visits || set->next_visits[row] == DT_NOEND;
					if (!nulls[i])
						values[i] = TimestampTzGetDatum(set->next_visits[row]);
					break;
			}
		tuplestore_putvalues(result->setResult, desc, values, nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_context);
	}
	return (Datum) 0;
}
