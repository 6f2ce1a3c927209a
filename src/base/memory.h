/* Sizes that cannot overflow, large aligned blocks, arenas. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *result = a * b or a + b; false when it does not fit. */
static inline bool size_multiply(size_t a, size_t b, size_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}
static inline bool size_add(size_t a, size_t b, size_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}

/* Rounds up to a multiple of alignment, a power of two; the caller knows that it fits. */
static inline size_t size_align(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

/* A zeroed block for model-sized memory, 2 MiB aligned, in huge pages if the system has them. NULL when the system
 * refuses. pages_free accepts NULL; size is the requested size. */
void *pages_allocate(size_t size);
void pages_free(void *block, size_t size);
/* Marks a part of such a block of which little will be written: it then takes only the written pages, not whole huge
 * pages. `start` is rounded down to a page. */
void pages_keep_small(void *start, size_t size);

/* Zeroed array with checked size; 64-byte aligned. NULL on overflow or when out of memory. Free with free(). */
void *array_allocate(size_t count, size_t size);

/* Many small blocks with one lifetime. A zeroed struct is an empty arena; arena_free frees all and empties it.
 * Blocks are zeroed and aligned to 16 bytes. NULL when out of memory. */
struct arena {
    struct arena_chunk *chunk;
};
void *arena_allocate(struct arena *arena, size_t size);
void *arena_array(struct arena *arena, size_t count, size_t size);
/* Copies size bytes and adds a final NUL. */
char *arena_copy(struct arena *arena, const void *data, size_t size);
void arena_free(struct arena *arena);

#endif
