/*
 * money.c
 *	  Exact money: every amount becomes a whole number of units of 1e-4,
 *	  rounded half away from zero, and sums are sums of whole numbers.
 *
 * A unit is exactly the first base-10000 digit behind the decimal point of
 * the server's numeric, so both directions are digit copies.  The layout read
 * here is numeric's on-disk format, which cannot change without breaking
 * every stored table.  Floats count as their shortest round-trip decimal, as
 * a person would read them: 16777.21::float4 is 16777.21.
 */
#include "rfm.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define DIGIT_BASE			10000	/* numeric's base: four decimal digits */

#define HEADER_SPECIAL		0xC000	/* both bits set: NaN or infinity */
#define HEADER_SHORT		0x8000	/* sign, scale and weight in one word */
#define HEADER_NEGATIVE		0x4000	/* sign bit of the long header */
#define SHORT_NEGATIVE		0x2000
#define SHORT_SCALE_SHIFT	7
#define SHORT_WEIGHT_SIGN	0x0040
#define SHORT_WEIGHT_MASK	0x003F

/* Shortest decimals of up to 15 digits are unique (DBL_DIG). */
#define FAST_UNITS			INT64CONST(1000000000000000)

/* A numeric taken apart: value = Σ digits[i] × 10000^(weight − i). */
typedef struct Decimal
{
	bool		negative;
	int			weight;
	int			ndigits;
	const uint8 *digits;		/* int16 each, perhaps unaligned */
} Decimal;

/* Reads numeric's header; false for NaN and infinity. */
static bool
decimal_read(Numeric value, Decimal *decimal)
{
	const uint8 *data = (const uint8 *) VARDATA_ANY((struct varlena *) value);
	int			size = VARSIZE_ANY_EXHDR((struct varlena *) value);
	uint16		header;

	memcpy(&header, data, sizeof(header));
	if ((header & HEADER_SPECIAL) == HEADER_SPECIAL)
		return false;
	if (header & HEADER_SHORT)
	{
		decimal->negative = (header & SHORT_NEGATIVE) != 0;
		decimal->weight = header & SHORT_WEIGHT_MASK;
		if (header & SHORT_WEIGHT_SIGN)
			decimal->weight -= SHORT_WEIGHT_SIGN;
		decimal->digits = data + sizeof(uint16);
	}
	else
	{
		int16		weight;

		memcpy(&weight, data + sizeof(uint16), sizeof(weight));
		decimal->negative = (header & HEADER_NEGATIVE) != 0;
		decimal->weight = weight;
		decimal->digits = data + 2 * sizeof(uint16);
	}
	decimal->ndigits = (data + size - decimal->digits) / sizeof(int16);
	return true;
}

/* Whether bytes that were read from somewhere, behind their length, are a finite numeric. */
bool
money_is_numeric(const char *data, Size size)
{
	uint16		header;
	Size		header_size = sizeof(header);

	if (size < sizeof(header) || size % sizeof(int16) != 0)
		return false;
	memcpy(&header, data, sizeof(header));
	if ((header & HEADER_SPECIAL) == HEADER_SPECIAL)
		return false;
	if (!(header & HEADER_SHORT))
		header_size += sizeof(int16);
	if (size < header_size)
		return false;
	for (Size i = header_size; i < size; i += sizeof(int16))
	{
		int16		digit;

		memcpy(&digit, data + i, sizeof(digit));
		if (digit < 0 || digit >= DIGIT_BASE)
			return false;
	}
	return true;
}

/* The digit that stands at 10000^position. */
static inline int
decimal_digit(const Decimal *decimal, int position)
{
	int			i = decimal->weight - position;
	int16		digit;

	if (i < 0 || i >= decimal->ndigits)
		return 0;
	memcpy(&digit, decimal->digits + i * sizeof(digit), sizeof(digit));
	return digit;
}

