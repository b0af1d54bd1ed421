/*
 * profile_all.c
 *	  profile_all: the aggregate over the lines of all customers, in one pass
 *	  and in any order.
 *
 * Customers stand in a dense array, their first seen order inline; further
 * orders stand in a second dense array, as a list for each customer.  An index
 * hashed by customer finds the entry; its slots hold the whole hash beside the
 * entry's number, so that a look-up reads no entry but the right one.  What
 * would make this slow is waiting for memory at every row: so rows are read
 * into a small batch, then all their index slots are prefetched, then the
 * entries are looked up and prefetched, and only then the batch is applied,
 * with everything in the cache.
 *
 * A customer with more orders than a list can hold gets his orders indexed
 * too, by customer and order, in a second index shared by all such customers.
 *
 * When the memory allowed is used up, the customers in the upper half of the
 * hash range are dropped and from then on ignored.  The result then says where
 * the next pass has to start, so that each pass does as much as fits.
 *
 * Where the cost of a line is an argument, too, each customer has a ledger
 * besides, in an array of its own: the first month inline, further months in
 * another array, as a list.  Ledger 0 is that of lines without customer.
 *
 * The result is an expanded object, which hands the arrays over without a
 * copy; flattened, it is the arrays one after the other.  Between processes
 * customers travel packed, in a third of the room, because each byte is copied
 * four times on the way.
 */
#include "rfm.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define BATCH_LINES		256		/* rows per batch */
#define LIST_ORDERS		16		/* further orders a list may hold unindexed */
#define HASH_END		(INT64CONST(1) << 32)	/* one beyond the last hash */
#define NO_ENTRY		0		/* an empty slot; entries count from 1 */
#define NO_ORDER		(-2)	/* greatest of an inline order that is not there, or not yet */
#define NOBODY			0		/* the ledger of lines without customer */
#define NO_MONTH		(-(1 << 30))	/* month of a ledger that has none, or not yet */
#define MAX_ENTRIES		((uint32) 1 << 30)
#define MIN_LIMIT		((Size) 1024 * 1024)

#define PREFETCH(address) __builtin_prefetch((address), 1)

typedef struct Customer
{
	uint64		id;
	uint32		lines;			/* purchase lines in the window */
	uint32		nfurther;		/* orders besides the one below */
	Order		order;			/* the order seen first; next: list of further ones */
} Customer;

typedef struct FurtherOrder
{
	Order		order;			/* next: list of the same customer */
	uint64		customer;		/* entry it belongs to */
} FurtherOrder;

/* What a customer's lines brought by month, and when that changes.  Times are DT_NOEND without. */
typedef struct Ledger
{
	TimestampTz window_line_at;
	TimestampTz next_line_at;
	TimestampTz voided_at;		/* the next line to be voided */
	MoneySum	margin_revenue;
	MoneySum	margin_cost;
	LedgerMonth month;			/* the month seen first */
	uint32		further:31;		/* list of further ones */
	uint32		has_margin:1;
} Ledger;

typedef struct FurtherMonth
{
	LedgerMonth month;
	uint32		next;			/* list of the same customer */
} FurtherMonth;

/* What a ledger needs of a line beside the line. */
typedef struct LedgerLine
{
	TimestampTz voided_at;		/* DT_NOEND without */
	int64		cost;
	int32		month;
	bool		has_cost;
} LedgerLine;

/* A slot of an index: empty when entry is NO_ENTRY. */
typedef struct Slot
{
	uint32		hash;
	uint32		entry;
} Slot;

/* An open-addressing index of entry numbers; linear probing. */
typedef struct EntryIndex
{
	Slot	   *slots;
	uint32		mask;			/* number of slots − 1 */
	uint32		used;
} EntryIndex;

/* What travels in the flat form and between processes. */
typedef struct ProfileSetHeader
{
	int32		vl_len_;
	uint8		customer_kind;
	uint8		order_kind;
	uint8		product_kind;
	bool		has_ledgers;
	int64		hash_from;		/* customers with a hash in [from, to) */
	int64		hash_to;
	int64		unassigned_lines;	/* purchase lines without customer, in the window */
	MoneySum	unassigned_revenue;
	uint32		ncustomers;
	uint32		nfurther;
	uint32		nmonths;		/* further ones */
	int64		heap_used;
	TimestampTz window_start;
} ProfileSetHeader;

#define FLAT_HEADER_SIZE MAXALIGN(sizeof(ProfileSetHeader))

struct ProfileSet
{
	ExpandedObjectHeader eoh;	/* ready for the final function */
	ProfileSetHeader header;
	Customer   *customers;		/* entry i stands at i − 1 */
	FurtherOrder *further;
	Ledger	   *ledgers;		/* NULL without; entry i stands at i */
	FurtherMonth *months;
	uint32		max_customers;
	uint32		max_further;
	uint32		max_months;
	IdHeap		heap;
	EntryIndex		customer_index;
	EntryIndex		order_index;	/* orders of customers with many */
	Size		limit;			/* bytes allowed */
	MemoryContext context;		/* everything here */

	/* a state from another process: its customers, packed; else NULL */
	const char *packed;
	const char *packed_end;

	/* lines read but not yet applied */
	LineReader	reader;
	IdHeap		batch_heap;
	int			nbatch;
	Line		batch[BATCH_LINES];
	AmountKind	cost_kind;
	LedgerLine	ledger_batch[BATCH_LINES];
};

/* Enlarges an array to this many elements. */
#define ENLARGE(array, n) \
	((array) = memory_large_pages(repalloc_huge(array, (Size) (n) * sizeof(*(array))), (Size) (n) * sizeof(*(array))))

/* ---------- index ---------- */

static void
index_init(EntryIndex *index, MemoryContext context, uint32 slots)
{
	Size		size = (Size) slots * sizeof(Slot);

	index->slots = memory_large_pages(MemoryContextAllocHuge(context, size), size);
	memset(index->slots, 0, size);
	index->mask = slots - 1;
	index->used = 0;
}

/* Enters a number known to be new. */
static inline void
index_add(EntryIndex *index, uint32 hash, uint32 entry)
{
	uint32		slot = hash & index->mask;

	while (index->slots[slot].entry != NO_ENTRY)
		slot = (slot + 1) & index->mask;
	index->slots[slot] = (Slot) {hash, entry};
	index->used++;
}

/* Whether more entries need a larger index: it is kept at most 5/8 full. */
static inline bool
index_is_short(const EntryIndex *index, uint32 more)
{
	return (uint64) index->used + more > ((uint64) index->mask + 1) / 8 * 5;
}

/* Enlarges an index for this many more entries. */
static void
index_reserve(EntryIndex *index, MemoryContext context, uint32 more)
{
	EntryIndex	old = *index;
	uint32		slots = old.mask + 1;

	if (!index_is_short(index, more))
		return;
	while (index_is_short(index, more))
		index->mask = (slots *= 2) - 1;
	index_init(index, context, slots);
	for (uint32 slot = 0; slot <= old.mask; slot++)
		if (old.slots[slot].entry != NO_ENTRY)
			index_add(index, old.slots[slot].hash, old.slots[slot].entry);
	pfree(old.slots);
}

