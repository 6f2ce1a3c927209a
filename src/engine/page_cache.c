#include "engine/page_cache.h"

#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- Free pages ---- */

static void free_append(struct page_cache *cache, uint32_t page)
{
    cache->pages[page].free_at = cache->free_count;
    cache->free[cache->free_count++] = page;
}

static void free_remove(struct page_cache *cache, uint32_t page)
{
    const uint32_t at = cache->pages[page].free_at, last = cache->free[--cache->free_count];
    cache->free[at] = last;
    cache->pages[last].free_at = at;
}

static bool is_free(const struct page_cache *cache, uint32_t page)
{
    return page < cache->total && cache->pages[page].holders == 0 && !cache->pages[page].is_cached;
}

/* The best free page to follow `after`: its neighbor; or the first of the first half group that is free; or any. There
 * is at least one. */
static uint32_t free_find(const struct page_cache *cache, uint32_t after)
{
    enum { HALF = KV_GROUP / 2 };
    if (after != NO_PAGE && (after + 1) % KV_GROUP != 0 && is_free(cache, after + 1))
        return after + 1;
    for (uint32_t first = 0; first < cache->total; first += HALF) {
        uint32_t count = 0;
        while (count < HALF && is_free(cache, first + count))
            count++;
        if (count == HALF)
            return first;
    }
    return cache->free[cache->free_count - 1];
}

int page_cache_create(struct page_cache *cache, uint32_t total, struct smollm_error *error)
{
    uint32_t roots = 1;
    while (roots < 2 * total)
        roots *= 2;
    *cache = (struct page_cache){.pages = array_allocate(total, sizeof *cache->pages),
                                 .free = array_allocate(total, sizeof *cache->free),
                                 .roots = array_allocate(roots, sizeof *cache->roots),
                                 .root_mask = roots - 1,
                                 .total = total,
                                 .oldest = NO_PAGE,
                                 .newest = NO_PAGE};
    if (!cache->pages || !cache->free || !cache->roots) {
        page_cache_destroy(cache);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for %u pages", total);
    }
    for (uint32_t i = 0; i < total; i++)
        free_append(cache, total - 1 - i);
    for (uint32_t i = 0; i < roots; i++)
        cache->roots[i] = NO_PAGE;
    if (getrandom(&cache->seed, sizeof cache->seed, 0) != sizeof cache->seed)
        cache->seed = hash_mix((uint64_t)(uintptr_t)cache->pages);
    return 0;
}

void page_cache_destroy(struct page_cache *cache)
{
    free(cache->pages);
    free(cache->free);
    free(cache->roots);
    *cache = (struct page_cache){0};
}

/* ---- Order of use: cached pages without holders ---- */

static void use_append(struct page_cache *cache, uint32_t page)
{
    struct cached_page *p = &cache->pages[page];
    p->older = cache->newest;
    p->newer = NO_PAGE;
    *(cache->newest == NO_PAGE ? &cache->oldest : &cache->pages[cache->newest].newer) = page;
    cache->newest = page;
    cache->unheld++;
}

static void use_remove(struct page_cache *cache, uint32_t page)
{
    struct cached_page *p = &cache->pages[page];
    *(p->older == NO_PAGE ? &cache->oldest : &cache->pages[p->older].newer) = p->newer;
    *(p->newer == NO_PAGE ? &cache->newest : &cache->pages[p->newer].older) = p->older;
    cache->unheld--;
}

/* ---- What a reader is told ---- */

static bool is_told(const struct page_cache *cache, uint32_t page)
{
    return cache->pages[page].era == cache->events->era;
}

/* Of a full page whose parent is told. */
static void tell_stored(struct page_cache *cache, uint32_t page)
{
    struct cached_page *p = &cache->pages[page];
    if (!cache->events || p->token_count < KV_PAGE_POSITIONS || is_told(cache, page) ||
        (p->parent != NO_PAGE && !is_told(cache, p->parent)))
        return;
    const uint64_t parent = p->parent != NO_PAGE ? cache->pages[p->parent].hash : 0;
    struct cache_event event = {.type = CACHE_STORED,
                                .key = p->key,
                                .page = p->hash = cache_page_hash(parent, p->key, p->tokens),
                                .parent = parent,
                                .has_parent = p->parent != NO_PAGE};
    memcpy(event.tokens, p->tokens, sizeof event.tokens);
    if (cache_events_write(cache->events, &event))
        p->era = cache->events->era;
}

