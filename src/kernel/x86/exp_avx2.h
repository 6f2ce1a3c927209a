/* float_exp and float_exp_coarse of eight values, the same bits. */
#ifndef KERNEL_X86_EXP_AVX2_H
#define KERNEL_X86_EXP_AVX2_H

#include "kernel/arithmetic.h"
#include "kernel/wide/unroll.h"

#include <immintrin.h>

/* Of values up to EXP_HIGHEST, as all are that a maximum was subtracted from; of larger ones (scores of positions that
 * a row does not see) the result means nothing. NaN comes through every step: as an integer it is 2^31, whose bit is
 * shifted away. */
ALWAYS_INLINE __m256 exp_bounded_avx2(__m256 x)
{
    const __m256 magic = _mm256_set1_ps(12582912.0f);
    const __m256 kept = _mm256_cmp_ps(x, _mm256_set1_ps(EXP_LOWEST), _CMP_NLT_UQ); /* NaN is kept */
    const __m256 n = _mm256_sub_ps(_mm256_add_ps(_mm256_mul_ps(x, _mm256_set1_ps(EXP_LOG2E)), magic), magic);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_HIGH), x);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_LOW), r);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(EXP_P0), r, _mm256_set1_ps(EXP_P1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P5));
    p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent)), kept);
}

ALWAYS_INLINE __m256 exp_coarse_avx2(__m256 x)
{
    const __m256 kept = _mm256_cmp_ps(x, _mm256_set1_ps(EXP_LOWEST), _CMP_NLT_UQ); /* NaN is kept */
    const __m256 t = _mm256_mul_ps(x, _mm256_set1_ps(EXP_LOG2E));
    const __m256i n = _mm256_cvtps_epi32(t);
    const __m256 f = _mm256_sub_ps(t, _mm256_cvtepi32_ps(n));
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(EXP2_P0), f, _mm256_set1_ps(EXP2_P1));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(EXP2_P2));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(EXP2_P3));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    const __m256i exponent = _mm256_slli_epi32(n, 23);
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent)), kept);
}

ALWAYS_INLINE __m256 exp_avx2(__m256 x)
{
    return exp_bounded_avx2(_mm256_min_ps(_mm256_set1_ps(EXP_HIGHEST), x)); /* x where it is NaN */
}

#endif
