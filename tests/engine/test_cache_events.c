/* What a reader of the prefix cache's events knows, compared with the cache: all of it when it reads in time, never
 * more than there is when it does not. */
#include "base/hash.h"
#include "cmocka_all.h"
#include "engine/page_cache.h"

#include <pthread.h>
#include <string.h>

enum { PAGE = KV_PAGE_POSITIONS, PAGES = 40, SLOTS = 6, DEPTH = 4 };

/* The pages that events told of. */
struct mirror {
    uint64_t pages[4 * PAGES];
    uint32_t count, cleared, stored, removed;
};

static bool has(const struct mirror *mirror, uint64_t page)
{
    for (uint32_t i = 0; i < mirror->count; i++)
        if (mirror->pages[i] == page)
            return true;
    return false;
}

static void take(struct mirror *mirror, const struct cache_event *event)
{
    switch (event->type) {
    case CACHE_CLEARED:
        mirror->count = 0;
        mirror->cleared++;
        break;
    case CACHE_STORED:
        assert_false(has(mirror, event->page));
        assert_true(event->has_parent ? has(mirror, event->parent) : event->parent == 0);
        assert_int_equal(event->page, cache_page_hash(event->parent, event->key, event->tokens));
        mirror->pages[mirror->count++] = event->page;
        mirror->stored++;
        break;
    case CACHE_REMOVED:
        assert_true(has(mirror, event->page));
        for (uint32_t i = 0; i < mirror->count; i++)
            if (mirror->pages[i] == event->page)
                mirror->pages[i] = mirror->pages[--mirror->count];
        mirror->removed++;
        break;
    }
}

static uint64_t hash_of(const struct page_cache *cache, uint32_t page)
{
    const struct cached_page *p = &cache->pages[page];
    return cache_page_hash(p->parent == NO_PAGE ? 0 : hash_of(cache, p->parent), p->key, p->tokens);
}

/* Whether each page of the mirror is cached; *full: how many full pages are. */
static bool is_true(const struct page_cache *cache, const struct mirror *mirror, uint32_t *full)
{
    uint32_t found = 0;
    *full = 0;
    for (uint32_t page = 0; page < cache->total; page++)
        if (cache->pages[page].is_cached && cache->pages[page].token_count == PAGE) {
            ++*full;
            found += has(mirror, hash_of(cache, page));
        }
    return found == mirror->count;
}

static uint32_t random_u32(void)
{
    static uint64_t state = 1;
    return (uint32_t)(hash_mix(state += 0x9e3779b97f4a7c15u) >> 32);
}

/* Sequences come and go in a cache that is too small for them, as the slots of an engine use it. */
static void storm(uint32_t capacity, uint32_t patience, struct mirror *mirror)
{
    static int32_t tokens[SLOTS][DEPTH * PAGE];
    uint32_t held[SLOTS][DEPTH], count[SLOTS] = {0}, full;
    struct page_cache cache;
    struct cache_events events;
    struct cache_event event;
    *mirror = (struct mirror){0};
    assert_int_equal(page_cache_create(&cache, PAGES, NULL), 0);
    assert_int_equal(cache_events_create(&events, capacity, NULL), 0);
    cache.events = &events;
    for (int round = 0; round < 20000; round++) {
        const uint32_t s = random_u32() % SLOTS;
        const uint64_t key = s % 2;
        if (count[s] == 0)
            for (uint32_t i = 0; i < DEPTH * PAGE; i++)
                tokens[s][i] = random_u32() % 60 == 0 ? (int32_t)(random_u32() % 2) : i > 0 ? tokens[s][i - 1] : 0;
        if (count[s] == DEPTH || random_u32() % 5 == 0) {
            while (count[s] > 0)
                page_cache_release(&cache, held[s][--count[s]]);
        } else {
            const uint32_t at = count[s], parent = at > 0 ? held[s][at - 1] : NO_PAGE;
            uint32_t common, page = page_cache_find(&cache, key, parent, tokens[s] + at * PAGE, PAGE, &common);
            if (page != NO_PAGE && common == PAGE) {
                page_cache_hold(&cache, page);
                held[s][count[s]++] = page;
            } else if (page_cache_take(&cache, NO_PAGE, &page)) {
                const uint32_t length = random_u32() % 4 ? PAGE : 1 + random_u32() % (PAGE - 1);
                page_cache_insert(&cache, key, parent, page, tokens[s] + at * PAGE, length);
                if (length == PAGE)
                    held[s][count[s]++] = page;
                else
                    page_cache_release(&cache, page);
            }
        }
        if (random_u32() % patience == 0) {
            while (cache_events_read(&events, 0, &event))
                take(mirror, &event);
            assert_true(is_true(&cache, mirror, &full));
            if (capacity > 1000)
                assert_int_equal(mirror->count, full);
        }
    }
    page_cache_destroy(&cache);
    cache_events_destroy(&events);
}

