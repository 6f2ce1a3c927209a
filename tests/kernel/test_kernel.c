/* Every kernel of every tier that this CPU has against the generic one, bit for bit, on ordinary and hostile values,
 * with canaries behind what it writes. The name of a tier as an argument: that one alone. */
#include "kernel_cases.h"

static void attention_equals_reference(void **state)
{
    static const uint32_t dims[] = {4, 12, 32, 64, 80, 128, 256};
    enum { BLOCKS = 40 };
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (uint32_t heads = 1; heads <= 9; heads += i < 3 ? 1 : 3) {
            uint32_t dim = dims[i];
            size_t stride = 2 * (size_t)dim * ATTENTION_BLOCK;
            uint16_t *cache = malloc(BLOCKS * stride * sizeof *cache);
            uint32_t pages[BLOCKS];
            for (uint32_t p = 0; p < BLOCKS; p++)
                pages[p] = (p * 7 + 3) % BLOCKS;
            for (size_t k = 0; k < BLOCKS * stride; k++)
                cache[k] = half_from_float_saturated(random_float() * (k % 97 == 0 ? 30.0f : 1.0f));
            static const uint32_t positions[] = {0, 1, 30, 31, 32, 63, 100, 511, 512, 513, 1100, 1279};
            for (size_t p = 0; p < sizeof positions / sizeof *positions; p++) {
                size_t size = (size_t)heads * dim * sizeof(float);
                float *q = malloc(size);
                fill(q, (size_t)heads * dim, p % 2 ? 1 : 0);
                uint8_t *want = guarded(size), *have = guarded(size);
                /* What lies behind the token's position must not be read: poison it. */
                uint32_t visible = positions[p] + 1;
                uint16_t *copy = malloc(BLOCKS * stride * sizeof *cache);
                memcpy(copy, cache, BLOCKS * stride * sizeof *cache);
                for (uint32_t b = 0; b < BLOCKS; b++)
                    for (uint32_t j = 0; j < 32; j++)
                        if (b * 32 + j >= visible)
                            for (uint32_t d = 0; d < dim; d++) {
                                copy[pages[b] * stride + d * 32 + j] = 0x7e00;
                                copy[pages[b] * stride + (size_t)dim * 32 + j * dim + d] = 0x7e00;
                            }
                struct attention_args args = {.q = q,
                                              .out = (float *)want,
                                              .heads = heads,
                                              .head_dim = dim,
                                              .cache = cache,
                                              .pages = pages,
                                              .page_stride = stride,
                                              .position = positions[p],
                                              .scale = 0.125f};
                reference.attention(&args);
                args.out = (float *)have;
                args.cache = copy;
                tested.attention(&args);
                char what[100];
                snprintf(what, sizeof what, "attention, %u heads of %u, position %u", heads, dim, positions[p]);
                check(what, want, have, size);
                guarded_free(want, size);
                guarded_free(have, size);
                free(copy);
                free(q);
            }
            free(cache);
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
            const size_t bytes[4] = {size, size / block * 4, size / 16 * 2, size / 32 * 2};
            for (int i = 0; i < 2; i++) {
                for (int k = 0; k < 4; k++)
                    out[i][k] = guarded(bytes[k]);
                struct quantise_args args = {x,
                                             size,
                                             block,
                                             1,
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

/* Codes stay within 127, values come back within half a step, what is not finite is marked. */
static void quantise_is_what_it_says(void **state)
{
    float x[256], scale;
    int8_t codes[256];
    int16_t sums16[16], sums32[8];
    struct quantise_args args = {x, 256, 256, 1, codes, &scale, sums16, sums32};
    for (int kind = 0; kind < 3; kind++) {
        fill(x, 256, kind);
        tested.quantise(&args);
        int sum = 0;
        for (int i = 0; i < 256; i++) {
            assert_in_range(codes[i] + 127, 0, 254);
            assert_true(fabsf(codes[i] * scale - x[i]) <= scale * 0.5001f);
            sum += codes[i];
        }
        for (int i = 0; i < 16; i++)
            sum -= sums16[i];
        assert_int_equal(sum, 0);
        assert_int_equal(sums32[3], sums16[6] + sums16[7]);
    }
    x[200] = NAN;
    tested.quantise(&args);
    assert_true(isnan(scale));
}

int main(int argc, char **argv)
{
    enum cpu_tier only;
    struct smollm_error error;
    if (argc > 1 && cpu_tier_parse(argv[1], &only, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    seed_random();
    int failed = 0;
    kernel_table_fill(&reference, CPU_GENERIC);
    for (int tier = CPU_GENERIC; tier <= (int)cpu_detect(); tier++) {
        if (argc > 1 && tier != (int)only)
            continue;
        printf("tier %s\n", cpu_tier_name((enum cpu_tier)tier));
        kernel_table_fill(&tested, (enum cpu_tier)tier);
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(matmul_equals_reference),    cmocka_unit_test(matmul_does_not_see_its_neighbours),
            cmocka_unit_test(attention_equals_reference), cmocka_unit_test(vectors_equal_reference),
            cmocka_unit_test(quantise_equals_reference),  cmocka_unit_test(quantise_is_what_it_says),
        };
        failed += cmocka_run_group_tests_name(cpu_tier_name((enum cpu_tier)tier), tests, NULL, NULL);
    }
    return failed;
}
