/* What the kernel tests share: two tables to compare, hostile values, buffers with canaries, and the matrix products.
 */
#ifndef TESTS_KERNEL_KERNEL_CASES_H
#define TESTS_KERNEL_KERNEL_CASES_H

#include "base/half.h"
#include "base/memory.h"
#include "cmocka_all.h"
#include "kernel/activations.h"
#include "random_weights.h"

#include <stdio.h>
#include <stdlib.h>

enum { CANARY = 64 };
static struct kernel_table reference, tested;

/* size bytes with canaries before and behind */
static uint8_t *guarded(size_t size)
{
    uint8_t *block = malloc(size + 2 * CANARY);
    memset(block, 0xA5, size + 2 * CANARY);
    return block + CANARY;
}

static void guarded_free(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < CANARY; i++)
        if (data[-1 - (ptrdiff_t)i] != 0xA5 || data[size + i] != 0xA5)
            fail_msg("written outside of a buffer of %zu bytes", size);
    free(data - CANARY);
}

/* kind 0: ordinary, 1: wide range of magnitudes, 2: constant extremes, 3: denormals and zeros */
static void fill(float *x, size_t size, int kind)
{
    for (size_t i = 0; i < size; i++)
        switch (kind) {
        case 0:
            x[i] = random_float();
            break;
        case 1:
            x[i] = ldexpf(random_float(), (int)(random_u32() % 60) - 30);
            break;
        case 2:
            x[i] = (i / 64 % 2 ? i % 5 == 4 : i / 128 % 2 == 1) ? -3.5f : 3.5f; /* runs of one sign too */
            break;
        default:
            x[i] = random_u32() % 2 ? 0.0f : float_from_bits(random_u32() % 0x800000);
            break;
        }
}

static void check(const char *what, const void *want, const void *have, size_t size)
{
    if (memcmp(want, have, size) == 0)
        return;
    size_t at = 0;
    while (((const char *)want)[at] == ((const char *)have)[at])
        at++;
    fail_msg("%s: first difference at byte %zu of %zu", what, at, size);
}

static void matmul_equals_reference(void **state)
{
    static const uint32_t shapes[][2] = {{1, 256}, {31, 512}, {32, 256}, {45, 768}, {96, 1024}, {33, 608}};
    for (int i = 0; i < ALL_TYPES; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            uint32_t type = all_types[i], rows = shapes[s][0], columns = shapes[s][1];
            const struct packed_layout *layout = packed_layout_find(type);
            if (layout->block_columns && columns % layout->block_columns)
                continue;
            size_t row_bytes = gguf_type_row_bytes(type, columns);
            uint8_t *raw = malloc(rows * row_bytes);
            random_rows(type, raw, rows, columns, s % 2 == 1);
            struct packed_matrix matrix;
            assert_int_equal(packed_matrix_describe(&matrix, type, rows, columns, NULL), 0);
            matrix.data = array_allocate(packed_matrix_bytes(&matrix), 1);
            for (uint32_t p = 0; p < matrix.panels; p++)
                packed_matrix_pack(&matrix, p, raw + (size_t)p * PANEL_ROWS * row_bytes, row_bytes);
            /* Up to 9, then more than a kernel may keep at a time. */
            for (uint32_t tokens = 1; tokens <= (rows == 1 ? 133 : 9); tokens += tokens == 9 ? 124 : 1) {
                struct activations input;
                unsigned form = activations_form(matrix.layout);
                assert_int_equal(activations_create(&input, columns, tokens, 1 + tokens % 2, form, NULL), 0);
                input.tokens = tokens;
                fill(input.values, (size_t)tokens * columns, (int)(tokens % 4));
                for (uint32_t t = 0; t < tokens; t++)
                    activations_quantise(&input, &reference, t, 0, columns, form);
                size_t size = tokens * (size_t)rows * sizeof(float);
                for (int add = 0; add < 2; add++) {
                    uint8_t *want = guarded(size), *have = guarded(size);
                    fill((float *)want, tokens * (size_t)rows, 0);
                    memcpy(have, want, size);
                    struct matmul_args args = {.weights = &matrix,
                                               .input = &input,
                                               .tokens = tokens,
                                               .out = (float *)want,
                                               .out_stride = rows,
                                               .add = add,
                                               .last_panel = matrix.panels};
                    reference.matmul(&args);
                    args.out = (float *)have;
                    tested.matmul(&args);
                    char what[100];
                    snprintf(what, sizeof what, "matmul %s %ux%u, %u tokens of %u planes", gguf_type_name(type), rows,
                             columns, tokens, input.planes);
                    check(what, want, have, size);
                    guarded_free(want, size);
                    guarded_free(have, size);
                }
                activations_destroy(&input);
            }
            free(matrix.data);
            free(raw);
        }
}

/* A token's product does not depend on how many others there are. */
static void matmul_does_not_see_its_neighbours(void **state)
{
    struct packed_matrix matrix;
    packed_matrix_describe(&matrix, GGUF_Q4_K, 64, 512, NULL);
    uint8_t *raw = malloc(64 * gguf_type_row_bytes(GGUF_Q4_K, 512));
    random_rows(GGUF_Q4_K, raw, 64, 512, false);
    matrix.data = array_allocate(packed_matrix_bytes(&matrix), 1);
    for (uint32_t p = 0; p < 2; p++)
        packed_matrix_pack(&matrix, p, raw + (size_t)p * 32 * 288, 288);
    struct activations input;
    activations_create(&input, 512, 7, 1, ACTIVATIONS_INT8_256, NULL);
    input.tokens = 7;
    fill(input.values, 7 * 512, 0);
    for (uint32_t t = 0; t < 7; t++)
        activations_quantise(&input, &reference, t, 0, 512, ACTIVATIONS_INT8_256);
    float all[7][64], one[64];
    struct matmul_args args = {
        .weights = &matrix, .input = &input, .tokens = 7, .out = all[0], .out_stride = 64, .last_panel = 2};
    tested.matmul(&args);
    for (uint32_t t = 0; t < 7; t++) {
        struct activations single;
        activations_create(&single, 512, 1, 1, ACTIVATIONS_INT8_256, NULL);
        single.tokens = 1;
        memcpy(single.values, input.values + t * 512, 512 * sizeof(float));
        activations_quantise(&single, &tested, 0, 0, 512, ACTIVATIONS_INT8_256);
        args.input = &single;
        args.tokens = 1;
        args.out = one;
        tested.matmul(&args);
        check("matmul alone and in a batch", all[t], one, sizeof one);
        activations_destroy(&single);
    }
    activations_destroy(&input);
    free(matrix.data);
    free(raw);
}

/* Prints the seed; SMOLLM_TEST_SEED repeats a run. */
static void seed_random(void)
{
    const char *seed = getenv("SMOLLM_TEST_SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : 20261123;
    printf("seed %llu\n", (unsigned long long)random_state);
}

#endif
