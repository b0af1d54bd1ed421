/*
 * memory_guard.c
 *	  Lets AddressSanitizer and valgrind see the server's memory: built into the
 *	  extension by test/checker.sh, never into one that is installed.
 *
 * A checker knows what malloc gave out, and the server cuts its chunks from
 * blocks of many: a read beyond a chunk, or of one that was freed, looks right.
 * So each memory context that the extension allocates in is made to take every
 * chunk from malloc, at its exact size.  What the extension detoasts is copied
 * to such a chunk first: a read beyond a datum is seen, too.
 *
 * The linker's --wrap sends the extension's calls here.  From PostgreSQL 16 on
 * the methods of a context cannot be replaced; there, only large chunks, the
 * stack and the static data are checked.
 */
#include "postgres.h"

#include "nodes/memnodes.h"
#include "utils/memutils.h"

#if PG_VERSION_NUM < 160000

/* No chunk of the server's has this size. */
#define MAGIC	UINT64CONST(0x6775617264656421)

/* What precedes a chunk; the server reads the last word only. */
typedef struct Header
{
	struct Header *previous;
	struct Header *next;
	Size		size;
	uint64		unused;
	uint64		magic;			/* the size, in a chunk of the server's */
	MemoryContext context;
} Header;

/* The methods of a guarded context, its own, and its chunks. */
typedef struct Guard
{
	MemoryContextMethods methods;
	const MemoryContextMethods *real;
	Header		chunks;			/* the ring's anchor */
} Guard;

#define HEADER(pointer)		((Header *) (pointer) - 1)
#define IS_GUARDED(pointer)	(HEADER(pointer)->magic == MAGIC)
#define GUARD(context)		((Guard *) (context)->methods)

static void
link_chunk(MemoryContext context, Header *chunk)
{
	Header	   *anchor = &GUARD(context)->chunks;

	chunk->next = anchor;
	chunk->previous = anchor->previous;
	chunk->previous->next = chunk->next->previous = chunk;
	context->mem_allocated += chunk->size;
}

static void
unlink_chunk(Header *chunk)
{
	chunk->previous->next = chunk->next;
	chunk->next->previous = chunk->previous;
	chunk->context->mem_allocated -= chunk->size;
}

static void *
guard_alloc(MemoryContext context, Size size)
{
	Header	   *chunk = malloc(sizeof(Header) + size);

	if (chunk == NULL)
		return NULL;
	chunk->size = size;
	chunk->magic = MAGIC;
	chunk->context = context;
	link_chunk(context, chunk);
	return chunk + 1;
}

static void
guard_free(MemoryContext context, void *pointer)
{
	if (!IS_GUARDED(pointer))
	{
		GUARD(context)->real->free_p(context, pointer);
		return;
	}
	unlink_chunk(HEADER(pointer));
	free(HEADER(pointer));
}

/* Always moves: whoever keeps the old pointer is found out. */
static void *
guard_realloc(MemoryContext context, void *pointer, Size size)
{
	void	   *moved;

	if (!IS_GUARDED(pointer))
		return GUARD(context)->real->realloc(context, pointer, size);
	moved = guard_alloc(context, size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, pointer, Min(size, HEADER(pointer)->size));
	guard_free(context, pointer);
	return moved;
}

static void
free_chunks(MemoryContext context)
{
	Header	   *anchor = &GUARD(context)->chunks;

	while (anchor->next != anchor)
		guard_free(context, anchor->next + 1);
}

static void
guard_reset(MemoryContext context)
{
	free_chunks(context);
	GUARD(context)->real->reset(context);
}

static void
guard_delete(MemoryContext context)
{
	Guard	   *guard = GUARD(context);

	free_chunks(context);
	context->methods = guard->real;
	free(guard);
	context->methods->delete_context(context);
}

static Size
guard_chunk_space(MemoryContext context, void *pointer)
{
	return IS_GUARDED(pointer) ? sizeof(Header) + HEADER(pointer)->size :
		GUARD(context)->real->get_chunk_space(context, pointer);
}

