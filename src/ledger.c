/*
 * ledger.c
 *	  ledger: what the lines of one customer brought month by month, and the
 *	  instants at which the clock changes it.  cohorts and margin_rate: sums of
 *	  the ledgers of many customers.
 *
 * A ledger has two forms.  As the state of the aggregate it is a flat struct,
 * changed in place and grown geometrically, so that grouped aggregation stays
 * linear.  What is stored, once per customer, is packed into bytes: numbers of
 * variable length, months as differences, and nothing for what there is not.
 * A customer with one month takes some 20 bytes.  A packed ledger is canonical:
 * the same lines give the same bytes in whatever order they came, and so the
 * same text, in which ledgers travel between nodes.  All that reads ledgers
 * takes both forms.
 */
#include "rfm.h"

#include <ctype.h>

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define FIRST_CAPACITY	4		/* months a new state has room for: 128 bytes */
#define MONTH_EPOCH		2000	/* month 0 is January of this year */

/* the first byte of a ledger */
#define HAS_WINDOW_LINE	0x01
#define HAS_NEXT_LINE	0x02
#define HAS_MARGIN		0x04
#define IS_STATE		0x80	/* a LedgerState, not packed */

/* arguments of the aggregate, behind the state */
#define AT_ARG				1
#define AMOUNT_ARG			2
#define COST_ARG			3
#define WINDOW_START_ARG	4
#define AS_OF_ARG			5
#define TIME_ZONE_ARG		6

/* A packed ledger being read, month by month. */
typedef struct LedgerReader
{
	uint8		flags;
	TimestampTz window_line_at; /* DT_NOEND without */
	TimestampTz next_line_at;	/* DT_NOEND without */
	int128		margin_revenue; /* 0 without */
	int128		margin_cost;
	const uint8 *next;
	const uint8 *end;

	/* the month at hand */
	int64		month;
	bool		purchased;
	int128		revenue;
} LedgerReader;

/* What a call keeps between rows. */
typedef struct LedgerCall
{
	TimeReader	at;
	AmountKind	amount_kind;
} LedgerCall;

/* ---------- the state ---------- */

static inline Size
state_size(uint32 capacity)
{
	return offsetof(LedgerState, months) + (Size) capacity * sizeof(LedgerMonth);
}

/* An empty state, palloc'd. */
LedgerState *
ledger_new(uint32 capacity)
{
	Size		size = state_size(capacity);
	LedgerState *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->form = IS_STATE;
	state->capacity = capacity;
	state->window_line_at = state->next_line_at = DT_NOEND;
	return state;
}

/* A month of the state, made where missing; the state may move, into CurrentMemoryContext. */
LedgerMonth *
ledger_get_month(LedgerState **state_p, int32 month)
{
	LedgerState *state = *state_p;
	uint32		low = 0;
	uint32		high = state->nmonths;
	LedgerMonth *found;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (state->months[middle].month < month)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < state->nmonths && state->months[low].month == month)
		return &state->months[low];

	if (state->nmonths == state->capacity)
	{
		LedgerState *larger = ledger_new(Max(2 * state->capacity, FIRST_CAPACITY));
		uint32		capacity = larger->capacity;

		memcpy(larger, state, state_size(state->nmonths));
		larger->capacity = capacity;
		SET_VARSIZE(larger, state_size(capacity));
		*state_p = state = larger;
	}
	found = &state->months[low];
	memmove(found + 1, found, (state->nmonths - low) * sizeof(LedgerMonth));
	memset(found, 0, sizeof(LedgerMonth));
	found->month = month;
	state->nmonths++;
	return found;
}

/* ---------- the packed form ---------- */

/* A signed number as an unsigned one that is small when its magnitude is. */
static inline uint128
fold_sign(int128 value)
{
	return ((uint128) value << 1) ^ (uint128) (value >> 127);
}

static inline int128
unfold_sign(uint128 folded)
{
	return (int128) (folded >> 1) ^ -(int128) (folded & 1);
}

/* Writes a number, seven bits a byte, the last byte below 128. */
static uint8 *
put_number(uint8 *to, uint128 value)
{
	while (value >= 0x80)
	{
		*to++ = (uint8) value | 0x80;
		value >>= 7;
	}
	*to++ = (uint8) value;
	return to;
}

/* Reads a number. */
static uint128
get_number(LedgerReader *reader)
{
	uint64		low = 0;
	uint128		value;
	int			shift = 0;

	/* nearly all are short */
	for (; shift < 63; shift += 7)
	{
		if (unlikely(reader->next >= reader->end))
			rfm_corrupt("ledger");
		low |= (uint64) (*reader->next & 0x7F) << shift;
		if (*reader->next++ < 0x80)
			return low;
	}
	value = low;
	for (; shift < 126; shift += 7)
	{
		if (reader->next >= reader->end)
			rfm_corrupt("ledger");
		value |= (uint128) (*reader->next & 0x7F) << shift;
		if (*reader->next++ < 0x80)
			return value;
	}
	rfm_corrupt("ledger");
}

static TimestampTz
get_time(LedgerReader *reader)
{
	TimestampTz at;

	if (reader->end - reader->next < (ptrdiff_t) sizeof(at))
		rfm_corrupt("ledger");
	memcpy(&at, reader->next, sizeof(at));
	reader->next += sizeof(at);
	return at;
}