/* The slot hash of an order of a customer with many orders. */
static inline uint32
order_slot_hash(const ProfileSet *set, uint32 customer, uint64 order)
{
	uint64		mixed = ((uint64) customer << 32) | id_hash(set->header.order_kind, order);

	return id_hash(ID_INT8, mixed);
}

/* Enters an order of a customer with many orders, enlarging the index. */
static void
order_index_add(ProfileSet *set, uint32 entry)
{
	FurtherOrder *further = &set->further[entry - 1];

	if (set->order_index.slots == NULL)
		index_init(&set->order_index, set->context, 1024);
	index_reserve(&set->order_index, set->context, 1);
	index_add(&set->order_index, order_slot_hash(set, further->customer, further->order.id), entry);
}

/* ---------- ledgers ---------- */

/* A ledger without lines. */
static inline void
ledger_init(Ledger *ledger)
{
	memset(ledger, 0, sizeof(*ledger));
	ledger->window_line_at = ledger->next_line_at = ledger->voided_at = DT_NOEND;
	ledger->month.month = NO_MONTH;
}

/* A month of a ledger, made where missing. */
static LedgerMonth *
get_month(ProfileSet *set, uint32 entry, int32 month)
{
	Ledger	   *ledger = &set->ledgers[entry];
	FurtherMonth *further;

	if (ledger->month.month == NO_MONTH)
		ledger->month.month = month;
	if (ledger->month.month == month)
		return &ledger->month;
	for (uint32 i = ledger->further; i != NO_ENTRY; i = set->months[i - 1].next)
		if (set->months[i - 1].month.month == month)
			return &set->months[i - 1].month;

	if (set->header.nmonths == set->max_months)
	{
		set->max_months = Max(set->max_months * 2, 256);
		set->months = set->months ? repalloc_huge(set->months, (Size) set->max_months * sizeof(FurtherMonth)) :
			MemoryContextAlloc(set->context, set->max_months * sizeof(FurtherMonth));
	}
	further = &set->months[set->header.nmonths++];
	memset(further, 0, sizeof(*further));
	further->month.month = month;
	further->next = ledger->further;
	ledger->further = set->header.nmonths;
	return &further->month;
}

/* Adds a line. */
static inline void
ledger_add(ProfileSet *set, uint32 entry, const Line *line, const LedgerLine *more)
{
	Ledger	   *ledger = &set->ledgers[entry];
	LedgerMonth *month;

	ledger->voided_at = Min(ledger->voided_at, more->voided_at);
	if (line->is_next)
	{
		ledger->next_line_at = Min(ledger->next_line_at, line->at);
		return;
	}
	if (line->in_window)
	{
		ledger->window_line_at = Min(ledger->window_line_at, line->at);
		if (more->has_cost && line->amount >= 0)
		{
			ledger->has_margin = true;
			money_sum_add(&ledger->margin_revenue, line->amount);
			money_sum_add(&ledger->margin_cost, more->cost);
		}
	}
	month = get_month(set, entry, more->month);
	month->purchased |= line->amount >= 0;
	money_sum_add(&month->revenue, line->amount);
}

/* Takes over a month of another set. */
static inline void
merge_month(ProfileSet *set, uint32 entry, const LedgerMonth *from)
{
	LedgerMonth *month = get_month(set, entry, from->month);

	month->purchased |= from->purchased;
	money_sum_merge(&month->revenue, &from->revenue);
}

/* Takes over a ledger of another set. */
static void
merge_ledger(ProfileSet *set, uint32 entry, const ProfileSet *other, const Ledger *from)
{
	Ledger	   *ledger = &set->ledgers[entry];

	ledger->window_line_at = Min(ledger->window_line_at, from->window_line_at);
	ledger->next_line_at = Min(ledger->next_line_at, from->next_line_at);
	ledger->voided_at = Min(ledger->voided_at, from->voided_at);
	ledger->has_margin |= from->has_margin;
	money_sum_merge(&ledger->margin_revenue, &from->margin_revenue);
	money_sum_merge(&ledger->margin_cost, &from->margin_cost);
	if (from->month.month == NO_MONTH)
		return;
	merge_month(set, entry, &from->month);
	for (uint32 i = from->further; i != NO_ENTRY; i = other->months[i - 1].next)
		merge_month(set, entry, &other->months[i - 1].month);
}

/* A ledger in the form that can be packed, or NULL when it has no line; the state may move. */
static const LedgerState *
ledger_state(const ProfileSet *set, uint32 entry, LedgerState **state)
{
	const Ledger *ledger = &set->ledgers[entry];

	if (ledger->month.month == NO_MONTH && ledger->next_line_at == DT_NOEND)
		return NULL;
	(*state)->nmonths = 0;
	(*state)->window_line_at = ledger->window_line_at;
	(*state)->next_line_at = ledger->next_line_at;
	(*state)->has_margin = ledger->has_margin;
	(*state)->margin_revenue = ledger->margin_revenue;
	(*state)->margin_cost = ledger->margin_cost;
	if (ledger->month.month != NO_MONTH)
		*ledger_get_month(state, ledger->month.month) = ledger->month;
	for (uint32 i = ledger->further; i != NO_ENTRY; i = set->months[i - 1].next)
		*ledger_get_month(state, set->months[i - 1].month.month) = set->months[i - 1].month;
	return *state;
}

/* ---------- the set ---------- */

/* An empty set of customers with hashes in [from, to), in a context of its own. */
static ProfileSet *
set_new(MemoryContext parent, const ProfileSetHeader *like, int64 hash_from, int64 hash_to, Size limit)
{
	MemoryContext context = AllocSetContextCreate(parent, "rfm profiles", ALLOCSET_DEFAULT_SIZES);
	ProfileSet *set = MemoryContextAllocZero(context, sizeof(ProfileSet));

	set->context = context;
	set->header = *like;
	set->header.hash_from = hash_from;
	set->header.hash_to = hash_to;
	set->header.ncustomers = 0;
	set->header.nfurther = 0;
	set->header.nmonths = 0;
	set->header.heap_used = 0;
	set->limit = limit;
	set->heap.context = context;
	set->batch_heap.context = context;
	set->max_customers = 1024;
	set->customers = MemoryContextAlloc(context, set->max_customers * sizeof(Customer));
	if (like->has_ledgers)
	{
		set->ledgers = MemoryContextAlloc(context, (set->max_customers + 1) * sizeof(Ledger));
		ledger_init(&set->ledgers[NOBODY]);
	}
	set->max_further = 256;
	set->further = MemoryContextAlloc(context, set->max_further * sizeof(FurtherOrder));
	index_init(&set->customer_index, context, 2048);
	return set;
}

/* Bytes in use. */
static Size
set_memory(const ProfileSet *set)
{
	return (Size) set->max_customers * sizeof(Customer) +
		(Size) set->max_further * sizeof(FurtherOrder) +
		(set->ledgers ? ((Size) set->max_customers + 1) * sizeof(Ledger) : 0) +
		(Size) set->max_months * sizeof(FurtherMonth) +
		((Size) set->customer_index.mask + 1) * sizeof(Slot) +
		(set->order_index.slots ? ((Size) set->order_index.mask + 1) * sizeof(Slot) : 0) +
		set->heap.capacity;
}

