/* Pages of the KV cache: none is given twice, none is lost. */
#include "engine/page_pool.h"

#include "cmocka_all.h"

static void pages_are_given_once(void **state)
{
    struct page_pool pool;
    uint32_t pages[50], extra;
    assert_int_equal(page_pool_create(&pool, 50, NULL), 0);
    for (int round = 0; round < 3; round++) {
        bool seen[50] = {0};
        for (int i = 0; i < 50; i++) {
            assert_true(page_pool_take(&pool, &pages[i]));
            assert_true(pages[i] < 50 && !seen[pages[i]]);
            seen[pages[i]] = true;
            assert_true(page_pool_is_valid(&pool));
        }
        assert_false(page_pool_take(&pool, &extra));
        for (int i = 0; i < 50; i++)
            page_pool_give(&pool, pages[(i * 7 + round) % 50]);
        assert_true(page_pool_is_valid(&pool));
    }
    pool.free[3] = pool.free[4];
    assert_false(page_pool_is_valid(&pool));
    page_pool_destroy(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_are_given_once)};
    return cmocka_run_group_tests_name("page_pool", tests, NULL, NULL);
}
