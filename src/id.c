/*
 * id.c
 *	  Customer, order and product ids of any allowed type as 64-bit words.
 *
 * Integers are their own word.  The bytes of a uuid or text live in an IdHeap
 * and their word is (hash << 32 | place), so that two different ids nearly
 * always differ in the word's upper half and only equal ids are compared byte
 * by byte.  Words of bytes belong to their heap and never leave it.
 */
#include "rfm.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* What stands in an IdHeap, aligned to IDHEAP_GRANULE. */
typedef struct HeapId
{
	uint32		length;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} HeapId;

/*
 * The kind of an id's type, looking through domains; ID_NONE for all others.
 * Floats and numerics are among these: equality of ids must be what it looks
 * like.
 */
IdKind
id_kind_or_none(Oid type)
{
	switch (getBaseType(type))
	{
		case INT2OID:
			return ID_INT2;
		case INT4OID:
			return ID_INT4;
		case INT8OID:
			return ID_INT8;
		case UUIDOID:
			return ID_UUID;
		case TEXTOID:
		case VARCHAROID:
			return ID_TEXT;
		default:
			return ID_NONE;
	}
}

/* The kind of an id's type; other types are refused. */
IdKind
id_kind(Oid type, const char *column)
{
	IdKind		kind = id_kind_or_none(type);

	if (kind == ID_NONE && type == UNKNOWNOID)
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine the type of %s", column),
				 errhint("Cast it, for example %s::bigint.", column)));
	if (kind == ID_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s has type %s", column, format_type_be(type)),
				 errhint("Cast it to bigint or text; ids are smallint, integer, bigint, uuid, text or varchar.")));
	return kind;
}

/* Bytes that a heap needs for an id of this length, 0 for an integer. */
static inline Size
heap_id_size(uint32 length)
{
	return TYPEALIGN(IDHEAP_GRANULE, offsetof(HeapId, bytes) + length);
}

static inline const HeapId *
heap_id(const IdHeap *heap, uint64 word)
{
	return (const HeapId *) (heap->data + (Size) (uint32) word * IDHEAP_GRANULE);
}

/*
 * The word of bytes, which are copied into the heap.  The heap grows by
 * repalloc unless it is fixed, when the caller has seen to the room.
 */
static uint64
heap_add(IdHeap *heap, const char *bytes, uint32 length, uint32 hash)
{
	Size		size = heap_id_size(length);
	HeapId	   *id;
	uint64		word = ((uint64) hash << 32) | (heap->used / IDHEAP_GRANULE);

	id_heap_reserve(heap, size);
	id = (HeapId *) (heap->data + heap->used);
	memset(id, 0, size);
	id->length = length;
	memcpy(id->bytes, bytes, length);
	heap->used += size;
	return word;
}

/* Makes room for more bytes in a heap; errors when it is full for good. */
void
id_heap_reserve(IdHeap *heap, Size size)
{
	Size		capacity;

	if (heap->used + size <= heap->capacity)
		return;
	Assert(!heap->fixed);
	if (heap->used + size > (Size) PG_UINT32_MAX * IDHEAP_GRANULE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("ids need more than 32 GB of memory"),
				 errhint("Map long text ids to bigint.")));
	capacity = Max(heap->capacity * 2, heap->used + size);
	capacity = Max(capacity, 1024);
	if (heap->data == NULL)
		heap->data = MemoryContextAllocHuge(heap->context, capacity);
	else
		heap->data = repalloc_huge(heap->data, capacity);
	heap->capacity = capacity;
}

/* Bytes an id read from a datum needs in a heap: what id_heap_reserve wants. */
Size
id_datum_size(Datum datum, IdKind kind)
{
	switch (kind)
	{
		case ID_UUID:
			return heap_id_size(UUID_LEN);
		case ID_TEXT:
			return heap_id_size(toast_raw_datum_size(datum) - VARHDRSZ);
		default:
			return 0;
	}
}

/* The word of a datum; bytes are copied into the heap. */
uint64
id_from_datum(IdHeap *heap, Datum datum, IdKind kind)
{
	switch (kind)
	{
		case ID_INT2:
			return (uint64) (int64) DatumGetInt16(datum);
		case ID_INT4:
			return (uint64) (int64) DatumGetInt32(datum);
		case ID_INT8:
			return (uint64) DatumGetInt64(datum);
		case ID_UUID:
			{
				const unsigned char *bytes = DatumGetUUIDP(datum)->data;

				return heap_add(heap, (const char *) bytes, UUID_LEN,
								hash_bytes(bytes, UUID_LEN));
			}
		case ID_TEXT:
			{
				struct varlena *text = PG_DETOAST_DATUM_PACKED(datum);
				uint64		word = id_from_bytes(heap, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));

				if ((Pointer) text != DatumGetPointer(datum))
					pfree(text);
				return word;
			}
		case ID_NONE:
			break;
	}
	return 0;
}

