/* Allocations of the program under test, counted and made to fail: link with -Wl,--wrap for the functions below. */
#ifndef TESTS_LIBRARY_COUNTED_MEMORY_H
#define TESTS_LIBRARY_COUNTED_MEMORY_H

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

static _Atomic long allocations;           /* since the start */
static _Atomic long fail_at = -1;          /* the allocation with this number fails; -1: none */
static _Thread_local long own_allocations; /* of this thread */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset);

static int allocation_fails(void)
{
    own_allocations++;
    return atomic_fetch_add(&allocations, 1) == atomic_load(&fail_at);
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return allocation_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    return allocation_fails() ? MAP_FAILED : __real_mmap(address, size, protection, flags, descriptor, offset);
}

#endif
