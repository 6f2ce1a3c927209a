#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t HUGE_PAGE = (size_t)2 << 20, SMALL_PAGE = 4096;

void *pages_allocate(size_t size)
{
    size_t mapped;
    if (size == 0 || !size_add(size, HUGE_PAGE - 1, &mapped))
        return NULL;
    mapped &= ~(HUGE_PAGE - 1);
    size_t reserved;
    if (!size_add(mapped, HUGE_PAGE, &reserved))
        return NULL;
    char *start = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    char *block = (char *)size_align((size_t)start, HUGE_PAGE);
    size_t before = (size_t)(block - start);
    if (before > 0)
        munmap(start, before);
    if (HUGE_PAGE - before > 0)
        munmap(block + mapped, HUGE_PAGE - before);
    /* Without huge pages the block works all the same. */
    madvise(block, mapped, MADV_HUGEPAGE);
    return block;
}

void pages_keep_small(void *start, size_t size)
{
    const size_t into_page = (size_t)start % SMALL_PAGE;
    madvise((char *)start - into_page, size + into_page, MADV_NOHUGEPAGE);
}

void pages_free(void *block, size_t size)
{
    if (block)
        munmap(block, size_align(size, HUGE_PAGE));
}

void *array_allocate(size_t count, size_t size)
{
    size_t total;
    if (!size_multiply(count, size, &total) || total > SIZE_MAX - 64)
        return NULL;
    total = total == 0 ? 64 : size_align(total, 64);
    void *block = aligned_alloc(64, total);
    if (block)
        memset(block, 0, total);
    return block;
}

struct arena_chunk {
    struct arena_chunk *next;
    size_t used;
    size_t size;
    _Alignas(16) unsigned char data[];
};

void *arena_allocate(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = size_align(size == 0 ? 1 : size, 16);
    struct arena_chunk *chunk = arena->chunk;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > 4096 ? size : 4096;
        chunk = calloc(1, sizeof *chunk + room);
        if (!chunk)
            return NULL;
        chunk->size = room;
        chunk->next = arena->chunk;
        arena->chunk = chunk;
    }
    void *block = chunk->data + chunk->used;
    chunk->used += size;
    return block;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    return size_multiply(count, size, &total) ? arena_allocate(arena, total) : NULL;
}

char *arena_copy(struct arena *arena, const void *data, size_t size)
{
    if (size == SIZE_MAX)
        return NULL;
    char *copy = arena_allocate(arena, size + 1);
    if (copy && size > 0)
        memcpy(copy, data, size);
    return copy;
}

void arena_free(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunk;
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->chunk = NULL;
}