/* The packed form of a state, palloc'd; nothing is left over. */
struct varlena *
ledger_pack(const LedgerState *state)
{
	/* at most: 14 bytes for a sum, 5 for a month */
	struct varlena *ledger = palloc(VARHDRSZ + 1 + 2 * sizeof(TimestampTz) + 2 * 14 + (Size) state->nmonths * (5 + 14));
	uint8	   *to = (uint8 *) VARDATA(ledger) + 1;
	uint8		flags = 0;
	int32		previous = 0;

	if (state->window_line_at != DT_NOEND)
	{
		flags |= HAS_WINDOW_LINE;
		memcpy(to, &state->window_line_at, sizeof(TimestampTz));
		to += sizeof(TimestampTz);
	}
	if (state->next_line_at != DT_NOEND)
	{
		flags |= HAS_NEXT_LINE;
		memcpy(to, &state->next_line_at, sizeof(TimestampTz));
		to += sizeof(TimestampTz);
	}
	if (state->has_margin)
	{
		flags |= HAS_MARGIN;
		to = put_number(to, fold_sign(money_sum_value(&state->margin_revenue)));
		to = put_number(to, fold_sign(money_sum_value(&state->margin_cost)));
	}
	for (uint32 i = 0; i < state->nmonths; i++)
	{
		const LedgerMonth *month = &state->months[i];

		to = put_number(to, fold_sign(month->month - previous) << 1 | month->purchased);
		to = put_number(to, fold_sign(money_sum_value(&month->revenue)));
		previous = month->month;
	}
	*(uint8 *) VARDATA(ledger) = flags;
	SET_VARSIZE(ledger, to - (uint8 *) ledger);
	return ledger;
}

/* The first byte of a ledger. */
static inline uint8
ledger_form(struct varlena *ledger)
{
	if (VARSIZE_ANY_EXHDR(ledger) < 1)
		rfm_corrupt("ledger");
	return *(uint8 *) VARDATA_ANY(ledger);
}

/* Starts to read a ledger of either form: all but the months. */
static void
ledger_read(LedgerReader *reader, Datum datum)
{
	struct varlena *ledger = PG_DETOAST_DATUM_PACKED(datum);

	if (ledger_form(ledger) == IS_STATE)
		ledger = ledger_pack((LedgerState *) PG_DETOAST_DATUM(PointerGetDatum(ledger)));
	reader->next = (const uint8 *) VARDATA_ANY(ledger);
	reader->end = reader->next + VARSIZE_ANY_EXHDR(ledger);
	reader->flags = *reader->next++;
	reader->window_line_at = reader->flags & HAS_WINDOW_LINE ? get_time(reader) : DT_NOEND;
	reader->next_line_at = reader->flags & HAS_NEXT_LINE ? get_time(reader) : DT_NOEND;
	reader->margin_revenue = reader->margin_cost = 0;
	if (reader->flags & HAS_MARGIN)
	{
		reader->margin_revenue = unfold_sign(get_number(reader));
		reader->margin_cost = unfold_sign(get_number(reader));
	}
	reader->month = 0;
}

/* Reads the next month; false behind the last one. */
static inline bool
ledger_read_month(LedgerReader *reader)
{
	uint128		number;

	if (reader->next == reader->end)
		return false;
	number = get_number(reader);
	reader->purchased = number & 1;
	reader->month += (int32) unfold_sign(number >> 1);
	reader->revenue = unfold_sign(get_number(reader));
	return true;
}

/* A sum as one of 96 bits. */
static MoneySum
money_sum(int128 value)
{
	MoneySum	sum;

	sum.low = (uint64) value;
	sum.high = (int32) (value >> 64);
	return sum;
}

/* A ledger as a state: itself, when it is one already. */
static LedgerState *
state_from_datum(Datum datum)
{
	struct varlena *ledger = PG_DETOAST_DATUM(datum);
	LedgerState *state;
	LedgerReader reader;

	if (ledger_form(ledger) == IS_STATE)
		return (LedgerState *) ledger;
	state = ledger_new(FIRST_CAPACITY);
	ledger_read(&reader, PointerGetDatum(ledger));
	state->window_line_at = reader.window_line_at;
	state->next_line_at = reader.next_line_at;
	state->has_margin = (reader.flags & HAS_MARGIN) != 0;
	state->margin_revenue = money_sum(reader.margin_revenue);
	state->margin_cost = money_sum(reader.margin_cost);
	while (ledger_read_month(&reader))
	{
		LedgerMonth *month = ledger_get_month(&state, (int32) reader.month);

		month->purchased = reader.purchased;
		month->revenue = money_sum(reader.revenue);
	}
	return state;
}

/* ---------- ledger: the aggregate ---------- */

PG_FUNCTION_INFO_V1(rfm_ledger_accum);
PG_FUNCTION_INFO_V1(rfm_ledger_combine);
PG_FUNCTION_INFO_V1(rfm_ledger_final);

/* Months since MONTH_EPOCH of a date in days since 2000-01-01. */
int32
ledger_month(int32 date)
{
	int			year,
				month,
				day;

	j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	return (year - MONTH_EPOCH) * 12 + month - 1;
}

