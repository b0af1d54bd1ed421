/*
 * rfm.h
 *	  Table of contents of the C core: what each file offers to the others.
 *
 * Every SQL-callable function is IMMUTABLE and takes all it needs as
 * arguments.  What crosses between files is plain values: money in units of
 * 1e-4, ids as 64-bit words, times as TimestampTz.
 *
 * Copyright (c) 2026, rfm_segments contributors
 */
#ifndef RFM_H
#define RFM_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/numeric.h"

/* The only place that asks for the server's version. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
#if PG_VERSION_NUM < 150000
#error "rfm_segments needs PostgreSQL 15 or later"
#endif
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif
#if PG_VERSION_NUM >= 180000
#define RFM_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "rfm_segments", .version = RFM_VERSION)
#else
#define RFM_MODULE_MAGIC PG_MODULE_MAGIC
#endif

#ifndef HAVE_INT128
#error "rfm_segments needs a compiler with 128-bit integers"
#endif

/* ---------- check.c: argument checks, each message in one place ---------- */

extern void rfm_check_score(int score, int levels, const char *axis);
extern int	rfm_check_cutoffs(ArrayType *cutoffs, Datum **cuts);
extern int	rfm_check_fractions(ArrayType *fractions, Datum **values);
extern bool rfm_argument_is_constant(FunctionCallInfo fcinfo, int argument);
pg_noreturn extern void rfm_negative_orders(int64 orders);
pg_noreturn extern void rfm_money_nan(void);
pg_noreturn extern void rfm_money_overflow(void);
pg_noreturn extern void rfm_window_changed(void);
pg_noreturn extern void rfm_infinite_line(void);
pg_noreturn extern void rfm_corrupt(const char *type);

#define RFM_MAX_CUTS	8		/* cut points of an axis: two to nine levels */
#define RFM_MAX_LEVELS	(RFM_MAX_CUTS + 1)

/* ---------- money.c: exact money in units of 1e-4 ---------- */

/* The type families an amount may have. */
typedef enum AmountKind
{
	AMOUNT_INT2,
	AMOUNT_INT4,
	AMOUNT_INT8,
	AMOUNT_NUMERIC,
	AMOUNT_FLOAT4,
	AMOUNT_FLOAT8
} AmountKind;

/* A 96-bit sum of units: 2^32 amounts of any size cannot overflow it. */
typedef struct MoneySum
{
	uint64		low;
	int32		high;
} pg_attribute_packed() MoneySum;

extern AmountKind money_kind(Oid type);
extern int64 money_from_datum(Datum amount, AmountKind kind);
extern int64 money_from_numeric(Numeric amount);
extern int64 money_from_float8(float8 amount);
extern bool money_is_numeric(const char *data, Size size);
extern bool money_units(Numeric value, int64 *units, bool *exact);
extern bool money_units_float8(float8 value, int64 *units, bool *exact);
extern Numeric money_to_numeric(int128 units);
extern int128 money_sum_from_datum(Datum sum);
extern Numeric money_float8_decimal(float8 amount);
extern Numeric money_float4_decimal(float4 amount);

/* The sum as one number. */
static inline int128
money_sum_value(const MoneySum *sum)
{
	return (int128) (((uint128) sum->high << 64) | sum->low);
}

/* Adds an amount; the caller counts its amounts and stops before 2^32. */
static inline void
money_sum_add(MoneySum *sum, int64 units)
{
	uint64		low = sum->low + (uint64) units;

	sum->high += (low < sum->low) - (units < 0);
	sum->low = low;
}

/* Adds another sum. */
static inline void
money_sum_merge(MoneySum *sum, const MoneySum *other)
{
	uint64		low = sum->low + other->low;

	sum->high += other->high + (low < sum->low);
	sum->low = low;
}

/* A sum of squares of MoneySums, in units of 1e-8: 2^64 of them cannot overflow it. */
typedef struct SquareSum
{
	uint64		word[4];		/* the lowest first */
} SquareSum;

extern void square_sum_add(SquareSum *sum, int128 units);
extern void square_sum_merge(SquareSum *sum, const SquareSum *other);
extern Numeric square_sum_to_numeric(const SquareSum *sum);

/* ---------- aggregate_state.c: states that travel between machines ---------- */

/* The aggregates that have them; the numbers stand in their bytes. */
typedef enum AggregateKind
{
	AGGREGATE_TALLY = 1,
	AGGREGATE_GATEWAY,
	AGGREGATE_COHORTS,
	AGGREGATE_MARGIN_RATE
} AggregateKind;

