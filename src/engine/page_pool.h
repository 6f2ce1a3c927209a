/* Which pages of the KV cache are free. Used by the engine thread alone. */
#ifndef ENGINE_PAGE_POOL_H
#define ENGINE_PAGE_POOL_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct page_pool {
    uint32_t *free; /* a stack of page numbers */
    uint32_t free_count;
    uint32_t total;
};

int page_pool_create(struct page_pool *pool, uint32_t total, struct smollm_error *error);
void page_pool_destroy(struct page_pool *pool); /* accepts a zeroed struct */

/* A page, or false when none is free. */
bool page_pool_take(struct page_pool *pool, uint32_t *page);
void page_pool_give(struct page_pool *pool, uint32_t page);

/* Whether every free page is a page, and none is free twice. Slow: for debug builds and tests. */
bool page_pool_is_valid(const struct page_pool *pool);

#endif