/* Adds a valid line before as_of; the state may move, into CurrentMemoryContext. */
static LedgerState *
state_add(LedgerState *state, TimestampTz at, int32 month, int64 amount, bool has_cost, Datum cost)
{
	LedgerMonth *entry = ledger_get_month(&state, month);

	money_sum_add(&entry->revenue, amount);
	entry->purchased |= amount >= 0;
	if (at < state->window_start)
		return state;
	state->window_line_at = Min(state->window_line_at, at);
	if (has_cost && amount >= 0)
	{
		state->has_margin = true;
		money_sum_add(&state->margin_revenue, amount);
		money_sum_add(&state->margin_cost, money_from_datum(cost, AMOUNT_NUMERIC));
	}
	return state;
}

/* Transition: the state (NULL at first), then the line.  Changes the state. */
Datum
rfm_ledger_accum(PG_FUNCTION_ARGS)
{
	LedgerCall *call = fcinfo->flinfo->fn_extra;
	const text *zone = PG_ARGISNULL(TIME_ZONE_ARG) ? NULL : PG_GETARG_TEXT_PP(TIME_ZONE_ARG);
	LedgerState *state = NULL;
	TimestampTz window_start;
	TimestampTz at;
	int64		amount;
	int32		month;

	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function works inside an aggregate only"),
				 errhint("Use rfm.ledger(ordered_at, amount, cost, window_start, as_of, time_zone) with GROUP BY customer_id.")));
	if (call == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		call = palloc0(sizeof(LedgerCall));
		time_reader_init(&call->at, get_fn_expr_argtype(fcinfo->flinfo, AT_ARG), "ordered_at");
		call->amount_kind = money_kind(get_fn_expr_argtype(fcinfo->flinfo, AMOUNT_ARG));
		fcinfo->flinfo->fn_extra = call;
		MemoryContextSwitchTo(old);
	}
	if (!PG_ARGISNULL(0))
		state = state_from_datum(PG_GETARG_DATUM(0));
	if (PG_ARGISNULL(AT_ARG) || PG_ARGISNULL(AMOUNT_ARG))
		goto done;

	at = time_read(&call->at, PG_GETARG_DATUM(AT_ARG), zone);
	if (!PG_ARGISNULL(AS_OF_ARG) && at >= PG_GETARG_TIMESTAMPTZ(AS_OF_ARG))
	{
		/* a line at infinity never comes due */
		if (TIMESTAMP_NOT_FINITE(at))
			goto done;
		if (state == NULL)
			state = ledger_new(FIRST_CAPACITY);
		state->next_line_at = Min(state->next_line_at, at);
		goto done;
	}
	if (TIMESTAMP_NOT_FINITE(at))
		rfm_infinite_line();

	amount = money_from_datum(PG_GETARG_DATUM(AMOUNT_ARG), call->amount_kind);
	month = ledger_month(zone_date(time_read_zone(&call->at, zone), at));
	window_start = PG_ARGISNULL(WINDOW_START_ARG) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(WINDOW_START_ARG);
	if (state == NULL)
		state = ledger_new(FIRST_CAPACITY);
	if (!state->has_window)
	{
		state->has_window = true;
		state->window_start = window_start;
	}
	else if (unlikely(state->window_start != window_start))
		rfm_window_changed();
	state = state_add(state, at, month, amount, !PG_ARGISNULL(COST_ARG), PG_GETARG_DATUM(COST_ARG));

done:
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* Combine: two ledgers of the same customer, neither is changed. */
Datum
rfm_ledger_combine(PG_FUNCTION_ARGS)
{
	const LedgerState *a,
			   *b;
	LedgerState *result;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(PG_ARGISNULL(0) ? 1 : 0));
	a = state_from_datum(PG_GETARG_DATUM(0));
	b = state_from_datum(PG_GETARG_DATUM(1));
	if (a->has_window && b->has_window && a->window_start != b->window_start)
		rfm_window_changed();

	result = ledger_new(a->nmonths + b->nmonths);
	memcpy(result->months, a->months, a->nmonths * sizeof(LedgerMonth));
	result->nmonths = a->nmonths;
	result->has_window = a->has_window || b->has_window;
	result->window_start = a->has_window ? a->window_start : b->window_start;
	result->window_line_at = Min(a->window_line_at, b->window_line_at);
	result->next_line_at = Min(a->next_line_at, b->next_line_at);
	result->has_margin = a->has_margin || b->has_margin;
	result->margin_revenue = a->margin_revenue;
	money_sum_merge(&result->margin_revenue, &b->margin_revenue);
	result->margin_cost = a->margin_cost;
	money_sum_merge(&result->margin_cost, &b->margin_cost);
	for (uint32 i = 0; i < b->nmonths; i++)
	{
		LedgerMonth *month = ledger_get_month(&result, b->months[i].month);

		CHECK_FOR_INTERRUPTS();
		month->purchased |= b->months[i].purchased;
		money_sum_merge(&month->revenue, &b->months[i].revenue);
	}
	PG_RETURN_POINTER(result);
}

