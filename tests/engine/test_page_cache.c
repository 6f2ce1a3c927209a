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
            assert_true(page_cache_take(&cache, &pages[i]));
            assert_true(pages[i] < 50 && !seen[pages[i]]);
            seen[pages[i]] = true;
            assert_true(page_cache_is_valid(&cache));
        }
        assert_false(page_cache_take(&cache, &extra));
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

static void number(int32_t *tokens, uint32_t count, int32_t first)
{
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = first + (int32_t)i;
}

static void known_pages_are_found(void **state)
{
    struct page_cache cache;
    uint32_t a, b, c, common;
    int32_t tokens[2 * PAGE];
    number(tokens, 2 * PAGE, 100);
    assert_int_equal(page_cache_create(&cache, 4, NULL), 0);
    page_cache_take(&cache, &a);
    page_cache_take(&cache, &b);
    assert_int_equal(page_cache_learn(&cache, 7, NO_PAGE, a, tokens, PAGE), a);
    assert_int_equal(page_cache_learn(&cache, 7, a, b, tokens + PAGE, 10), b);
    assert_int_equal(page_cache_find(&cache, 7, NO_PAGE, tokens, PAGE, &common), a);
    assert_int_equal(common, PAGE);
    assert_int_equal(page_cache_find(&cache, 8, NO_PAGE, tokens, PAGE, &common), NO_PAGE); /* another owner */
    assert_int_equal(page_cache_find(&cache, 7, a, tokens, PAGE, &common), NO_PAGE);
    assert_int_equal(page_cache_find(&cache, 7, a, tokens + PAGE, PAGE, &common), b);
    assert_int_equal(common, 10);
    /* The same again is not learned twice; what goes on differently is a sibling. */
    page_cache_take(&cache, &c);
    assert_int_equal(page_cache_learn(&cache, 7, NO_PAGE, c, tokens, PAGE), a);
    tokens[PAGE + 4] = 1;
    assert_int_equal(page_cache_learn(&cache, 7, a, c, tokens + PAGE, PAGE), c);
    assert_int_equal(page_cache_find(&cache, 7, a, tokens + PAGE, PAGE, &common), c);
    tokens[PAGE + 4] = 100 + PAGE + 4;
    assert_int_equal(page_cache_find(&cache, 7, a, tokens + PAGE, PAGE, &common), b);
    assert_true(page_cache_is_valid(&cache));
    page_cache_destroy(&cache);
}

/* The beginning of what was used last stays longest. */
static void the_oldest_leaf_is_forgotten_first(void **state)
{
    struct page_cache cache;
    uint32_t pages[3], other, common;
    int32_t tokens[3 * PAGE];
    number(tokens, 3 * PAGE, 0);
    assert_int_equal(page_cache_create(&cache, 3, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        page_cache_take(&cache, &pages[i]);
        page_cache_learn(&cache, 0, i > 0 ? pages[i - 1] : NO_PAGE, pages[i], tokens + i * PAGE, PAGE);
    }
    page_cache_release(&cache, pages[0]);
    page_cache_release(&cache, pages[2]);
    assert_true(page_cache_take(&cache, &other)); /* page 0 is older, but has a child */
    assert_int_equal(other, pages[2]);
    assert_int_equal(page_cache_find(&cache, 0, pages[1], tokens + 2 * PAGE, PAGE, &common), NO_PAGE);
    assert_false(page_cache_take(&cache, &other)); /* page 1 is held, page 0 its parent */
    page_cache_release(&cache, pages[1]);
    assert_true(page_cache_take(&cache, &other) && other == pages[1]);
    assert_true(page_cache_take(&cache, &other) && other == pages[0]);
    assert_true(page_cache_is_valid(&cache));
    page_cache_destroy(&cache);
}

/* Sequences over few tokens, as slots use the cache, in random order; what a page holds is written down beside it. */
static void storms_leave_it_valid(void **state)
{
    enum { PAGES = 24, SLOTS = 6, LENGTH = 4 * PAGE };
    struct page_cache cache;
    static int32_t content[PAGES][PAGE], tokens[SLOTS][LENGTH];
    static uint32_t held[SLOTS][4], count[SLOTS];
    assert_int_equal(page_cache_create(&cache, PAGES, NULL), 0);
    for (int round = 0; round < 20000; round++) {
        const uint32_t s = random_u32() % SLOTS, owner = s % 2;
        if (count[s] == 0)
            for (uint32_t i = 0; i < LENGTH; i++) /* mostly the same, sometimes different from some token on */
                tokens[s][i] = random_u32() % 100 == 0 ? (int32_t)(random_u32() % 2) : i > 0 ? tokens[s][i - 1] : 0;
        if (count[s] == 4 || random_u32() % 5 == 0) {
            while (count[s] > 0)
                page_cache_release(&cache, held[s][--count[s]]);
        } else {
            const uint32_t at = count[s], parent = at > 0 ? held[s][at - 1] : NO_PAGE;
            const int32_t *wanted = tokens[s] + at * PAGE;
            uint32_t common, page = page_cache_find(&cache, owner, parent, wanted, PAGE, &common);
            assert_true(page == NO_PAGE || memcmp(content[page], wanted, common * sizeof *wanted) == 0);
            if (page != NO_PAGE && common == PAGE) {
                page_cache_hold(&cache, page);
                held[s][count[s]++] = page;
            } else if (page_cache_take(&cache, &page)) {
                memcpy(content[page], wanted, sizeof content[page]);
                const uint32_t length = random_u32() % 4 ? PAGE : 1 + random_u32() % (PAGE - 1);
                const uint32_t known = page_cache_learn(&cache, owner, parent, page, wanted, length);
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

int main(void)
{
    random_state = 20261124;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_given_once),
        cmocka_unit_test(known_pages_are_found),
        cmocka_unit_test(the_oldest_leaf_is_forgotten_first),
        cmocka_unit_test(storms_leave_it_valid),
    };
    return cmocka_run_group_tests_name("page_cache", tests, NULL, NULL);
}
