#include "grammar/pool.h"

#include "base/error.h"

#include <string.h>
#include <sys/mman.h>

/* The first block of the range is given out when there is nothing else. */
static const size_t POOL_BYTES = (size_t)POOL_MEBIBYTES << 20, SPARE_BYTES = POOL_BLOCK_MAX;

int pool_create(struct pool *pool, struct smollm_error *error)
{
    *pool = (struct pool){0};
    void *base = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    RETURN_ERROR_IF(base == MAP_FAILED, error, SMOLLM_ENOMEM, "out of memory for a grammar");
    pool->base = base;
    pool->used = SPARE_BYTES;
    return 0;
}

void pool_destroy(struct pool *pool)
{
    if (pool->base)
        munmap(pool->base, POOL_BYTES);
    *pool = (struct pool){0};
}

void pool_clear(struct pool *pool)
{
    memset(pool->base + SPARE_BYTES, 0, pool->used - SPARE_BYTES); /* blocks are zeroed */
    pool->used = SPARE_BYTES;
}

bool pool_has_room(const struct pool *pool)
{
    return pool->work < pool->work_limit && pool->used < POOL_BYTES - ((size_t)POOL_RESERVE_MEBIBYTES << 20);
}

void pool_allow(struct pool *pool, uint64_t steps)
{
    pool->work = 0;
    pool->work_limit = steps;
}

static void overflow(struct pool *pool)
{
    pool->used = POOL_BYTES;
    if (pool->escape)
        longjmp(*pool->escape, 1);
}

void *pool_allocate(struct pool *pool, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > POOL_BYTES - pool->used) {
        overflow(pool);
        memset(pool->base, 0, size < SPARE_BYTES ? size : SPARE_BYTES);
        return pool->base;
    }
    void *block = pool->base + pool->used;
    pool->used += size;
    return block;
}

void *pool_array(struct pool *pool, size_t count, size_t size)
{
    return pool_allocate(pool, count * size);
}

void *pool_copy(struct pool *pool, const void *data, size_t size)
{
    void *copy = pool_allocate(pool, size);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

void *pool_vector_add(struct pool *pool, struct pool_vector *vector, size_t element_size)
{
    if (vector->count == vector->capacity) {
        const uint32_t capacity = vector->capacity > 0 ? 2 * vector->capacity : 16;
        const size_t bytes = capacity * element_size;
        if (vector->capacity > 0 && bytes > POOL_BYTES - pool->used) {
            overflow(pool);
            return (char *)vector->data + (vector->count - 1) * element_size;
        }
        void *data = pool_allocate(pool, bytes);
        if (vector->count > 0)
            memcpy(data, vector->data, vector->count * element_size);
        vector->data = data;
        vector->capacity = capacity;
    }
    return (char *)vector->data + vector->count++ * element_size;
}

bool pool_table_next(const struct pool_table *table, uint32_t hash, uint32_t *at, uint32_t *number)
{
    if (table->capacity == 0)
        return false;
    for (uint32_t i = *at & (table->capacity - 1); table->slots[i] > 0; i = (i + 1) & (table->capacity - 1))
        if (table->hashes[i] == hash) {
            *at = i + 1;
            *number = table->slots[i] - 1;
            return true;
        }
    return false;
}

static void place(struct pool_table *table, uint32_t hash, uint32_t slot)
{
    uint32_t i = hash & (table->capacity - 1);
    while (table->slots[i] > 0)
        i = (i + 1) & (table->capacity - 1);
    table->slots[i] = slot;
    table->hashes[i] = hash;
}

void pool_table_add(struct pool *pool, struct pool_table *table, uint32_t hash, uint32_t number)
{
    if (2 * (table->count + 1) > table->capacity) {
        struct pool_table larger = {.capacity = table->capacity > 0 ? 2 * table->capacity : 32, .count = table->count};
        if (2 * sizeof(uint32_t) * larger.capacity > POOL_BYTES - pool->used) {
            overflow(pool);
            return; /* it will not be found again; nothing is made any more */
        }
        larger.slots = pool_array(pool, larger.capacity, sizeof *larger.slots);
        larger.hashes = pool_array(pool, larger.capacity, sizeof *larger.hashes);
        for (uint32_t i = 0; i < table->capacity; i++)
            if (table->slots[i] > 0)
                place(&larger, table->hashes[i], table->slots[i]);
        *table = larger;
    }
    place(table, hash, number + 1);
    table->count++;
}
