/*
 * memory.c
 *	  Large arrays on large pages.
 *
 * An array of some tens of megabytes that is filled once costs a page fault
 * every 4 kB, which takes longer than filling it.  Where the system has large
 * pages for those who ask, this asks.
 */
#include "rfm.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#define LARGE_ARRAY			((Size) 4 * 1024 * 1024)
#define PAGE				4096

/*
 * Asks for large pages below an array, before it is written to; returns the
 * array.  Pages that it only touches are asked for, too: the memory is to stay
 * one mapping, which the allocator can enlarge without a copy.
 */
void *
memory_large_pages(void *array, Size size)
{
#ifdef MADV_HUGEPAGE
	char	   *start = (char *) TYPEALIGN_DOWN(PAGE, array);
	char	   *end = (char *) TYPEALIGN(PAGE, (char *) array + size + 2 * MAXIMUM_ALIGNOF);

	/* no more than a hint: nothing is lost where it is refused */
	if (size >= LARGE_ARRAY)
		(void) madvise(start, end - start, MADV_HUGEPAGE);
#else
	(void) size;
#endif
	return array;
}
