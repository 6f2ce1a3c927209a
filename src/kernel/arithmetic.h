/* The scalar operations that docs/numerics.md defines, the same bits on every CPU.
 *
 * No function of libm is used anywhere between the file and a token: its exp, log, sin and cos differ between CPUs and
 * versions. Everything here needs IEEE 754 addition, multiplication, division and square root alone, compiled without
 * contraction. */
#ifndef KERNEL_ARITHMETIC_H
#define KERNEL_ARITHMETIC_H

#include "base/half.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* a * b + c with one rounding. Without the instruction: the product of two floats is exact in double; the sum is taken
 * with its error (TwoSum), rounded to odd, and then rounded once more to float, which is exact by the theorem of
 * Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008. */
static inline float float_fma(float a, float b, float c)
{
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    double product = (double)a * (double)b;
    double addend = (double)c;
    double sum = product + addend;
    double part = sum - product;
    double error = (product - (sum - part)) + (addend - part);
    if (error > 0 || error < 0) {
        int64_t bits;
        memcpy(&bits, &sum, sizeof bits);
        if ((bits & 1) == 0)
            bits += (error > 0) == (sum > 0) ? 1 : -1;
        memcpy(&sum, &bits, sizeof sum);
    }
    return (float)sum;
#endif
}

/* The nearest integer, ties to even, for |x| < 2^22. */
static inline float float_round(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23 */
    return (x + magic) - magic;
}

/* Constants of float_exp, shared with the vector tiers. Polynomial: Cephes expf (S. Moshier). */
#define EXP_LOWEST (-87.0f)
#define EXP_HIGHEST 88.0f
#define EXP_LOG2E 1.44269504088896341f
#define EXP_LN2_HIGH 0.693359375f
#define EXP_LN2_LOW (-2.12194440e-4f)
#define EXP_P0 1.9875691500e-4f
#define EXP_P1 1.3981999507e-3f
#define EXP_P2 8.3334519073e-3f
#define EXP_P3 4.1665795894e-2f
#define EXP_P4 1.6666665459e-1f
#define EXP_P5 5.0000001201e-1f

/* e^x to about one unit in the last place; 0 below EXP_LOWEST, e^EXP_HIGHEST above EXP_HIGHEST. */
static inline float float_exp(float x)
{
    if (x < EXP_LOWEST)
        return 0.0f;
    if (x > EXP_HIGHEST)
        x = EXP_HIGHEST;
    float n = float_round(x * EXP_LOG2E);
    float r = float_fma(n, -EXP_LN2_HIGH, x);
    r = float_fma(n, -EXP_LN2_LOW, r);
    float p = float_fma(EXP_P0, r, EXP_P1);
    p = float_fma(p, r, EXP_P2);
    p = float_fma(p, r, EXP_P3);
    p = float_fma(p, r, EXP_P4);
    p = float_fma(p, r, EXP_P5);
    p = float_fma(p, r * r, r) + 1.0f;
    if (!(x == x))
        return x;
    return float_from_bits(float_bits(p) + ((uint32_t)(int32_t)n << 23));
}

/* Constants of float_exp_coarse: 2^f from -1/2 to 1/2, the largest relative error as small as can be, exact at 0. */
#define EXP2_P0 9.582701139e-3f
#define EXP2_P1 5.590593815e-2f
#define EXP2_P2 2.402409762e-1f
#define EXP2_P3 6.931242347e-1f

/* e^x for what becomes a code of 16 bits, in fewer steps: to 4e-6 of itself, below -11 to 7e-6; 0 below EXP_LOWEST. x
 * is 0 at most, or NaN. */
static inline float float_exp_coarse(float x)
{
    if (x < EXP_LOWEST)
        return 0.0f;
    if (!(x == x))
        return x;
    const float t = x * EXP_LOG2E, n = float_round(t), f = t - n;
    float p = float_fma(EXP2_P0, f, EXP2_P1);
    p = float_fma(p, f, EXP2_P2);
    p = float_fma(p, f, EXP2_P3);
    p = float_fma(p, f, 1.0f);
    return float_from_bits(float_bits(p) + ((uint32_t)(int32_t)n << 23));
}

/* Of a value in units of the scale: its nearest code, and the code of what is left in units of scale / 128, within 64.
 */
static inline int8_t float_fine_code(float units)
{
    return (int8_t)float_round((units - float_round(units)) * 128.0f);
}

/* The largest of magnitudes, which are compared as integers: in their order NaN is above infinity above all, and
 * nothing can hide behind a comparison. */
static inline float float_largest_magnitude(const float *x, uint32_t count)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t magnitude = float_bits(x[i]) & 0x7fffffff;
        most = magnitude > most ? magnitude : most;
    }
    return float_from_bits(most);
}

/* What values of at most `maximum` in magnitude are multiplied by to become codes of at most `codes`, and what a code
 * is worth; of values that are not finite 0 and NaN. Below 2^-100 the first could overflow: both are 0. */
struct code_scale {
    float inverse;
    float unit;
};

static inline struct code_scale float_code_scale(float maximum, float codes)
{
    const int finite = float_bits(maximum) < 0x7f800000, zero = maximum < 0x1p-100f;
    return (struct code_scale){zero || !finite ? 0.0f : codes / maximum, !finite ? __builtin_nanf("")
                                                                         : zero  ? 0.0f
                                                                                 : maximum / codes};
}

/* int8 codes of x[0..count) and their scale: the largest magnitude / 127, NaN with codes 0 where a value is not finite.
 * fine: NULL, or where the codes of what is left go. */
static inline float float_codes(const float *x, uint32_t count, int8_t *codes, int8_t *fine)
{
    const struct code_scale scale = float_code_scale(float_largest_magnitude(x, count), 127.0f);
    const int finite = scale.unit == scale.unit;
    for (uint32_t i = 0; i < count; i++)
        codes[i] = finite ? (int8_t)float_round(x[i] * scale.inverse) : 0;
    for (uint32_t i = 0; fine && i < count; i++)
        fine[i] = finite ? float_fine_code(x[i] * scale.inverse) : 0;
    return scale.unit;
}

/* The same with int16 codes up to 32767. */
static inline float float_wide_codes(const float *x, uint32_t count, int16_t *codes)
{
    const struct code_scale scale = float_code_scale(float_largest_magnitude(x, count), 32767.0f);
    const int finite = scale.unit == scale.unit;
    for (uint32_t i = 0; i < count; i++)
        codes[i] = finite ? (int16_t)float_round(x[i] * scale.inverse) : 0;
    return scale.unit;
}

/* Double functions for tables and sampling, accurate to a few units in the last place of a double. */
double double_exp(double x);                                /* 0 below -708, infinity above 709 */
double double_log(double x);                                /* x > 0 and normal */
void double_sincos(double x, double *sine, double *cosine); /* |x| < 2^30 */
/* b to the power e for b > 0. */
double double_power(double b, double e);

/* The bits of a float as a number of the same order, -0 below 0; and back. */
static inline int32_t float_order(int32_t bits)
{
    return bits ^ ((bits >> 31) & INT32_MAX);
}

#endif
