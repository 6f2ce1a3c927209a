/* Every kernel of every tier that this CPU has against the generic one, bit for bit, on ordinary and hostile values,
 * with canaries behind what it writes. The name of a tier as an argument: that one alone. */
#include "kernel_cases.h"

/* A cache of BLOCKS blocks filled by kv_store, ordinary values with a large one now and then; page numbers mixed. */
enum { BLOCKS = 40 };
static uint8_t *random_cache(enum kv_type type, uint32_t dim, uint32_t pages[BLOCKS])
{
    size_t stride = kv_block_bytes(type, dim);
    uint8_t *cache = malloc(BLOCKS * stride);
    float rows[2][ATTENTION_MOST_HEAD_DIM];
    for (uint32_t b = 0; b < BLOCKS; b++) {
        pages[b] = (b * 7 + 3) % BLOCKS;
        for (uint32_t slot = 0; slot < ATTENTION_BLOCK; slot++) {
            fill(rows[0], 2 * ATTENTION_MOST_HEAD_DIM, 0);
            rows[slot % 2][random_u32() % dim] *= 30.0f;
            struct kv_store_args args = {type, cache + b * stride, slot, dim, rows[0], rows[1]};
            reference.kv_store(&args);
        }
    }
    return cache;
}

/* What lies behind the last token's position must not be read as a value: NaN there. */
static void poison(uint8_t *cache, enum kv_type type, uint32_t dim, const uint32_t pages[BLOCKS], uint32_t visible)
{
    float nan[ATTENTION_MOST_HEAD_DIM];
    for (uint32_t d = 0; d < dim; d++)
        nan[d] = NAN;
    for (uint32_t p = visible; p < BLOCKS * ATTENTION_BLOCK; p++) {
        struct kv_store_args args = {type, cache + pages[p / 32] * kv_block_bytes(type, dim), p % 32, dim, nan, nan};
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
    args.out_stride = stride;
    args.out = (float *)want;
    reference.attention(&args);
    poison(cache, args.type, args.head_dim, args.pages, args.position + args.tokens);
    args.out = (float *)have;
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
                                              .page_stride = kv_block_bytes((enum kv_type)type, dims[i]),
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

static void kv_store_equals_reference(void **state)
{
    for (int round = 0; round < 300; round++) {
        const enum kv_type type = (enum kv_type)(round % KV_TYPE_COUNT);
        const uint32_t dim = 1 + random_u32() % ATTENTION_MOST_HEAD_DIM;
        const size_t size = kv_block_bytes(type, dim);
        float rows[2][ATTENTION_MOST_HEAD_DIM];
        fill(rows[0], 2 * ATTENTION_MOST_HEAD_DIM, round % 4);
        if (round % 3 == 0)
            rows[round % 2][random_u32() % dim] = round % 5 == 0 ? NAN : round % 5 == 1 ? -INFINITY : 65519.9f;
        uint8_t *want = guarded(size), *have = guarded(size);
        struct kv_store_args args = {type, want, random_u32() % ATTENTION_BLOCK, dim, rows[0], rows[1]};
        reference.kv_store(&args);
        args.block = have;
        tested.kv_store(&args);
        check("kv_store", want, have, size);
        guarded_free(want, size);
        guarded_free(have, size);
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
            double sums[2];
            struct exponentials_args exponentials = {x, (float *)want, &sums[0], size, 2.5f};
            reference.exponentials(&exponentials);
            exponentials.out = (float *)have;
            exponentials.sum = &sums[1];
            tested.exponentials(&exponentials);
            check("exponentials", want, have, size * 4);
            check("sum of exponentials", &sums[0], &sums[1], sizeof sums[0]);
            guarded_free(want, size * 4);
            guarded_free(have, size * 4);
            free(x);
            free(weight);
        }
}

static void quantise_equals_reference(void **state)
{
    for (int round = 0; round < 200; round++)
        for (uint32_t block = 32; block <= 256; block *= 8) {
            uint32_t size = block * (1 + random_u32() % 4);
            float *x = malloc(size * sizeof *x);
            fill(x, size, round % 4);
            if (round % 10 == 9)
                x[random_u32() % size] = round % 20 == 19 ? NAN : -INFINITY;
            uint8_t *out[2][4];
            const uint32_t planes = 1 + (uint32_t)round / 4 % 2;
            const size_t bytes[4] = {size * planes, size / block * 4 * planes, size / 16 * 2 * planes,
                                     size / 32 * 2 * planes};
            for (int i = 0; i < 2; i++) {
                for (int k = 0; k < 4; k++)
                    out[i][k] = guarded(bytes[k]);
                struct quantise_args args = {x,
                                             size,
                                             block,
                                             planes,
                                             planes,
                                             (int8_t *)out[i][0],
                                             (float *)out[i][1],
                                             (int16_t *)out[i][2],
                                             (int16_t *)out[i][3]};
                (i == 0 ? reference : tested).quantise(&args);
            }
            for (int k = 0; k < 4; k++) {
                check("quantise", out[0][k], out[1][k], bytes[k]);
                guarded_free(out[0][k], bytes[k]);
                guarded_free(out[1][k], bytes[k]);
            }
            free(x);
        }
}

/* Codes stay within 127, of the second plane within 64; values come back within half a step of either; what is not
 * finite is marked. */
static void quantise_is_what_it_says(void **state)
{
    float x[256], scales[2];
    int8_t codes[2][256];
    int16_t sums16[2][16], sums32[2][8];
    struct quantise_args args = {x, 256, 256, 2, 2, codes[0], scales, sums16[0], sums32[0]};
    for (int kind = 0; kind < 3; kind++) {
        fill(x, 256, kind);
        tested.quantise(&args);
        for (int plane = 0; plane < 2; plane++) {
            int sum = 0;
            for (int i = 0; i < 256; i++) {
                assert_in_range(codes[plane][i] + 127, plane == 0 ? 0 : 63, plane == 0 ? 254 : 191);
                sum += codes[plane][i];
            }
            for (int i = 0; i < 16; i++)
                sum -= sums16[plane][i];
            assert_int_equal(sum, 0);
            assert_int_equal(sums32[plane][3], sums16[plane][6] + sums16[plane][7]);
        }
        for (int i = 0; i < 256; i++) {
            double coarse = (double)codes[0][i] * scales[0];
            assert_true(fabs(coarse - x[i]) <= scales[0] * 0.5001);
            assert_true(fabs(coarse + (double)codes[1][i] * scales[1] - x[i]) <= scales[0] * 0.5001 / 128);
        }
    }
    x[200] = NAN;
    tested.quantise(&args);
    assert_true(isnan(scales[0]) && isnan(scales[1]));
}

int main(int argc, char **argv)
{
    seed_random();
    int failed = 0;
    kernel_table_fill(&reference, CPU_GENERIC);
    for (int tier = CPU_GENERIC; tier <= (int)cpu_detect(); tier++) {
        if (argc > 1 && strcmp(argv[1], cpu_tier_name((enum cpu_tier)tier)) != 0)
            continue;
        printf("tier %s\n", cpu_tier_name((enum cpu_tier)tier));
        kernel_table_fill(&tested, (enum cpu_tier)tier);
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(matmul_equals_reference),   cmocka_unit_test(matmul_does_not_see_its_neighbours),
            cmocka_unit_test(kv_store_equals_reference), cmocka_unit_test(attention_equals_reference),
            cmocka_unit_test(vectors_equal_reference),   cmocka_unit_test(quantise_equals_reference),
            cmocka_unit_test(quantise_is_what_it_says),
        };
        failed += cmocka_run_group_tests_name(cpu_tier_name((enum cpu_tier)tier), tests, NULL, NULL);
    }
    return failed;
}