/* Whether customers have to be given up. */
static inline bool
set_is_too_large(const ProfileSet *set)
{
	return set_memory(set) > set->limit || set->header.ncustomers > MAX_ENTRIES ||
		set->header.nfurther > MAX_ENTRIES || set->header.nmonths > MAX_ENTRIES;
}

/* Bytes of the flat form. */
static Size
set_flat_size(const ProfileSet *set)
{
	return FLAT_HEADER_SIZE + (Size) set->header.ncustomers * sizeof(Customer) +
		(Size) set->header.nfurther * sizeof(FurtherOrder) + set->heap.used +
		(set->header.has_ledgers ? ((Size) set->header.ncustomers + 1) * sizeof(Ledger) : 0) +
		(Size) set->header.nmonths * sizeof(FurtherMonth);
}

/*
 * The first entry from a slot on with this hash, which nearly always is the
 * customer's, or NO_ENTRY; moves the slot behind it.
 */
static inline uint32
next_candidate(const EntryIndex *index, uint32 hash, uint32 *slot)
{
	for (;;)
	{
		Slot		found = index->slots[*slot];

		if (found.entry == NO_ENTRY)
			return NO_ENTRY;
		*slot = (*slot + 1) & index->mask;
		if (found.hash == hash)
			return found.entry;
	}
}

/* Whether an entry is this customer's. */
static inline bool
is_customer(const ProfileSet *set, uint32 entry, uint64 id, const IdHeap *heap)
{
	return id_equal(set->header.customer_kind, &set->heap, set->customers[entry - 1].id, heap, id);
}

/* A new entry for a customer.  There is room in array and index. */
static uint32
add_customer(ProfileSet *set, uint64 id, uint32 hash, const IdHeap *heap)
{
	uint32		entry = ++set->header.ncustomers;
	Customer   *customer = &set->customers[entry - 1];

	memset(customer, 0, offsetof(Customer, order));
	customer->id = id_copy(&set->heap, heap, id, set->header.customer_kind);
	customer->order.next = NO_ENTRY;
	customer->order.greatest = NO_ORDER;
	if (set->ledgers)
		ledger_init(&set->ledgers[entry]);
	index_add(&set->customer_index, hash, entry);
	return entry;
}

/* The entry of a customer, made where missing. */
static uint32
get_customer(ProfileSet *set, uint64 id, uint32 hash, const IdHeap *heap)
{
	uint32		slot = hash & set->customer_index.mask;
	uint32		entry;

	while ((entry = next_candidate(&set->customer_index, hash, &slot)) != NO_ENTRY)
		if (is_customer(set, entry, id, heap))
			return entry;
	return add_customer(set, id, hash, heap);
}

/* Adds a further order to a customer's list, and to the index when it is long. */
static Order *
add_further(ProfileSet *set, uint32 entry, const Order *order)
{
	Customer   *customer = &set->customers[entry - 1];
	FurtherOrder *further;
	uint32		position;

	if (set->header.nfurther == set->max_further)
	{
		set->max_further *= 2;
		ENLARGE(set->further, set->max_further);
	}
	position = ++set->header.nfurther;
	further = &set->further[position - 1];
	further->order = *order;
	further->order.next = customer->order.next;
	further->customer = entry;
	customer->order.next = position;
	customer->nfurther++;

	if (customer->nfurther > LIST_ORDERS + 1)
		order_index_add(set, position);
	else if (customer->nfurther == LIST_ORDERS + 1)
		for (uint32 i = customer->order.next; i != NO_ENTRY; i = set->further[i - 1].order.next)
			order_index_add(set, i);
	return &further->order;
}

/* An order of a customer, made where missing. */
static inline Order *
get_order(ProfileSet *set, uint32 entry, uint64 order_id, const IdHeap *heap)
{
	Customer   *customer = &set->customers[entry - 1];
	IdKind		kind = set->header.order_kind;
	Order		order;

	if (customer->order.greatest == NO_ORDER)
	{
		order_init(&customer->order, id_copy(&set->heap, heap, order_id, kind));
		return &customer->order;
	}
	if (id_equal(kind, &set->heap, customer->order.id, heap, order_id))
		return &customer->order;
	if (customer->nfurther <= LIST_ORDERS)
	{
		for (uint32 i = customer->order.next; i != NO_ENTRY; i = set->further[i - 1].order.next)
			if (id_equal(kind, &set->heap, set->further[i - 1].order.id, heap, order_id))
				return &set->further[i - 1].order;
	}
	else
	{
		uint32		hash = order_slot_hash(set, entry, order_id);
		uint32		slot = hash & set->order_index.mask;
		uint32		candidate;

		while ((candidate = next_candidate(&set->order_index, hash, &slot)) != NO_ENTRY)
		{
			FurtherOrder *further = &set->further[candidate - 1];

			if (further->customer == entry &&
				id_equal(kind, &set->heap, further->order.id, heap, order_id))
				return &further->order;
		}
	}
	order_init(&order, id_copy(&set->heap, heap, order_id, kind));
	return add_further(set, entry, &order);
}

/* Room for this many more customers, in array and index. */
static void
reserve_customers(ProfileSet *set, uint32 more)
{
	if (set->header.ncustomers + more > set->max_customers)
	{
		set->max_customers = Max(set->max_customers * 2, set->header.ncustomers + more);
		ENLARGE(set->customers, set->max_customers);
		if (set->ledgers)
			ENLARGE(set->ledgers, (Size) set->max_customers + 1);
	}
	index_reserve(&set->customer_index, set->context, more);
}

/* Adds purchase lines to a customer's count. */
static inline void
add_lines(Customer *customer, uint32 lines)
{
	if (unlikely(pg_add_u32_overflow(customer->lines, lines, &customer->lines)))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a customer has more than 4 billion lines"),
				 errhint("Look for a placeholder customer_id that stands for many buyers, and map it to NULL.")));
}

/* Makes the inline order of a customer who may stay without one readable: as without lines. */
static void
keep_without_order(Customer *customer)
{
	if (customer->order.greatest != NO_ORDER)
		return;
	order_init(&customer->order, 0);
	customer->order.greatest = NO_ORDER;
}

/* An order of another set with its ids in this one's heap. */
static inline Order
own_order(ProfileSet *set, const Order *from, const IdHeap *heap)
{
	Order		order = *from;

	order.id = id_copy(&set->heap, heap, order.id, set->header.order_kind);
	if (order.has_product)
		order.product = id_copy(&set->heap, heap, order.product, set->header.product_kind);
	return order;
}

/* Takes over a customer of another set who is not in this one. */
static inline uint32
copy_customer(ProfileSet *set, const ProfileSet *other, const Customer *from, uint32 hash)
{
	uint32		entry = add_customer(set, from->id, hash, &other->heap);
	Customer   *customer = &set->customers[entry - 1];

	customer->lines = from->lines;
	if (from->order.greatest == NO_ORDER)
	{
		keep_without_order(customer);
		return entry;
	}
	customer->order = own_order(set, &from->order, &other->heap);
	customer->order.next = NO_ENTRY;
	for (uint32 i = from->order.next; i != NO_ENTRY; i = other->further[i - 1].order.next)
	{
		Order		order = own_order(set, &other->further[i - 1].order, &other->heap);

		add_further(set, entry, &order);
	}
	return entry;
}