/* Final: the packed form. */
Datum
rfm_ledger_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(ledger_pack(state_from_datum(PG_GETARG_DATUM(0))));
}

/* ---------- text ---------- */

/*
 * Both types have a text form of words with one space between them, the first
 * being the version.  Input reads each word by itself and then compares what it
 * read, written again, with what it was given: so only output is accepted.
 */
#define TEXT_VERSION "1"

/* Months that have a date. */
#define MIN_MONTH	((-4713 - MONTH_EPOCH) * 12 + 10)
#define MAX_MONTH	((5874898 - MONTH_EPOCH) * 12 + 5)

/* Whether a month that was read from somewhere has a date. */
bool
ledger_month_is_valid(int64 month)
{
	return month >= MIN_MONTH && month <= MAX_MONTH;
}

/* Appends a month, such as 2024-01; years before 1 count as in ISO 8601. */
static void
put_month(StringInfo text, int64 month)
{
	int			year = month / 12 - (month % 12 < 0);

	month -= year * 12;
	year += MONTH_EPOCH;
	appendStringInfo(text, " %s%04d-%02d", year < 0 ? "-" : "", abs(year), (int) month + 1);
}

/* Appends an amount with all its decimals. */
static void
put_money(StringInfo text, int128 units)
{
	Numeric		amount = money_to_numeric(units);

	appendStringInfo(text, " %s", DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(amount))));
	pfree(amount);
}

/* Appends an instant: microseconds since 2000-01-01, - without. */
static void
put_time(StringInfo text, TimestampTz at)
{
	if (at == DT_NOEND)
		appendStringInfoString(text, " -");
	else
		appendStringInfo(text, " " INT64_FORMAT, at);
}

/* The next word, NULL behind the last one. */
static char *
take_word(char **text)
{
	return strsep(text, " ");
}

/* A word that must be there. */
static char *
need_word(char **text, const char *type)
{
	char	   *word = take_word(text);

	if (word == NULL)
		rfm_corrupt(type);
	return word;
}

/* A whole number between low and high. */
static int64
word_number(const char *word, int64 low, int64 high, const char *type)
{
	char	   *end;
	int64		value;

	errno = 0;
	value = strtoi64(word, &end, 10);
	if (errno != 0 || end == word || value < low || value > high)
		rfm_corrupt(type);
	return value;
}

/* A month. */
static int32
word_month(const char *word, const char *type)
{
	const char *dash = strrchr(word, '-');
	int64		month;

	if (dash == NULL)
		rfm_corrupt(type);
	month = (word_number(word, -5000, 6000000, type) - MONTH_EPOCH) * 12 + word_number(dash + 1, 1, 12, type) - 1;
	if (!ledger_month_is_valid(month))
		rfm_corrupt(type);
	return (int32) month;
}

/* An amount, of less than 2^bits units. */
static int128
word_money(const char *word, int bits, const char *type)
{
	bool		negative = *word == '-';
	int128		units = 0;

	for (word += negative; *word != '\0'; word++)
	{
		if (*word == '.')
			continue;
		if (!isdigit((unsigned char) *word))
			rfm_corrupt(type);
		units = units * 10 + (*word - '0');
		if (units >> bits != 0)
			rfm_corrupt(type);
	}
	return negative ? -units : units;
}

/* An instant, DT_NOEND for -. */
static TimestampTz
word_time(const char *word)
{
	if (strcmp(word, "-") == 0)
		return DT_NOEND;
	return word_number(word, MIN_TIMESTAMP, END_TIMESTAMP - 1, "ledger");
}

/* Binary input is the text form; what is behind a zero byte would be lost. */
static char *
receive_text(StringInfo buffer, const char *type)
{
	int			length = buffer->len - buffer->cursor;
	const char *bytes = pq_getmsgbytes(buffer, length);

	if (memchr(bytes, '\0', length) != NULL)
		rfm_corrupt(type);
	return pnstrdup(bytes, length);
}

/* Binary output is the text form. */
static Datum
send_text(StringInfo text)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbytes(&buffer, text->data, text->len);
	return PointerGetDatum(pq_endtypsend(&buffer));
}

/* ---------- ledger: the type ---------- */

PG_FUNCTION_INFO_V1(rfm_ledger_in);
PG_FUNCTION_INFO_V1(rfm_ledger_out);
PG_FUNCTION_INFO_V1(rfm_ledger_recv);
PG_FUNCTION_INFO_V1(rfm_ledger_send);
PG_FUNCTION_INFO_V1(rfm_ledger_bytes);

/* Whether a type is that of ledgers. */
bool
ledger_is_type(Oid type)
{
	Oid			output;
	bool		is_varlena;
	FmgrInfo	info;

	getTypeOutputInfo(type, &output, &is_varlena);
	fmgr_info(output, &info);
	return info.fn_addr == rfm_ledger_out;
}

