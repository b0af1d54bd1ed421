/*
 * profile.c
 *	  profile: the aggregate over the lines of one customer.
 *
 * The state is one flat varlena, changed in place and grown geometrically, so
 * that grouped aggregation stays linear.  Its orders are a sorted part of
 * distinct ids and an unsorted tail, where a recent order's further lines are
 * found by looking back a little and others simply are appended; when there is
 * no room left, the state is compacted: sorted, equal orders merged, ids that
 * nothing names any more dropped.  A compact state is canonical: the same
 * lines give the same bytes in whatever order they came.  So is its text form,
 * in which states travel between nodes.
 */
#include "rfm.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define LOOK_BACK		16		/* orders of the tail that are searched */
#define FIRST_CAPACITY	2		/* orders a new state has room for */

typedef struct Profile
{
	int32		vl_len_;
	uint8		order_kind;
	uint8		product_kind;
	uint32		norders;		/* orders held, those of the tail perhaps twice */
	uint32		nsorted;		/* of them sorted by id and distinct */
	uint32		capacity;		/* orders there is room for */
	MoneySum	revenue;		/* of the window, adjustments too */
	int64		lines;			/* purchase lines in the window */
	TimestampTz window_start;
	int64		heap_used;		/* bytes of ids, which stand behind the orders */
	int64		heap_capacity;
	Order		orders[FLEXIBLE_ARRAY_MEMBER];
} Profile;

/* What a call keeps between rows. */
typedef struct ProfileCall
{
	LineReader	reader;
	IdHeap		scratch;		/* ids of the row at hand */
} ProfileCall;

static inline Size
profile_size(uint32 capacity, Size heap_capacity)
{
	return offsetof(Profile, orders) + capacity * sizeof(Order) + heap_capacity;
}

/* The state's ids, to be read, and to be added to where there is room. */
static IdHeap
profile_heap(Profile *profile)
{
	IdHeap		heap = {0};

	heap.data = (char *) &profile->orders[profile->capacity];
	heap.used = profile->heap_used;
	heap.capacity = profile->heap_capacity;
	heap.fixed = true;
	return heap;
}

/* An empty state, palloc'd. */
static Profile *
profile_new(IdKind order_kind, IdKind product_kind, TimestampTz window_start,
			uint32 capacity, Size heap_capacity)
{
	Size		size = profile_size(capacity, heap_capacity);
	Profile    *profile;

	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the orders of one customer do not fit in 1 GB"),
				 errhint("Look for a placeholder customer_id that stands for many buyers, and map it to NULL.")));
	profile = palloc0(size);
	SET_VARSIZE(profile, size);
	profile->order_kind = order_kind;
	profile->product_kind = product_kind;
	profile->window_start = window_start;
	profile->capacity = capacity;
	profile->heap_capacity = heap_capacity;
	return profile;
}

/* What compare_orders needs to know. */
typedef struct OrderSort
{
	IdKind		kind;
	const IdHeap *heap;
} OrderSort;

static int
compare_orders(const void *a, const void *b, void *arg)
{
	const OrderSort *sort = arg;

	CHECK_FOR_INTERRUPTS();
	return id_compare(sort->kind, sort->heap, ((const Order *) a)->id,
					  sort->heap, ((const Order *) b)->id);
}

/*
 * A compact copy of a state and perhaps another one (NULL for none), with room
 * for more orders and bytes of ids.  palloc'd.
 */