/* The magnitude in units, cut off; false when it does not fit an int64. */
static bool
decimal_units(const Decimal *decimal, int64 *units)
{
	int128		sum = 0;

	if (decimal->ndigits > 0 && decimal->weight > 3)
		return false;
	for (int position = Min(decimal->weight, 3); position >= -1; position--)
		sum = sum * DIGIT_BASE + decimal_digit(decimal, position);
	*units = (int64) sum;
	return sum <= PG_INT64_MAX;
}

/* The same in the whole range of MoneySum, below 2^95. */
static bool
decimal_sum_units(const Decimal *decimal, int128 *units)
{
	int128		sum = 0;

	if (decimal->ndigits > 0 && decimal->weight > 7)
		return false;
	for (int position = Min(decimal->weight, 7); position >= -1; position--)
		sum = sum * DIGIT_BASE + decimal_digit(decimal, position);
	*units = sum;
	return sum >> 95 == 0;
}

/* A numeric as units, rounded; errors on NaN, infinity and overflow. */
int64
money_from_numeric(Numeric amount)
{
	Decimal		decimal;
	int64		units;

	if (!decimal_read(amount, &decimal))
		rfm_money_nan();
	if (!decimal_units(&decimal, &units))
		rfm_money_overflow();
	if (decimal_digit(&decimal, -2) >= DIGIT_BASE / 2)
	{
		if (units == PG_INT64_MAX)
			rfm_money_overflow();
		units++;
	}
	return decimal.negative ? -units : units;
}

/* A sum of amounts, which is a numeric, as units; errors as for an amount. */
int128
money_sum_from_datum(Datum sum)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(sum);
	Decimal		decimal;
	int64		small;
	int128		units;

	if (!decimal_read((Numeric) value, &decimal))
		rfm_money_nan();
	if (likely(decimal_units(&decimal, &small)))
		units = small;
	else if (!decimal_sum_units(&decimal, &units))
		rfm_money_overflow();
	units += decimal_digit(&decimal, -2) >= DIGIT_BASE / 2;
	if ((Pointer) value != DatumGetPointer(sum))
		pfree(value);
	return decimal.negative ? -units : units;
}

/*
 * The units below or at a numeric.  *exact tells whether nothing was cut off.
 * False when out of range; errors on NaN and infinity.
 */
bool
money_units(Numeric value, int64 *units, bool *exact)
{
	Decimal		decimal;

	if (!decimal_read(value, &decimal))
		rfm_money_nan();
	if (!decimal_units(&decimal, units))
		return false;
	/* numeric strips trailing zeros, so a digit further right is not zero */
	*exact = decimal.ndigits == 0 || decimal.weight - decimal.ndigits + 1 >= -1;
	if (decimal.negative)
		*units = *exact ? -*units : -*units - 1;
	return true;
}

/* The numeric that a decimal text means. */
static Numeric
numeric_from_text(char *text)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* A float8 as its shortest round-trip decimal, palloc'd. */
Numeric
money_float8_decimal(float8 amount)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (isnan(amount) || isinf(amount))
		rfm_money_nan();
	double_to_shortest_decimal_buf(amount, text);
	return numeric_from_text(text);
}

/* A float4 as its shortest round-trip decimal, palloc'd. */
Numeric
money_float4_decimal(float4 amount)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	if (isnan(amount) || isinf(amount))
		rfm_money_nan();
	float_to_shortest_decimal_buf(amount, text);
	return numeric_from_text(text);
}

/*
 * Whether a float8's shortest decimal is a whole number of units: then some
 * whole number of at most 15 digits, divided by 10000, reads back as it.
 */
static inline bool
float8_whole_units(float8 amount, int64 *units)
{
	float8		nearest = rint(amount * DIGIT_BASE);

	if (!(fabs(nearest) < FAST_UNITS) || nearest / DIGIT_BASE != amount)
		return false;
	*units = (int64) nearest;
	return true;
}

/*
 * A float8 as units, rounded.  The product below is off by less than one part
 * in 2^51, so only values that close to a half need their decimal spelt out.
 */