/* The bytes of a stored ledger, to compare. */
Datum
rfm_ledger_bytes(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

PG_FUNCTION_INFO_V1(rfm_ledger_next_line_at);
PG_FUNCTION_INFO_V1(rfm_ledger_window_line_at);
PG_FUNCTION_INFO_V1(rfm_ledger_unpack);

/*
 * Appends the text form: `1 window_line_at next_line_at margin_revenue
 * margin_cost`, then for each month `month p revenue`, where - is what there is
 * not and p is a for a month of adjustments only.
 */
static void
ledger_put(StringInfo text, Datum datum)
{
	LedgerReader reader;

	ledger_read(&reader, datum);
	appendStringInfoString(text, TEXT_VERSION);
	put_time(text, reader.window_line_at);
	put_time(text, reader.next_line_at);
	if (reader.flags & HAS_MARGIN)
	{
		put_money(text, reader.margin_revenue);
		put_money(text, reader.margin_cost);
	}
	else
		appendStringInfoString(text, " - -");
	while (ledger_read_month(&reader))
	{
		CHECK_FOR_INTERRUPTS();
		put_month(text, reader.month);
		appendStringInfoString(text, reader.purchased ? " p" : " a");
		put_money(text, reader.revenue);
	}
}

/* Reads the text form.  Trusts nothing. */
static struct varlena *
ledger_parse(const char *text)
{
	char	   *rest = pstrdup(text);
	LedgerState *state = ledger_new(FIRST_CAPACITY);
	struct varlena *ledger;
	char	   *word;
	StringInfoData written;

	need_word(&rest, "ledger");
	state->window_line_at = word_time(need_word(&rest, "ledger"));
	state->next_line_at = word_time(need_word(&rest, "ledger"));
	word = need_word(&rest, "ledger");
	state->has_margin = strcmp(word, "-") != 0;
	if (state->has_margin)
		state->margin_revenue = money_sum(word_money(word, 95, "ledger"));
	word = need_word(&rest, "ledger");
	if (state->has_margin)
		state->margin_cost = money_sum(word_money(word, 95, "ledger"));
	while ((word = take_word(&rest)) != NULL)
	{
		LedgerMonth *month = ledger_get_month(&state, word_month(word, "ledger"));

		CHECK_FOR_INTERRUPTS();
		month->purchased = strcmp(need_word(&rest, "ledger"), "p") == 0;
		month->revenue = money_sum(word_money(need_word(&rest, "ledger"), 95, "ledger"));
	}

	ledger = ledger_pack(state);
	initStringInfo(&written);
	ledger_put(&written, PointerGetDatum(ledger));
	if (strcmp(written.data, text) != 0)
		rfm_corrupt("ledger");
	return ledger;
}

/* Input. */
Datum
rfm_ledger_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(ledger_parse(PG_GETARG_CSTRING(0)));
}

/* Output, of either form. */
Datum
rfm_ledger_out(PG_FUNCTION_ARGS)
{
	StringInfoData text;

	initStringInfo(&text);
	ledger_put(&text, PG_GETARG_DATUM(0));
	PG_RETURN_CSTRING(text.data);
}

/* Binary input. */
Datum
rfm_ledger_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(ledger_parse(receive_text((StringInfo) PG_GETARG_POINTER(0), "ledger")));
}

/* Binary output. */
Datum
rfm_ledger_send(PG_FUNCTION_ARGS)
{
	StringInfoData text;

	initStringInfo(&text);
	ledger_put(&text, PG_GETARG_DATUM(0));
	return send_text(&text);
}

/* next_line_at(ledger) → the earliest line at or after as_of, NULL without one */
Datum
rfm_ledger_next_line_at(PG_FUNCTION_ARGS)
{
	LedgerReader reader;

	ledger_read(&reader, PG_GETARG_DATUM(0));
	if (reader.next_line_at == DT_NOEND)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(reader.next_line_at);
}

/* window_line_at(ledger) → the earliest line in the window, NULL without one */
Datum
rfm_ledger_window_line_at(PG_FUNCTION_ARGS)
{
	LedgerReader reader;

	ledger_read(&reader, PG_GETARG_DATUM(0));
	if (reader.window_line_at == DT_NOEND)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(reader.window_line_at);
}

/* The first day of a month; of the first month of all, the first day there is. */
static Datum
month_datum(int64 month)
{
	int64		year = month / 12 - (month % 12 < 0);
	DateADT		date = date2j(year + MONTH_EPOCH, month - year * 12 + 1, 1) - POSTGRES_EPOCH_JDATE;

	return DateADTGetDatum(Max(date, DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE));
}

/* unpack(ledger) → a row per month */
Datum
rfm_ledger_unpack(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	LedgerReader reader;

	InitMaterializedSRF(fcinfo, 0);
	ledger_read(&reader, PG_GETARG_DATUM(0));
	while (ledger_read_month(&reader))
	{
		Datum		values[3] = {month_datum(reader.month), BoolGetDatum(reader.purchased),
		NumericGetDatum(money_to_numeric(reader.revenue))};
		bool		nulls[3] = {false};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[2]));
	}
	return (Datum) 0;
}

/* ---------- cohorts: the aggregate ---------- */

/* The customers of one month of first order in one month. */
typedef struct Cell
{
	int32		cohort;			/* month of the first order, since MONTH_EPOCH */
	int32		month;			/* NO_MONTH in an empty slot */
	int64		active_customers;	/* with a purchase */
	int128		revenue;		/* adjustments too */
} Cell;

#define NO_MONTH		PG_INT32_MIN
#define FIRST_SLOTS		256

