/*
 * failing_allocations.c
 *	  Makes an allocation of the extension fail.
 *
 * The linker puts these functions between the extension and the allocator
 * (--wrap): each call from the extension's own code is counted, and the one
 * asked for ends in the error that PostgreSQL raises when memory is out.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/memutils.h"

static int64 calls = 0;
static int64 failing = 0;		/* the call that fails, 0 for none */

/* Counts a call and perhaps fails. */
static void
count_call(void)
{
	if (++calls == failing)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Allocation %lld was made to fail.", (long long) calls)));
}

#define WRAP(name, parameters, arguments) \
	extern void *__real_##name parameters; \
	extern void *__wrap_##name parameters; \
	void * \
	__wrap_##name parameters \
	{ \
		count_call(); \
		return __real_##name arguments; \
	}

WRAP(palloc, (Size size), (size))
WRAP(palloc0, (Size size), (size))
WRAP(palloc_extended, (Size size, int flags), (size, flags))
WRAP(repalloc, (void *pointer, Size size), (pointer, size))
WRAP(repalloc_huge, (void *pointer, Size size), (pointer, size))
WRAP(pstrdup, (const char *in), (in))
WRAP(pnstrdup, (const char *in, Size len), (in, len))
WRAP(MemoryContextAlloc, (MemoryContext context, Size size), (context, size))
WRAP(MemoryContextAllocZero, (MemoryContext context, Size size), (context, size))
WRAP(MemoryContextAllocHuge, (MemoryContext context, Size size), (context, size))
WRAP(MemoryContextAllocExtended, (MemoryContext context, Size size, int flags), (context, size, flags))
WRAP(MemoryContextStrdup, (MemoryContext context, const char *string), (context, string))
WRAP(AllocSetContextCreateInternal,
	 (MemoryContext parent, const char *name, Size min, Size init, Size max), (parent, name, min, init, max))

PG_FUNCTION_INFO_V1(fail_allocation);
PG_FUNCTION_INFO_V1(allocations);

/* fail_allocation(n): the n-th allocation from now on fails, none for 0. */
Datum
fail_allocation(PG_FUNCTION_ARGS)
{
	calls = 0;
	failing = PG_GETARG_INT64(0);
	PG_RETURN_VOID();
}

/* allocations(): since fail_allocation. */
Datum
allocations(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_INT64(calls);
}
