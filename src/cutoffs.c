/*
 * cutoffs.c
 *	  Cut points from percentiles: exact, by selection instead of sorting.
 *
 * The percentile at fraction f of n values stands at position (n - 1) × f of
 * their order; between two values it lies in proportion (type 7, as in
 * percentile_cont), worked out in decimal.
 *
 * Values are kept as int64 wherever their order and their exact worth survive
 * that: whole numbers as they are, numerics of up to four decimals as units of
 * 1e-4, floats as bits that sort like the number.  The first numeric that
 * does not fit turns all of them back into numerics.
 */
#include "rfm.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "windowapi.h"

/* What the bytes of Values hold. */
typedef enum ValueKind
{
	VALUES_INTEGER,				/* int64 */
	VALUES_UNITS,				/* int64: numeric in units of 1e-4 */
	VALUES_FLOAT,				/* int64: float8, its bits in the order of int64 */
	VALUES_NUMERIC				/* numerics one after the other, int-aligned */
} ValueKind;

/* The values gathered so far: the state of the aggregate. */
struct Values
{
	MemoryContext context;		/* of everything here */
	ArrayType  *fractions;		/* NULL means the default ones */
	ValueKind	kind;
	int64		n;
	char	   *data;
	Size		used;
	Size		capacity;
};

/* How a state travels between processes: this, the fractions, the data. */
typedef struct ValuesHeader
{
	int64		n;
	int32		kind;
	int32		fractions_size;
} ValuesHeader;

#define INITIAL_CAPACITY	128

/* ---------- selection ---------- */

#define MAX_RANKS		(2 * RFM_MAX_CUTS)	/* both neighbours of each percentile */
#define SORTED_SIZE		256		/* few enough to sort */
#define BUCKET_BITS		11
#define BUCKETS			(1 << BUCKET_BITS)

#define ST_SORT sort_int64
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Values that fall into one bucket, and the ranks that stand there. */
typedef struct Group
{
	int64		before;			/* values in the buckets below */
	int64		n;
	int			first_rank;
	int			nranks;
	int64	   *values;
	int64	   *end;			/* while they are gathered */
} Group;

/*
 * Finds the values of the given ranks: found[i] is what stands at position
 * ranks[i], from 0, when the n values are sorted.  Ranks ascend.
 *
 * The values are counted in buckets of equal width; only those in a bucket
 * with a rank are looked at further.  Each round takes 11 bits off the range
 * of values, however they are distributed: at most six rounds, each linear.
 */
