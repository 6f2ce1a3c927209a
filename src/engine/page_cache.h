/* Which pages of the KV cache are free, which are held, and which tokens they contain, so that no prefix that is still
 * in memory is computed twice. Used by the engine thread alone.
 *
 * Cached pages form a tree for each key: a page's tokens follow those of its parent. A page is held by every slot that
 * reads it. A page without holders stays cached until its memory is needed; then the least recently used leaf is
 * evicted first. A full page never changes again; a partly filled one is a leaf, from which others copy. A key does
 * not see the pages of another, so that response times do not reveal what another client has asked.
 *
 * Zheng et al., "SGLang: Efficient Execution of Structured Language Model Programs", 2024, section 3 (radix tree). */
#ifndef ENGINE_PAGE_CACHE_H
#define ENGINE_PAGE_CACHE_H

#include "base/error.h"
#include "engine/cache_events.h"
#include "model/kv_cache.h"

#include <stdbool.h>
#include <stdint.h>

#define NO_PAGE UINT32_MAX

struct cached_page {
    uint32_t holders;
    bool is_cached;
    uint64_t key;
    uint32_t parent; /* NO_PAGE: the page begins a sequence */
    uint32_t first_child, previous_sibling, next_sibling;
    uint32_t older, newer; /* cached pages without holders, by their last use */
    uint32_t free_at;      /* index of a free page in `free` */
    uint64_t hash;         /* of a full page, where a reader is told of pages */
    uint32_t era;          /* in which the reader was told of it; 0: never */
    uint32_t token_count;
    int32_t tokens[KV_PAGE_POSITIONS];
};

struct page_cache {
    struct cached_page *pages;
    uint32_t total;
    uint32_t reached; /* pages before this one have been held, or others behind them */
    uint32_t *free;   /* page numbers */
    uint32_t free_count;
    uint32_t *roots; /* [root_mask + 1], by a hash of the key: the first page that begins a sequence */
    uint32_t root_mask;
    uint64_t seed;
    uint32_t oldest, newest;
    uint32_t unheld;             /* cached pages without holders */
    uint64_t evicted;            /* cached pages whose memory was needed, since the start */
    struct cache_events *events; /* told of full pages; borrowed. NULL: nobody reads them */
};

int page_cache_create(struct page_cache *cache, uint32_t total, struct smollm_error *error);
void page_cache_destroy(struct page_cache *cache); /* accepts a zeroed struct */

/* A page to write, held once: a free one, or the least recently used without holders, which is evicted. False when all
 * are held. after: the page before it in its sequence, whose neighbor in memory is preferred, because memory is read
 * faster in order; or NO_PAGE. */
bool page_cache_take(struct page_cache *cache, uint32_t after, uint32_t *page);
/* Evicts pages without holders until `count` are free, if there are as many: pages that are taken one after the other
 * can then be neighbors. */
void page_cache_free_up(struct page_cache *cache, uint32_t count);
void page_cache_hold(struct page_cache *cache, uint32_t page);
/* Gives up a hold. A sequence releases its pages from the last one on, so that its beginning stays longest. */
void page_cache_release(struct page_cache *cache, uint32_t page);

/* The cached page after parent (NO_PAGE: at the beginning of a sequence) whose tokens share the longest prefix with
 * tokens[0, count), or NO_PAGE; *common: the length of that prefix, 1 to KV_PAGE_POSITIONS. */
uint32_t page_cache_find(const struct page_cache *cache, uint64_t key, uint32_t parent, const int32_t *tokens,
                         uint32_t count, uint32_t *common);

/* Inserts a held page after a cached parent. Returns it, or, when a page with these tokens was cached already (for a
 * partly filled page: one that begins with them), that one. */
uint32_t page_cache_insert(struct page_cache *cache, uint64_t key, uint32_t parent, uint32_t page,
                           const int32_t *tokens, uint32_t count);

/* Pages that are held, and those that can be taken. */
uint32_t page_cache_held(const struct page_cache *cache);
uint32_t page_cache_available(const struct page_cache *cache);
/* How many full pages with the first of these tokens are held by others. */
uint32_t page_cache_find_held(const struct page_cache *cache, uint64_t key, const int32_t *tokens, uint32_t count);

/* Evicts all pages without holders. */
void page_cache_evict_all(struct page_cache *cache);

/* Whether every page is in exactly one state, the tree is a tree, and the order of use is complete. Slow: for debug
 * builds and tests. */
bool page_cache_is_valid(const struct page_cache *cache);

#endif
