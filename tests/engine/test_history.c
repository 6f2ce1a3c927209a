/* What was answered lately: found by its owner alone, until it is overwritten. */
#include "engine/history.h"

#include "cmocka_all.h"

#include <stdbool.h>
#include <stdlib.h>

static void what_followed_is_found(void **state)
{
    struct history history;
    int32_t found[8];
    const int32_t answer[] = {1, 2, 3, 4, 5, 1, 2, 3, 9}, other[] = {1, 2, 3};
    assert_int_equal(history_create(&history, NULL), 0);
    assert_int_equal(history_find(&history, 7, answer, 8, found), 0);
    history_add(&history, 7, answer, 9);
    /* Where it stood last, up to the end of the answer. */
    assert_int_equal(history_find(&history, 7, answer, 8, found), 1);
    assert_int_equal(found[0], 9);
    assert_int_equal(history_find(&history, 7, answer + 1, 3, found), 3);
    assert_true(found[0] == 5 && found[1] == 1 && found[2] == 2);
    assert_int_equal(history_find(&history, 7, answer + 6, 8, found), 0);
    assert_int_equal(history_find(&history, 7, (const int32_t[]){3, 2, 1}, 8, found), 0);
    assert_int_equal(history_find(&history, 8, answer, 8, found), 0);
    assert_int_equal(history_find(&history, 0, (const int32_t[]){0, 0, 0}, 8, found), 0);
    history_add(&history, 8, other, 3); /* too short to tell anything */
    history_add(&history, 7, other, 3);
    assert_int_equal(history_find(&history, 7, answer, 8, found), 1);
    history_destroy(&history);
}

static void the_old_is_overwritten(void **state)
{
    struct history history;
    int32_t found[8];
    const int32_t first[] = {70001, 70002, 70003, 70004};
    assert_int_equal(history_create(&history, NULL), 0);
    history_add(&history, 1, first, 4);
    int32_t *more = calloc(3 * HISTORY_TOKENS, sizeof *more);
    for (int i = 0; i < 3 * HISTORY_TOKENS; i++)
        more[i] = i;
    /* Whatever is found is right, and at some time nothing is. */
    bool was_there = true;
    for (uint32_t added = 0; added < 2 * HISTORY_TOKENS; added += 1000) {
        const uint32_t count = history_find(&history, 1, first, 8, found);
        assert_true(count == 0 || (count == 1 && found[0] == 70004));
        assert_true(was_there || count == 0);
        was_there = count > 0;
        history_add(&history, 2, more + added, 1000);
    }
    assert_false(was_there);
    /* Longer than all that is kept: its end is. */
    history_add(&history, 3, more, 3 * HISTORY_TOKENS);
    assert_int_equal(history_find(&history, 3, more + 3 * HISTORY_TOKENS - 10, 8, found), 7);
    assert_int_equal(found[6], 3 * HISTORY_TOKENS - 1);
    assert_int_equal(history_find(&history, 3, more, 8, found), 0);
    free(more);
    history_destroy(&history);
}

/* Places of a table are shared by many owners, and the ring by all: neither shows one what another was answered. */
static void owners_stay_apart(void **state)
{
    struct history history;
    int32_t found[8];
    const int32_t mine[] = {70001, 70002, 70003, 70004}, others[] = {70001, 70002, 70003, 99, 98};
    assert_int_equal(history_create(&history, NULL), 0);
    history_add(&history, 1, mine, 4);
    for (uint64_t key = 2; key < 10 * HISTORY_TOKENS; key++) /* some of them have the same place */
        assert_int_equal(history_find(&history, key, mine, 8, found), 0);
    /* Another's answer comes to stand where mine stood, and begins the same. */
    int32_t *filler = calloc(HISTORY_TOKENS, sizeof *filler);
    history_add(&history, 2, filler, HISTORY_TOKENS - 6);
    assert_int_equal(history.added, HISTORY_TOKENS);
    history_add(&history, 2, others, 5);
    assert_int_equal(history_find(&history, 2, others, 8, found), 2);
    assert_int_equal(history_find(&history, 1, mine, 8, found), 0);
    free(filler);
    history_destroy(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_followed_is_found),
        cmocka_unit_test(the_old_is_overwritten),
        cmocka_unit_test(owners_stay_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