/* The state: a hash table of cells, at most half full, linear probing. */
typedef struct CohortTable
{
	Cell	   *slots;
	uint32		mask;			/* number of slots − 1 */
	uint32		used;
	MemoryContext context;
} CohortTable;

/* The type: cells in order. */
typedef struct Cohorts
{
	int32		vl_len_;
	uint32		ncells;
	Cell		cells[FLEXIBLE_ARRAY_MEMBER];
} Cohorts;

PG_FUNCTION_INFO_V1(rfm_cohorts_accum);
PG_FUNCTION_INFO_V1(rfm_cohorts_combine);
PG_FUNCTION_INFO_V1(rfm_cohorts_serialize);
PG_FUNCTION_INFO_V1(rfm_cohorts_deserialize);
PG_FUNCTION_INFO_V1(rfm_cohorts_final);
PG_FUNCTION_INFO_V1(rfm_cohorts_state_accum);
PG_FUNCTION_INFO_V1(rfm_cohorts_state_final);
PG_FUNCTION_INFO_V1(rfm_cohorts_in);
PG_FUNCTION_INFO_V1(rfm_cohorts_out);
PG_FUNCTION_INFO_V1(rfm_cohorts_recv);
PG_FUNCTION_INFO_V1(rfm_cohorts_send);
PG_FUNCTION_INFO_V1(rfm_cohorts_unpack);

/* Gives a table slots, a power of two of them. */
static void
table_init(CohortTable *table, uint64 nslots)
{
	table->slots = MemoryContextAllocHuge(table->context, nslots * sizeof(Cell));
	for (uint64 i = 0; i < nslots; i++)
		table->slots[i].month = NO_MONTH;
	table->mask = nslots - 1;
	table->used = 0;
}

static CohortTable *
table_new(MemoryContext context)
{
	CohortTable *table = MemoryContextAllocZero(context, sizeof(CohortTable));

	table->context = context;
	table_init(table, FIRST_SLOTS);
	return table;
}

/* Adds to a cell, made where missing. */
static inline void
table_add(CohortTable *table, int32 cohort, int32 month, int64 active_customers, int128 revenue)
{
	uint64		key = (uint64) (uint32) cohort << 32 | (uint32) month;

	for (uint32 i = id_hash(ID_INT8, key) & table->mask;; i = (i + 1) & table->mask)
	{
		Cell	   *cell = &table->slots[i];

		if (cell->month == NO_MONTH)
		{
			*cell = (Cell) {cohort, month, active_customers, revenue};
			table->used++;
			return;
		}
		if (cell->month == month && cell->cohort == cohort)
		{
			/* only bytes that were changed overflow */
			if (__builtin_add_overflow(cell->active_customers, active_customers, &cell->active_customers) ||
				__builtin_add_overflow(cell->revenue, revenue, &cell->revenue))
				rfm_corrupt("cohorts");
			return;
		}
	}
}

/* Enlarges a table for one more cell. */
static inline void
table_reserve(CohortTable *table)
{
	Cell	   *old = table->slots;
	uint64		nold = (uint64) table->mask + 1;

	if (likely(table->used < nold / 2))
		return;
	table_init(table, nold * 2);
	for (uint64 i = 0; i < nold; i++)
		if (old[i].month != NO_MONTH)
			table_add(table, old[i].cohort, old[i].month, old[i].active_customers, old[i].revenue);
	pfree(old);
}

/* Transition: adds the months of a customer. */
Datum
rfm_cohorts_accum(PG_FUNCTION_ARGS)
{
	CohortTable *table = PG_ARGISNULL(0) ? NULL : (CohortTable *) PG_GETARG_POINTER(0);
	DateADT		date;
	int32		cohort;
	LedgerReader reader;

	if (table == NULL)
		table = table_new(aggregate_state_context(fcinfo));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(table);
	date = PG_GETARG_DATEADT(1);
	if (DATE_NOT_FINITE(date))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("first_order_date is infinite"),
				 errhint("Give the date that unpack of a profile gives.")));
	cohort = ledger_month(date);
	ledger_read(&reader, PG_GETARG_DATUM(2));
	while (ledger_read_month(&reader))
	{
		table_reserve(table);
		table_add(table, cohort, (int32) reader.month, reader.purchased, reader.revenue);
	}
	PG_RETURN_POINTER(table);
}

/* Combine: adds the cells of another worker. */
Datum
rfm_cohorts_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_state_context(fcinfo);
	CohortTable *a = PG_ARGISNULL(0) ? NULL : (CohortTable *) PG_GETARG_POINTER(0);
	CohortTable *b = PG_ARGISNULL(1) ? NULL : (CohortTable *) PG_GETARG_POINTER(1);

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL)
		a = table_new(context);
	for (uint64 i = 0; i <= b->mask; i++)
	{
		const Cell *cell = &b->slots[i];

		CHECK_FOR_INTERRUPTS();
		if (cell->month == NO_MONTH)
			continue;
		table_reserve(a);
		table_add(a, cell->cohort, cell->month, cell->active_customers, cell->revenue);
	}
	PG_RETURN_POINTER(a);
}