/* The word of raw bytes, which are copied into the heap. */
uint64
id_from_bytes(IdHeap *heap, const char *bytes, uint32 length)
{
	return heap_add(heap, bytes, length,
					hash_bytes((const unsigned char *) bytes, length));
}

/* The bytes of an id in a heap. */
const char *
id_bytes(const IdHeap *heap, uint64 word, uint32 *length)
{
	const HeapId *id = heap_id(heap, word);

	*length = id->length;
	return id->bytes;
}

/* Whether a number that was read from somewhere is the kind of an id that there is. */
bool
id_kind_is_valid(int kind)
{
	return kind >= ID_INT2 && kind <= ID_TEXT;
}

/* Whether a word that was read from somewhere stands for bytes of this heap. */
bool
id_is_valid(const IdHeap *heap, uint64 word, IdKind kind)
{
	Size		place = (Size) (uint32) word * IDHEAP_GRANULE;
	Size		header = offsetof(HeapId, bytes);
	uint32		length;

	if (!id_kind_in_heap(kind))
		return true;
	if (place > heap->used || heap->used - place < header)
		return false;
	length = heap_id(heap, word)->length;
	return length <= heap->used - place - header && (kind != ID_UUID || length == UUID_LEN);
}

/* Copies an id from one heap to another; integers are their own word. */
uint64
id_copy(IdHeap *to, const IdHeap *from, uint64 word, IdKind kind)
{
	const HeapId *id;

	if (!id_kind_in_heap(kind))
		return word;
	id = heap_id(from, word);
	return heap_add(to, id->bytes, id->length, (uint32) (word >> 32));
}

/* Bytes id_copy will need. */
Size
id_copy_size(const IdHeap *from, uint64 word, IdKind kind)
{
	return id_kind_in_heap(kind) ? heap_id_size(heap_id(from, word)->length) : 0;
}

/* Whether two ids in bytes are equal, their hashes being so. */
bool
id_bytes_equal(const IdHeap *heap_a, uint64 a, const IdHeap *heap_b, uint64 b)
{
	const HeapId *id_a = heap_id(heap_a, a);
	const HeapId *id_b = heap_id(heap_b, b);

	return id_a->length == id_b->length &&
		memcmp(id_a->bytes, id_b->bytes, id_a->length) == 0;
}

/* Orders ids: integers by value, uuids and text by their bytes (as in "C"). */
int
id_compare(IdKind kind, const IdHeap *heap_a, uint64 a, const IdHeap *heap_b, uint64 b)
{
	const HeapId *id_a,
			   *id_b;
	int			cmp;

	if (!id_kind_in_heap(kind))
		return ((int64) a > (int64) b) - ((int64) a < (int64) b);
	id_a = heap_id(heap_a, a);
	id_b = heap_id(heap_b, b);
	cmp = memcmp(id_a->bytes, id_b->bytes, Min(id_a->length, id_b->length));
	if (cmp != 0)
		return cmp;
	return (id_a->length > id_b->length) - (id_a->length < id_b->length);
}

/* An id as a datum of its own type; text and uuid are palloc'd. */
Datum
id_to_datum(const IdHeap *heap, uint64 word, IdKind kind)
{
	const HeapId *id;

	switch (kind)
	{
		case ID_INT2:
			return Int16GetDatum((int16) (int64) word);
		case ID_INT4:
			return Int32GetDatum((int32) (int64) word);
		case ID_INT8:
			return Int64GetDatum((int64) word);
		case ID_UUID:
			{
				pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

				memcpy(uuid->data, heap_id(heap, word)->bytes, UUID_LEN);
				return UUIDPGetDatum(uuid);
			}
		case ID_TEXT:
			id = heap_id(heap, word);
			return PointerGetDatum(cstring_to_text_with_len(id->bytes, id->length));
		case ID_NONE:
			break;
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(rfm_id_hash);

/* id_hash(id): the hash by which profile_all divides customers into passes. */
Datum
rfm_id_hash(PG_FUNCTION_ARGS)
{
	IdKind		kind = id_kind(get_fn_expr_argtype(fcinfo->flinfo, 0), "id");
	IdHeap		heap = {.context = CurrentMemoryContext};
	uint32		hash = id_hash(kind, id_from_datum(&heap, PG_GETARG_DATUM(0), kind));

	if (heap.data)
		pfree(heap.data);
	PG_RETURN_INT64(hash);
}