static void
select_ranks(const int64 *values, int64 n, const int64 *ranks, int nranks, int64 *found)
{
	int64		min = values[0];
	int64		max = values[0];
	int64	   *counts;
	uint8	   *group_of;		/* of each bucket, from 1; 0 for none */
	Group		groups[1 + MAX_RANKS];
	int			ngroups = 0;
	int64		ngathered = 0;
	int64	   *gathered;
	int64		before = 0;
	int			bucket = 0;
	int			shift;

	CHECK_FOR_INTERRUPTS();
	if (n <= SORTED_SIZE)
	{
		int64		sorted[SORTED_SIZE];

		memcpy(sorted, values, n * sizeof(int64));
		sort_int64(sorted, n);
		for (int i = 0; i < nranks; i++)
			found[i] = sorted[ranks[i]];
		return;
	}

	for (int64 i = 1; i < n; i++)
	{
		min = Min(min, values[i]);
		max = Max(max, values[i]);
	}
	shift = min == max ? 0 :
		Max(0, pg_leftmost_one_pos64((uint64) max - (uint64) min) + 1 - BUCKET_BITS);
#define BUCKET_OF(value) (((uint64) (value) - (uint64) min) >> shift)

	CHECK_FOR_INTERRUPTS();
	counts = palloc0(BUCKETS * sizeof(int64));
	for (int64 i = 0; i < n; i++)
		counts[BUCKET_OF(values[i])]++;

	group_of = palloc0(BUCKETS);
	for (int i = 0; i < nranks; i++)
	{
		while (before + counts[bucket] <= ranks[i])
			before += counts[bucket++];
		if (group_of[bucket] == 0)
		{
			group_of[bucket] = ++ngroups;
			groups[ngroups] = (Group) {.before = before, .n = counts[bucket], .first_rank = i};
			ngathered += counts[bucket];
		}
		groups[ngroups].nranks++;
		found[i] = (int64) ((uint64) min + bucket);
	}
	pfree(counts);

	/* buckets of one value each are done with */
	if (shift > 0)
	{
		CHECK_FOR_INTERRUPTS();
		gathered = MemoryContextAllocHuge(CurrentMemoryContext, ngathered * sizeof(int64));
		ngathered = 0;
		for (int g = 1; g <= ngroups; g++)
		{
			groups[g].values = groups[g].end = gathered + ngathered;
			ngathered += groups[g].n;
		}
		for (int64 i = 0; i < n; i++)
		{
			int			g = group_of[BUCKET_OF(values[i])];

			if (g > 0)
				*groups[g].end++ = values[i];
		}

		for (int g = 1; g <= ngroups; g++)
		{
			int64		within[MAX_RANKS];

			for (int i = 0; i < groups[g].nranks; i++)
				within[i] = ranks[groups[g].first_rank + i] - groups[g].before;
			select_ranks(groups[g].values, groups[g].n,
						 within, groups[g].nranks, &found[groups[g].first_rank]);
		}
		pfree(gathered);
	}
	pfree(group_of);
}

/* ---------- numbers that sort as int64 ---------- */

/* A float8 as an int64 of the same order; its own inverse but for the type. */
static inline int64
float8_to_key(float8 value)
{
	int64		bits;

	value += 0.0;				/* -0 is 0 */
	memcpy(&bits, &value, sizeof(bits));
	return bits ^ ((bits >> 63) & PG_INT64_MAX);
}

static inline float8
float8_from_key(int64 key)
{
	float8		value;

	key ^= (key >> 63) & PG_INT64_MAX;
	memcpy(&value, &key, sizeof(value));
	return value;
}

/* Compares numerics through pointers to them. */
static int
numeric_compare(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp,
											 NumericGetDatum(*(const Numeric *) a),
											 NumericGetDatum(*(const Numeric *) b)));
}

/*
 * select_ranks for numerics one after the other.  Their nearest float8s have
 * the same order but for ties, and only the ties are sorted.
 */
static void
select_numerics(char *data, int64 n, const int64 *ranks, int nranks, Datum *found)
{
	int64	   *keys = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(int64));
	Numeric    *ties = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(Numeric));
	int64		key[MAX_RANKS];
	int64		before = 0;
	char	   *next = data;

	for (int64 i = 0; i < n; i++, next += INTALIGN(VARSIZE(next)))
	{
		CHECK_FOR_INTERRUPTS();
		keys[i] = float8_to_key(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
																   PointerGetDatum(next))));
	}
	select_ranks(keys, n, ranks, nranks, key);

	for (int rank = 0; rank < nranks; rank++)
	{
		if (rank == 0 || key[rank] != key[rank - 1])
		{
			int64		nties = 0;

			CHECK_FOR_INTERRUPTS();
			before = 0;
			next = data;
			for (int64 i = 0; i < n; i++, next += INTALIGN(VARSIZE(next)))
			{
				before += keys[i] < key[rank];
				if (keys[i] == key[rank])
					ties[nties++] = (Numeric) next;
			}
			qsort(ties, nties, sizeof(Numeric), numeric_compare);
		}
		found[rank] = NumericGetDatum(ties[ranks[rank] - before]);
	}
	pfree(ties);
	pfree(keys);
}

/* ---------- gathering values ---------- */

static Values *
values_create(MemoryContext context)
{
	Values	   *values = MemoryContextAllocZero(context, sizeof(Values));

	values->context = context;
	return values;
}