/* An ordering of cells. */
static int
compare_cells(const void *a, const void *b)
{
	const Cell *cell_a = a;
	const Cell *cell_b = b;

	CHECK_FOR_INTERRUPTS();
	if (cell_a->cohort != cell_b->cohort)
		return cell_a->cohort < cell_b->cohort ? -1 : 1;
	return (cell_a->month > cell_b->month) - (cell_a->month < cell_b->month);
}

/* The cells of a table in order, palloc'd. */
static Cohorts *
table_cohorts(const CohortTable *table)
{
	Size		size = offsetof(Cohorts, cells) + (Size) table->used * sizeof(Cell);
	Cohorts    *cohorts;

	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the cohorts do not fit in 1 GB"),
				 errhint("Look for lines with dates far off.")));
	cohorts = palloc0(size);
	SET_VARSIZE(cohorts, size);
	for (uint64 i = 0; i <= table->mask; i++)
		if (table->slots[i].month != NO_MONTH)
			cohorts->cells[cohorts->ncells++] = table->slots[i];
	qsort(cohorts->cells, cohorts->ncells, sizeof(Cell), compare_cells);
	return cohorts;
}

/* Serialise: as the result. */
Datum
rfm_cohorts_serialize(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(table_cohorts((CohortTable *) PG_GETARG_POINTER(0)));
}

/* Deserialise.  Trusts nothing. */
Datum
rfm_cohorts_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_P(0);
	const char *source = (char *) bytes + offsetof(Cohorts, cells);
	CohortTable *table;

	if (VARSIZE(bytes) < offsetof(Cohorts, cells) ||
		VARSIZE(bytes) - offsetof(Cohorts, cells) != *(uint32 *) VARDATA(bytes) * sizeof(Cell))
		rfm_corrupt("cohorts");
	table = table_new(CurrentMemoryContext);
	/* a bytea may stand at any multiple of four */
	for (; source < (char *) bytes + VARSIZE(bytes); source += sizeof(Cell))
	{
		Cell		cell;

		CHECK_FOR_INTERRUPTS();
		memcpy(&cell, source, sizeof(Cell));
		if (!ledger_month_is_valid(cell.cohort) || !ledger_month_is_valid(cell.month))
			rfm_corrupt("cohorts");
		table_reserve(table);
		table_add(table, cell.cohort, cell.month, cell.active_customers, cell.revenue);
	}
	PG_RETURN_POINTER(table);
}

/* Final; NULL without a cell. */
Datum
rfm_cohorts_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || ((CohortTable *) PG_GETARG_POINTER(0))->used == 0)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(table_cohorts((CohortTable *) PG_GETARG_POINTER(0)));
}

Datum
rfm_cohorts_state_accum(PG_FUNCTION_ARGS)
{
	return aggregate_state_accum(fcinfo, AGGREGATE_COHORTS, rfm_cohorts_accum);
}

Datum
rfm_cohorts_state_final(PG_FUNCTION_ARGS)
{
	return aggregate_state_final(fcinfo, AGGREGATE_COHORTS, rfm_cohorts_final);
}

/* ---------- cohorts: the type ---------- */

/*
 * Appends the text form: `1`, then for each cell `cohort_month month
 * active_customers revenue`.
 */
static void
cohorts_put(StringInfo text, const Cohorts *cohorts)
{
	appendStringInfoString(text, TEXT_VERSION);
	for (uint32 i = 0; i < cohorts->ncells; i++)
	{
		const Cell *cell = &cohorts->cells[i];

		CHECK_FOR_INTERRUPTS();
		put_month(text, cell->cohort);
		put_month(text, cell->month);
		appendStringInfo(text, " " INT64_FORMAT, cell->active_customers);
		put_money(text, cell->revenue);
	}
}

/* Reads the text form.  Trusts nothing. */
static Cohorts *
cohorts_parse(const char *text)
{
	char	   *rest = pstrdup(text);
	CohortTable *table = table_new(CurrentMemoryContext);
	Cohorts    *cohorts;
	char	   *word;
	StringInfoData written;

	need_word(&rest, "cohorts");
	while ((word = take_word(&rest)) != NULL)
	{
		int32		cohort = word_month(word, "cohorts");
		int32		month = word_month(need_word(&rest, "cohorts"), "cohorts");
		int64		customers = word_number(need_word(&rest, "cohorts"), 0, PG_INT64_MAX, "cohorts");
		int128		revenue = word_money(need_word(&rest, "cohorts"), 120, "cohorts");

		CHECK_FOR_INTERRUPTS();
		table_reserve(table);
		table_add(table, cohort, month, customers, revenue);
	}

	cohorts = table_cohorts(table);
	initStringInfo(&written);
	cohorts_put(&written, cohorts);
	if (strcmp(written.data, text) != 0)
		rfm_corrupt("cohorts");
	return cohorts;
}

/* Input. */
Datum
rfm_cohorts_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(cohorts_parse(PG_GETARG_CSTRING(0)));
}

/* Output. */
Datum
rfm_cohorts_out(PG_FUNCTION_ARGS)
{
	StringInfoData text;

	initStringInfo(&text);
	cohorts_put(&text, (Cohorts *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)));
	PG_RETURN_CSTRING(text.data);
}

/* Binary input. */
Datum
rfm_cohorts_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(cohorts_parse(receive_text((StringInfo) PG_GETARG_POINTER(0), "cohorts")));
}