/* Takes over what another set knows of a customer of this one. */
static void
merge_customer(ProfileSet *set, uint32 entry, const ProfileSet *other, const Customer *from)
{
	Customer   *customer = &set->customers[entry - 1];

	add_lines(customer, from->lines);
	if (from->order.greatest == NO_ORDER)
	{
		keep_without_order(customer);
		return;
	}
	for (const Order *order = &from->order;;)
	{
		order_merge(get_order(set, entry, order->id, &other->heap), order,
					set->header.product_kind, &set->heap, &other->heap);
		if (order->next == NO_ENTRY)
			break;
		order = &other->further[order->next - 1].order;
	}
}

/* Takes over some customers of another set, BATCH_LINES at most; first: the number of the first, from 0. */
static void
merge_batch(ProfileSet *set, const ProfileSet *other, uint32 first, uint32 n)
{
	EntryIndex *index = &set->customer_index;
	const Customer *from = &other->customers[first];
	uint32		hashes[BATCH_LINES];
	uint32		entries[BATCH_LINES];

	CHECK_FOR_INTERRUPTS();
	reserve_customers(set, n);
	for (uint32 i = 0; i < n; i++)
	{
		hashes[i] = id_hash(set->header.customer_kind, from[i].id);
		PREFETCH(&index->slots[hashes[i] & index->mask]);
		if (from[i].order.next != NO_ENTRY)
			PREFETCH(&other->further[from[i].order.next - 1]);
	}
	for (uint32 i = 0; i < n; i++)
	{
		uint32		slot = hashes[i] & index->mask;

		entries[i] = next_candidate(index, hashes[i], &slot);
		if (entries[i] != NO_ENTRY)
			PREFETCH(&set->customers[entries[i] - 1]);
	}
	for (uint32 i = 0; i < n; i++)
	{
		uint32		entry = entries[i];

		if (hashes[i] >= set->header.hash_to)
			continue;
		/* no customer is in a set twice: who was not found is not among those just added */
		if (entry == NO_ENTRY)
			entry = copy_customer(set, other, &from[i], hashes[i]);
		else
		{
			if (unlikely(!is_customer(set, entry, from[i].id, &other->heap)))
				entry = get_customer(set, from[i].id, hashes[i], &other->heap);
			merge_customer(set, entry, other, &from[i]);
		}
		if (set->ledgers)
			merge_ledger(set, entry, other, &other->ledgers[first + i + 1]);
	}
}

/* Takes over all that another set knows of the customers in this one's range. */
static void
merge_set(ProfileSet *set, const ProfileSet *other)
{
	if (set->ledgers)
		merge_ledger(set, NOBODY, other, &other->ledgers[NOBODY]);
	for (uint32 i = 0; i < other->header.ncustomers; i += BATCH_LINES)
		merge_batch(set, other, i, Min(BATCH_LINES, other->header.ncustomers - i));
}

/*
 * Keeps within the limit: while the set is too large for what is still to
 * come, the upper half of its hash range is given up.  Returns the set, moved.
 */
static ProfileSet *
keep_limit(ProfileSet *set)
{
	while (set_is_too_large(set))
	{
		int64		half = set->header.hash_from + (set->header.hash_to - set->header.hash_from) / 2;
		ProfileSet *smaller;

		if (half == set->header.hash_from || set->header.ncustomers < 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the orders of one customer do not fit in build_memory"),
					 errhint("Raise build_memory, or look for a placeholder customer_id that stands for many buyers.")));
		smaller = set_new(MemoryContextGetParent(set->context), &set->header,
						  set->header.hash_from, half, set->limit);
		smaller->reader = set->reader;
		smaller->reader.at.context = smaller->context;
		smaller->reader.at.zone_name = NULL;
		smaller->cost_kind = set->cost_kind;
		merge_set(smaller, set);
		MemoryContextDelete(set->context);
		set = smaller;
	}
	return set;
}

/* Applies the lines of the batch. */
static void
apply_batch(ProfileSet *set)
{
	EntryIndex *index = &set->customer_index;
	uint32		entries[BATCH_LINES];

	if (set->nbatch == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	reserve_customers(set, set->nbatch);
	for (int i = 0; i < set->nbatch; i++)
		PREFETCH(&index->slots[set->batch[i].hash & index->mask]);
	for (int i = 0; i < set->nbatch; i++)
	{
		const Line *line = &set->batch[i];
		uint32		slot = line->hash & index->mask;

		entries[i] = next_candidate(index, line->hash, &slot);
		if (entries[i] == NO_ENTRY)
			entries[i] = add_customer(set, line->customer, line->hash, &set->batch_heap);
		PREFETCH(&set->customers[entries[i] - 1]);
		PREFETCH((char *) &set->customers[entries[i]] - 1);
		if (set->ledgers)
		{
			PREFETCH(&set->ledgers[entries[i]]);
			PREFETCH((char *) &set->ledgers[entries[i] + 1] - 1);
		}
	}
	for (int i = 0; i < set->nbatch; i++)
	{
		const Line *line = &set->batch[i];
		uint32		entry = entries[i];
		Customer   *customer;

		/* two customers with one hash are rare enough to look up twice */
		if (unlikely(!is_customer(set, entry, line->customer, &set->batch_heap)))
			entry = get_customer(set, line->customer, line->hash, &set->batch_heap);
		customer = &set->customers[entry - 1];
		if (set->ledgers)
			ledger_add(set, entry, line, &set->ledger_batch[i]);
		if (unlikely(line->is_next))
		{
			keep_without_order(customer);
			continue;
		}
		if (line->in_window && line->amount >= 0)
			add_lines(customer, 1);
		order_add(get_order(set, entry, line->order, &set->batch_heap), line,
				  set->header.product_kind, &set->heap, &set->batch_heap);
	}
	set->nbatch = 0;
	set->batch_heap.used = 0;
}

/* ---------- the aggregate ---------- */

PG_FUNCTION_INFO_V1(rfm_profile_all_accum);
PG_FUNCTION_INFO_V1(rfm_profile_all_combine);
PG_FUNCTION_INFO_V1(rfm_profile_all_serialize);
PG_FUNCTION_INFO_V1(rfm_profile_all_deserialize);
PG_FUNCTION_INFO_V1(rfm_profile_all_final);
PG_FUNCTION_INFO_V1(rfm_profile_set_in);
PG_FUNCTION_INFO_V1(rfm_profile_set_out);
PG_FUNCTION_INFO_V1(rfm_profile_set_recv);
PG_FUNCTION_INFO_V1(rfm_profile_set_send);
PG_FUNCTION_INFO_V1(rfm_profile_set_unpack);
PG_FUNCTION_INFO_V1(rfm_profile_set_unpack_visits);
PG_FUNCTION_INFO_V1(rfm_profile_set_boundaries);

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "profile_all called outside an aggregate");
	return context;
}

