#include "engine/page_pool.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

int page_pool_create(struct page_pool *pool, uint32_t total, struct smollm_error *error)
{
    *pool = (struct page_pool){.free = array_allocate(total, sizeof *pool->free), .total = total};
    RETURN_ERROR_IF(!pool->free, error, SMOLLM_ENOMEM, "out of memory for %u pages", total);
    for (uint32_t i = 0; i < total; i++)
        page_pool_give(pool, total - 1 - i);
    return 0;
}

void page_pool_destroy(struct page_pool *pool)
{
    free(pool->free);
    *pool = (struct page_pool){0};
}

bool page_pool_take(struct page_pool *pool, uint32_t *page)
{
    if (pool->free_count == 0)
        return false;
    *page = pool->free[--pool->free_count];
    return true;
}

void page_pool_give(struct page_pool *pool, uint32_t page)
{
    assert(page < pool->total && pool->free_count < pool->total);
    pool->free[pool->free_count++] = page;
}

bool page_pool_is_valid(const struct page_pool *pool)
{
    if (pool->free_count > pool->total)
        return false;
    for (uint32_t i = 0; i < pool->free_count; i++) {
        if (pool->free[i] >= pool->total)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (pool->free[k] == pool->free[i])
                return false;
    }
    return true;
}
