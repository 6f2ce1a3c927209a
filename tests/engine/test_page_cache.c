/* Pages of the KV cache: none is given twice, none is lost, and what is found holds the tokens that were asked for. */
#include "engine/page_cache.h"

#include "cmocka_all.h"
#include "random_weights.h"

#include <string.h>

enum { PAGE = KV_PAGE_POSITIONS };

static void pages_are_given_once(void **state)
{
    struct page_cache cache;
    uint32_t pages[50], extra;
    assert_int_equal(page_cache_create(&cache, 50, NULL), 0);
    for (int round = 0; round < 3; round++) {
        bool seen[50] = {0};
        for (int i = 0; i < 50; i++) {
            assert_true(page_cache_take(&cache, NO_PAGE, &pages[i]));
            assert_true(pages[i] < 50 && !seen[pages[i]]);
            seen[pages[i]] = true;
            assert_true(page_cache_is_valid(&cache));
        }
        assert_false(page_cache_take(&cache, NO_PAGE, &extra));
        assert_int_equal(page_cache_held(&cache), 50);
        for (int i = 0; i < 50; i++)
            page_cache_release(&cache, pages[(i * 7 + round) % 50]);
        assert_true(page_cache_is_valid(&cache));
        assert_int_equal(page_cache_held(&cache), 0);
    }
    cache.free[3] = cache.free[4];
    assert_false(page_cache_is_valid(&cache));
    page_cache_destroy(&cache);
}

/* Pages of two sequences that grow by turns, and of one whose memory is in scraps. */
static void neighbours_follow_each_other(void **state)
{
    enum { GROUPS = 5, TOTAL = GROUPS * KV_GROUP - 3 };
    struct page_cache cache;
    uint32_t pages[2][KV_GROUP], after[2] = {NO_PAGE, NO_PAGE}, page;
    assert_int_equal(page_cache_create(&cache, TOTAL, NULL), 0);
    for (uint32_t i = 0; i < KV_GROUP; i++)
        for (int s = 0; s < 2; s++) {
            assert_true(page_cache_take(&cache, after[s], &pages[s][i]));
            after[s] = pages[s][i];
            assert_true(page_cache_is_valid(&cache));
        }
    uint32_t jumps = 0;
    for (uint32_t i = 1; i < KV_GROUP; i++)
        for (int s = 0; s < 2; s++)
            jumps += pages[s][i] != pages[s][i - 1] + 1;
    assert_true(jumps <= 2); /* they meet once */
    /* Half a group that is free is used before memory that never was. */
    for (uint32_t i = 0; i < KV_GROUP; i++)
        for (int s = 0; s < 2; s++)
            if (pages[s][i] % KV_GROUP >= KV_GROUP / 2)
                page_cache_release(&cache, pages[s][i]);
    assert_true(page_cache_take(&cache, NO_PAGE, &page));
    assert_int_equal(page, KV_GROUP / 2);
    /* All can be had, in whatever pieces. */
    uint32_t taken = 0, last = page;
    while (page_cache_take(&cache, last, &page)) {
        last = page;
        taken++;
    }
    assert_true(page_cache_is_valid(&cache));
    assert_int_equal(page_cache_held(&cache), TOTAL);
    assert_true(taken > 0);
    page_cache_destroy(&cache);
}

static void number(int32_t *tokens, uint32_t count, int32_t first)
{
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = first + (int32_t)i;
}

