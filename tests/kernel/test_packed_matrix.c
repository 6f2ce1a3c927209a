/* Packing loses nothing: every row reads back with the bits of the decoder, for every type and odd numbers of rows. */
#include "cmocka_all.h"
#include "kernel/packed_matrix.h"
#include "random_weights.h"

#include <stdlib.h>

static void rows_survive_packing(void **state)
{
    static const uint32_t shapes[][2] = {{1, 256}, {31, 512}, {32, 256}, {33, 768}, {96, 256}};
    for (int i = 0; i < ALL_TYPES; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            uint32_t type = all_types[i], rows = shapes[s][0], columns = shapes[s][1];
            size_t row_bytes = gguf_type_row_bytes(type, columns);
            uint8_t *raw = malloc(rows * row_bytes);
            random_rows(type, raw, rows, columns, s == 1);
            struct packed_matrix matrix;
            struct smollm_error error;
            assert_int_equal(packed_matrix_describe(&matrix, type, rows, columns, &error), 0);
            matrix.data = malloc(packed_matrix_bytes(&matrix));
            for (uint32_t p = 0; p < matrix.panels; p++)
                packed_matrix_pack(&matrix, p, raw + (size_t)p * PANEL_ROWS * row_bytes, row_bytes);
            float want[768], have[768];
            for (uint32_t row = 0; row < rows; row++) {
                assert_int_equal(quant_row_decode(type, raw + row * row_bytes, want, columns), 0);
                packed_matrix_row(&matrix, row, have);
                if (memcmp(want, have, columns * sizeof(float)) != 0)
                    fail_msg("%s, row %u of %u", gguf_type_name(type), row, rows);
            }
            free(matrix.data);
            free(raw);
        }
}

static void panels_are_about_as_large_as_the_file(void **state)
{
    for (int i = 0; i < ALL_TYPES; i++) {
        struct packed_matrix matrix;
        assert_int_equal(packed_matrix_describe(&matrix, all_types[i], 64, 1024, NULL), 0);
        double ratio = (double)packed_matrix_bytes(&matrix) / (64.0 * (double)gguf_type_row_bytes(all_types[i], 1024));
        /* Integer scales take a byte where Q2_K and Q3_K have 4 and 6 bits. */
        double most = all_types[i] == GGUF_Q2_K ? 1.20 : all_types[i] == GGUF_Q3_K ? 1.06 : 1.04;
        if (ratio > most)
            fail_msg("%s takes %.3f times its bytes in the file", gguf_type_name(all_types[i]), ratio);
    }
}

static void wrong_shapes_are_refused(void **state)
{
    struct packed_matrix matrix;
    struct smollm_error error;
    assert_int_equal(packed_matrix_describe(&matrix, GGUF_Q4_K, 4, 100, &error), SMOLLM_EUNSUPPORTED);
    assert_int_equal(packed_matrix_describe(&matrix, 999, 4, 256, &error), SMOLLM_EUNSUPPORTED);
    assert_int_equal(packed_matrix_describe(&matrix, GGUF_F32, 0, 256, &error), SMOLLM_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_survive_packing),
        cmocka_unit_test(panels_are_about_as_large_as_the_file),
        cmocka_unit_test(wrong_shapes_are_refused),
    };
    return cmocka_run_group_tests_name("packed_matrix", tests, NULL, NULL);
}
