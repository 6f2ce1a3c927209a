/* Prompts beside streams: passes come to take about PACER_STRETCH times what they take without. */
#include "engine/pacer.h"

#include "cmocka_all.h"

/* Seconds of a machine on which a pass costs `base`, hides `hidden` prompt tokens, and takes `each` for every other. */
static double machine(double base, double each, uint32_t hidden, uint32_t tokens)
{
    return base + (tokens > hidden ? each * (tokens - hidden) : 0.0);
}

static void check_machine(double base, double each, uint32_t hidden)
{
    struct pacer pacer;
    pacer_begin(&pacer);
    for (int i = 0; i < 10; i++)
        pacer_note(&pacer, 2, 0, base);
    double last = 0;
    for (int i = 0; i < 100; i++) {
        uint32_t room = pacer_room(&pacer, 2, 512);
        assert_in_range(room, 1, 512);
        last = machine(base, each, hidden, room);
        pacer_note(&pacer, 2, room, last);
        if (i > 60) /* a fraction of a token is what it cannot do better */
            assert_true(last <= PACER_STRETCH * base * 1.2 + each);
    }
    assert_true(last >= PACER_STRETCH * base * 0.75 || pacer_room(&pacer, 2, 512) == 512);
}

static void passes_are_stretched_as_told(void **state)
{
    check_machine(0.070, 0.014, 4); /* 3B on two cores */
    check_machine(0.004, 0.0009, 2);
    check_machine(0.050, 0.0005, 16);
    check_machine(0.100, 0.00001, 0); /* nearly free: as much as a pass takes */
}

/* A neighbour takes the processor for one pass: the room does not collapse, and comes back. */
static void one_slow_pass_says_little(void **state)
{
    struct pacer pacer;
    pacer_begin(&pacer);
    pacer_note(&pacer, 1, 0, 0.05);
    for (int i = 0; i < 60; i++)
        pacer_note(&pacer, 1, pacer_room(&pacer, 1, 512), machine(0.05, 0.001, 0, pacer_room(&pacer, 1, 512)));
    const uint32_t before = pacer_room(&pacer, 1, 512);
    pacer_note(&pacer, 1, before, 10.0);
    assert_true(pacer_room(&pacer, 1, 512) * 2 > before);
    for (int i = 0; i < 20; i++)
        pacer_note(&pacer, 1, pacer_room(&pacer, 1, 512), machine(0.05, 0.001, 0, pacer_room(&pacer, 1, 512)));
    assert_in_range(pacer_room(&pacer, 1, 512), before * 3 / 4, before * 5 / 4 + 1);
}

static void without_streams_a_pass_takes_all(void **state)
{
    struct pacer pacer;
    pacer_begin(&pacer);
    assert_int_equal(pacer_room(&pacer, 0, 512), 512);
    assert_int_equal(pacer_room(&pacer, 1, 512), PACER_FIRST);
    assert_int_equal(pacer_room(&pacer, 1, 8), 8);
    pacer_note(&pacer, 0, 512, 100.0);
    assert_int_equal(pacer_room(&pacer, 1, 512), PACER_FIRST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_are_stretched_as_told),
        cmocka_unit_test(one_slow_pass_says_little),
        cmocka_unit_test(without_streams_a_pass_takes_all),
    };
    return cmocka_run_group_tests_name("pacer", tests, NULL, NULL);
}
