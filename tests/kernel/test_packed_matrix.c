/* Packing loses nothing: every row reads back with the bits of the decoder, for every type and odd numbers of rows. */
#include "base/memory.h"
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
            matrix.data = array_allocate(packed_matrix_bytes(&matrix), 1);
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

/* The way back: every row's bytes, in exactly as much memory as the file's. */
static void bytes_survive_packing(void **state)
{
    enum { ROWS = 45, COLUMNS = 512 };
    for (int i = 0; i < ALL_TYPES; i++) {
        const struct packed_layout *layout = packed_layout_find(all_types[i]);
        struct packed_matrix matrix;
        assert_int_equal(packed_matrix_describe(&matrix, all_types[i], 64, COLUMNS, NULL), 0);
        size_t row_bytes = gguf_type_row_bytes(all_types[i], COLUMNS);
        assert_int_equal(packed_matrix_bytes(&matrix), 64 * row_bytes);
        if (layout->block_columns == 0)
            continue;
        assert_int_equal(packed_matrix_describe(&matrix, all_types[i], ROWS, COLUMNS, NULL), 0);
        uint8_t *raw = malloc(ROWS * row_bytes);
        for (size_t k = 0; k < ROWS * row_bytes; k++)
            raw[k] = (uint8_t)random_u32();
        matrix.data = array_allocate(packed_matrix_bytes(&matrix), 1);
        memset(matrix.data, 0xa5, packed_matrix_bytes(&matrix));
        for (uint32_t p = 0; p < matrix.panels; p++)
            packed_matrix_pack(&matrix, p, raw + (size_t)p * PANEL_ROWS * row_bytes, row_bytes);
        for (uint32_t row = 0; row < matrix.panels * PANEL_ROWS; row++)
            for (uint32_t b = 0; b < COLUMNS / layout->block_columns; b++) {
                uint8_t bytes[QUANT_BYTES_MAX], zeros[QUANT_BYTES_MAX] = {0};
                const uint8_t *want = row < ROWS ? raw + row * row_bytes + (size_t)b * layout->file_bytes : zeros;
                packed_block_unpack(
                    layout, matrix.data + row / PANEL_ROWS * matrix.panel_bytes + (size_t)b * layout->block_bytes,
                    row % PANEL_ROWS, bytes);
                if (memcmp(bytes, want, layout->file_bytes) != 0)
                    fail_msg("%s, block %u of row %u", gguf_type_name(all_types[i]), b, row);
            }
        free(matrix.data);
        free(raw);
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
        cmocka_unit_test(bytes_survive_packing),
        cmocka_unit_test(wrong_shapes_are_refused),
    };
    return cmocka_run_group_tests_name("packed_matrix", tests, NULL, NULL);
}