/*
 * Starts a state.  Arguments behind those of the lines: build_memory in bytes
 * and hash_from, where this pass starts; then cost and voided_at for ledgers.
 */
static ProfileSet *
start(FunctionCallInfo fcinfo)
{
	ProfileSetHeader like = {0};
	Size		limit = SIZE_MAX;
	int64		hash_from = 0;
	ProfileSet *set;
	MemoryContext old;

	if (PG_NARGS() > 9 && !PG_ARGISNULL(9))
	{
		if (PG_GETARG_INT64(9) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("build_memory must be positive"),
					 errhint("Give it in bytes, for example 1073741824.")));
		limit = Max((Size) PG_GETARG_INT64(9), MIN_LIMIT);
	}
	if (PG_NARGS() > 10 && !PG_ARGISNULL(10))
	{
		hash_from = PG_GETARG_INT64(10);
		if (hash_from < 0 || hash_from >= HASH_END)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("hash_from must be between 0 and 4294967295"),
					 errhint("Start with 0, then give the next_hash that unpack returned.")));
	}
	like.has_ledgers = PG_NARGS() > 11;
	set = set_new(aggregate_context(fcinfo), &like, hash_from, HASH_END, limit);
	old = MemoryContextSwitchTo(set->context);
	line_reader_init(&set->reader, fcinfo, true);
	MemoryContextSwitchTo(old);
	set->header.customer_kind = set->reader.customer_kind;
	set->header.order_kind = set->reader.order_kind;
	set->header.product_kind = set->reader.product_kind;
	set->header.window_start = set->reader.window_start;
	if (like.has_ledgers)
		set->cost_kind = money_kind(get_fn_expr_argtype(fcinfo->flinfo, 11));
	return set;
}

/* Reads what a ledger needs of a row beside the line. */
static void
read_ledger_line(ProfileSet *set, FunctionCallInfo fcinfo, const Line *line, LedgerLine *more)
{
	const text *zone = PG_ARGISNULL(8) ? NULL : PG_GETARG_TEXT_PP(8);

	more->has_cost = line->assigned && !PG_ARGISNULL(11);
	more->cost = more->has_cost ? money_from_datum(PG_GETARG_DATUM(11), set->cost_kind) : 0;
	more->voided_at = DT_NOEND;
	if (!PG_ARGISNULL(12) && !PG_ARGISNULL(7) && PG_GETARG_TIMESTAMPTZ(12) >= PG_GETARG_TIMESTAMPTZ(7))
		more->voided_at = PG_GETARG_TIMESTAMPTZ(12);
	if (!line->is_next)
		more->month = ledger_month(zone_date(time_read_zone(&set->reader.at, zone), line->at));
}

/* Transition: reads the line into the batch, which is applied when full. */
Datum
rfm_profile_all_accum(PG_FUNCTION_ARGS)
{
	ProfileSet *set = PG_ARGISNULL(0) ? start(fcinfo) : (ProfileSet *) PG_GETARG_POINTER(0);
	Line	   *line = &set->batch[set->nbatch];
	Size		heap_used = set->batch_heap.used;

	if (!line_read(&set->reader, fcinfo, &set->batch_heap, line))
		PG_RETURN_POINTER(set);
	if (set->ledgers)
		read_ledger_line(set, fcinfo, line, &set->ledger_batch[set->nbatch]);
	if (!line->assigned)
	{
		if (set->header.hash_from > 0)
			PG_RETURN_POINTER(set);
		if (set->ledgers)
			ledger_add(set, NOBODY, line, &set->ledger_batch[set->nbatch]);
		if (!line->is_next && line->in_window)
		{
			money_sum_add(&set->header.unassigned_revenue, line->amount);
			set->header.unassigned_lines += line->amount >= 0;
		}
		PG_RETURN_POINTER(set);
	}
	if (line->hash < set->header.hash_from || line->hash >= set->header.hash_to)
	{
		set->batch_heap.used = heap_used;
		PG_RETURN_POINTER(set);
	}
	if (++set->nbatch == BATCH_LINES)
	{
		apply_batch(set);
		if (unlikely(set_is_too_large(set)))
			set = keep_limit(set);
	}
	PG_RETURN_POINTER(set);
}

/* ---------- between processes ---------- */

/*
 * A packed customer: the id, the number of lines, that of further orders, and
 * the orders; then, with ledgers, the ledger, the number of its further months
 * and these.  Ids that are integers of up to four bytes take four, all others eight:
 * the words of ids in bytes refer to the heap, which travels along.  Numbers
 * take one byte or, when that is MANY, four more.  An order: a byte of what follows, the id, first_at, revenue and what
 * else it needs.
 */
#define MANY				255
#define ORDER_ABSENT		0x01	/* NO_ORDER: nothing follows */
#define ORDER_LAST_AT		0x02	/* last_at; else it is first_at */
#define ORDER_PRODUCT		0x04	/* a product */
#define ORDER_GREATEST		0x08	/* greatest; else it is the revenue */
#define ORDER_LARGE			0x10	/* the revenue as a sum; else 32 bits */

#define MAX_PACKED_ORDER	(1 + 5 * sizeof(uint64) + sizeof(MoneySum))
#define MAX_PACKED_CUSTOMER (sizeof(uint64) + 2 * (1 + sizeof(uint32)))
#define PACKED_HEADER_SIZE	(MAXALIGN(VARHDRSZ + sizeof(uint64)) + FLAT_HEADER_SIZE)

/* Copies to or from unaligned memory and moves behind it. */
#define PUT(target, value) (memcpy(target, &(value), sizeof(value)), (target) += sizeof(value))
#define GET(source, value) (memcpy(&(value), source, sizeof(value)), (source) += sizeof(value))

/* Packs a number that is small as a rule. */
static inline char *
put_number(char *target, uint32 number)
{
	uint8		byte = Min(number, MANY);

	PUT(target, byte);
	if (byte == MANY)
		PUT(target, number);
	return target;
}

/* Unpacks it. */
static inline const char *
get_number(const char *source, uint32 *number)
{
	uint8		byte;

	GET(source, byte);
	*number = byte;
	if (byte == MANY)
		GET(source, *number);
	return source;
}

/* Packs an id. */
static inline char *
put_id(char *target, uint64 id, IdKind kind)
{
	int32		narrow = (int32) id;

	if (kind == ID_INT4 || kind == ID_INT2)
		PUT(target, narrow);
	else
		PUT(target, id);
	return target;
}

/* Unpacks it. */
static inline const char *
get_id(const char *source, uint64 *id, IdKind kind)
{
	int32		narrow;

	if (kind == ID_INT4 || kind == ID_INT2)
	{
		GET(source, narrow);
		*id = (uint64) (int64) narrow;
	}
	else
		GET(source, *id);
	return source;
}

