/* What the kernel tests share: two tables to compare, hostile values, buffers with canaries, the matrix products and
 * attention.
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
        case 3:
            x[i] = random_u32() % 2 ? 0.0f : float_from_bits(random_u32() % 0x800000);
            break;
        default: /* codes of one sign that add up to 1023 in each 16; to one more, or far more, in each third block */
            x[i] = (i % 16 == 0 ? 127.0f : i % 16 == 1 ? 56.0f : 60.0f) * (i / 32 % 2 ? -1.0f : 1.0f);
            if (i / 256 % 6 == 2 && i % 256 == 77)
                x[i] = 61.0f;
            if (i / 256 % 6 == 5 && i % 256 >= 96 && i % 256 < 160)
                x[i] = i % 256 < 128 ? -127.0f : 127.0f;
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
            /* One row: every way to split tokens into tiles, then more than a kernel may keep at a time. */
            for (uint32_t tokens = 1; tokens <= (rows == 1 ? 138 : 44); tokens += rows > 1 && tokens == 9 ? 35
                                                                                  : tokens < 26           ? 1
                                                                                  : tokens < 54           ? 7
                                                                                                          : 84) {
                struct activations input;
                unsigned form = activations_form(matrix.layout);
                const uint32_t planes = rows == 1 ? 1 : 1 + tokens % 2;
                assert_int_equal(activations_create(&input, columns, tokens, planes, form | ACTIVATIONS_FLOAT, NULL),
                                 0);
                input.tokens = tokens;
                fill(input.values, (size_t)tokens * columns, (int)(tokens % 5));
                for (uint32_t t = 0; t < tokens; t++)
                    activations_quantize(&input, &reference, t, 0, columns, form);
                size_t size = tokens * (size_t)rows * sizeof(float);
                /* The second time only some of the tokens: the others stay as they are. */
                for (int add = 0; add < 2; add++) {
                    uint8_t *want = guarded(size), *have = guarded(size);
                    fill((float *)want, tokens * (size_t)rows, 0);
                    memcpy(have, want, size);
                    struct matmul_args args = {.weights = &matrix,
                                               .input = &input,
                                               .first_token = add ? tokens / 3 : 0,
                                               .last_token = add ? tokens - tokens / 4 : tokens,
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
static void matmul_does_not_see_its_neighbors(void **state)
{
    enum { TOKENS = 17 };
    struct packed_matrix matrix;
    packed_matrix_describe(&matrix, GGUF_Q4_K, 64, 512, NULL);
    uint8_t *raw = malloc(64 * gguf_type_row_bytes(GGUF_Q4_K, 512));
    random_rows(GGUF_Q4_K, raw, 64, 512, false);
    matrix.data = array_allocate(packed_matrix_bytes(&matrix), 1);
    for (uint32_t p = 0; p < 2; p++)
        packed_matrix_pack(&matrix, p, raw + (size_t)p * 32 * 288, 288);
    struct activations input;
    activations_create(&input, 512, TOKENS, 1, ACTIVATIONS_INT8_256 | ACTIVATIONS_FLOAT, NULL);
    input.tokens = TOKENS;
    fill(input.values, TOKENS * 512, 0);
    for (uint32_t t = 0; t < TOKENS; t++)
        activations_quantize(&input, &reference, t, 0, 512, ACTIVATIONS_INT8_256);
    float all[TOKENS][64], one[64];
    struct matmul_args args = {
        .weights = &matrix, .input = &input, .last_token = TOKENS, .out = all[0], .out_stride = 64, .last_panel = 2};
    tested.matmul(&args);
    for (uint32_t t = 0; t < TOKENS; t++) {
        struct activations single;
        activations_create(&single, 512, 1, 1, ACTIVATIONS_INT8_256 | ACTIVATIONS_FLOAT, NULL);
        single.tokens = 1;
        memcpy(single.values, input.values + t * 512, 512 * sizeof(float));
        activations_quantize(&single, &tested, 0, 0, 512, ACTIVATIONS_INT8_256);
        args.input = &single;
        args.last_token = 1;
        args.out = one;
        tested.matmul(&args);
        check("matmul alone and in a batch", all[t], one, sizeof one);
        activations_destroy(&single);
    }
    activations_destroy(&input);
    free(matrix.data);
    free(raw);
}

/* All NaN are one: which of them comes out is not defined. */
static void make_nan_one(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] != values[i])
            values[i] = __builtin_nanf("");
}

/* Infinite factors give what they give in the reference, infinities and NaN, and only in their own rows. */
static void infinite_factors_equal_reference(void **state)
{
    enum { ROWS = 64, COLUMNS = 608, TOKENS = 26 };
    for (int i = 0; i < ALL_TYPES; i++) {
        const struct packed_layout *layout = packed_layout_find(all_types[i]);
        if (layout->block_columns != 32)
            continue;
        const size_t row_bytes = gguf_type_row_bytes(layout->type, COLUMNS);
        uint8_t *raw = malloc(ROWS * row_bytes);
        random_rows(layout->type, raw, ROWS, COLUMNS, false);
        for (size_t row = 0; row < ROWS; row += 7) {
            const uint16_t infinite = row % 2 ? 0xfc00 : 0x7c00;
            memcpy(raw + row * row_bytes + row % 19 * layout->file_bytes + layout->halves_at, &infinite, 2);
        }
        struct packed_matrix matrix;
        assert_int_equal(packed_matrix_describe(&matrix, layout->type, ROWS, COLUMNS, NULL), 0);
        matrix.data = array_allocate(packed_matrix_bytes(&matrix), 1);
        for (uint32_t p = 0; p < matrix.panels; p++)
            packed_matrix_pack(&matrix, p, raw + (size_t)p * PANEL_ROWS * row_bytes, row_bytes);
        struct activations input;
        assert_int_equal(
            activations_create(&input, COLUMNS, TOKENS, 1, activations_form(layout) | ACTIVATIONS_FLOAT, NULL), 0);
        input.tokens = TOKENS;
        fill(input.values, (size_t)TOKENS * COLUMNS, 0);
        for (uint32_t t = 0; t < TOKENS; t++)
            activations_quantize(&input, &reference, t, 0, COLUMNS, ACTIVATIONS_INT8_32);
        for (uint32_t tokens = 1; tokens <= TOKENS; tokens += 5) {
            float want[TOKENS][ROWS], have[TOKENS][ROWS];
            struct matmul_args args = {.weights = &matrix,
                                       .input = &input,
                                       .last_token = tokens,
                                       .out = want[0],
                                       .out_stride = ROWS,
                                       .last_panel = matrix.panels};
            reference.matmul(&args);
            args.out = have[0];
            tested.matmul(&args);
            make_nan_one(want[0], (size_t)tokens * ROWS);
            make_nan_one(have[0], (size_t)tokens * ROWS);
            check("matmul of infinite factors", want, have, tokens * sizeof *want);
            assert_false(want[0][0] - want[0][0] == 0.0f);
            assert_true(want[0][1] - want[0][1] == 0.0f);
        }
        activations_destroy(&input);
        free(matrix.data);
        free(raw);
    }
}

/* A cache of BLOCKS blocks filled by kv_store, ordinary values with a large one now and then; page numbers mixed. */
enum { BLOCKS = 40 };

/* Other blocks lie between two groups. */
static size_t group_stride(enum kv_type type, uint32_t dim)
{
    return (KV_GROUP + 1) * kv_block_bytes(type, dim);
}

static uint8_t *cache_block(uint8_t *cache, enum kv_type type, uint32_t dim, uint32_t page)
{
    return cache + kv_page_offset(page, kv_block_bytes(type, dim), group_stride(type, dim));
}

static uint8_t *random_cache(enum kv_type type, uint32_t dim, uint32_t pages[BLOCKS])
{
    uint8_t *cache = malloc((BLOCKS / KV_GROUP + 1) * group_stride(type, dim));
    float rows[2][ATTENTION_MAX_HEAD_DIM];
    for (uint32_t b = 0; b < BLOCKS; b++) {
        pages[b] = (b * 7 + 3) % BLOCKS;
        for (uint32_t slot = 0; slot < ATTENTION_BLOCK; slot++) {
            fill(rows[0], 2 * ATTENTION_MAX_HEAD_DIM, 0);
            rows[slot % 2][random_u32() % dim] *= 30.0f;
            struct kv_store_args args = {type, cache_block(cache, type, dim, b), slot, dim, rows[0], rows[1]};
            reference.kv_store(&args);
        }
    }
    return cache;
}

/* What lies behind the last token's position must not be read as a value: NaN there. */
static void poison(uint8_t *cache, enum kv_type type, uint32_t dim, const uint32_t pages[BLOCKS], uint32_t visible)
{
    float nan[ATTENTION_MAX_HEAD_DIM];
    for (uint32_t d = 0; d < dim; d++)
        nan[d] = NAN;
    for (uint32_t p = visible; p < BLOCKS * ATTENTION_BLOCK; p++) {
        struct kv_store_args args = {type, cache_block(cache, type, dim, pages[p / 32]), p % 32, dim, nan, nan};
        reference.kv_store(&args);
    }
}

/* As a whole, and in two pieces merged. */
static void check_attention(struct attention_args args, uint8_t *cache)
{
    const uint32_t rows = args.tokens * args.heads, ranges = attention_ranges(args.position + args.tokens);
    const size_t stride = args.heads * (size_t)args.head_dim + 3, size = args.tokens * stride * sizeof(float);
    uint8_t *want = guarded(size), *have = guarded(size);
    char what[160];
    snprintf(what, sizeof what, "attention %s, %u heads of %u, %u tokens at %u", args.type == KV_F16 ? "f16" : "int8",
             args.heads, args.head_dim, args.tokens, args.position);
    memset(want, 0, size);
    memset(have, 0, size);
    static _Alignas(64) uint8_t scratch[ATTENTION_SCRATCH_BYTES];
    memset(scratch, 0xff, sizeof scratch); /* NaN */
    args.scratch = scratch;
    args.out_stride = stride;
    args.out = (float *)want;
    reference.attention(&args);
    poison(cache, args.type, args.head_dim, args.pages, args.position + args.tokens);
    args.out = (float *)have;
    /* What is said to come next changes nothing, wherever it lies; pages behind its last are nobody's. */
    const uint32_t count = random_u32() % 4;
    uint32_t *next = malloc(count * sizeof *next);
    for (uint32_t i = 0; i < count; i++)
        next[i] = random_u32() % 100000;
    args.next = (struct attention_next){cache, next, count};
    args.end_is_shared = random_u32() % 2;
    tested.attention(&args);
    check(what, want, have, size);
    if (ranges > 1) {
        const size_t floats = rows * attention_partial_floats(args.head_dim);
        uint8_t *partials = guarded(ranges * floats * sizeof(float));
        memset(have, 0, size);
        for (uint32_t piece = 0; piece < 2; piece++) {
            args.first_range = piece * (ranges / 2);
            args.last_range = piece == 0 ? ranges / 2 : ranges;
            args.partials = (float *)partials + args.first_range * floats;
            tested.attention(&args);
        }
        struct attention_merge_args merge = {(float *)partials, (float *)have, stride,       args.tokens,
                                             args.heads,        args.head_dim, args.position};
        tested.attention_merge(&merge);
        check(what, want, have, size);
        guarded_free(partials, ranges * floats * sizeof(float));
    }
    free(next);
    guarded_free(want, size);
    guarded_free(have, size);
}

static void attention_equals_reference(void **state)
{
    static const uint32_t dims[] = {4, 12, 32, 64, 80, 128, 256},
                          positions[] = {0, 1, 30, 31, 32, 63, 100, 511, 512, 513, 1100, 1279};
    static const uint32_t tokens[] = {1, 2, 3, 12, 13, 17, 40};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (size_t p = 0; p < sizeof positions / sizeof *positions; p++) {
            const uint32_t heads = 1 + (uint32_t)(i * 5 + p) % 9, count = tokens[(i + p * 3) % 7];
            const uint32_t fits = BLOCKS * ATTENTION_BLOCK - positions[p];
            for (int type = 0; type < KV_TYPE_COUNT; type++) {
                uint32_t pages[BLOCKS];
                uint8_t *cache = random_cache((enum kv_type)type, dims[i], pages);
                struct attention_args args = {.tokens = count < fits ? count : fits,
                                              .heads = heads,
                                              .head_dim = dims[i],
                                              .type = (enum kv_type)type,
                                              .cache = cache,
                                              .pages = pages,
                                              .group_stride = group_stride((enum kv_type)type, dims[i]),
                                              .position = positions[p],
                                              .scale = 0.125f};
                const size_t size = (size_t)args.tokens * heads * dims[i];
                float *q = malloc(size * sizeof *q);
                fill(q, size, p % 2 ? 1 : 0);
                args.q = q;
                check_attention(args, cache);
                free(q);
                free(cache);
            }
        }
}

/* A value that a token does not see must not be added even with weight 0: 0 times it is +0, and would turn -0 into +0.
 * All that the token at 32 has seen before is scaled to -0 by its own far larger score, and its own value is -0. */
static void hidden_values_leave_no_trace(void **state)
{
    enum { DIM = 16 };
    for (int type = 0; type < KV_TYPE_COUNT; type++) {
        const size_t stride = kv_block_bytes((enum kv_type)type, DIM);
        uint8_t *cache = guarded(2 * stride);
        const uint32_t pages[2] = {0, 1};
        float q[2][DIM], want[2][DIM], have[2][DIM];
        for (int i = 0; i < 2 * DIM; i++)
            q[i / DIM][i % DIM] = 1.0f;
        for (uint32_t p = 0; p < 34; p++) {
            float key[DIM], value[DIM];
            for (int d = 0; d < DIM; d++) {
                key[d] = p < 32 ? 0.0f : 100.0f;
                value[d] = p < 32 ? -1.0f : p == 32 ? -0.0f : 1.0f;
            }
            struct kv_store_args args = {(enum kv_type)type, cache + p / 32 * stride, p % 32, DIM, key, value};
            reference.kv_store(&args);
        }
        static _Alignas(64) uint8_t scratch[ATTENTION_SCRATCH_BYTES];
        struct attention_args args = {.scratch = scratch,
                                      .q = q[0],
                                      .out = want[0],
                                      .out_stride = DIM,
                                      .tokens = 2,
                                      .heads = 1,
                                      .head_dim = DIM,
                                      .type = (enum kv_type)type,
                                      .cache = cache,
                                      .pages = pages,
                                      .group_stride = KV_GROUP * stride,
                                      .position = 32,
                                      .scale = 1.0f};
        reference.attention(&args);
        args.out = have[0];
        tested.attention(&args);
        if (type == KV_F16) /* int8 knows no -0 */
            assert_true(want[0][0] == 0.0f && signbit(want[0][0]));
        check("values that are hidden", want, have, sizeof want);
        guarded_free(cache, 2 * stride);
    }
}

/* A number that is none, in a query, a key or a value, is in the results of all that see it, and of nobody else. where:
 * in a query (1), a key (2) or a value (3). */
static void check_not_finite(enum kv_type type, uint32_t dim, int where, float number)
{
    enum { TOKENS = 17, HEADS = 3, POSITION = 40, AT = 45 };
    uint32_t pages[BLOCKS];
    uint8_t *cache = random_cache(type, dim, pages);
    const size_t size = (size_t)TOKENS * HEADS * dim;
    float *q = malloc(size * sizeof *q), *want = malloc(size * sizeof *q), *have = malloc(size * sizeof *q);
    fill(q, size, 0);
    float rows[2][ATTENTION_MAX_HEAD_DIM];
    fill(rows[0], 2 * ATTENTION_MAX_HEAD_DIM, 0);
    if (where == 1)
        q[(size_t)(AT - POSITION) * HEADS * dim + dim / 2] = number;
    else
        rows[where - 2][dim / 3] = number;
    struct kv_store_args store = {type, cache_block(cache, type, dim, pages[AT / 32]), AT % 32, dim, rows[0], rows[1]};
    reference.kv_store(&store);
    static _Alignas(64) uint8_t scratch[ATTENTION_SCRATCH_BYTES];
    struct attention_args args = {.scratch = scratch,
                                  .q = q,
                                  .out = want,
                                  .out_stride = (size_t)HEADS * dim,
                                  .tokens = TOKENS,
                                  .heads = HEADS,
                                  .head_dim = dim,
                                  .type = type,
                                  .cache = cache,
                                  .pages = pages,
                                  .group_stride = group_stride(type, dim),
                                  .position = POSITION,
                                  .scale = 0.125f};
    reference.attention(&args);
    args.out = have;
    tested.attention(&args);
    for (uint32_t row = 0; row < TOKENS * HEADS; row++) {
        const bool sees = where == 1 ? row == (AT - POSITION) * HEADS : row / HEADS + POSITION >= AT;
        bool is_nan = true, any_nan = false;
        for (uint32_t d = 0; d < dim; d++) {
            is_nan &= isnan(want[row * dim + d]);
            any_nan |= isnan(want[row * dim + d]);
        }
        assert_true(sees || !any_nan);
        assert_true(!sees || is_nan || type == KV_F16); /* f16 keeps infinite keys and values finite */
        assert_true(!sees || any_nan || isinf(number));
    }
    make_nan_one(want, size);
    make_nan_one(have, size);
    check("attention to what is not finite", want, have, size * sizeof *q);
    free(q);
    free(want);
    free(have);
    free(cache);
}

static void attention_tells_of_what_is_not_finite(void **state)
{
    static const uint32_t dims[] = {4, 32, 64, 128};
    static const float numbers[] = {NAN, -INFINITY, INFINITY};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            for (int where = 1; where <= 3; where++)
                for (int type = 0; type < KV_TYPE_COUNT; type++)
                    check_not_finite((enum kv_type)type, dims[i], where, numbers[k]);
}

/* Prints the seed; SMOLLM_TEST_SEED repeats a run. */
static void seed_random(void)
{
    const char *seed = getenv("SMOLLM_TEST_SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : 20261123;
    printf("seed %llu\n", (unsigned long long)random_state);
}

/* Planes are neighbors, blocks `stride` apart: what lies between is left alone. */
static void quantize_equals_reference(void **state)
{
    for (int round = 0; round < 400; round++)
        for (uint32_t block = 32; block <= 256; block *= 8) {
            const uint32_t blocks = 1 + random_u32() % 10, size = block * blocks;
            float *x = malloc(size * sizeof *x);
            fill(x, size, round % 5);
            if (round % 10 == 9)
                x[random_u32() % size] = round % 20 == 19 ? NAN : -INFINITY;
            uint8_t *out[2][5];
            const uint32_t planes = 1 + (uint32_t)round / 4 % 2, stride = planes + random_u32() % 3;
            const size_t all = (size_t)stride * blocks;
            const size_t bytes[5] = {all * block, all * 4, all * (block / 16) * 2, all * (block / 32) * 2, all};
            for (int i = 0; i < 2; i++) {
                for (int k = 0; k < 5; k++) {
                    out[i][k] = guarded(bytes[k]);
                    memset(out[i][k], 0x5A, bytes[k]);
                }
                struct quantize_args args = {x,
                                             size,
                                             block,
                                             stride,
                                             planes,
                                             (int8_t *)out[i][0],
                                             (float *)out[i][1],
                                             (int16_t *)out[i][2],
                                             (int16_t *)out[i][3],
                                             block == 256 || round % 3 == 0 ? out[i][4] : NULL};
                (i == 0 ? reference : tested).quantize(&args);
            }
            for (int k = 0; k < 5; k++) {
                check("quantize", out[0][k], out[1][k], bytes[k]);
                guarded_free(out[0][k], bytes[k]);
                guarded_free(out[1][k], bytes[k]);
            }
            free(x);
        }
}

static void vectors_equal_reference(void **state)
{
    for (uint32_t size = 1; size <= 600; size += size < 40 ? 1 : 37)
        for (int kind = 0; kind < 4; kind++) {
            float *x = malloc(size * sizeof *x), *weight = malloc(size * sizeof *x);
            fill(x, size, kind);
            fill(weight, size, 0);
            uint8_t *want = guarded(size * 4), *have = guarded(size * 4);
            struct rmsnorm_args norm = {x, weight, (float *)want, size, 1e-6f};
            reference.rmsnorm(&norm);
            norm.out = (float *)have;
            tested.rmsnorm(&norm);
            check("rmsnorm", want, have, size * 4);
            for (uint32_t i = 0; i < size; i++)
                x[i] *= 60.0f;
            struct swiglu_args swiglu = {x, weight, (float *)want, size};
            reference.swiglu(&swiglu);
            swiglu.out = (float *)have;
            tested.swiglu(&swiglu);
            check("swiglu", want, have, size * 4);
            const uint32_t dim = size / 3, pairs = dim / 2 - (dim > 20);
            memcpy(want, x, size * 4);
            memcpy(have, x, size * 4);
            struct rotate_args rotate = {(float *)want, 3, dim, dim < 2 ? 0 : pairs, weight, weight + size / 2};
            reference.rotate(&rotate);
            rotate.heads = (float *)have;
            tested.rotate(&rotate);
            check("rotate", want, have, size * 4);
            double sums[2];
            struct exponentials_args exponentials = {x, (float *)want, &sums[0], size, 2.5f};
            reference.exponentials(&exponentials);
            exponentials.out = (float *)have;
            exponentials.sum = &sums[1];
            tested.exponentials(&exponentials);
            check("exponentials", want, have, size * 4);
            check("sum of exponentials", &sums[0], &sums[1], sizeof sums[0]);
            struct peaks_args peaks = {x, (float *)want, size};
            reference.peaks(&peaks);
            peaks.peaks = (float *)have;
            tested.peaks(&peaks);
            check("peaks", want, have, peak_count(size) * 4);
            guarded_free(want, size * 4);
            guarded_free(have, size * 4);
            free(x);
            free(weight);
        }
}

/* One number among equal ones: which of them is the greatest, zeros and numbers that are none included. */
static void peaks_are_as_defined(void **state)
{
    static const struct {
        float odd, among, peak;
    } cases[] = {
        {-INFINITY, -0.0f, -0.0f},   {0.0f, -0.0f, 0.0f},  {-0.0f, 0.0f, 0.0f}, {-0.0f, -1e-45f, -0.0f},
        {INFINITY, 3e38f, INFINITY}, {NAN, INFINITY, NAN}, {-NAN, 1.0f, NAN},   {-2.0f, -3.0f, -2.0f},
    };
    for (uint32_t size = 1; size <= 200; size++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            float *x = malloc(size * sizeof *x);
            for (uint32_t at = 0; at < size; at++)
                x[at] = cases[i].among;
            const uint32_t where = random_u32() % size, block = where / PEAK_VALUES;
            x[where] = cases[i].odd;
            const bool is_alone = block == size / PEAK_VALUES && size % PEAK_VALUES == 1;
            const float peak = is_alone ? cases[i].odd : cases[i].peak;
            uint8_t *want = guarded(peak_count(size) * 4), *have = guarded(peak_count(size) * 4);
            reference.peaks(&(struct peaks_args){x, (float *)want, size});
            tested.peaks(&(struct peaks_args){x, (float *)have, size});
            check("peaks of odd numbers", want, have, peak_count(size) * 4);
            const float found = ((const float *)(void *)have)[block];
            assert_true(peak != peak ? found != found : float_bits(found) == float_bits(peak));
            guarded_free(want, peak_count(size) * 4);
            guarded_free(have, peak_count(size) * 4);
            free(x);
        }
}

#endif