static Profile *
profile_compact(Profile *profile, Profile *other, bool with_room, Size room)
{
	IdHeap		old_heap = profile_heap(profile);
	IdHeap		heap;
	OrderSort	sort = {profile->order_kind, &old_heap};
	uint32		norders = profile->norders + (other ? other->norders : 0);
	Order	   *orders = palloc_extended(Max(norders, 1) * sizeof(Order), MCXT_ALLOC_HUGE);
	Profile    *result;
	uint32		n = 0;
	Size		heap_size = 0;

	memcpy(orders, profile->orders, profile->norders * sizeof(Order));
	if (other)
	{
		IdHeap		other_heap = profile_heap(other);

		/* bring the other's ids into one heap with ours */
		heap = old_heap;
		heap.fixed = false;
		heap.context = CurrentMemoryContext;
		heap.capacity = old_heap.used + other_heap.used;
		heap.data = palloc_extended(Max(heap.capacity, 1), MCXT_ALLOC_HUGE);
		memcpy(heap.data, old_heap.data, old_heap.used);
		old_heap = heap;
		for (uint32 i = 0; i < other->norders; i++)
		{
			Order	   *order = &orders[profile->norders + i];

			CHECK_FOR_INTERRUPTS();
			*order = other->orders[i];
			order->id = id_copy(&old_heap, &other_heap, order->id, profile->order_kind);
			if (order->has_product)
				order->product = id_copy(&old_heap, &other_heap, order->product, profile->product_kind);
		}
	}

	qsort_arg(orders, norders, sizeof(Order), compare_orders, &sort);
	for (uint32 i = 0; i < norders; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (n > 0 && id_equal(sort.kind, &old_heap, orders[n - 1].id, &old_heap, orders[i].id))
			order_merge(&orders[n - 1], &orders[i], profile->product_kind, &old_heap, &old_heap);
		else
			orders[n++] = orders[i];
	}
	for (uint32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		heap_size += id_copy_size(&old_heap, orders[i].id, profile->order_kind);
		if (orders[i].has_product)
			heap_size += id_copy_size(&old_heap, orders[i].product, profile->product_kind);
	}

	result = profile_new(profile->order_kind, profile->product_kind, profile->window_start,
						 with_room ? Max(2 * n, FIRST_CAPACITY) : n,
						 with_room && heap_size + room > 0 ? 2 * heap_size + room : heap_size);
	result->revenue = profile->revenue;
	result->lines = profile->lines;
	if (other)
	{
		money_sum_merge(&result->revenue, &other->revenue);
		result->lines += other->lines;
	}
	heap = profile_heap(result);
	for (uint32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		result->orders[i] = orders[i];
		result->orders[i].id = id_copy(&heap, &old_heap, orders[i].id, profile->order_kind);
		if (orders[i].has_product)
			result->orders[i].product = id_copy(&heap, &old_heap, orders[i].product, profile->product_kind);
	}
	result->norders = result->nsorted = n;
	result->heap_used = heap.used;
	pfree(orders);
	if (other)
		pfree(old_heap.data);
	return result;
}

/* The order of a line where the state is known to hold it, or NULL. */
static Order *
profile_find(Profile *profile, const IdHeap *heap, const Line *line, const IdHeap *line_heap)
{
	uint32		low = 0;
	uint32		high = profile->nsorted;

	for (uint32 i = profile->norders;
		 i > profile->nsorted && i + LOOK_BACK > profile->norders; i--)
		if (id_equal(profile->order_kind, heap, profile->orders[i - 1].id, line_heap, line->order))
			return &profile->orders[i - 1];
	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;
		int			cmp = id_compare(profile->order_kind, heap, profile->orders[middle].id,
									 line_heap, line->order);

		if (cmp == 0)
			return &profile->orders[middle];
		if (cmp < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Adds a line; the state may move, into CurrentMemoryContext. */
static Profile *
profile_add(Profile *profile, const LineReader *reader, const Line *line, const IdHeap *line_heap)
{
	Size		room = line_id_size(reader, line_heap, line);
	IdHeap		heap;
	Order	   *order;

	if (profile->norders == profile->capacity ||
		profile->heap_used + (int64) room > profile->heap_capacity)
		profile = profile_compact(profile, NULL, true, room);
	heap = profile_heap(profile);
	order = profile_find(profile, &heap, line, line_heap);
	if (order == NULL)
	{
		order = &profile->orders[profile->norders++];
		order_init(order, id_copy(&heap, line_heap, line->order, reader->order_kind));
	}
	order_add(order, line, reader->product_kind, &heap, line_heap);
	profile->heap_used = heap.used;
	if (line->in_window)
	{
		money_sum_add(&profile->revenue, line->amount);
		profile->lines += line->amount >= 0;
	}
	return profile;
}

/* Refuses to be called outside an aggregate, where states must not change. */
static void
check_aggregate(FunctionCallInfo fcinfo)
{
	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function works inside an aggregate only"),
				 errhint("Use rfm.profile(order_id, ordered_at, amount) with GROUP BY customer_id.")));
}

/* Refuses to put together what was made of different types. */
pg_noreturn static void profile_mismatch(void);

static void
profile_mismatch(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("profiles with different id types or windows cannot be combined"),
			 errhint("Compute both with the same types of order_id and product_id and the same window_start.")));
}

