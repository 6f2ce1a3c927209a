/* Guesses are what followed before, and stop where they fail. */
#include "engine/drafter.h"

#include "cmocka_all.h"

static void what_followed_is_guessed(void **state)
{
    struct drafter d;
    int32_t guesses[DRAFT_MAX];
    const int32_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 9, 1, 2, 3};
    drafter_begin(&d);
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 11, DRAFT_MAX, guesses), 3);
    assert_true(guesses[0] == 4 && guesses[1] == 5 && guesses[2] == 6);
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 11, 2, guesses), 2);
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 11, 0, guesses), 0);
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 10, DRAFT_MAX, guesses), 0); /* 9 1 2 is new */
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 3, DRAFT_MAX, guesses), 0);
    /* A loop: what follows the match reaches into the match itself. */
    const int32_t loop[] = {7, 7, 7, 7};
    assert_int_equal(drafter_guess(&d, NULL, 0, loop, 4, DRAFT_MAX, guesses), 1);
    assert_int_equal(guesses[0], 7);
}

/* The latest occurrence counts. */
static void the_latest_is_taken(void **state)
{
    struct drafter d;
    int32_t guesses[DRAFT_MAX];
    const int32_t tokens[] = {1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3};
    drafter_begin(&d);
    assert_true(drafter_guess(&d, NULL, 0, tokens, 11, 1, guesses) == 1 && guesses[0] == 5);
}

/* Where the sequence itself tells nothing, what its owner was answered may. */
static void answers_of_the_owner_are_guessed(void **state)
{
    struct drafter d;
    struct history history;
    int32_t guesses[DRAFT_MAX];
    const int32_t answer[] = {1, 2, 3, 4, 5}, tokens[] = {9, 1, 2, 3}, both[] = {1, 2, 3, 7, 1, 2, 3};
    assert_int_equal(history_create(&history, NULL), 0);
    history_add(&history, 6, answer, 5);
    drafter_begin(&d);
    assert_int_equal(drafter_guess(&d, &history, 6, tokens, 4, DRAFT_MAX, guesses), 2);
    assert_true(guesses[0] == 4 && guesses[1] == 5);
    assert_int_equal(drafter_guess(&d, &history, 5, tokens, 4, DRAFT_MAX, guesses), 0);
    assert_int_equal(drafter_guess(&d, &history, 6, both, 7, 1, guesses), 1);
    assert_int_equal(guesses[0], 7);
    history_destroy(&history);
}

static void success_makes_it_bolder_and_failure_quiet(void **state)
{
    struct drafter d;
    int32_t guesses[DRAFT_MAX], tokens[64];
    for (int i = 0; i < 64; i++)
        tokens[i] = i % 20;
    drafter_begin(&d);
    drafter_note(&d, 3, 3);
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 63, DRAFT_MAX, guesses), 6);
    drafter_note(&d, 6, 6);
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 63, DRAFT_MAX, guesses), 12);
    drafter_note(&d, 12, 12);
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 63, DRAFT_MAX, guesses), DRAFT_MAX);
    drafter_note(&d, DRAFT_MAX, 2);
    assert_int_equal(drafter_guess(&d, NULL, 0, tokens, 63, DRAFT_MAX, guesses), 3);
    uint32_t guessed = 0;
    for (int step = 0; step < 1000; step++) {
        uint32_t n = drafter_guess(&d, NULL, 0, tokens, 63, DRAFT_MAX, guesses);
        drafter_note(&d, n, 0);
        guessed += n;
    }
    assert_in_range(guessed, 1, 12); /* of 1000 steps */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_followed_is_guessed),
        cmocka_unit_test(the_latest_is_taken),
        cmocka_unit_test(answers_of_the_owner_are_guessed),
        cmocka_unit_test(success_makes_it_bolder_and_failure_quiet),
    };
    return cmocka_run_group_tests_name("drafter", tests, NULL, NULL);
}
