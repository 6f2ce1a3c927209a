/* float_exp of eight values, the same bits. */
#ifndef KERNEL_X86_EXP_AVX2_H
#define KERNEL_X86_EXP_AVX2_H

#include "kernel/arithmetic.h"

#include <immintrin.h>

static inline __m256 exp_avx2(__m256 x)
{
    const __m256 lowest = _mm256_set1_ps(EXP_LOWEST), magic = _mm256_set1_ps(12582912.0f);
    const __m256 kept = _mm256_cmp_ps(x, lowest, _CMP_NLT_UQ); /* NaN is kept */
    x = _mm256_min_ps(_mm256_set1_ps(EXP_HIGHEST), x);         /* NaN in x comes through */
    __m256 n = _mm256_sub_ps(_mm256_add_ps(_mm256_mul_ps(x, _mm256_set1_ps(EXP_LOG2E)), magic), magic);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_HIGH), x);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_LOW), r);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(EXP_P0), r, _mm256_set1_ps(EXP_P1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P5));
    p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
    const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    __m256 result = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
    result = _mm256_blendv_ps(result, x, nan);
    return _mm256_and_ps(result, kept);
}

#endif