extern MemoryContext aggregate_state_context(FunctionCallInfo fcinfo);
extern Datum aggregate_state_accum(FunctionCallInfo fcinfo, AggregateKind kind, PGFunction accum);
extern Datum aggregate_state_final(FunctionCallInfo fcinfo, AggregateKind kind, PGFunction final);

/* ---------- score.c: scores ---------- */

#define RFM_AXES		3		/* recency, frequency, monetary */

/* Cut points of one axis, ready to compare. */
typedef struct Cuts
{
	int			n;				/* 0 until read */
	bool		constant;		/* of the query: need not be read again */
	ArrayType  *source;			/* the array they were read from, a copy */
	Datum		value[RFM_MAX_CUTS];	/* numerics in source */
	int64		floor[RFM_MAX_CUTS];	/* in units, not above the cut point */
	int64		ceiling[RFM_MAX_CUTS];	/* in units, not below it */
} Cuts;

extern void cuts_load(Cuts *cuts, Datum array, MemoryContext context);
extern int	cuts_level(const Cuts *cuts, Datum amount, AmountKind kind);
extern int	cuts_days_level(const Cuts *cuts, int32 days);
extern int	cuts_orders_level(const Cuts *cuts, int64 orders);
extern int	cuts_money_level(const Cuts *cuts, int128 units);

/* ---------- cutoffs.c: percentiles ---------- */

typedef struct Values Values;

extern Values *values_begin(AmountKind kind, Datum fractions);
extern void values_add_number(Values *values, int128 number);
extern ArrayType *values_cutoffs(const Values *values);

/* ---------- memory.c: large arrays ---------- */

extern void *memory_large_pages(void *array, Size size);

/* ---------- id.c: customer, order and product ids as 64-bit words ---------- */

typedef enum IdKind
{
	ID_NONE,					/* no such column */
	ID_INT2,
	ID_INT4,
	ID_INT8,
	ID_UUID,
	ID_TEXT						/* text and varchar, compared by bytes */
} IdKind;

/* Where the bytes of uuids and text live; integers need none. */
typedef struct IdHeap
{
	char	   *data;
	Size		used;
	Size		capacity;
	MemoryContext context;
	bool		fixed;			/* a part of something larger: never grows */
} IdHeap;

#define IDHEAP_GRANULE 8

/* Whether ids of this kind live in a heap. */
static inline bool
id_kind_in_heap(IdKind kind)
{
	return kind >= ID_UUID;
}

extern IdKind id_kind(Oid type, const char *column);
extern IdKind id_kind_or_none(Oid type);
extern void id_heap_reserve(IdHeap *heap, Size size);
extern Size id_datum_size(Datum datum, IdKind kind);
extern uint64 id_from_datum(IdHeap *heap, Datum datum, IdKind kind);
extern uint64 id_from_bytes(IdHeap *heap, const char *bytes, uint32 length);
extern const char *id_bytes(const IdHeap *heap, uint64 word, uint32 *length);
extern bool id_kind_is_valid(int kind);
extern bool id_is_valid(const IdHeap *heap, uint64 word, IdKind kind);
extern uint64 id_copy(IdHeap *to, const IdHeap *from, uint64 word, IdKind kind);
extern Size id_copy_size(const IdHeap *from, uint64 word, IdKind kind);
extern bool id_bytes_equal(const IdHeap *heap_a, uint64 a, const IdHeap *heap_b, uint64 b);
extern int	id_compare(IdKind kind, const IdHeap *heap_a, uint64 a, const IdHeap *heap_b, uint64 b);
extern Datum id_to_datum(const IdHeap *heap, uint64 word, IdKind kind);

/*
 * The hash of an id: equal ids, equal hashes, in whatever heap.  Two rounds of
 * multiply and shift spread an integer's low and high bits over the result.
 */
static inline uint32
id_hash(IdKind kind, uint64 word)
{
	if (id_kind_in_heap(kind))
		return (uint32) (word >> 32);
	word = (word ^ (word >> 32)) * UINT64CONST(0x9E3779B97F4A7C15);
	word = (word ^ (word >> 29)) * UINT64CONST(0xBF58476D1CE4E5B9);
	return (uint32) (word >> 32);
}

/* Whether two ids are equal. */
static inline bool
id_equal(IdKind kind, const IdHeap *heap_a, uint64 a, const IdHeap *heap_b, uint64 b)
{
	if (!id_kind_in_heap(kind))
		return a == b;
	return (a >> 32) == (b >> 32) && id_bytes_equal(heap_a, a, heap_b, b);
}

/* ---------- zone.c: local dates and times of one time zone ---------- */

typedef struct Zone
{
	pg_tz	   *zone;
	bool		fixed;			/* no daylight saving: the offset is all */
	int64		offset;			/* microseconds east of UTC */
} Zone;

