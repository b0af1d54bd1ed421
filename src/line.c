/*
 * line.c
 *	  Reading the lines that profile and profile_all are given: which rows are
 *	  valid, and their ids, time and amount in the forms of this extension.
 *
 * Arguments, from the number `first` on: order_id, ordered_at, amount
 * [, product_id [, window_start [, as_of, time_zone]]].
 */
#include "rfm.h"

#include "nodes/primnodes.h"
#include "utils/timestamp.h"

#define ORDER_ARG(reader)			((reader)->first)
#define AT_ARG(reader)				((reader)->first + 1)
#define AMOUNT_ARG(reader)			((reader)->first + 2)
#define PRODUCT_ARG(reader)			((reader)->first + 3)
#define WINDOW_START_ARG(reader)	((reader)->first + 4)
#define AS_OF_ARG(reader)			((reader)->first + 5)
#define TIME_ZONE_ARG(reader)		((reader)->first + 6)

/* Whether an argument is a constant of the query. */
static bool
is_constant(FunctionCallInfo fcinfo, int argument)
{
	const Aggref *aggregate = AggGetAggref(fcinfo);

	/* the state is no argument of the aggregate */
	return aggregate != NULL && list_length(aggregate->args) >= argument &&
		IsA(((TargetEntry *) list_nth(aggregate->args, argument - 1))->expr, Const);
}

/* The window's start in this row. */
static TimestampTz
read_window_start(const LineReader *reader, FunctionCallInfo fcinfo)
{
	if (reader->nargs <= WINDOW_START_ARG(reader) || PG_ARGISNULL(WINDOW_START_ARG(reader)))
		return DT_NOBEGIN;
	return PG_GETARG_TIMESTAMPTZ(WINDOW_START_ARG(reader));
}

/* Takes the window's start from this row, the first of a state. */
void
line_reader_window(LineReader *reader, FunctionCallInfo fcinfo)
{
	reader->window_start = read_window_start(reader, fcinfo);
}

/*
 * Learns the types of a call, and the window from its first row.  The reader
 * must live in CurrentMemoryContext.
 */
void
line_reader_init(LineReader *reader, FunctionCallInfo fcinfo, bool with_customer)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	memset(reader, 0, sizeof(*reader));
	reader->nargs = PG_NARGS();
	reader->first = with_customer ? 2 : 1;
	if (with_customer)
		reader->customer_kind = id_kind(get_fn_expr_argtype(flinfo, 1), "customer_id");
	reader->order_kind = id_kind(get_fn_expr_argtype(flinfo, ORDER_ARG(reader)), "order_id");
	if (reader->nargs > PRODUCT_ARG(reader))
		reader->product_kind = id_kind(get_fn_expr_argtype(flinfo, PRODUCT_ARG(reader)), "product_id");
	reader->amount_kind = money_kind(get_fn_expr_argtype(flinfo, AMOUNT_ARG(reader)));
	time_reader_init(&reader->at, get_fn_expr_argtype(flinfo, AT_ARG(reader)), "ordered_at");
	reader->at.same_zone = reader->nargs <= TIME_ZONE_ARG(reader) || is_constant(fcinfo, TIME_ZONE_ARG(reader));
	line_reader_window(reader, fcinfo);
}

/* The time zone of this row, NULL without one. */
static const text *
zone_argument(const LineReader *reader, FunctionCallInfo fcinfo)
{
	if (reader->nargs <= TIME_ZONE_ARG(reader) || PG_ARGISNULL(TIME_ZONE_ARG(reader)))
		return NULL;
	return PG_GETARG_TEXT_PP(TIME_ZONE_ARG(reader));
}

/* Reads the customer, if there is such a column. */
static inline void
read_customer(LineReader *reader, FunctionCallInfo fcinfo, IdHeap *heap, Line *line)
{
	if (reader->customer_kind == ID_NONE)
		return;
	line->customer = id_from_datum(heap, PG_GETARG_DATUM(1), reader->customer_kind);
	line->hash = id_hash(reader->customer_kind, line->customer);
}

/*
 * Reads one row.  False when there is nothing to learn from it: order_id,
 * ordered_at or amount is NULL.  Of a line at or after as_of nothing is read
 * but that its customer will have one.  Without a customer the line is read as
 * unassigned.  Ids in bytes are added to the heap.
 */
bool
line_read(LineReader *reader, FunctionCallInfo fcinfo, IdHeap *heap, Line *line)
{
	if (PG_ARGISNULL(ORDER_ARG(reader)) || PG_ARGISNULL(AT_ARG(reader)) ||
		PG_ARGISNULL(AMOUNT_ARG(reader)))
		return false;

	line->assigned = reader->customer_kind == ID_NONE || !PG_ARGISNULL(1);
	line->at = time_read(&reader->at, PG_GETARG_DATUM(AT_ARG(reader)), zone_argument(reader, fcinfo));
	if (reader->nargs > AS_OF_ARG(reader) && !PG_ARGISNULL(AS_OF_ARG(reader)) &&
		line->at >= PG_GETARG_TIMESTAMPTZ(AS_OF_ARG(reader)))
	{
		/* one at infinity never comes due */
		if (TIMESTAMP_NOT_FINITE(line->at))
			return false;
		line->is_next = true;
		if (line->assigned)
			read_customer(reader, fcinfo, heap, line);
		return true;
	}
	if (TIMESTAMP_NOT_FINITE(line->at))
		rfm_infinite_line();

	if (unlikely(read_window_start(reader, fcinfo) != reader->window_start))
		rfm_window_changed();
	line->in_window = line->at >= reader->window_start;
	line->amount = money_from_datum(PG_GETARG_DATUM(AMOUNT_ARG(reader)), reader->amount_kind);

	line->is_next = false;
	if (!line->assigned)
		return true;
	read_customer(reader, fcinfo, heap, line);
	line->order = id_from_datum(heap, PG_GETARG_DATUM(ORDER_ARG(reader)), reader->order_kind);
	line->has_product = reader->product_kind != ID_NONE && !PG_ARGISNULL(PRODUCT_ARG(reader));
	line->product = line->has_product ?
		id_from_datum(heap, PG_GETARG_DATUM(PRODUCT_ARG(reader)), reader->product_kind) : 0;
	return true;
}

/* Bytes that another heap needs for the ids of a line. */
Size
line_id_size(const LineReader *reader, const IdHeap *heap, const Line *line)
{
	Size		size = 0;

	if (reader->customer_kind != ID_NONE)
		size += id_copy_size(heap, line->customer, reader->customer_kind);
	size += id_copy_size(heap, line->order, reader->order_kind);
	if (line->has_product)
		size += id_copy_size(heap, line->product, reader->product_kind);
	return size;
}