static bool
guard_is_empty(MemoryContext context)
{
	Guard	   *guard = GUARD(context);

	return guard->chunks.next == &guard->chunks && guard->real->is_empty(context);
}

/* Guards a context from now on. */
static MemoryContext
guard_context(MemoryContext context)
{
	Guard	   *guard;

	if (!IsA(context, AllocSetContext) || context->methods->alloc == guard_alloc)
		return context;
	guard = malloc(sizeof(Guard));
	if (guard == NULL)
		return context;
	guard->methods = *context->methods;
	guard->methods.alloc = guard_alloc;
	guard->methods.free_p = guard_free;
	guard->methods.realloc = guard_realloc;
	guard->methods.reset = guard_reset;
	guard->methods.delete_context = guard_delete;
	guard->methods.get_chunk_space = guard_chunk_space;
	guard->methods.is_empty = guard_is_empty;
	guard->real = context->methods;
	guard->chunks.next = guard->chunks.previous = &guard->chunks;
	context->methods = &guard->methods;
	return context;
}

#else

static MemoryContext
guard_context(MemoryContext context)
{
	return context;
}

#endif

/* Larger data are not copied: they are read again and again, and have blocks of their own. */
#define LARGE	65536

/* A copy at its exact size of what was detoasted, unless detoasting made one. */
static struct varlena *
guard_datum(struct varlena *datum, struct varlena *detoasted)
{
	if (detoasted != datum || VARSIZE_ANY(datum) > LARGE)
		return detoasted;
	return memcpy(palloc(VARSIZE_ANY(datum)), datum, VARSIZE_ANY(datum));
}

/* ---------- what the linker calls in the place of the server's functions ---------- */

#define WRAP(type, name, parameters, context, arguments) \
	extern type __real_##name parameters; \
	extern type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		guard_context(context); \
		return __real_##name arguments; \
	}

WRAP(void *, palloc, (Size size), CurrentMemoryContext, (size))
WRAP(void *, palloc0, (Size size), CurrentMemoryContext, (size))
WRAP(void *, palloc_extended, (Size size, int flags), CurrentMemoryContext, (size, flags))
WRAP(void *, MemoryContextAlloc, (MemoryContext context, Size size), context, (context, size))
WRAP(void *, MemoryContextAllocZero, (MemoryContext context, Size size), context, (context, size))
WRAP(void *, MemoryContextAllocZeroAligned, (MemoryContext context, Size size), context, (context, size))
WRAP(void *, MemoryContextAllocExtended, (MemoryContext context, Size size, int flags), context, (context, size, flags))
WRAP(void *, MemoryContextAllocHuge, (MemoryContext context, Size size), context, (context, size))
WRAP(struct varlena *, pg_detoast_datum_copy, (struct varlena *datum), CurrentMemoryContext, (datum))
WRAP(struct varlena *, pg_detoast_datum_slice, (struct varlena *datum, int32 first, int32 count), CurrentMemoryContext,
	 (datum, first, count))

extern MemoryContext __real_AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size min, Size initial, Size max);
extern MemoryContext __wrap_AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size min, Size initial, Size max);
extern struct varlena *__real_pg_detoast_datum(struct varlena *datum);
extern struct varlena *__wrap_pg_detoast_datum(struct varlena *datum);
extern struct varlena *__real_pg_detoast_datum_packed(struct varlena *datum);
extern struct varlena *__wrap_pg_detoast_datum_packed(struct varlena *datum);

MemoryContext
__wrap_AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size min, Size initial, Size max)
{
	return guard_context(__real_AllocSetContextCreateInternal(parent, name, min, initial, max));
}

struct varlena *
__wrap_pg_detoast_datum(struct varlena *datum)
{
	guard_context(CurrentMemoryContext);
	return guard_datum(datum, __real_pg_detoast_datum(datum));
}

struct varlena *
__wrap_pg_detoast_datum_packed(struct varlena *datum)
{
	guard_context(CurrentMemoryContext);
	return guard_datum(datum, __real_pg_detoast_datum_packed(datum));
}
