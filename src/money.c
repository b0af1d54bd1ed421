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

/* Units as a numeric of scale 4, palloc'd. */
Numeric
money_to_numeric(int128 units)
{
	uint128		rest = units < 0 ? -(uint128) units : (uint128) units;
	int16		digits[10];		/* 10000^10 > 2^127 */
	int			ndigits = 0;
	int			trailing = 0;
	int			weight;
	uint16		header;
	struct varlena *result;

	/* digits from the right; zeros at the right end are not stored */
	while (rest > 0)
	{
		int16		digit = (int16) (rest % DIGIT_BASE);

		rest /= DIGIT_BASE;
		if (ndigits == 0 && digit == 0)
			trailing++;
		else
			digits[ndigits++] = digit;
	}
	weight = ndigits == 0 ? 0 : ndigits + trailing - 2;

	header = HEADER_SHORT | (4 << SHORT_SCALE_SHIFT) |
		(weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT_MASK);
	if (units < 0)
		header |= SHORT_NEGATIVE;

	result = palloc(VARHDRSZ + sizeof(header) + ndigits * sizeof(int16));
	SET_VARSIZE(result, VARHDRSZ + sizeof(header) + ndigits * sizeof(int16));
	memcpy(VARDATA(result), &header, sizeof(header));
	for (int i = 0; i < ndigits; i++)
		memcpy(VARDATA(result) + sizeof(header) + i * sizeof(int16),
			   &digits[ndigits - 1 - i], sizeof(int16));
	return (Numeric) result;
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