static void tell_removed(struct page_cache *cache, uint32_t page)
{
    struct cached_page *p = &cache->pages[page];
    const struct cache_event event = {.type = CACHE_REMOVED, .key = p->key, .page = p->hash};
    if (cache->events && is_told(cache, page))
        cache_events_write(cache->events, &event);
    p->era = 0;
}

/* ---- Tree ---- */

/* The list of roots of a key's trees. The table is at most half full and its hash has a secret seed, so the time of a
 * search depends on the trees of this key, not on those of others. */
static uint32_t *roots_of(const struct page_cache *cache, uint64_t key)
{
    return &cache->roots[hash_mix(key ^ cache->seed) & cache->root_mask];
}

static uint32_t first_child(const struct page_cache *cache, uint64_t key, uint32_t parent)
{
    return parent == NO_PAGE ? *roots_of(cache, key) : cache->pages[parent].first_child;
}

static void set_first_child(struct page_cache *cache, uint64_t key, uint32_t parent, uint32_t child)
{
    *(parent == NO_PAGE ? roots_of(cache, key) : &cache->pages[parent].first_child) = child;
}

static void forget(struct page_cache *cache, uint32_t page)
{
    struct cached_page *p = &cache->pages[page];
    assert(p->is_cached && p->first_child == NO_PAGE);
    if (p->previous_sibling == NO_PAGE)
        set_first_child(cache, p->key, p->parent, p->next_sibling);
    else
        cache->pages[p->previous_sibling].next_sibling = p->next_sibling;
    if (p->next_sibling != NO_PAGE)
        cache->pages[p->next_sibling].previous_sibling = p->previous_sibling;
    p->is_cached = false;
    cache->evicted++;
    tell_removed(cache, page);
}

/* Evicts the least recently used page without children and returns it; NO_PAGE when there is none. */
static uint32_t evict(struct page_cache *cache)
{
    uint32_t page = cache->oldest;
    while (page != NO_PAGE && cache->pages[page].first_child != NO_PAGE)
        page = cache->pages[page].newer;
    if (page != NO_PAGE) {
        use_remove(cache, page);
        forget(cache, page);
    }
    return page;
}

bool page_cache_take(struct page_cache *cache, uint32_t after, uint32_t *page)
{
    if (cache->free_count > 0)
        free_remove(cache, *page = free_find(cache, after));
    else if ((*page = evict(cache)) == NO_PAGE)
        return false;
    cache->pages[*page].holders = 1;
    if (*page >= cache->reached)
        cache->reached = *page + 1;
    return true;
}

void page_cache_free_up(struct page_cache *cache, uint32_t count)
{
    uint32_t page;
    while (cache->free_count < count && (page = evict(cache)) != NO_PAGE)
        free_append(cache, page);
}

void page_cache_hold(struct page_cache *cache, uint32_t page)
{
    struct cached_page *p = &cache->pages[page];
    assert(p->holders > 0 || p->is_cached);
    if (p->holders++ == 0)
        use_remove(cache, page);
    tell_stored(cache, page);
}

void page_cache_release(struct page_cache *cache, uint32_t page)
{
    struct cached_page *p = &cache->pages[page];
    assert(page < cache->total && p->holders > 0);
    if (--p->holders > 0)
        return;
    if (p->is_cached)
        use_append(cache, page);
    else
        free_append(cache, page);
}

uint32_t page_cache_find(const struct page_cache *cache, uint64_t key, uint32_t parent, const int32_t *tokens,
                         uint32_t count, uint32_t *common)
{
    uint32_t best = NO_PAGE;
    *common = 0;
    for (uint32_t page = first_child(cache, key, parent); page != NO_PAGE; page = cache->pages[page].next_sibling) {
        const struct cached_page *p = &cache->pages[page];
        const uint32_t max = p->token_count < count ? p->token_count : count;
        uint32_t same = 0;
        while (p->key == key && same < max && p->tokens[same] == tokens[same])
            same++;
        if (same > *common) {
            best = page;
            *common = same;
        }
    }
    return best;
}