static void a_reader_in_time_knows_all(void **state)
{
    (void)state;
    static struct mirror mirror;
    storm(4096, 8, &mirror);
    assert_int_equal(mirror.cleared, 1);
    assert_true(mirror.stored > 1000 && mirror.removed > 1000);
}

static void a_slow_reader_knows_nothing_wrong(void **state)
{
    (void)state;
    static struct mirror mirror;
    storm(16, 25, &mirror);
    assert_true(mirror.cleared > 100 && mirror.stored > 1000 && mirror.removed > 100);
}

/* After an overflow a page is told again when it is next used, its parents first. */
static void used_pages_are_told_again(void **state)
{
    (void)state;
    static struct mirror mirror;
    struct page_cache cache;
    struct cache_events events;
    struct cache_event event;
    int32_t tokens[4 * PAGE];
    uint32_t pages[4];
    mirror = (struct mirror){0};
    assert_int_equal(page_cache_create(&cache, 4, NULL), 0);
    assert_int_equal(cache_events_create(&events, 3, NULL), 0);
    cache.events = &events;
    for (int i = 0; i < 4 * PAGE; i++)
        tokens[i] = i;
    for (uint32_t i = 0; i < 4; i++) { /* CLEARED, two pages, and no room for the third one */
        page_cache_take(&cache, NO_PAGE, &pages[i]);
        page_cache_insert(&cache, 0, i > 0 ? pages[i - 1] : NO_PAGE, pages[i], tokens + i * PAGE, PAGE);
    }
    while (cache_events_read(&events, 0, &event))
        take(&mirror, &event);
    assert_int_equal(mirror.cleared, 1);
    assert_int_equal(mirror.count, 0);
    for (uint32_t i = 0; i < 4; i++) {
        page_cache_hold(&cache, pages[i]);
        assert_true(cache_events_read(&events, 0, &event));
        take(&mirror, &event);
        page_cache_hold(&cache, pages[i]);
        assert_false(cache_events_read(&events, 0, &event));
    }
    assert_int_equal(mirror.count, 4);
    page_cache_destroy(&cache);
    cache_events_destroy(&events);
}

static void *write_late(void *user)
{
    const struct cache_event event = {.type = CACHE_REMOVED, .page = 77};
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    cache_events_write(user, &event);
    return NULL;
}

static void readers_wait(void **state)
{
    (void)state;
    struct cache_events events;
    struct cache_event event;
    pthread_t thread;
    assert_int_equal(cache_events_create(&events, 2, NULL), 0);
    assert_true(cache_events_read(&events, -1, &event));
    assert_int_equal(event.type, CACHE_CLEARED);
    assert_false(cache_events_read(&events, 1, &event));
    pthread_create(&thread, NULL, write_late, &events);
    assert_true(cache_events_read(&events, -1, &event));
    assert_int_equal(event.page, 77);
    pthread_join(thread, NULL);
    cache_events_destroy(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_reader_in_time_knows_all),
                                       cmocka_unit_test(a_slow_reader_knows_nothing_wrong),
                                       cmocka_unit_test(used_pages_are_told_again), cmocka_unit_test(readers_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