/* Binary output. */
Datum
rfm_cohorts_send(PG_FUNCTION_ARGS)
{
	StringInfoData text;

	initStringInfo(&text);
	cohorts_put(&text, (Cohorts *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)));
	return send_text(&text);
}

/* unpack(cohorts) → a row per cohort and month */
Datum
rfm_cohorts_unpack(PG_FUNCTION_ARGS)
{
	const Cohorts *cohorts = (Cohorts *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (uint32 i = 0; i < cohorts->ncells; i++)
	{
		const Cell *cell = &cohorts->cells[i];
		Datum		values[4] = {month_datum(cell->cohort), month_datum(cell->month),
			Int64GetDatum(cell->active_customers), NumericGetDatum(money_to_numeric(cell->revenue))};
		bool		nulls[4] = {false};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[3]));
	}
	return (Datum) 0;
}

/* ---------- margin_rate: the aggregate ---------- */

/* The state: sums over ledgers, none of which need have a margin. */
typedef struct Margin
{
	int128		revenue;
	int128		cost;
} Margin;

PG_FUNCTION_INFO_V1(rfm_margin_rate_accum);
PG_FUNCTION_INFO_V1(rfm_margin_rate_combine);
PG_FUNCTION_INFO_V1(rfm_margin_rate_serialize);
PG_FUNCTION_INFO_V1(rfm_margin_rate_deserialize);
PG_FUNCTION_INFO_V1(rfm_margin_rate_final);
PG_FUNCTION_INFO_V1(rfm_margin_rate_state_accum);
PG_FUNCTION_INFO_V1(rfm_margin_rate_state_final);

/* Transition: adds a ledger. */
Datum
rfm_margin_rate_accum(PG_FUNCTION_ARGS)
{
	Margin	   *margin = PG_ARGISNULL(0) ? NULL : (Margin *) PG_GETARG_POINTER(0);
	LedgerReader reader;

	if (margin == NULL)
		margin = MemoryContextAllocZero(aggregate_state_context(fcinfo), sizeof(Margin));
	if (!PG_ARGISNULL(1))
	{
		ledger_read(&reader, PG_GETARG_DATUM(1));
		margin->revenue += reader.margin_revenue;
		margin->cost += reader.margin_cost;
	}
	PG_RETURN_POINTER(margin);
}

/* Combine: adds the sums of another worker. */
Datum
rfm_margin_rate_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_state_context(fcinfo);
	Margin	   *a = PG_ARGISNULL(0) ? NULL : (Margin *) PG_GETARG_POINTER(0);
	Margin	   *b = PG_ARGISNULL(1) ? NULL : (Margin *) PG_GETARG_POINTER(1);

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL)
		a = MemoryContextAllocZero(context, sizeof(Margin));
	/* only bytes that were changed overflow */
	if (__builtin_add_overflow(a->revenue, b->revenue, &a->revenue) || __builtin_add_overflow(a->cost, b->cost, &a->cost))
		rfm_corrupt("margin_rate");
	PG_RETURN_POINTER(a);
}

/* Serialise: the sums as they are. */
Datum
rfm_margin_rate_serialize(PG_FUNCTION_ARGS)
{
	bytea	   *result = palloc(VARHDRSZ + sizeof(Margin));

	SET_VARSIZE(result, VARHDRSZ + sizeof(Margin));
	memcpy(VARDATA(result), PG_GETARG_POINTER(0), sizeof(Margin));
	PG_RETURN_BYTEA_P(result);
}

/* Deserialise; any sums may be. */
Datum
rfm_margin_rate_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	Margin	   *margin = palloc(sizeof(Margin));

	if (VARSIZE_ANY_EXHDR(bytes) != sizeof(Margin))
		rfm_corrupt("margin_rate");
	memcpy(margin, VARDATA_ANY(bytes), sizeof(Margin));
	PG_RETURN_POINTER(margin);
}

/* Final: the quotient to the digits of numeric; NULL without revenue. */
Datum
rfm_margin_rate_final(PG_FUNCTION_ARGS)
{
	const Margin *margin = PG_ARGISNULL(0) ? NULL : (Margin *) PG_GETARG_POINTER(0);
	int128		profit;
	Datum		rate;

	if (margin == NULL || margin->revenue == 0)
		PG_RETURN_NULL();
	if (__builtin_sub_overflow(margin->revenue, margin->cost, &profit))
		rfm_corrupt("margin_rate");
	rate = DirectFunctionCall2(numeric_div, NumericGetDatum(money_to_numeric(profit)),
							   NumericGetDatum(money_to_numeric(margin->revenue)));
	PG_RETURN_DATUM(DirectFunctionCall1(numeric_float8, rate));
}

Datum
rfm_margin_rate_state_accum(PG_FUNCTION_ARGS)
{
	return aggregate_state_accum(fcinfo, AGGREGATE_MARGIN_RATE, rfm_margin_rate_accum);
}

Datum
rfm_margin_rate_state_final(PG_FUNCTION_ARGS)
{
	return aggregate_state_final(fcinfo, AGGREGATE_MARGIN_RATE, rfm_margin_rate_final);
}