PG_FUNCTION_INFO_V1(rfm_profile_accum);
PG_FUNCTION_INFO_V1(rfm_profile_combine);
PG_FUNCTION_INFO_V1(rfm_profile_final);
PG_FUNCTION_INFO_V1(rfm_profile_in);
PG_FUNCTION_INFO_V1(rfm_profile_out);
PG_FUNCTION_INFO_V1(rfm_profile_recv);
PG_FUNCTION_INFO_V1(rfm_profile_send);
PG_FUNCTION_INFO_V1(rfm_profile_unpack);
PG_FUNCTION_INFO_V1(rfm_profile_summary);

/* Transition: the state (NULL at first), then the line.  Changes the state. */
Datum
rfm_profile_accum(PG_FUNCTION_ARGS)
{
	ProfileCall *call = fcinfo->flinfo->fn_extra;
	Profile    *profile = NULL;
	Line		line;

	check_aggregate(fcinfo);
	if (call == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		call = palloc0(sizeof(ProfileCall));
		line_reader_init(&call->reader, fcinfo, false);
		call->scratch.context = CurrentMemoryContext;
		fcinfo->flinfo->fn_extra = call;
		MemoryContextSwitchTo(old);
	}
	if (!PG_ARGISNULL(0))
	{
		profile = (Profile *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
		call->reader.window_start = profile->window_start;
		/* an aggregate of somebody's own may start with a state of other types */
		if (profile->order_kind != call->reader.order_kind || profile->product_kind != call->reader.product_kind)
			profile_mismatch();
	}
	else
		line_reader_window(&call->reader, fcinfo);

	call->scratch.used = 0;
	if (!line_read(&call->reader, fcinfo, &call->scratch, &line))
	{
		if (profile == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(profile);
	}
	if (profile == NULL)
		profile = profile_new(call->reader.order_kind, call->reader.product_kind,
							  call->reader.window_start, FIRST_CAPACITY,
							  line.is_next ? 0 : 2 * line_id_size(&call->reader, &call->scratch, &line));
	if (line.is_next)
		PG_RETURN_POINTER(profile);
	PG_RETURN_POINTER(profile_add(profile, &call->reader, &line, &call->scratch));
}

/* Combine: two states of the same customer, neither is changed. */
Datum
rfm_profile_combine(PG_FUNCTION_ARGS)
{
	Profile    *a,
			   *b;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(PG_ARGISNULL(0) ? 1 : 0));
	a = (Profile *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	b = (Profile *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
	if (a->order_kind != b->order_kind || a->product_kind != b->product_kind ||
		a->window_start != b->window_start)
		profile_mismatch();
	PG_RETURN_POINTER(profile_compact(a, b, false, 0));
}

/* Final: a compact copy. */
Datum
rfm_profile_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(profile_compact((Profile *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), NULL, false, 0));
}

/* ----------
 * Text form: `1 order_kind product_kind window_start lines revenue orders`,
 * then for each order `id first_at last_at greatest product revenue`.  Times
 * are microseconds since 2000-01-01, money is units of 1e-4, `-` is a missing
 * product, ids in bytes are x and hexadecimal digits, sums are high:low.
 * ----------
 */
#define TEXT_VERSION 1

static void
put_id(StringInfo text, const IdHeap *heap, uint64 word, IdKind kind)
{
	const char *bytes;
	uint32		length;

	if (!id_kind_in_heap(kind))
	{
		appendStringInfo(text, " " INT64_FORMAT, (int64) word);
		return;
	}
	bytes = id_bytes(heap, word, &length);
	appendStringInfoString(text, " x");
	enlargeStringInfo(text, length * 2);
	text->len += hex_encode(bytes, length, text->data + text->len);
	text->data[text->len] = '\0';
}

/* Output, of any state, in its compact form. */
Datum
rfm_profile_out(PG_FUNCTION_ARGS)
{
	Profile    *profile = profile_compact((Profile *) PG_GETARG_VARLENA_P(0), NULL, false, 0);
	IdHeap		heap = profile_heap(profile);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%d %d %d " INT64_FORMAT " " INT64_FORMAT " %d:" UINT64_FORMAT " %u",
					 TEXT_VERSION, profile->order_kind, profile->product_kind,
					 profile->window_start, profile->lines,
					 profile->revenue.high, profile->revenue.low, profile->norders);
	for (uint32 i = 0; i < profile->norders; i++)
	{
		const Order *order = &profile->orders[i];

		CHECK_FOR_INTERRUPTS();
		put_id(&text, &heap, order->id, profile->order_kind);
		appendStringInfo(&text, " " INT64_FORMAT " " INT64_FORMAT " " INT64_FORMAT,
						 order->first_at, order->last_at, order->greatest);
		if (order->has_product)
			put_id(&text, &heap, order->product, profile->product_kind);
		else
			appendStringInfoString(&text, " -");
		appendStringInfo(&text, " %d:" UINT64_FORMAT, order->revenue.high, order->revenue.low);
	}
	PG_RETURN_CSTRING(text.data);
}

/* Steps over the space behind a field, which only the last one lacks. */
static void
take_space(char **text, char *end)
{
	if (*end == ' ' && end[1] != '\0')
		end++;
	else if (*end != '\0')
		rfm_corrupt("profile_state");
	*text = end;
}

/* Whether a number is written as output writes it, without needless signs and zeros. */
static bool
is_canonical(const char *digits)
{
	if (*digits == '-' && digits[1] != '0')
		digits++;
	return isdigit((unsigned char) *digits) &&
		(*digits != '0' || !isdigit((unsigned char) digits[1]));
}

/* A whole number between low and high. */
static int64
take_number(char **text, int64 low, int64 high)
{
	char	   *end;
	int64		value;

	errno = 0;
	value = strtoi64(*text, &end, 10);
	if (!is_canonical(*text) || errno != 0 || value < low || value > high)
		rfm_corrupt("profile_state");
	take_space(text, end);
	return value;
}

static MoneySum
take_sum(char **text)
{
	MoneySum	sum;
	char	   *colon = strchr(*text, ':');
	char	   *end;

	if (colon == NULL)
		rfm_corrupt("profile_state");
	*colon = '\0';
	sum.high = (int32) take_number(text, PG_INT32_MIN, PG_INT32_MAX);
	if (*text != colon || !is_canonical(colon + 1) || colon[1] == '-')
		rfm_corrupt("profile_state");
	errno = 0;
	sum.low = strtou64(colon + 1, &end, 10);
	if (errno != 0)
		rfm_corrupt("profile_state");
	take_space(text, end);
	return sum;
}

static uint64
take_id(char **text, IdHeap *heap, IdKind kind)
{
	size_t		length;
	uint64		word;
	char	   *bytes;

	switch (kind)
	{
		case ID_INT2:
			return (uint64) take_number(text, PG_INT16_MIN, PG_INT16_MAX);
		case ID_INT4:
			return (uint64) take_number(text, PG_INT32_MIN, PG_INT32_MAX);
		case ID_INT8:
			return (uint64) take_number(text, PG_INT64_MIN, PG_INT64_MAX);
		default:
			break;
	}
	length = strcspn(*text, " ");
	if (**text != 'x' || length % 2 == 0 || (kind == ID_UUID && length != 33) ||
		strspn(*text + 1, "0123456789abcdef") != length - 1)
		rfm_corrupt("profile_state");
	bytes = palloc_extended(length, MCXT_ALLOC_HUGE);
	hex_decode(*text + 1, length - 1, bytes);
	if (kind == ID_TEXT)
		pg_verifymbstr(bytes, (length - 1) / 2, false);
	word = id_from_bytes(heap, bytes, (length - 1) / 2);
	pfree(bytes);
	take_space(text, *text + length);
	return word;
}

/* Reads a state from its text form, which is overwritten.  Trusts nothing. */
static Profile *
profile_parse(char *text)
{
	IdKind		order_kind,
				product_kind;
	TimestampTz window_start;
	int64		lines;
	MoneySum	revenue;
	uint32		norders;
	Profile    *profile;
	IdHeap		heap = {0};
	size_t		length = strlen(text);

	take_number(&text, TEXT_VERSION, TEXT_VERSION);
	order_kind = (IdKind) take_number(&text, ID_INT2, ID_TEXT);
	product_kind = (IdKind) take_number(&text, ID_NONE, ID_TEXT);
	window_start = take_number(&text, PG_INT64_MIN, PG_INT64_MAX);
	lines = take_number(&text, 0, PG_INT64_MAX);
	revenue = take_sum(&text);
	/* an order takes a dozen characters at least */
	norders = (uint32) take_number(&text, 0, length / 12);

	heap.context = CurrentMemoryContext;
	profile = profile_new(order_kind, product_kind, window_start, norders, 0);
	profile->lines = lines;
	profile->revenue = revenue;
	for (uint32 i = 0; i < norders; i++)
	{
		Order	   *order = &profile->orders[i];

		CHECK_FOR_INTERRUPTS();
		order_init(order, take_id(&text, &heap, order_kind));
		order->first_at = take_number(&text, PG_INT64_MIN, PG_INT64_MAX);
		order->last_at = take_number(&text, PG_INT64_MIN, PG_INT64_MAX);
		order->greatest = take_number(&text, -1, PG_INT64_MAX);
		if (*text == '-' && text[1] == ' ')
			take_space(&text, text + 1);
		else if (product_kind == ID_NONE)
			rfm_corrupt("profile_state");
		else
		{
			order->product = take_id(&text, &heap, product_kind);
			order->has_product = true;
		}
		order->revenue = take_sum(&text);

		if (!order_is_valid(order))
			rfm_corrupt("profile_state");
		if (i > 0 && id_compare(order_kind, &heap, order[-1].id, &heap, order->id) >= 0)
			rfm_corrupt("profile_state");
	}
	if (*text != '\0')
		rfm_corrupt("profile_state");

	/* the ids move behind the orders */
	if (heap.used > 0)
	{
		Size		size = profile_size(norders, heap.used);

		if (!AllocSizeIsValid(size))
			rfm_corrupt("profile_state");
		profile = repalloc(profile, size);
		memcpy(&profile->orders[norders], heap.data, heap.used);
		SET_VARSIZE(profile, size);
		pfree(heap.data);
	}
	profile->norders = profile->nsorted = norders;
	profile->heap_used = profile->heap_capacity = heap.used;
	return profile;
}

/* Input. */
Datum
rfm_profile_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(profile_parse(pstrdup(PG_GETARG_CSTRING(0))));
}