/* Makes room for more bytes. */
static pg_noinline void
values_grow(Values *values, Size size)
{
	Size		capacity = Max(2 * values->capacity, INITIAL_CAPACITY);

	while (capacity - values->used < size)
		capacity *= 2;
	if (values->data == NULL)
		values->data = MemoryContextAllocHuge(values->context, capacity);
	else
		values->data = repalloc_huge(values->data, capacity);
	values->capacity = capacity;
}

/* The place for more bytes, which are counted as used. */
static inline char *
values_extend(Values *values, Size size)
{
	char	   *place;

	if (unlikely(values->capacity - values->used < size))
		values_grow(values, size);
	place = values->data + values->used;
	values->used += size;
	return place;
}

static inline void
values_append_int64(Values *values, int64 value)
{
	*(int64 *) values_extend(values, sizeof(int64)) = value;
	values->n++;
}

/* Appends a numeric with any header. */
static void
values_append_numeric(Values *values, const struct varlena *number)
{
	Size		size = VARHDRSZ + VARSIZE_ANY_EXHDR(number);
	char	   *place = values_extend(values, INTALIGN(size));

	SET_VARSIZE(place, size);
	memcpy(VARDATA(place), VARDATA_ANY(number), size - VARHDRSZ);
	memset(place + size, 0, INTALIGN(size) - size);
	values->n++;
}

/* Appends units, which may be unaligned, as numerics. */
static void
values_append_units(Values *values, const char *data, int64 n)
{
	for (int64 i = 0; i < n; i++)
	{
		int64		units;
		Numeric		number;

		CHECK_FOR_INTERRUPTS();
		memcpy(&units, data + i * sizeof(units), sizeof(units));
		number = money_to_numeric(units);
		values_append_numeric(values, (struct varlena *) number);
		pfree(number);
	}
}

/* Turns units into numerics. */
static void
values_promote(Values *values)
{
	Values		units = *values;

	values->kind = VALUES_NUMERIC;
	values->data = NULL;
	values->n = values->used = values->capacity = 0;
	values_append_units(values, units.data, units.n);
	if (units.data != NULL)
		pfree(units.data);
}

/* Adds a numeric. */
static inline void
values_add_numeric(Values *values, Datum value)
{
	struct varlena *number = PG_DETOAST_DATUM_PACKED(value);
	int64		units;
	bool		exact;
	bool		fits = money_units((Numeric) number, &units, &exact) && exact;

	if (likely(fits && values->kind == VALUES_UNITS))
		values_append_int64(values, units);
	else
	{
		if (values->kind == VALUES_UNITS)
			values_promote(values);
		values_append_numeric(values, number);
	}
}

/* Adds a value of integer, bigint, numeric or float8. */
static inline void
values_add(Values *values, Datum value, AmountKind kind)
{
	switch (kind)
	{
		case AMOUNT_INT4:
			values_append_int64(values, DatumGetInt32(value));
			break;
		case AMOUNT_INT8:
			values_append_int64(values, DatumGetInt64(value));
			break;
		case AMOUNT_FLOAT8:
			if (!isfinite(DatumGetFloat8(value)))
				rfm_money_nan();
			values_append_int64(values, float8_to_key(DatumGetFloat8(value)));
			break;
		default:
			values_add_numeric(values, value);
	}
}

/* How values of a type are kept at first. */
static ValueKind
initial_kind(AmountKind kind)
{
	switch (kind)
	{
		case AMOUNT_NUMERIC:
			return VALUES_UNITS;
		case AMOUNT_FLOAT8:
			return VALUES_FLOAT;
		default:
			return VALUES_INTEGER;
	}
}