static void cached_pages_are_found(void **state)
{
    struct page_cache cache;
    uint32_t a, b, c, common;
    int32_t tokens[2 * PAGE];
    number(tokens, 2 * PAGE, 100);
    assert_int_equal(page_cache_create(&cache, 4, NULL), 0);
    page_cache_take(&cache, NO_PAGE, &a);
    page_cache_take(&cache, NO_PAGE, &b);
    assert_int_equal(page_cache_insert(&cache, 7, NO_PAGE, a, tokens, PAGE), a);
    assert_int_equal(page_cache_insert(&cache, 7, a, b, tokens + PAGE, 10), b);
    assert_int_equal(page_cache_find(&cache, 7, NO_PAGE, tokens, PAGE, &common), a);
    assert_int_equal(common, PAGE);
    assert_int_equal(page_cache_find(&cache, 8, NO_PAGE, tokens, PAGE, &common), NO_PAGE); /* another owner */
    assert_int_equal(page_cache_find(&cache, 7, a, tokens, PAGE, &common), NO_PAGE);
    assert_int_equal(page_cache_find(&cache, 7, a, tokens + PAGE, PAGE, &common), b);
    assert_int_equal(common, 10);
    /* The same again is not learned twice; what goes on differently is a sibling. */
    page_cache_take(&cache, NO_PAGE, &c);
    assert_int_equal(page_cache_insert(&cache, 7, NO_PAGE, c, tokens, PAGE), a);
    tokens[PAGE + 4] = 1;
    assert_int_equal(page_cache_insert(&cache, 7, a, c, tokens + PAGE, PAGE), c);
    assert_int_equal(page_cache_find(&cache, 7, a, tokens + PAGE, PAGE, &common), c);
    tokens[PAGE + 4] = 100 + PAGE + 4;
    assert_int_equal(page_cache_find(&cache, 7, a, tokens + PAGE, PAGE, &common), b);
    assert_true(page_cache_is_valid(&cache));
    page_cache_destroy(&cache);
}