/* Binary output: the text form. */
Datum
rfm_profile_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;
	char	   *text = DatumGetCString(DirectFunctionCall1(rfm_profile_out, PG_GETARG_DATUM(0)));

	pq_begintypsend(&buffer);
	pq_sendbytes(&buffer, text, strlen(text));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* Binary input: the text form. */
Datum
rfm_profile_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	int			length = buffer->len - buffer->cursor;
	const char *bytes = pq_getmsgbytes(buffer, length);

	if (memchr(bytes, '\0', length) != NULL)
		rfm_corrupt("profile_state");
	PG_RETURN_POINTER(profile_parse(pnstrdup(bytes, length)));
}

/* Fills in a row; the profile may be replaced by a compact copy, and heap is where its ids live. */
static void
profile_row(Profile **profile, IdHeap *heap, ProfileRow *row)
{
	if ((*profile)->nsorted < (*profile)->norders)
		*profile = profile_compact(*profile, NULL, false, 0);
	*heap = profile_heap(*profile);
	memset(row, 0, sizeof(*row));
	order_summary_init(&row->summary);
	for (uint32 i = 0; i < (*profile)->norders; i++)
	{
		CHECK_FOR_INTERRUPTS();
		order_summary_add(&row->summary, &(*profile)->orders[i], (*profile)->order_kind, heap,
						  (*profile)->window_start);
	}
	row->assigned = true;
	row->lines = (*profile)->lines;
	row->revenue = money_sum_value(&(*profile)->revenue);
	row->next_change_at = DT_NOEND;
}

/* unpack(profile_state, time_zone) → one row */
Datum
rfm_profile_unpack(PG_FUNCTION_ARGS)
{
	Profile    *profile = (Profile *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	IdHeap		heap;
	ProfileRow	row;
	Unpacker   *unpacker;

	profile_row(&profile, &heap, &row);
	unpacker = unpacker_begin(fcinfo, ID_NONE, profile->order_kind, profile->product_kind,
							  &heap, profile->window_start, PG_GETARG_TEXT_PP(1));
	unpacker_put(unpacker, &row);
	return (Datum) 0;
}

/* summary(profile) → one value with what unpack tells, without dates */
Datum
rfm_profile_summary(PG_FUNCTION_ARGS)
{
	Profile    *profile = (Profile *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	IdHeap		heap;
	ProfileRow	row;

	profile_row(&profile, &heap, &row);
	PG_RETURN_DATUM(unpack_summary(fcinfo, &row, profile->product_kind, &heap));
}