/* Sets the fractions at the first call; later ones must give the same. */
static inline void
values_set_fractions(Values *values, Datum array, bool isnull)
{
	struct varlena *packed;
	Size		size;

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("fractions must not be NULL"),
				 errhint("Leave them out for the default, '{0.25,0.50,0.75,0.95}'.")));

	packed = PG_DETOAST_DATUM_PACKED(array);
	size = VARSIZE_ANY_EXHDR(packed);
	if (values->fractions == NULL)
	{
		ArrayType  *copy = MemoryContextAlloc(values->context, VARHDRSZ + size);
		Datum	   *numbers;

		SET_VARSIZE(copy, VARHDRSZ + size);
		memcpy(VARDATA(copy), VARDATA_ANY(packed), size);
		rfm_check_fractions(copy, &numbers);
		values->fractions = copy;
	}
	else if (VARSIZE(values->fractions) - VARHDRSZ != size ||
			 memcmp(VARDATA(values->fractions), VARDATA_ANY(packed), size) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fractions differ between the values of one group"),
				 errhint("Give the same fractions for all of them, best as a constant.")));
}

/* Adds the values of another state, whose data may be unaligned. */
static void
values_merge(Values *values, const Values *other)
{
	if (other->fractions != NULL)
		values_set_fractions(values, PointerGetDatum(other->fractions), false);
	if (values->kind == VALUES_UNITS && other->kind == VALUES_NUMERIC)
		values_promote(values);
	if (values->kind == VALUES_NUMERIC && other->kind == VALUES_UNITS)
		values_append_units(values, other->data, other->n);
	else if (other->used > 0)
	{
		memcpy(values_extend(values, other->used), other->data, other->used);
		values->n += other->n;
	}
}

/* ---------- percentiles ---------- */

/* The fractions asked for, as numerics.  Returns their number. */
static int
values_fractions(const Values *values, Datum **fractions)
{
	static const int percent[] = {25, 50, 75, 95};

	if (values->fractions != NULL)
		return rfm_check_fractions(values->fractions, fractions);
	*fractions = palloc(sizeof(Datum) * lengthof(percent));
	for (int i = 0; i < (int) lengthof(percent); i++)
		(*fractions)[i] = NumericGetDatum(int64_div_fast_to_numeric(percent[i], 2));
	return lengthof(percent);
}

/*
 * The index of a rank in a list that ascends, where it is put when it is not
 * there.  It may stand before the last one by a single place at most.
 */
static int
rank_index(int64 *ranks, int *nranks, int64 rank)
{
	int			i;

	if (*nranks == 0 || rank > ranks[*nranks - 1])
		ranks[(*nranks)++] = rank;
	i = *nranks - 1;
	while (ranks[i] != rank)
		i--;
	return i;
}

/* The values of the given ranks, as numerics. */
static void
values_select(const Values *values, const int64 *ranks, int nranks, Datum *found)
{
	int64		selected[MAX_RANKS];

	if (values->kind == VALUES_NUMERIC)
	{
		select_numerics(values->data, values->n, ranks, nranks, found);
		return;
	}
	select_ranks((const int64 *) values->data, values->n, ranks, nranks, selected);
	for (int i = 0; i < nranks; i++)
	{
		if (values->kind == VALUES_INTEGER)
			found[i] = NumericGetDatum(int64_to_numeric(selected[i]));
		else if (values->kind == VALUES_UNITS)
			found[i] = NumericGetDatum(money_to_numeric(selected[i]));
		else
			found[i] = NumericGetDatum(money_float8_decimal(float8_from_key(selected[i])));
	}
}

