/* The scalar definitions: the emulated FMA against the real one, functions against libm in double. */
#include "cmocka_all.h"
#include "kernel/arithmetic.h"
#include "random_weights.h"

static void fma_is_rounded_once(void **state)
{
    for (int i = 0; i < 3000000; i++) {
        float a = float_from_bits(random_u32()), b = float_from_bits(random_u32()), c = float_from_bits(random_u32());
        if (i % 3 == 0) /* cancellation */
            c = float_from_bits(float_bits(-a * b) + random_u32() % 9 - 4);
        if (i % 3 == 1) { /* the product lies a hair beside half a unit of c: rounding twice goes wrong */
            c = 1.0f + (float)(random_u32() % 0x800000) * 0x1p-23f;
            a = (1.0f + 0x1p-23f) * (i % 2 ? 0x1p-24f : -0x1p-25f);
            b = random_u32() % 2 ? 1.0f - 0x1p-23f : 1.0f - 0x1p-24f;
        }
        float want = fmaf(a, b, c), have = float_fma(a, b, c);
        if (isnan(want) ? !isnan(have) : float_bits(want) != float_bits(have))
            fail_msg("fma(%a, %a, %a) = %a, not %a", (double)a, (double)b, (double)c, (double)want, (double)have);
    }
}

static void exp_is_accurate(void **state)
{
    assert_true(float_exp(-87.5f) == 0.0f);
    assert_true(float_exp(-INFINITY) == 0.0f);
    assert_true(float_exp(0.0f) == 1.0f);
    assert_true(isnan(float_exp(NAN)));
    assert_true(float_exp(1000.0f) == float_exp(88.0f));
    for (int i = 0; i < 1000000; i++) {
        float x = -87.0f + 175.0f * (float)i / 1e6f;
        double want = exp((double)x);
        assert_true(fabs((double)float_exp(x) / want - 1.0) < 1.5e-7);
    }
}

static void coarse_exp_is_accurate(void **state)
{
    assert_true(float_exp_coarse(-87.5f) == 0.0f);
    assert_true(float_exp_coarse(-INFINITY) == 0.0f);
    assert_true(float_exp_coarse(0.0f) == 1.0f);
    assert_true(isnan(float_exp_coarse(NAN)));
    for (int i = 0; i < 1000000; i++) {
        const float x = -87.0f * (float)i / 1e6f;
        const double want = exp((double)x);
        assert_true(fabs((double)float_exp_coarse(x) / want - 1.0) < (x > -11.0f ? 4e-6 : 7e-6));
    }
}

static void double_functions_are_accurate(void **state)
{
    for (int i = 0; i < 200000; i++) {
        double x = (double)random_float() * 700, s, c;
        assert_true(fabs(double_exp(x) / exp(x) - 1) < 1e-15);
        double y = fabs(x) + 1e-300;
        assert_true(fabs(double_log(y) - log(y)) <= 4e-16 * fmax(1.0, fabs(log(y))));
        x *= 1000;
        double_sincos(x, &s, &c);
        assert_true(fabs(s - sin(x)) < 1e-13 && fabs(c - cos(x)) < 1e-13);
    }
    assert_true(fabs(double_power(5e6, -0.75) / pow(5e6, -0.75) - 1) < 1e-14);
    assert_true(double_exp(-1000) == 0 && isinf(double_exp(1000)));
}

static void rounding_goes_to_even(void **state)
{
    assert_true(float_round(0.5f) == 0.0f && float_round(1.5f) == 2.0f && float_round(-2.5f) == -2.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fma_is_rounded_once),    cmocka_unit_test(exp_is_accurate),
        cmocka_unit_test(coarse_exp_is_accurate), cmocka_unit_test(double_functions_are_accurate),
        cmocka_unit_test(rounding_goes_to_even),
    };
    return cmocka_run_group_tests_name("arithmetic", tests, NULL, NULL);
}
