/* The ring of vectors against a plain count. */
#include "library/vector_ring.h"

#include "cmocka_all.h"

#include <stdlib.h>

static void vectors_come_out_as_they_went_in(void **state)
{
    for (size_t room = 1; room < 9; room++) {
        struct vector_ring ring;
        assert_int_equal(vector_ring_create(&ring, 3, room, NULL), 0);
        assert_int_equal(ring.room, room);
        size_t written = 0, read = 0;
        const float *held = NULL;
        unsigned random = (unsigned)room;
        for (int step = 0; step < 5000; step++) {
            random = random * 1103515245 + 12345;
            assert_int_equal(vector_ring_is_full(&ring), written - read + (held != NULL) == room);
            assert_int_equal(vector_ring_is_low(&ring), written - read + (held != NULL) <= room / 2);
            if (random >> 16 & 1 && !vector_ring_is_full(&ring)) {
                const float value = (float)written++, values[3] = {value, value + 0.25f, value + 0.5f};
                vector_ring_write(&ring, values);
            } else if (random >> 16 & 2) {
                held = vector_ring_read(&ring);
                assert_int_equal(held != NULL, read < written);
                read += held != NULL;
            }
            /* What was read stays while others are written. */
            assert_true(!held || (held[0] == (float)(read - 1) && held[2] == (float)(read - 1) + 0.5f));
        }
        assert_true(read > 100);
        vector_ring_destroy(&ring);
    }
}

static void memory_is_bounded(void **state)
{
    struct vector_ring ring;
    assert_int_equal(vector_ring_create(&ring, 2048, 1 << 20, NULL), 0);
    assert_int_equal(ring.room * ring.size * sizeof *ring.values, VECTOR_RING_BYTES);
    vector_ring_destroy(&ring);
    vector_ring_destroy(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_come_out_as_they_went_in),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