/* The percentiles of one value or more.  The values stay as they are. */
static ArrayType *
values_percentiles(const Values *values)
{
	Datum	   *fractions;
	int			n = values_fractions(values, &fractions);
	Datum		last = NumericGetDatum(int64_to_numeric(values->n - 1));
	Datum		weight[RFM_MAX_CUTS];
	int			lower[RFM_MAX_CUTS];
	int			upper[RFM_MAX_CUTS];
	int64		ranks[MAX_RANKS] = {0};
	int			nranks = 0;
	Datum		found[MAX_RANKS] = {0};
	Datum		cuts[RFM_MAX_CUTS];

	for (int i = 0; i < n; i++)
	{
		Datum		position = DirectFunctionCall2(numeric_mul, last, fractions[i]);
		Datum		whole = DirectFunctionCall1(numeric_floor, position);
		int64		rank = DatumGetInt64(DirectFunctionCall1(numeric_int8, whole));

		weight[i] = DirectFunctionCall2(numeric_sub, position, whole);
		lower[i] = rank_index(ranks, &nranks, rank);
		upper[i] = rank_index(ranks, &nranks, Min(rank + 1, values->n - 1));
	}
	values_select(values, ranks, nranks, found);
	for (int i = 0; i < n; i++)
	{
		Datum		distance = DirectFunctionCall2(numeric_sub, found[upper[i]], found[lower[i]]);
		Datum		part = DirectFunctionCall2(numeric_mul, distance, weight[i]);
		Datum		cut = DirectFunctionCall2(numeric_add, found[lower[i]], part);

		cuts[i] = DirectFunctionCall1(numeric_trim_scale, cut);
	}
	return construct_array(cuts, n, NUMERICOID, -1, false, TYPALIGN_INT);
}

/* ---------- for other files ---------- */

/* No values yet, of bigint or, as units, of numeric; in CurrentMemoryContext. */
Values *
values_begin(AmountKind kind, Datum fractions)
{
	Values	   *values = values_create(CurrentMemoryContext);

	values->kind = initial_kind(kind);
	values_set_fractions(values, fractions, false);
	return values;
}

/* Adds a whole number, which fits in int64, or an amount in units. */
void
values_add_number(Values *values, int128 number)
{
	if (likely(number == (int64) number && values->kind != VALUES_NUMERIC))
		values_append_int64(values, (int64) number);
	else
		values_add_numeric(values, NumericGetDatum(money_to_numeric(number)));
}

/* The percentiles; NULL without values. */
ArrayType *
values_cutoffs(const Values *values)
{
	return values->n > 0 ? values_percentiles(values) : NULL;
}

/* ---------- the aggregate percentile_cutoffs ---------- */

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return context;
}

/* percentile_add(state, value [, fractions]) */
static inline Datum
percentile_add(FunctionCallInfo fcinfo, AmountKind kind)
{
	Values	   *values;

	if (likely(!PG_ARGISNULL(0)))
		values = (Values *) PG_GETARG_POINTER(0);
	else
	{
		values = values_create(aggregate_context(fcinfo));
		values->kind = initial_kind(kind);
	}
	if (PG_NARGS() == 3)
		values_set_fractions(values, PG_GETARG_DATUM(2), PG_ARGISNULL(2));
	if (!PG_ARGISNULL(1))
		values_add(values, PG_GETARG_DATUM(1), kind);
	PG_RETURN_POINTER(values);
}

PG_FUNCTION_INFO_V1(rfm_percentile_add_int4);
PG_FUNCTION_INFO_V1(rfm_percentile_add_int8);
PG_FUNCTION_INFO_V1(rfm_percentile_add_numeric);
PG_FUNCTION_INFO_V1(rfm_percentile_add_float8);
PG_FUNCTION_INFO_V1(rfm_percentile_combine);
PG_FUNCTION_INFO_V1(rfm_percentile_serialize);
PG_FUNCTION_INFO_V1(rfm_percentile_deserialize);
PG_FUNCTION_INFO_V1(rfm_percentile_final);

/* percentile_add for integer */
Datum
rfm_percentile_add_int4(PG_FUNCTION_ARGS)
{
	return percentile_add(fcinfo, AMOUNT_INT4);
}

/* percentile_add for bigint */
Datum
rfm_percentile_add_int8(PG_FUNCTION_ARGS)
{
	return percentile_add(fcinfo, AMOUNT_INT8);
}

/* percentile_add for numeric */
Datum
rfm_percentile_add_numeric(PG_FUNCTION_ARGS)
{
	return percentile_add(fcinfo, AMOUNT_NUMERIC);
}