int64
money_from_float8(float8 amount)
{
	float8		scaled = fabs(amount) * DIGIT_BASE;
	float8		whole = floor(scaled);
	float8		fraction = scaled - whole;

	if (scaled < FAST_UNITS && fabs(fraction - 0.5) > scaled * 0x1p-50)
	{
		int64		units = (int64) whole + (fraction > 0.5);

		return amount < 0 ? -units : units;
	}
	else
	{
		Numeric		decimal = money_float8_decimal(amount);
		int64		units = money_from_numeric(decimal);

		pfree(decimal);
		return units;
	}
}

/* money_units for a float8. */
bool
money_units_float8(float8 value, int64 *units, bool *exact)
{
	float8		scaled = value * DIGIT_BASE;
	float8		whole = floor(scaled);
	float8		margin = fabs(scaled) * 0x1p-50;

	if (float8_whole_units(value, units))
	{
		*exact = true;
		return true;
	}
	if (fabs(scaled) < FAST_UNITS && scaled - whole > margin && whole + 1 - scaled > margin)
	{
		*units = (int64) whole;
		*exact = false;
		return true;
	}
	else
	{
		Numeric		decimal = money_float8_decimal(value);
		bool		fits = money_units(decimal, units, exact);

		pfree(decimal);
		return fits;
	}
}

/* The family of an amount's type, looking through domains. */
AmountKind
money_kind(Oid type)
{
	switch (getBaseType(type))
	{
		case INT2OID:
			return AMOUNT_INT2;
		case INT4OID:
			return AMOUNT_INT4;
		case INT8OID:
			return AMOUNT_INT8;
		case NUMERICOID:
			return AMOUNT_NUMERIC;
		case FLOAT4OID:
			return AMOUNT_FLOAT4;
		case FLOAT8OID:
			return AMOUNT_FLOAT8;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("amount has type %s", format_type_be(type)),
					 errhint("Cast it to numeric, an integer type or a float.")));
	}
	return AMOUNT_NUMERIC;		/* not reached */
}

/* An amount of any family as units, rounded. */
int64
money_from_datum(Datum amount, AmountKind kind)
{
	int64		units;

	switch (kind)
	{
		case AMOUNT_INT2:
			return (int64) DatumGetInt16(amount) * DIGIT_BASE;
		case AMOUNT_INT4:
			return (int64) DatumGetInt32(amount) * DIGIT_BASE;
		case AMOUNT_INT8:
			if (__builtin_mul_overflow(DatumGetInt64(amount), (int64) DIGIT_BASE, &units) ||
				units == PG_INT64_MIN)
				rfm_money_overflow();
			return units;
		case AMOUNT_FLOAT8:
			return money_from_float8(DatumGetFloat8(amount));
		case AMOUNT_FLOAT4:
			{
				Numeric		decimal = money_float4_decimal(DatumGetFloat4(amount));

				units = money_from_numeric(decimal);
				pfree(decimal);
				return units;
			}
		case AMOUNT_NUMERIC:
			{
				struct varlena *value = PG_DETOAST_DATUM_PACKED(amount);

				units = money_from_numeric((Numeric) value);
				if ((Pointer) value != DatumGetPointer(amount))
					pfree(value);
				return units;
			}
	}
	return 0;					/* not reached */
}

/*
 * A number that is put together digit by digit, from the right; zeros at the
 * right end are not stored.
 */
typedef struct Digits
{
	int			n;
	int			trailing;
	int16		digit[20];		/* 10000^20 > 2^256 */
} Digits;

static inline void
digits_push(Digits *digits, int16 digit)
{
	if (digits->n == 0 && digit == 0)
		digits->trailing++;
	else
		digits->digit[digits->n++] = digit;
}