/* How a column of times becomes instants. */
typedef struct TimeReader
{
	Oid			type;			/* timestamptz, timestamp or date */
	Zone		zone;			/* of the row before, for timestamp and date */
	bool		same_zone;		/* all rows have the same */
	char	   *zone_name;		/* NULL until a zone was needed */
	MemoryContext context;		/* of zone_name */
} TimeReader;

extern void zone_init(Zone *zone, const char *name, int length);
extern void time_reader_init(TimeReader *reader, Oid type, const char *column);
extern const Zone *time_read_zone(TimeReader *reader, const text *zone);
extern TimestampTz time_read(TimeReader *reader, Datum value, const text *zone);
extern TimestampTz zone_instant(const Zone *zone, Timestamp local);
extern int32 zone_date(const Zone *zone, TimestampTz at);

/* ---------- line.c: reading the lines that the aggregates are given ---------- */

/* One purchase or adjustment line; its ids are words of some heap. */
typedef struct Line
{
	uint64		customer;
	uint64		order;
	uint64		product;
	int64		amount;			/* an adjustment when negative */
	TimestampTz at;
	uint32		hash;			/* of the customer */
	bool		assigned;		/* has a customer */
	bool		has_product;
	bool		in_window;
	bool		is_next;		/* at or after as_of: only its customer is read */
} Line;

/* How the rows of a call become lines. */
typedef struct LineReader
{
	IdKind		customer_kind;	/* ID_NONE for profile */
	IdKind		order_kind;
	IdKind		product_kind;	/* ID_NONE without product_id */
	AmountKind	amount_kind;
	TimeReader	at;
	int			first;			/* argument number of order_id */
	int			nargs;
	TimestampTz window_start;	/* DT_NOBEGIN without a window */
} LineReader;

extern void line_reader_init(LineReader *reader, FunctionCallInfo fcinfo, bool with_customer);
extern void line_reader_window(LineReader *reader, FunctionCallInfo fcinfo);
extern bool line_read(LineReader *reader, FunctionCallInfo fcinfo, IdHeap *heap, Line *line);
extern Size line_id_size(const LineReader *reader, const IdHeap *heap, const Line *line);

/* ---------- order.c: what is known of one order, and of all of a customer's ---------- */

/*
 * One order of one customer.  Known from adjustments only, it has no first_at
 * and does not count as an order.
 */
typedef struct Order
{
	uint64		id;
	uint64		product;		/* of the greatest purchase line */
	int64		greatest;		/* amount of that line, -1 when there is none */
	TimestampTz first_at;		/* first purchase line, DT_NOEND when there is none */
	TimestampTz last_at;		/* last purchase line, DT_NOBEGIN when there is none */
	MoneySum	revenue;		/* lines in the window, adjustments too */
	uint32		next:31;		/* for the container: a list of orders */
	uint32		has_product:1;
} Order;

/* A customer's orders at a glance. */
typedef struct OrderSummary
{
	const Order *first;			/* NULL without a purchase */
	const Order *second;
	int64		orders;			/* with a purchase line in the window */
	TimestampTz last_at;		/* last purchase line, DT_NOBEGIN without */
} OrderSummary;

extern void order_init(Order *order, uint64 id);
extern bool order_is_valid(const Order *order);
extern void order_add(Order *order, const Line *line, IdKind product_kind, IdHeap *heap, const IdHeap *line_heap);
extern void order_merge(Order *order, const Order *other, IdKind product_kind, IdHeap *heap, const IdHeap *other_heap);
extern void order_summary_init(OrderSummary *summary);
extern void order_summary_add(OrderSummary *summary, const Order *order, IdKind order_kind, const IdHeap *heap, TimestampTz window_start);

/* ---------- profile_all.c: the profiles of many customers ---------- */

typedef struct ProfileSet ProfileSet;

/* What a customer bought in the window. */
typedef struct Purchases
{
	int64		orders;
	TimestampTz last_at;		/* of all time */
	int128		revenue;
} Purchases;

extern ProfileSet *profile_set_from_datum(Datum datum);
extern uint32 profile_set_customers(const ProfileSet *set);
extern bool profile_set_purchases(const ProfileSet *set, uint32 number, Purchases *purchases);

/* ---------- ledger.c: what lines brought month by month ---------- */

/* One month of a ledger. */
typedef struct LedgerMonth
{
	int32		month:31;		/* since January 2000 */
	uint32		purchased:1;	/* has a purchase line */
	MoneySum	revenue;		/* adjustments too */
} LedgerMonth;