/* percentile_add for float8 */
Datum
rfm_percentile_add_float8(PG_FUNCTION_ARGS)
{
	return percentile_add(fcinfo, AMOUNT_FLOAT8);
}

/* Adds the second state to the first. */
Datum
rfm_percentile_combine(PG_FUNCTION_ARGS)
{
	Values	   *values;
	const Values *other;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = (const Values *) PG_GETARG_POINTER(1);
	if (!PG_ARGISNULL(0))
		values = (Values *) PG_GETARG_POINTER(0);
	else
	{
		values = values_create(aggregate_context(fcinfo));
		values->kind = other->kind;
	}
	values_merge(values, other);
	PG_RETURN_POINTER(values);
}

/* The bytes of a state. */
Datum
rfm_percentile_serialize(PG_FUNCTION_ARGS)
{
	const Values *values = (const Values *) PG_GETARG_POINTER(0);
	ValuesHeader header = {0};
	Size		size;
	bytea	   *result;
	char	   *next;

	header.n = values->n;
	header.kind = values->kind;
	header.fractions_size = values->fractions != NULL ? VARSIZE(values->fractions) : 0;
	size = VARHDRSZ + sizeof(header) + header.fractions_size + values->used;
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a parallel worker holds more than 1 GB of values"),
				 errhint("SET max_parallel_workers_per_gather = 0.")));

	result = palloc(size);
	SET_VARSIZE(result, size);
	next = VARDATA(result);
	memcpy(next, &header, sizeof(header));
	next += sizeof(header);
	if (header.fractions_size > 0)
		memcpy(next, values->fractions, header.fractions_size);
	next += header.fractions_size;
	if (values->used > 0)
		memcpy(next, values->data, values->used);
	PG_RETURN_BYTEA_P(result);
}

/* Whether data is n numerics one after the other. */
static bool
numerics_valid(const char *data, Size size, int64 n)
{
	while (n > 0 && size >= VARHDRSZ)
	{
		int32		header;
		Size		length;

		CHECK_FOR_INTERRUPTS();
		memcpy(&header, data, sizeof(header));
		length = VARSIZE(&header);
		if (!VARATT_IS_4B_U(&header) || length < VARHDRSZ || INTALIGN(length) > size ||
			!money_is_numeric(data + VARHDRSZ, length - VARHDRSZ))
			return false;
		data += INTALIGN(length);
		size -= INTALIGN(length);
		n--;
	}
	return n == 0 && size == 0;
}

/* Whether an array is one of a few numerics, as rfm_check_fractions accepts it; its size is right. */
static bool
fractions_valid(const ArrayType *array)
{
	Size		size = VARSIZE(array);
	Size		offset;
	int			n;

	if (size < ARR_OVERHEAD_NONULLS(1) || ARR_NDIM(array) != 1 || ARR_ELEMTYPE(array) != NUMERICOID)
		return false;
	n = ARR_DIMS(array)[0];
	if (n < 1 || n > RFM_MAX_CUTS)
		return false;
	offset = ARR_HASNULL(array) ? ARR_OVERHEAD_WITHNULLS(1, n) : ARR_OVERHEAD_NONULLS(1);
	return offset <= size && (Size) ARR_DATA_OFFSET(array) == offset &&
		numerics_valid((const char *) array + offset, size - offset, n);
}

