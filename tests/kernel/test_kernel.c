/* Every kernel of every tier that this CPU has against the generic one, bit for bit, on ordinary and hostile values,
 * with canaries behind what it writes. The name of a tier as an argument: that one alone. */
#include "kernel_cases.h"

static void kv_store_equals_reference(void **state)
{
    for (int round = 0; round < 300; round++) {
        const enum kv_type type = (enum kv_type)(round % KV_TYPE_COUNT);
        const uint32_t dim = 2 + random_u32() % (ATTENTION_MAX_HEAD_DIM / 2) * 2;
        const size_t size = kv_block_bytes(type, dim);
        float rows[2][ATTENTION_MAX_HEAD_DIM];
        fill(rows[0], 2 * ATTENTION_MAX_HEAD_DIM, round % 4);
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

/* Codes stay within 127, of the second plane within 64; values come back within half a step of either; what is not
 * finite is marked. */
static void quantize_is_what_it_says(void **state)
{
    float x[256], scales[2];
    int8_t codes[2][256];
    int16_t sums16[2][16], sums32[2][8];
    uint8_t large[2];
    struct quantize_args args = {x, 256, 256, 2, 2, codes[0], scales, sums16[0], sums32[0], large};
    /* A value in steps is rounded three times: the scale, its inverse, the product. */
    const double rounding = 3 * 127 * 0x1p-24;
    for (int kind = 0; kind < 5; kind++) {
        if (kind == 3)
            continue;
        fill(x, 256, kind);
        tested.quantize(&args);
        for (int plane = 0; plane < 2; plane++) {
            int sum = 0, magnitude[16] = {0}, most = 0;
            for (int i = 0; i < 256; i++) {
                magnitude[i / 16] += abs(codes[plane][i]);
                most = magnitude[i / 16] > most ? magnitude[i / 16] : most;
                assert_in_range(codes[plane][i] + 127, plane == 0 ? 0 : 63, plane == 0 ? 254 : 191);
                sum += codes[plane][i];
            }
            for (int i = 0; i < 16; i++)
                sum -= sums16[plane][i];
            assert_int_equal(sum, 0);
            assert_int_equal(sums32[plane][3], sums16[plane][6] + sums16[plane][7]);
            assert_int_equal(large[plane], most > 1023);
        }
        for (int i = 0; i < 256; i++) {
            double coarse = (double)codes[0][i] * scales[0];
            assert_true(fabs(coarse - x[i]) <= scales[0] * (0.5 + rounding));
            assert_true(fabs(coarse + (double)codes[1][i] * scales[1] - x[i]) <= scales[0] * (0.5 / 128 + rounding));
        }
    }
    x[200] = NAN;
    tested.quantize(&args);
    assert_true(isnan(scales[0]) && isnan(scales[1]));
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
            cmocka_unit_test(matmul_equals_reference),
            cmocka_unit_test(matmul_does_not_see_its_neighbors),
            cmocka_unit_test(infinite_factors_equal_reference),
            cmocka_unit_test(kv_store_equals_reference),
            cmocka_unit_test(attention_equals_reference),
            cmocka_unit_test(hidden_values_leave_no_trace),
            cmocka_unit_test(attention_tells_of_what_is_not_finite),
            cmocka_unit_test(vectors_equal_reference),
            cmocka_unit_test(peaks_are_as_defined),
            cmocka_unit_test(quantize_equals_reference),
            cmocka_unit_test(quantize_is_what_it_says),
        };
        failed += cmocka_run_group_tests_name(cpu_tier_name((enum cpu_tier)tier), tests, NULL, NULL);
    }
    return failed;
}
