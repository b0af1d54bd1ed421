/*
 * zone.c
 *	  Local dates and times of one time zone, as AT TIME ZONE gives them, but
 *	  with the zone looked up once and no calendar for zones of fixed offset.
 */
#include "rfm.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Looks a time zone up by name; the server keeps what zone points to. */
void
zone_init(Zone *zone, const char *name, int length)
{
	char		buffer[TZ_STRLEN_MAX + 1];
	long		offset;

	/* bytes may be anything */
	if (!pg_verifymbstr(name, length, true))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the name of a time zone is no text"),
				 errhint("The view pg_timezone_names lists the known names, for example 'Europe/Berlin'.")));
	if (length <= TZ_STRLEN_MAX)
	{
		memcpy(buffer, name, length);
		buffer[length] = '\0';
		zone->zone = pg_tzset(buffer);
	}
	else
		zone->zone = NULL;
	if (zone->zone == NULL || !pg_tz_acceptable(zone->zone))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%.*s\" is not known", length, name),
				 errhint("The view pg_timezone_names lists the known names, for example 'Europe/Berlin'.")));
	zone->fixed = pg_get_timezone_offset(zone->zone, &offset);
	zone->offset = zone->fixed ? offset * USECS_PER_SEC : 0;
}

/* The instant that a local time means. */
TimestampTz
zone_instant(const Zone *zone, Timestamp local)
{
	TimestampTz result;
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;

	if (TIMESTAMP_NOT_FINITE(local))
		return local;
	if (zone->fixed)
		result = local - zone->offset;
	else
	{
		if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					 errmsg("timestamp out of range")));
		offset = DetermineTimeZoneOffset(&tm, zone->zone);
		if (tm2timestamp(&tm, fsec, &offset, &result) != 0)
			result = DT_NOEND;
	}
	if (!IS_VALID_TIMESTAMP(result))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return result;
}

/* The local date of a finite instant, in days since 2000-01-01. */
int32
zone_date(const Zone *zone, TimestampTz at)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;

	if (zone->fixed)
	{
		int64		local = at + zone->offset;
		int64		days = local / USECS_PER_DAY;

		return (int32) (days - (local % USECS_PER_DAY < 0));
	}
	if (timestamp2tm(at, &offset, &tm, &fsec, NULL, zone->zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
}

/*
 * Prepares to read times of this type, a domain being read as what lies below
 * it.  The reader must live in CurrentMemoryContext.
 */
void
time_reader_init(TimeReader *reader, Oid type, const char *column)
{
	memset(reader, 0, sizeof(*reader));
	reader->context = CurrentMemoryContext;
	reader->type = getBaseType(type);
	if (reader->type != TIMESTAMPTZOID && reader->type != TIMESTAMPOID && reader->type != DATEOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s has type %s", column, format_type_be(reader->type)),
				 errhint("Cast it to timestamptz, timestamp or date.")));
}

/* The zone of a row, looked up again only when it changed; NULL is UTC. */
const Zone *
time_read_zone(TimeReader *reader, const text *zone)
{
	const char *name = zone ? VARDATA_ANY(zone) : "UTC";
	int			length = zone ? VARSIZE_ANY_EXHDR(zone) : 3;

	if (reader->zone_name != NULL &&
		(reader->same_zone ||
		 (strlen(reader->zone_name) == (size_t) length && memcmp(reader->zone_name, name, length) == 0)))
		return &reader->zone;
	zone_init(&reader->zone, name, length);
	if (reader->zone_name)
		pfree(reader->zone_name);
	reader->zone_name = MemoryContextStrdup(reader->context, pnstrdup(name, length));
	return &reader->zone;
}

/* The instant of a time; infinite ones stay so.  zone matters to timestamp and date. */
TimestampTz
time_read(TimeReader *reader, Datum value, const text *zone)
{
	DateADT		date;

	if (reader->type == TIMESTAMPTZOID)
		return DatumGetTimestampTz(value);
	time_read_zone(reader, zone);
	if (reader->type == TIMESTAMPOID)
		return zone_instant(&reader->zone, DatumGetTimestamp(value));
	date = DatumGetDateADT(value);
	if (DATE_IS_NOBEGIN(date))
		return DT_NOBEGIN;
	if (DATE_IS_NOEND(date))
		return DT_NOEND;
	if (date >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("date out of range for timestamp")));
	return zone_instant(&reader->zone, (Timestamp) date * USECS_PER_DAY);
}

PG_FUNCTION_INFO_V1(rfm_local_date);

/* local_date(instant, time_zone) → date */
Datum
rfm_local_date(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
	text	   *name = PG_GETARG_TEXT_PP(1);
	Zone		zone;

	zone_init(&zone, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	if (TIMESTAMP_IS_NOBEGIN(at))
		PG_RETURN_DATEADT(DATEVAL_NOBEGIN);
	if (TIMESTAMP_IS_NOEND(at))
		PG_RETURN_DATEADT(DATEVAL_NOEND);
	PG_RETURN_DATEADT(zone_date(&zone, at));
}

PG_FUNCTION_INFO_V1(rfm_instant);

/* instant(local, time_zone) → timestamptz; the name is bytes, which look like a text */
Datum
rfm_instant(PG_FUNCTION_ARGS)
{
	bytea	   *name = PG_GETARG_BYTEA_PP(1);
	Zone		zone;

	zone_init(&zone, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	PG_RETURN_TIMESTAMPTZ(zone_instant(&zone, PG_GETARG_TIMESTAMP(0)));
}

PG_FUNCTION_INFO_V1(rfm_instant_int8);

/* instant(microseconds) → timestamptz */
Datum
rfm_instant_int8(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_INT64(0);

	if (!TIMESTAMP_NOT_FINITE(at) && !IS_VALID_TIMESTAMP(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	PG_RETURN_TIMESTAMPTZ(at);
}