/* A state from its bytes, in which its data stays.  Trusts nothing. */
Datum
rfm_percentile_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	char	   *next = VARDATA_ANY(bytes);
	Size		size = VARSIZE_ANY_EXHDR(bytes);
	Values	   *values = values_create(CurrentMemoryContext);
	ValuesHeader header;

	if (size < sizeof(header))
		rfm_corrupt("percentile_cutoffs");
	memcpy(&header, next, sizeof(header));
	next += sizeof(header);
	size -= sizeof(header);
	if (header.n < 0 || header.kind < VALUES_INTEGER || header.kind > VALUES_NUMERIC ||
		header.fractions_size < 0 || (Size) header.fractions_size > size)
		rfm_corrupt("percentile_cutoffs");
	if (header.fractions_size > 0)
	{
		ArrayType  *fractions = palloc(header.fractions_size);

		memcpy(fractions, next, header.fractions_size);
		if (header.fractions_size < (int32) sizeof(ArrayType) || !VARATT_IS_4B_U(fractions) ||
			VARSIZE(fractions) != (Size) header.fractions_size || !fractions_valid(fractions))
			rfm_corrupt("percentile_cutoffs");
		values->fractions = fractions;
		next += header.fractions_size;
		size -= header.fractions_size;
	}
	if (header.kind == VALUES_NUMERIC ? !numerics_valid(next, size, header.n) :
		size % sizeof(int64) != 0 || size / sizeof(int64) != (Size) header.n)
		rfm_corrupt("percentile_cutoffs");

	values->kind = header.kind;
	values->n = header.n;
	values->data = next;
	values->used = size;
	PG_RETURN_POINTER(values);
}

/* The percentiles; NULL without values. */
Datum
rfm_percentile_final(PG_FUNCTION_ARGS)
{
	const Values *values;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	values = (const Values *) PG_GETARG_POINTER(0);
	if (values->n == 0)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(values_percentiles(values));
}

/* ---------- the aggregate percent_sums ---------- */

#define PERCENTS		100

/* Sums units by percent, the greatest first; until: the last place of each. */
static void
sum_units(const Values *values, const int64 *until, Datum *sums)
{
	int64	   *sorted = MemoryContextAllocHuge(CurrentMemoryContext, values->n * sizeof(int64));
	int64		place = 0;

	memcpy(sorted, values->data, values->n * sizeof(int64));
	sort_int64(sorted, values->n);
	for (int p = 0; p < PERCENTS; p++)
	{
		int128		sum = 0;

		CHECK_FOR_INTERRUPTS();
		while (place < until[p])
			sum += sorted[values->n - 1 - place++];
		sums[p] = NumericGetDatum(money_to_numeric(sum));
	}
	pfree(sorted);
}

/* The same of numerics one after the other. */
static void
sum_numerics(const Values *values, const int64 *until, Datum *sums)
{
	Numeric    *sorted = MemoryContextAllocHuge(CurrentMemoryContext, values->n * sizeof(Numeric));
	char	   *next = values->data;
	int64		place = 0;

	for (int64 i = 0; i < values->n; i++, next += INTALIGN(VARSIZE(next)))
		sorted[i] = (Numeric) next;
	qsort(sorted, values->n, sizeof(Numeric), numeric_compare);
	for (int p = 0; p < PERCENTS; p++)
	{
		Datum		sum = NumericGetDatum(int64_to_numeric(0));

		while (place < until[p])
		{
			Datum		before = sum;

			CHECK_FOR_INTERRUPTS();
			sum = DirectFunctionCall2(numeric_add, before, NumericGetDatum(sorted[values->n - 1 - place++]));
			pfree(DatumGetPointer(before));
		}
		sums[p] = sum;
	}
	pfree(sorted);
}

PG_FUNCTION_INFO_V1(rfm_percent_sums_final);

/*
 * The sums of the values in each percent of them, the greatest first: of n,
 * percent p ends with place p × n / 100, rounded up.  NULL for a percent in
 * which none is.
 */