/* The digits as a numeric, so many of them behind the decimal point.  palloc'd. */
static Numeric
digits_to_numeric(const Digits *digits, bool negative, int behind)
{
	int			weight = digits->n == 0 ? 0 : digits->n + digits->trailing - behind - 1;
	uint16		header = HEADER_SHORT | (4 * behind << SHORT_SCALE_SHIFT) |
		(weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT_MASK);
	Size		size = VARHDRSZ + sizeof(header) + digits->n * sizeof(int16);
	struct varlena *result = palloc(size);

	if (negative)
		header |= SHORT_NEGATIVE;
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), &header, sizeof(header));
	for (int i = 0; i < digits->n; i++)
		memcpy(VARDATA(result) + sizeof(header) + i * sizeof(int16),
			   &digits->digit[digits->n - 1 - i], sizeof(int16));
	return (Numeric) result;
}

/* Units as a numeric of scale 4, palloc'd. */
Numeric
money_to_numeric(int128 units)
{
	uint128		rest = units < 0 ? -(uint128) units : (uint128) units;
	Digits		digits = {0};

	for (; rest > 0; rest /= DIGIT_BASE)
		digits_push(&digits, (int16) (rest % DIGIT_BASE));
	return digits_to_numeric(&digits, units < 0, 1);
}

/* ---------- sums of squares ---------- */

/* Adds a product that is so many words to the left. */
static inline void
square_sum_add_product(SquareSum *sum, int at, uint128 product)
{
	uint128		carry = 0;

	for (int i = at; i < (int) lengthof(sum->word); i++)
	{
		carry += (uint128) sum->word[i] + (uint64) product;
		sum->word[i] = (uint64) carry;
		carry >>= 64;
		product >>= 64;
	}
}

/* Adds the square of a sum of money. */
void
square_sum_add(SquareSum *sum, int128 units)
{
	uint128		size = units < 0 ? -(uint128) units : (uint128) units;
	uint64		low = (uint64) size;
	uint64		high = (uint64) (size >> 64);

	square_sum_add_product(sum, 0, (uint128) low * low);
	if (unlikely(high > 0))
	{
		square_sum_add_product(sum, 1, (uint128) low * high);
		square_sum_add_product(sum, 1, (uint128) low * high);
		square_sum_add_product(sum, 2, (uint128) high * high);
	}
}

/* Adds another sum. */
void
square_sum_merge(SquareSum *sum, const SquareSum *other)
{
	for (int i = 0; i < (int) lengthof(sum->word); i++)
		square_sum_add_product(sum, i, other->word[i]);
}

/* The sum as a numeric of scale 8, palloc'd. */
Numeric
square_sum_to_numeric(const SquareSum *sum)
{
	SquareSum	rest = *sum;
	Digits		digits = {0};

	while ((rest.word[0] | rest.word[1] | rest.word[2] | rest.word[3]) != 0)
	{
		uint64		digit = 0;

		for (int i = lengthof(rest.word) - 1; i >= 0; i--)
		{
			uint128		part = (uint128) digit << 64 | rest.word[i];

			rest.word[i] = (uint64) (part / DIGIT_BASE);
			digit = (uint64) (part % DIGIT_BASE);
		}
		digits_push(&digits, (int16) digit);
	}
	return digits_to_numeric(&digits, false, 2);
}

PG_FUNCTION_INFO_V1(rfm_money_int8);
PG_FUNCTION_INFO_V1(rfm_money_float8);
PG_FUNCTION_INFO_V1(rfm_money_float4);
PG_FUNCTION_INFO_V1(rfm_money_numeric);

/* money(bigint): the amount as this extension reads it. */
Datum
rfm_money_int8(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(money_to_numeric(money_from_datum(PG_GETARG_DATUM(0), AMOUNT_INT8)));
}

/* money(float8) */
Datum
rfm_money_float8(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(money_to_numeric(money_from_float8(PG_GETARG_FLOAT8(0))));
}

/* money(float4) */
Datum
rfm_money_float4(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(money_to_numeric(money_from_datum(PG_GETARG_DATUM(0), AMOUNT_FLOAT4)));
}

/* money(numeric) */
Datum
rfm_money_numeric(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(money_to_numeric(money_from_numeric(PG_GETARG_NUMERIC(0))));
}