/* Packs an order. */
static inline char *
put_order(char *target, const Order *order, const ProfileSetHeader *header)
{
	int128		revenue = money_sum_value(&order->revenue);
	int32		narrow = (int32) revenue;
	uint8		form;

	if (order->greatest == NO_ORDER)
	{
		form = ORDER_ABSENT;
		PUT(target, form);
		return target;
	}
	form = (order->last_at != order->first_at ? ORDER_LAST_AT : 0) |
		(order->has_product ? ORDER_PRODUCT : 0) |
		(order->greatest != revenue ? ORDER_GREATEST : 0) |
		(narrow != revenue ? ORDER_LARGE : 0);
	PUT(target, form);
	target = put_id(target, order->id, header->order_kind);
	PUT(target, order->first_at);
	if (form & ORDER_LARGE)
		PUT(target, order->revenue);
	else
		PUT(target, narrow);
	if (form & ORDER_LAST_AT)
		PUT(target, order->last_at);
	if (form & ORDER_GREATEST)
		PUT(target, order->greatest);
	if (form & ORDER_PRODUCT)
		target = put_id(target, order->product, header->product_kind);
	return target;
}

/* Unpacks an order, all but next. */
static inline const char *
get_order_packed(const char *source, Order *order, const ProfileSetHeader *header)
{
	int32		narrow;
	uint8		form;

	GET(source, form);
	if (form & ORDER_ABSENT)
	{
		order_init(order, 0);
		order->greatest = NO_ORDER;
		return source;
	}
	source = get_id(source, &order->id, header->order_kind);
	GET(source, order->first_at);
	if (form & ORDER_LARGE)
		GET(source, order->revenue);
	else
	{
		GET(source, narrow);
		order->revenue = (MoneySum) {0};
		money_sum_add(&order->revenue, narrow);
	}
	order->last_at = order->first_at;
	if (form & ORDER_LAST_AT)
		GET(source, order->last_at);
	order->greatest = (int64) order->revenue.low;
	if (form & ORDER_GREATEST)
		GET(source, order->greatest);
	order->product = 0;
	order->has_product = (form & ORDER_PRODUCT) != 0;
	if (form & ORDER_PRODUCT)
		source = get_id(source, &order->product, header->product_kind);
	return source;
}

/* Packs a ledger with its months. */
static char *
put_ledger_packed(char *target, const ProfileSet *set, const Ledger *ledger)
{
	char	   *count;
	uint32		months = 0;

	PUT(target, *ledger);
	count = target;
	PUT(target, months);
	for (uint32 i = ledger->further; i != NO_ENTRY; i = set->months[i - 1].next)
	{
		PUT(target, set->months[i - 1].month);
		months++;
	}
	PUT(count, months);
	return target;
}

/* Unpacks a ledger; its months are added to those of the set, which has room for as many as fit in the source. */
static const char *
get_ledger_packed(const char *source, const char *end, ProfileSet *set, Ledger *ledger)
{
	uint32		months;

	if (end - source < (ptrdiff_t) (sizeof(*ledger) + sizeof(months)))
		rfm_corrupt("profile_set");
	GET(source, *ledger);
	GET(source, months);
	if ((Size) (end - source) / sizeof(LedgerMonth) < months)
		rfm_corrupt("profile_set");
	ledger->further = NO_ENTRY;
	if (set->header.nmonths + months > set->max_months)
	{
		set->max_months = Max(set->max_months * 2, set->header.nmonths + months);
		set->months = set->months ? repalloc_huge(set->months, (Size) set->max_months * sizeof(FurtherMonth)) :
			MemoryContextAllocHuge(set->context, (Size) set->max_months * sizeof(FurtherMonth));
	}
	for (uint32 i = 0; i < months; i++)
	{
		FurtherMonth *further = &set->months[set->header.nmonths++];

		GET(source, further->month);
		further->next = ledger->further;
		ledger->further = set->header.nmonths;
	}
	return source;
}

/* Packs all customers; returns the end. */
static char *
put_customers(char *target, const ProfileSet *set)
{
	if (set->ledgers)
		target = put_ledger_packed(target, set, &set->ledgers[NOBODY]);
	for (uint32 i = 0; i < set->header.ncustomers; i++)
	{
		const Customer *customer = &set->customers[i];

		target = put_id(target, customer->id, set->header.customer_kind);
		target = put_number(target, customer->lines);
		target = put_number(target, customer->nfurther);
		for (const Order *order = &customer->order;;)
		{
			target = put_order(target, order, &set->header);
			if (order->next == NO_ENTRY)
				break;
			order = &set->further[order->next - 1].order;
		}
		if (set->ledgers)
			target = put_ledger_packed(target, set, &set->ledgers[i + 1]);
	}
	return target;
}

/* Unpacks the next customer of a batch, whose arrays grow with his further orders; returns where the next one starts. */
static const char *
get_customer_packed(const char *source, const char *end, ProfileSet *batch)
{
	Customer   *customer = &batch->customers[batch->header.ncustomers++];

	if (end - source < (ptrdiff_t) MAX_PACKED_CUSTOMER)
		rfm_corrupt("profile_set");
	source = get_id(source, &customer->id, batch->header.customer_kind);
	source = get_number(source, &customer->lines);
	source = get_number(source, &customer->nfurther);
	if ((Size) (end - source) < customer->nfurther)
		rfm_corrupt("profile_set");
	if (batch->header.nfurther + customer->nfurther > batch->max_further)
	{
		batch->max_further = Max(batch->max_further * 2, batch->header.nfurther + customer->nfurther);
		ENLARGE(batch->further, batch->max_further);
	}
	for (uint32 i = 0; i <= customer->nfurther; i++)
	{
		Order	   *order = i == 0 ? &customer->order : &batch->further[batch->header.nfurther + i - 1].order;

		if (end - source < (ptrdiff_t) MAX_PACKED_ORDER)
			rfm_corrupt("profile_set");
		source = get_order_packed(source, order, &batch->header);
		order->next = i < customer->nfurther ? batch->header.nfurther + i + 1 : NO_ENTRY;
	}
	batch->header.nfurther += customer->nfurther;
	if (batch->ledgers)
		source = get_ledger_packed(source, end, batch, &batch->ledgers[batch->header.ncustomers]);
	return source;
}

/* Takes over a state from another process, some customers at a time. */
static void
merge_packed(ProfileSet *set, const ProfileSet *other)
{
	ProfileSet *batch = set_new(CurrentMemoryContext, &other->header, other->header.hash_from, other->header.hash_to, SIZE_MAX);
	const char *source = other->packed;

	batch->heap = other->heap;
	if (batch->ledgers)
	{
		source = get_ledger_packed(source, other->packed_end, batch, &batch->ledgers[NOBODY]);
		merge_ledger(set, NOBODY, batch, &batch->ledgers[NOBODY]);
	}
	for (uint32 rest = other->header.ncustomers; rest > 0; rest -= batch->header.ncustomers)
	{
		uint32		n = Min(rest, BATCH_LINES);

		batch->header.ncustomers = batch->header.nfurther = batch->header.nmonths = 0;
		while (batch->header.ncustomers < n)
			source = get_customer_packed(source, other->packed_end, batch);
		merge_batch(set, batch, 0, n);
	}
	MemoryContextDelete(batch->context);
}