Datum
rfm_percent_sums_final(PG_FUNCTION_ARGS)
{
	const Values *values;
	int64		until[PERCENTS];
	Datum		sums[PERCENTS];
	bool		nulls[PERCENTS];
	int			n = PERCENTS;
	int			from = 1;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	values = (const Values *) PG_GETARG_POINTER(0);
	if (values->n == 0)
		PG_RETURN_NULL();
	for (int p = 0; p < PERCENTS; p++)
	{
		until[p] = values->n / PERCENTS * (p + 1) + (values->n % PERCENTS * (p + 1) + PERCENTS - 1) / PERCENTS;
		nulls[p] = until[p] == (p > 0 ? until[p - 1] : 0);
	}
	if (values->kind == VALUES_NUMERIC)
		sum_numerics(values, until, sums);
	else
		sum_units(values, until, sums);
	PG_RETURN_ARRAYTYPE_P(construct_md_array(sums, nulls, 1, &n, &from, NUMERICOID, -1, false, TYPALIGN_INT));
}

/* ---------- the window function monetary_bucket ---------- */

/* What is known of the partition. */
typedef struct Partition
{
	Values	   *values;			/* NULL before the first row; then empty */
	Cuts		cuts;
} Partition;

/* Reads the amounts of the whole partition and sets its cut points. */
static void
partition_read(Partition *partition, WindowObject window, AmountKind kind)
{
	Values	   *values = partition->values;
	int64		rows = WinGetPartitionRowCount(window);
	MemoryContext scratch;
	MemoryContext caller;

	if (rows > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a partition has more than %d rows", PG_INT32_MAX),
				 errhint("Use percentile_cutoffs and monetary_score.")));

	scratch = AllocSetContextCreate(CurrentMemoryContext, "monetary_bucket", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(scratch);
	for (int64 i = 0; i < rows; i++)
	{
		bool		isnull;
		bool		isout;
		Datum		amount = WinGetFuncArgInPartition(window, 0, (int) i, WINDOW_SEEK_HEAD,
													  false, &isnull, &isout);

		CHECK_FOR_INTERRUPTS();
		if (!isnull)
			values_add(values, amount, kind);
		MemoryContextReset(scratch);
	}
	if (values->n > 0)
	{
		cuts_load(&partition->cuts, PointerGetDatum(values_percentiles(values)), values->context);
		pfree(values->data);
		values->data = NULL;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
}

/* monetary_bucket(amount, fractions) OVER (...) */
static Datum
monetary_bucket(FunctionCallInfo fcinfo, AmountKind kind)
{
	WindowObject window = PG_WINDOW_OBJECT();
	Partition  *partition = WinGetPartitionLocalMemory(window, sizeof(Partition));
	bool		first = partition->values == NULL;
	Datum		argument;
	bool		isnull;

	if (first)
	{
		partition->values = values_create(GetMemoryChunkContext(partition));
		partition->values->kind = initial_kind(kind);
	}
	argument = WinGetFuncArgCurrent(window, 1, &isnull);
	values_set_fractions(partition->values, argument, isnull);
	if (first)
		partition_read(partition, window, kind);
	argument = WinGetFuncArgCurrent(window, 0, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_INT16(cuts_level(&partition->cuts, argument, kind));
}

PG_FUNCTION_INFO_V1(rfm_monetary_bucket_int4);
PG_FUNCTION_INFO_V1(rfm_monetary_bucket_int8);
PG_FUNCTION_INFO_V1(rfm_monetary_bucket_numeric);
PG_FUNCTION_INFO_V1(rfm_monetary_bucket_float8);

/* monetary_bucket for integer */
Datum
rfm_monetary_bucket_int4(PG_FUNCTION_ARGS)
{
	return monetary_bucket(fcinfo, AMOUNT_INT4);
}

/* monetary_bucket for bigint */
Datum
rfm_monetary_bucket_int8(PG_FUNCTION_ARGS)
{
	return monetary_bucket(fcinfo, AMOUNT_INT8);
}

/* monetary_bucket for numeric */
Datum
rfm_monetary_bucket_numeric(PG_FUNCTION_ARGS)
{
	return monetary_bucket(fcinfo, AMOUNT_NUMERIC);
}

/* monetary_bucket for float8 */
Datum
rfm_monetary_bucket_float8(PG_FUNCTION_ARGS)
{
	return monetary_bucket(fcinfo, AMOUNT_FLOAT8);
}
