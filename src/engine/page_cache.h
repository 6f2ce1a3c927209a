/* Which pages of the KV cache are free, which are held, and which tokens they hold, so that no prefix that is still
 * there is computed twice. Used by the engine thread alone.
 *
 * Known pages form a tree for each owner: a page's tokens follow those of its parent. A page is held by every slot that
 * reads it; what nobody holds stays known until its memory is wanted, the least recently used leaf first. A page that
 * is full never changes again; one that is not is a leaf, from which others copy. Owners do not see each other's pages,
 * so that nobody can feel by its speed what another has asked.
 *
 * Zheng et al., "SGLang: Efficient Execution of Structured Language Model Programs", 2024, section 3 (radix tree). */
#ifndef ENGINE_PAGE_CACHE_H
#define ENGINE_PAGE_CACHE_H

#include "base/error.h"
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
    uint32_t older, newer; /* known pages that nobody holds, by their last use */
    uint32_t free_at;      /* where a free page stands among the free ones */
    uint32_t token_count;
    int32_t tokens[KV_PAGE_POSITIONS];
};

struct page_cache {
    struct cached_page *pages;
    uint32_t total;
    uint32_t reached; /* pages before this one have been held, or others behind them */
    uint32_t *free;   /* page numbers */
    uint32_t free_count;
    uint32_t *roots; /* [root_mask + 1], by a hash of the owner: the first page that begins a sequence */
    uint32_t root_mask;
    uint64_t seed;
    uint32_t oldest, newest;
    uint32_t unheld;    /* known pages that nobody holds */
    uint64_t forgotten; /* known pages whose memory was wanted, since the start */
};

int page_cache_create(struct page_cache *cache, uint32_t total, struct smollm_error *error);
void page_cache_destroy(struct page_cache *cache); /* accepts a zeroed struct */

/* A page to write, held once: a free one, or the least recently used that nobody holds, which is forgotten. False when
 * all are held. after: the page before it in its sequence, whose neighbour in memory is preferred, since memory is read
 * faster in order; or NO_PAGE. */
bool page_cache_take(struct page_cache *cache, uint32_t after, uint32_t *page);
/* Forgets pages that nobody holds until `count` are free, if there are as many: those that are taken one after the
 * other can then be neighbours. */
void page_cache_free_up(struct page_cache *cache, uint32_t count);
void page_cache_hold(struct page_cache *cache, uint32_t page);
/* Gives up a hold. Pages of a sequence are released from its end, so that its beginning stays longest. */
void page_cache_release(struct page_cache *cache, uint32_t page);

/* The known page behind parent (NO_PAGE: that begins a sequence) which shares most of `count` tokens from its first on,
 * or NO_PAGE; *common: how many, 1 to KV_PAGE_POSITIONS. */
uint32_t page_cache_find(const struct page_cache *cache, uint64_t key, uint32_t parent, const int32_t *tokens,
                         uint32_t count, uint32_t *common);

/* Makes a held page known behind a known parent. Returns it, or, when a page with these tokens was known before (of a
 * page that is not full: one that begins with them), that one. */
uint32_t page_cache_insert(struct page_cache *cache, uint64_t key, uint32_t parent, uint32_t page,
                           const int32_t *tokens, uint32_t count);

/* Pages that are held, and those that can be taken. */
uint32_t page_cache_held(const struct page_cache *cache);
uint32_t page_cache_available(const struct page_cache *cache);
/* How many full pages with the first of these tokens are held by others. */
uint32_t page_cache_find_held(const struct page_cache *cache, uint64_t key, const int32_t *tokens, uint32_t count);

/* Forgets all that nobody holds. */
void page_cache_evict_all(struct page_cache *cache);

/* Whether every page is in exactly one state, the tree is a tree, and the order of use holds what it should. Slow: for
 * debug builds and tests. */
bool page_cache_is_valid(const struct page_cache *cache);

#endif