/* Combine: takes the second state, deserialised, over into the first. */
Datum
rfm_profile_all_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	ProfileSet *a = PG_ARGISNULL(0) ? NULL : (ProfileSet *) PG_GETARG_POINTER(0);
	ProfileSet *b = PG_ARGISNULL(1) ? NULL : (ProfileSet *) PG_GETARG_POINTER(1);

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL)
		a = set_new(context, &b->header, b->header.hash_from, b->header.hash_to, b->limit);
	else
	{
		if (a->header.window_start != b->header.window_start)
			rfm_window_changed();
		money_sum_merge(&a->header.unassigned_revenue, &b->header.unassigned_revenue);
		a->header.unassigned_lines += b->header.unassigned_lines;
		apply_batch(a);
	}
	if (b->header.hash_to < a->header.hash_to)
	{
		/* what the other worker gave up has to be given up here, too */
		ProfileSet *smaller = set_new(context, &a->header, a->header.hash_from, b->header.hash_to, a->limit);

		merge_set(smaller, a);
		MemoryContextDelete(a->context);
		a = smaller;
	}
	merge_packed(a, b);
	PG_RETURN_POINTER(keep_limit(a));
}

/* Writes the flat form to memory of set_flat_size bytes. */
static void
flatten(ProfileSet *set, char *target)
{
	ProfileSetHeader *header = (ProfileSetHeader *) target;
	Size		size = set_flat_size(set);

	memset(target, 0, FLAT_HEADER_SIZE);
	*header = set->header;
	header->heap_used = set->heap.used;
	SET_VARSIZE(header, size);
	target += FLAT_HEADER_SIZE;
	memcpy(target, set->customers, (Size) set->header.ncustomers * sizeof(Customer));
	target += (Size) set->header.ncustomers * sizeof(Customer);
	memcpy(target, set->further, (Size) set->header.nfurther * sizeof(FurtherOrder));
	target += (Size) set->header.nfurther * sizeof(FurtherOrder);
	if (set->heap.used > 0)
		memcpy(target, set->heap.data, set->heap.used);
	target += set->heap.used;
	if (!set->ledgers)
		return;
	memcpy(target, set->ledgers, ((Size) set->header.ncustomers + 1) * sizeof(Ledger));
	target += ((Size) set->header.ncustomers + 1) * sizeof(Ledger);
	if (set->header.nmonths > 0)
		memcpy(target, set->months, (Size) set->header.nmonths * sizeof(FurtherMonth));
}

/* Reads the flat form: a set without index, which points into it. */
static void
view_flat(ProfileSet *set, const ProfileSetHeader *header)
{
	char	   *source = (char *) header + FLAT_HEADER_SIZE;

	memset(set, 0, sizeof(*set));
	set->header = *header;
	set->customers = (Customer *) source;
	source += (Size) header->ncustomers * sizeof(Customer);
	set->further = (FurtherOrder *) source;
	source += (Size) header->nfurther * sizeof(FurtherOrder);
	set->heap.data = source;
	set->heap.used = set->heap.capacity = header->heap_used;
	set->heap.fixed = true;
	if (!header->has_ledgers)
		return;
	set->ledgers = (Ledger *) (source + header->heap_used);
	set->months = (FurtherMonth *) (set->ledgers + header->ncustomers + 1);
}

/* Refuses what does not fit a datum; says what would help. */
static void
check_flat_size(const ProfileSet *set, Size size)
{
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the profiles of %u customers do not fit in 1 GB", set->header.ncustomers),
				 errhint("Give profile_all a build_memory of at most 1 GB and go in passes, or group by customer_id with profile.")));
}

/*
 * Serialise: the limit, the header, the ids in bytes and the customers, packed.
 * Memory is asked for as if everything had its largest size: what is not
 * written to costs nothing.
 */
Datum
rfm_profile_all_serialize(PG_FUNCTION_ARGS)
{
	ProfileSet *set = (ProfileSet *) PG_GETARG_POINTER(0);
	uint64		limit = set->limit;
	char	   *result;
	char	   *target;

	apply_batch(set);
	set->header.heap_used = set->heap.used;
	result = MemoryContextAllocHuge(CurrentMemoryContext,
									PACKED_HEADER_SIZE + set->heap.used +
									(Size) set->header.ncustomers * (MAX_PACKED_CUSTOMER + MAX_PACKED_ORDER) +
									(Size) set->header.nfurther * MAX_PACKED_ORDER + MAX_PACKED_ORDER +
									(set->ledgers ? ((Size) set->header.ncustomers + 1) * (sizeof(Ledger) + sizeof(uint32)) : 0) +
									(Size) set->header.nmonths * sizeof(LedgerMonth));
	memset(result, 0, PACKED_HEADER_SIZE);
	memcpy(VARDATA(result), &limit, sizeof(limit));
	memcpy(result + MAXALIGN(VARHDRSZ + sizeof(limit)), &set->header, sizeof(set->header));
	target = result + PACKED_HEADER_SIZE;
	if (set->heap.used > 0)
		memcpy(target, set->heap.data, set->heap.used);
	target = put_customers(target + set->heap.used, set);
	/* so that reading the last one need not be checked field by field */
	memset(target, 0, MAX_PACKED_ORDER);
	target += MAX_PACKED_ORDER;
	check_flat_size(set, target - result);
	SET_VARSIZE(result, target - result);
	PG_RETURN_BYTEA_P(result);
}

/* Deserialise: a set of no more than header and heap, which points to the packed customers; for combine only. */
Datum
rfm_profile_all_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_P(0);
	ProfileSet *set = palloc0(sizeof(ProfileSet));
	uint64		limit;

	aggregate_context(fcinfo);
	if (VARSIZE(bytes) < PACKED_HEADER_SIZE)
		rfm_corrupt("profile_set");
	memcpy(&limit, VARDATA(bytes), sizeof(limit));
	memcpy(&set->header, (char *) bytes + MAXALIGN(VARHDRSZ + sizeof(limit)), sizeof(set->header));
	if (set->header.heap_used < 0 || (Size) set->header.heap_used > VARSIZE(bytes) - PACKED_HEADER_SIZE)
		rfm_corrupt("profile_set");
	set->limit = limit;
	set->heap.data = (char *) bytes + PACKED_HEADER_SIZE;
	set->heap.used = set->heap.capacity = set->header.heap_used;
	set->heap.fixed = true;
	set->packed = set->heap.data + set->heap.used;
	set->packed_end = (char *) bytes + VARSIZE(bytes);
	PG_RETURN_POINTER(set);
}

static Size
expanded_flat_size(ExpandedObjectHeader *eoh)
{
	Size		size = set_flat_size((ProfileSet *) eoh);

	check_flat_size((ProfileSet *) eoh, size);
	return size;
}

static void
expanded_flatten(ExpandedObjectHeader *eoh, void *result, Size size pg_attribute_unused())
{
	Assert(size == set_flat_size((ProfileSet *) eoh));
	flatten((ProfileSet *) eoh, result);
}

static const ExpandedObjectMethods expanded_methods = {expanded_flat_size, expanded_flatten};

/*
 * Final: the state itself, as an expanded object.  A small pointer to it is
 * made in the current context, because PostgreSQL 15 flattens and copies a
 * result that it does not find there.  No rows give an empty set.
 */
