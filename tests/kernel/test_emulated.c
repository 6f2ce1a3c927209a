/* The AVX-512 and AMX kernels, compiled for an emulated CPU (emulated/immintrin.h), against the generic ones, bit for
 * bit: so they are tested where no CPU has them. Real encodings are tested by test_kernel on a CPU that has them. */
#include "kernel_cases.h"

int main(void)
{
    seed_random();
    kernel_table_fill(&reference, CPU_GENERIC);
    kernel_table_fill(&tested, CPU_GENERIC);
#define EMULATED(name) tested.name = name##_avx512vnni;
    KERNEL_AVX512VNNI_LIST(EMULATED)
#undef EMULATED
    if (cpu_detect() < CPU_AVX2)
        tested.quantize = quantize_generic; /* what AVX-512 leaves to AVX2 is not emulated */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_equals_reference),          cmocka_unit_test(matmul_does_not_see_its_neighbors),
        cmocka_unit_test(infinite_factors_equal_reference), cmocka_unit_test(attention_equals_reference),
        cmocka_unit_test(hidden_values_leave_no_trace),     cmocka_unit_test(attention_tells_of_what_is_not_finite),
        cmocka_unit_test(vectors_equal_reference),          cmocka_unit_test(peaks_are_as_defined),
        cmocka_unit_test(quantize_equals_reference),
    };
    const int failed = cmocka_run_group_tests_name("avx512vnni, emulated", tests, NULL, NULL);
#define EMULATED(name) tested.name = name##_amx;
    KERNEL_AMX_LIST(EMULATED)
#undef EMULATED
    const struct CMUnitTest matmul_tests[] = {
        cmocka_unit_test(matmul_equals_reference),
        cmocka_unit_test(matmul_does_not_see_its_neighbors),
        cmocka_unit_test(infinite_factors_equal_reference),
    };
    return failed + cmocka_run_group_tests_name("amx, emulated", matmul_tests, NULL, NULL);
}