/* A ledger that still changes: the state of the aggregate. */
typedef struct LedgerState
{
	int32		vl_len_;
	uint8		form;
	bool		has_margin;
	bool		has_window;		/* whether window_start is known */
	uint32		nmonths;
	uint32		capacity;
	TimestampTz window_start;
	TimestampTz window_line_at;	/* DT_NOEND without */
	TimestampTz next_line_at;	/* DT_NOEND without */
	MoneySum	margin_revenue;
	MoneySum	margin_cost;
	LedgerMonth months[FLEXIBLE_ARRAY_MEMBER];	/* ascending */
} LedgerState;

extern int32 ledger_month(int32 date);
extern bool ledger_month_is_valid(int64 month);
extern LedgerState *ledger_new(uint32 capacity);
extern LedgerMonth *ledger_get_month(LedgerState **state, int32 month);
extern struct varlena *ledger_pack(const LedgerState *state);
extern bool ledger_is_type(Oid type);

/* ---------- visits.c: sessions after the first order ---------- */

typedef struct Boundaries Boundaries;
typedef struct VisitSet VisitSet;

/* What is known of the visits of one customer. */
typedef struct VisitCounts
{
	int64		sessions;
	int64		return_sessions;
	TimestampTz next_visit_at;	/* DT_NOEND without */
} VisitCounts;

extern Boundaries *boundaries_new(MemoryContext parent, IdKind customer_kind);
extern void boundaries_add(Boundaries *boundaries, const IdHeap *heap, uint64 customer, TimestampTz at, TimestampTz until);
extern Datum boundaries_result(Boundaries *boundaries);
extern const VisitSet *visit_set_from_datum(Datum datum);
extern VisitCounts visit_set_counts(const VisitSet *set, uint32 i, const IdHeap *heap, uint64 customer);

/* ---------- rates.c: survivals ---------- */

extern uint32 survival_key(int32 days, bool event);
extern struct varlena *survival_from_counts(const uint32 *keys, const int64 *customers, Size n);
extern void survival_rate(const struct varlena *survival, int32 at_days, double confidence, Datum *values, bool *nulls);

/* ---------- rows.c: arrays of rows as results ---------- */

/* An array of a composite type that is being made, in CurrentMemoryContext. */
typedef struct RowArray
{
	Oid			type;			/* of a row */
	TupleDesc	desc;
	Datum	   *rows;
	int			n;
	int			capacity;
	Size		size;			/* of the array so far */
} RowArray;

extern void row_array_begin(RowArray *array, FunctionCallInfo fcinfo);
extern void row_array_add(RowArray *array, Datum *values, bool *nulls, const char *hint);
extern Datum row_array_result(RowArray *array);

/* ---------- unpack.c: profiles as rows ---------- */

/* One customer; what the unpacked type fills in. */
typedef struct ProfileRow
{
	bool		assigned;		/* false: the lines without customer */
	uint64		customer;
	int64		lines;			/* purchase lines in the window */
	int128		revenue;		/* of the window */
	OrderSummary summary;
	int64		next_hash;		/* lines without customer only: where the next pass starts, 0 after the last */
	const LedgerState *ledger;	/* NULL without */
	TimestampTz next_change_at; /* DT_NOEND without */
	const VisitCounts *visits;	/* NULL without */
} ProfileRow;

typedef struct Unpacker Unpacker;

extern void unpack_require_list(FunctionCallInfo fcinfo);
extern Unpacker *unpacker_begin(FunctionCallInfo fcinfo, IdKind customer_kind, IdKind order_kind, IdKind product_kind,
								const IdHeap *heap, TimestampTz window_start, const text *zone);
extern void unpacker_put(Unpacker *unpacker, const ProfileRow *row);
extern Datum unpack_summary(FunctionCallInfo fcinfo, const ProfileRow *row, IdKind product_kind, const IdHeap *heap);

/* ---------- owner.c: acting for the owner of a model ---------- */

/* The model at hand. */
typedef struct Model
{
	const char *name;
	Oid			settings;		/* its table, which also is its lock */
	Oid			owner;
} Model;

extern Model model_find(const char *name);
extern char *model_run(const Model *model, bool as_owner, const char *command, int nargs, Oid *types, Datum *values, const char *nulls);

/* ---------- real.c: functions of real numbers, the same bits on every machine ---------- */

extern double real_log(double x);
extern double real_log1p(double x);
extern double real_exp(double x);
extern double real_stirling_error(double x);
extern double real_deviance(double x, double mean);
extern double real_gamma_tail(double a, double x);
extern double real_beta(double a, double b, double x, double y);
extern double real_t_quantile(double tail, double df);

#endif							/* RFM_H */
