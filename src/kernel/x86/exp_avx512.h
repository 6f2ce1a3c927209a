/* float_exp and float_exp_coarse of sixteen values, the same bits. */
#ifndef KERNEL_X86_EXP_AVX512_H
#define KERNEL_X86_EXP_AVX512_H

#include "kernel/arithmetic.h"
#include "kernel/wide/unroll.h"

#include <immintrin.h>

/* Of values up to EXP_HIGHEST, as all are that a maximum was subtracted from; of larger ones (scores of positions that
 * a row does not see) the result means nothing. NaN comes through every step: as an integer it is 2^31, whose bit is
 * shifted away. */
ALWAYS_INLINE __m512 exp_bounded_avx512(__m512 x)
{
    const __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_set1_ps(EXP_LOWEST), _CMP_NLT_UQ); /* NaN is kept */
    const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(EXP_LOG2E)));
    const __m512 n = _mm512_cvtepi32_ps(whole);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_HIGH), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_LOW), r);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(EXP_P0), r, _mm512_set1_ps(EXP_P1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P5));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    const __m512i exponent = _mm512_slli_epi32(whole, 23);
    return _mm512_castsi512_ps(_mm512_maskz_add_epi32(kept, _mm512_castps_si512(p), exponent));
}

ALWAYS_INLINE __m512 exp_coarse_avx512(__m512 x)
{
    const __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_set1_ps(EXP_LOWEST), _CMP_NLT_UQ); /* NaN is kept */
    const __m512 t = _mm512_mul_ps(x, _mm512_set1_ps(EXP_LOG2E));
    const __m512i n = _mm512_cvtps_epi32(t);
    const __m512 f = _mm512_sub_ps(t, _mm512_cvtepi32_ps(n));
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(EXP2_P0), f, _mm512_set1_ps(EXP2_P1));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(EXP2_P2));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(EXP2_P3));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    const __m512i exponent = _mm512_slli_epi32(n, 23);
    return _mm512_castsi512_ps(_mm512_maskz_add_epi32(kept, _mm512_castps_si512(p), exponent));
}

ALWAYS_INLINE __m512 exp_avx512(__m512 x)
{
    return exp_bounded_avx512(_mm512_min_ps(_mm512_set1_ps(EXP_HIGHEST), x)); /* x where it is NaN */
}

#endif