/* The beginning of what was used last stays longest. */
static void the_oldest_leaf_is_evicted_first(void **state)
{
    struct page_cache cache;
    uint32_t pages[3], other, common;
    int32_t tokens[3 * PAGE];
    number(tokens, 3 * PAGE, 0);
    assert_int_equal(page_cache_create(&cache, 3, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        page_cache_take(&cache, NO_PAGE, &pages[i]);
        page_cache_insert(&cache, 0, i > 0 ? pages[i - 1] : NO_PAGE, pages[i], tokens + i * PAGE, PAGE);
    }
    page_cache_release(&cache, pages[0]);
    page_cache_release(&cache, pages[2]);
    assert_true(page_cache_take(&cache, NO_PAGE, &other)); /* page 0 is older, but has a child */
    assert_int_equal(other, pages[2]);
    assert_int_equal(page_cache_find(&cache, 0, pages[1], tokens + 2 * PAGE, PAGE, &common), NO_PAGE);
    assert_false(page_cache_take(&cache, NO_PAGE, &other)); /* page 1 is held, page 0 its parent */
    page_cache_release(&cache, pages[1]);
    assert_true(page_cache_take(&cache, NO_PAGE, &other) && other == pages[1]);
    assert_true(page_cache_take(&cache, NO_PAGE, &other) && other == pages[0]);
    assert_true(page_cache_is_valid(&cache));
    page_cache_destroy(&cache);
}

/* Sequences over few tokens, as slots use the cache, in random order; what a page holds is written down beside it. */
/* A sequence is evicted from its end, but what takes its place lies in order. */
static void room_for_many_is_made_at_once(void **state)
{
    struct page_cache cache;
    uint32_t pages[KV_GROUP], page, last = NO_PAGE;
    int32_t tokens[KV_GROUP * PAGE];
    number(tokens, KV_GROUP * PAGE, 0);
    assert_int_equal(page_cache_create(&cache, KV_GROUP, NULL), 0);
    for (uint32_t i = 0; i < KV_GROUP; i++) {
        assert_true(page_cache_take(&cache, i > 0 ? pages[i - 1] : NO_PAGE, &pages[i]));
        page_cache_insert(&cache, 1, i > 0 ? pages[i - 1] : NO_PAGE, pages[i], tokens + (size_t)i * PAGE, PAGE);
    }
    for (uint32_t i = KV_GROUP; i > 0; i--)
        page_cache_release(&cache, pages[i - 1]);
    page_cache_free_up(&cache, KV_GROUP / 2);
    assert_int_equal(cache.free_count, KV_GROUP / 2);
    assert_true(page_cache_is_valid(&cache));
    for (uint32_t i = 0; i < KV_GROUP / 2; i++, last = page) {
        assert_true(page_cache_take(&cache, last, &page));
        assert_int_equal(page, KV_GROUP / 2 + i);
    }
    page_cache_free_up(&cache, KV_GROUP); /* more than there are */
    assert_int_equal(page_cache_available(&cache), KV_GROUP / 2);
    assert_true(page_cache_is_valid(&cache));
    page_cache_destroy(&cache);
}

static void storms_leave_it_valid(void **state)
{
    enum { PAGES = 24, SLOTS = 6, LENGTH = 4 * PAGE };
    struct page_cache cache;
    static int32_t content[PAGES][PAGE], tokens[SLOTS][LENGTH];
    static uint32_t held[SLOTS][4], count[SLOTS];
    assert_int_equal(page_cache_create(&cache, PAGES, NULL), 0);
    for (int round = 0; round < 20000; round++) {
        const uint32_t s = random_u32() % SLOTS, key = s % 2;
        if (count[s] == 0)
            for (uint32_t i = 0; i < LENGTH; i++) /* mostly the same, sometimes different from some token on */
                tokens[s][i] = random_u32() % 100 == 0 ? (int32_t)(random_u32() % 2) : i > 0 ? tokens[s][i - 1] : 0;
        if (count[s] == 4 || random_u32() % 5 == 0) {
            while (count[s] > 0)
                page_cache_release(&cache, held[s][--count[s]]);
        } else {
            const uint32_t at = count[s], parent = at > 0 ? held[s][at - 1] : NO_PAGE;
            const int32_t *wanted = tokens[s] + at * PAGE;
            uint32_t common, page = page_cache_find(&cache, key, parent, wanted, PAGE, &common);
            assert_true(page == NO_PAGE || memcmp(content[page], wanted, common * sizeof *wanted) == 0);
            if (page != NO_PAGE && common == PAGE) {
                page_cache_hold(&cache, page);
                held[s][count[s]++] = page;
            } else if (page_cache_take(&cache, NO_PAGE, &page)) {
                memcpy(content[page], wanted, sizeof content[page]);
                const uint32_t length = random_u32() % 4 ? PAGE : 1 + random_u32() % (PAGE - 1);
                const uint32_t known = page_cache_insert(&cache, key, parent, page, wanted, length);
                if (length == PAGE) {
                    assert_int_equal(known, page);
                    held[s][count[s]++] = page;
                } else {
                    page_cache_release(&cache, page);
                }
            }
        }
        if (round % 16 == 0)
            assert_true(page_cache_is_valid(&cache));
    }
    for (uint32_t s = 0; s < SLOTS; s++)
        while (count[s] > 0)
            page_cache_release(&cache, held[s][--count[s]]);
    assert_int_equal(page_cache_held(&cache), 0);
    assert_true(page_cache_is_valid(&cache));
    page_cache_destroy(&cache);
}

/* What one owner looks at does not grow with the trees of others. */
static void owners_have_roots_of_their_own(void **state)
{
    enum { OWNERS = 2000 };
    struct page_cache cache;
    uint32_t page, common, longest = 0;
    assert_int_equal(page_cache_create(&cache, OWNERS, NULL), 0);
    for (uint64_t key = 0; key < OWNERS; key++) {
        int32_t tokens[2] = {7, (int32_t)key};
        assert_true(page_cache_take(&cache, NO_PAGE, &page));
        assert_int_equal(page_cache_insert(&cache, key, NO_PAGE, page, tokens, 2), page);
        page_cache_release(&cache, page);
    }
    assert_true(page_cache_is_valid(&cache));
    for (uint32_t i = 0; i <= cache.root_mask; i++) {
        uint32_t length = 0;
        for (page = cache.roots[i]; page != NO_PAGE; page = cache.pages[page].next_sibling)
            length++;
        longest = length > longest ? length : longest;
    }
    assert_in_range(longest, 1, 12);
    for (uint64_t key = 0; key < OWNERS; key += 37) {
        int32_t tokens[2] = {7, (int32_t)key};
        page = page_cache_find(&cache, key, NO_PAGE, tokens, 2, &common);
        assert_true(page != NO_PAGE && common == 2 && cache.pages[page].key == key);
        tokens[1] = (int32_t)key + 1; /* another owner's */
        page_cache_find(&cache, key, NO_PAGE, tokens, 2, &common);
        assert_int_equal(common, 1);
    }
    page_cache_destroy(&cache);
}

int main(void)
{
    random_state = 20261124;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_given_once),           cmocka_unit_test(neighbours_follow_each_other),
        cmocka_unit_test(cached_pages_are_found),         cmocka_unit_test(the_oldest_leaf_is_evicted_first),
        cmocka_unit_test(room_for_many_is_made_at_once),  cmocka_unit_test(storms_leave_it_valid),
        cmocka_unit_test(owners_have_roots_of_their_own),
    };
    return cmocka_run_group_tests_name("page_cache", tests, NULL, NULL);
}