Datum
rfm_profile_all_final(PG_FUNCTION_ARGS)
{
	ProfileSet *set = PG_ARGISNULL(0) ? start(fcinfo) : (ProfileSet *) PG_GETARG_POINTER(0);
	char	   *pointer = palloc(EXPANDED_POINTER_SIZE);

	apply_batch(set);
	set = keep_limit(set);
	if (set->eoh.eoh_methods == NULL)
		EOH_init_header(&set->eoh, &expanded_methods, set->context);
	memcpy(pointer, set->eoh.eoh_ro_ptr, EXPANDED_POINTER_SIZE);
	PG_RETURN_POINTER(pointer);
}

/* ---------- the type ---------- */

/* A set from a datum, expanded or flat. */
ProfileSet *
profile_set_from_datum(Datum datum)
{
	ProfileSet *set;

	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return (ProfileSet *) DatumGetEOHP(datum);
	set = palloc(sizeof(ProfileSet));
	view_flat(set, (ProfileSetHeader *) PG_DETOAST_DATUM(datum));
	return set;
}

/* The number of customers in a set. */
uint32
profile_set_customers(const ProfileSet *set)
{
	return set->header.ncustomers;
}

/* What a customer, by number from 0, bought in the window; false if nothing. */
bool
profile_set_purchases(const ProfileSet *set, uint32 number, Purchases *purchases)
{
	purchases->orders = 0;
	purchases->last_at = DT_NOBEGIN;
	purchases->revenue = 0;
	for (const Order *order = &set->customers[number].order;;)
	{
		purchases->revenue += money_sum_value(&order->revenue);
		if (order->first_at != DT_NOEND)
		{
			purchases->orders += order->last_at >= set->header.window_start;
			purchases->last_at = Max(purchases->last_at, order->last_at);
		}
		if (order->next == NO_ENTRY)
			break;
		order = &set->further[order->next - 1].order;
	}
	return purchases->orders > 0;
}

/* No input: a set only comes from profile_all. */
Datum
rfm_profile_set_in(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot accept a value of type rfm.profile_set"),
			 errhint("Compute it with rfm.profile_all.")));
	PG_RETURN_VOID();
}

/* No binary input either. */
Datum
rfm_profile_set_recv(PG_FUNCTION_ARGS)
{
	return rfm_profile_set_in(fcinfo);
}

/* Output: what it holds, not its bytes. */
Datum
rfm_profile_set_out(PG_FUNCTION_ARGS)
{
	ProfileSet *set = profile_set_from_datum(PG_GETARG_DATUM(0));

	PG_RETURN_CSTRING(psprintf("(%u customers, %u further orders)",
							   set->header.ncustomers, set->header.nfurther));
}

/* Binary output: the same text. */
Datum
rfm_profile_set_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;
	char	   *text = DatumGetCString(rfm_profile_set_out(fcinfo));

	pq_begintypsend(&buffer);
	pq_sendbytes(&buffer, text, strlen(text));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* A customer's orders at a glance; returns the revenue in the window. */
static int128
summarize(const ProfileSet *set, const Customer *customer, OrderSummary *summary)
{
	int128		revenue = 0;

	order_summary_init(summary);
	for (const Order *order = &customer->order;;)
	{
		revenue += money_sum_value(&order->revenue);
		order_summary_add(summary, order, set->header.order_kind, &set->heap, set->header.window_start);
		if (order->next == NO_ENTRY)
			break;
		order = &set->further[order->next - 1].order;
	}
	return revenue;
}

/* Puts what the ledger of an entry knows into a row. */
static void
put_ledger(const ProfileSet *set, uint32 entry, ProfileRow *row, LedgerState **state)
{
	row->next_change_at = DT_NOEND;
	if (set->ledgers == NULL)
		return;
	row->ledger = ledger_state(set, entry, state);
	row->next_change_at = Min(set->ledgers[entry].next_line_at, set->ledgers[entry].voided_at);
}

/* A row per customer, after one without customer for the unassigned lines. */
static void
unpack_set(FunctionCallInfo fcinfo, const ProfileSet *set, const VisitSet *visits, const text *zone)
{
	const ProfileSetHeader *header = &set->header;
	Unpacker   *unpacker = unpacker_begin(fcinfo, header->customer_kind, header->order_kind,
										  header->product_kind, &set->heap, header->window_start, zone);
	ProfileRow	row = {0};
	LedgerState *state = ledger_new(16);
	VisitCounts counts;
	uint32		visitors = 0;

	order_summary_init(&row.summary);
	row.lines = header->unassigned_lines;
	row.revenue = money_sum_value(&header->unassigned_revenue);
	row.next_hash = header->hash_to == HASH_END ? 0 : header->hash_to;
	put_ledger(set, NOBODY, &row, &state);
	unpacker_put(unpacker, &row);

	row.assigned = true;
	for (uint32 i = 0; i < header->ncustomers; i++)
	{
		const Customer *customer = &set->customers[i];

		CHECK_FOR_INTERRUPTS();
		row.customer = customer->id;
		row.lines = customer->lines;
		row.revenue = summarize(set, customer, &row.summary);
		put_ledger(set, i + 1, &row, &state);
		row.visits = NULL;
		if (visits && row.summary.first)
		{
			counts = visit_set_counts(visits, visitors++, &set->heap, customer->id);
			row.next_change_at = Min(row.next_change_at, counts.next_visit_at);
			row.visits = &counts;
		}
		unpacker_put(unpacker, &row);
	}
}

/* unpack(profile_set, time_zone) → rows */
Datum
rfm_profile_set_unpack(PG_FUNCTION_ARGS)
{
	unpack_set(fcinfo, profile_set_from_datum(PG_GETARG_DATUM(0)), NULL, PG_GETARG_TEXT_PP(1));
	return (Datum) 0;
}

/* unpack(profile_set, visit_set, time_zone) → rows with the visits of the same customers */
Datum
rfm_profile_set_unpack_visits(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("profiles and time zone must not be NULL")));
	unpack_set(fcinfo, profile_set_from_datum(PG_GETARG_DATUM(0)),
			   PG_ARGISNULL(1) ? NULL : visit_set_from_datum(PG_GETARG_DATUM(1)), PG_GETARG_TEXT_PP(2));
	return (Datum) 0;
}

/* visit_boundaries(profile_set) → the boundaries of the customers with a first order, in the order of the profiles */
Datum
rfm_profile_set_boundaries(PG_FUNCTION_ARGS)
{
	const ProfileSet *set = profile_set_from_datum(PG_GETARG_DATUM(0));
	Boundaries *boundaries = boundaries_new(CurrentMemoryContext, set->header.customer_kind);

	for (uint32 i = 0; i < set->header.ncustomers; i++)
	{
		const Customer *customer = &set->customers[i];
		OrderSummary summary;

		CHECK_FOR_INTERRUPTS();
		summarize(set, customer, &summary);
		if (summary.first)
			boundaries_add(boundaries, &set->heap, customer->id, summary.first->first_at, summary.first->last_at);
	}
	PG_RETURN_DATUM(boundaries_result(boundaries));
}