uint32_t page_cache_insert(struct page_cache *cache, uint64_t key, uint32_t parent, uint32_t page,
                           const int32_t *tokens, uint32_t count)
{
    struct cached_page *p = &cache->pages[page];
    assert(p->holders > 0 && !p->is_cached && count > 0 && count <= KV_PAGE_POSITIONS);
    assert(parent == NO_PAGE || (cache->pages[parent].is_cached && cache->pages[parent].key == key));
    uint32_t common, found = page_cache_find(cache, key, parent, tokens, count, &common);
    if (found != NO_PAGE && common == count)
        return found;
    p->is_cached = true;
    p->key = key;
    p->parent = parent;
    p->first_child = p->previous_sibling = NO_PAGE;
    p->next_sibling = first_child(cache, key, parent);
    if (p->next_sibling != NO_PAGE)
        cache->pages[p->next_sibling].previous_sibling = page;
    set_first_child(cache, key, parent, page);
    p->token_count = count;
    memcpy(p->tokens, tokens, count * sizeof *tokens);
    tell_stored(cache, page);
    return page;
}

uint32_t page_cache_held(const struct page_cache *cache)
{
    return cache->total - cache->free_count - cache->unheld;
}

uint32_t page_cache_available(const struct page_cache *cache)
{
    return cache->free_count + cache->unheld;
}

uint32_t page_cache_find_held(const struct page_cache *cache, uint64_t key, const int32_t *tokens, uint32_t count)
{
    uint32_t held = 0, parent = NO_PAGE;
    for (uint32_t at = 0; at + KV_PAGE_POSITIONS <= count; at += KV_PAGE_POSITIONS, held++) {
        uint32_t common;
        parent = page_cache_find(cache, key, parent, tokens + at, KV_PAGE_POSITIONS, &common);
        if (parent == NO_PAGE || common < KV_PAGE_POSITIONS || cache->pages[parent].holders == 0)
            break;
    }
    return held;
}

void page_cache_evict_all(struct page_cache *cache)
{
    while (cache->oldest != NO_PAGE)
        free_append(cache, evict(cache));
}

/* ---- Debugging ---- */

static bool node_is_valid(const struct page_cache *cache, uint32_t page)
{
    const struct cached_page *p = &cache->pages[page];
    if (p->token_count < 1 || p->token_count > KV_PAGE_POSITIONS ||
        (p->token_count < KV_PAGE_POSITIONS && p->first_child != NO_PAGE))
        return false;
    if (p->parent != NO_PAGE) {
        const struct cached_page *parent = &cache->pages[p->parent];
        if (!parent->is_cached || parent->key != p->key || parent->token_count < KV_PAGE_POSITIONS)
            return false;
    }
    bool is_child = false;
    uint32_t before = NO_PAGE, steps = 0;
    for (uint32_t i = first_child(cache, p->key, p->parent); i != NO_PAGE && steps <= cache->total; steps++) {
        if (cache->pages[i].previous_sibling != before)
            return false;
        is_child |= i == page;
        before = i;
        i = cache->pages[i].next_sibling;
    }
    return is_child && steps <= cache->total;
}

bool page_cache_is_valid(const struct page_cache *cache)
{
    uint32_t in_order = 0, unheld = 0, free_pages = 0;
    uint32_t before = NO_PAGE;
    for (uint32_t page = cache->oldest; page != NO_PAGE && in_order <= cache->total; page = cache->pages[page].newer) {
        const struct cached_page *p = &cache->pages[page];
        if (p->older != before || !p->is_cached || p->holders > 0)
            return false;
        before = page;
        in_order++;
    }
    for (uint32_t page = 0; page < cache->total; page++) {
        const struct cached_page *p = &cache->pages[page];
        if (p->is_cached && !node_is_valid(cache, page))
            return false;
        unheld += p->is_cached && p->holders == 0;
        free_pages += !p->is_cached && p->holders == 0;
    }
    for (uint32_t i = 0; i < cache->free_count; i++) {
        const struct cached_page *p = &cache->pages[cache->free[i]];
        if (p->is_cached || p->holders > 0 || p->free_at != i)
            return false;
    }
    return before == cache->newest && in_order == unheld && unheld == cache->unheld && free_pages == cache->free_count;
}
