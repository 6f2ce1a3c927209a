/* Attention with AVX-512. */
#include "kernel/arithmetic.h"

#include <immintrin.h>
#include <stdint.h>

enum { LANES = 16 };
typedef __m512 vector;
typedef __mmask16 mask;
#define SUFFIX(name) name##_avx512vnni
#define FETCH_HINT _MM_HINT_T1 /* more misses can be under way than into the first-level cache */

static inline vector splat(float x)
{
    return _mm512_set1_ps(x);
}

static inline vector load_floats(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void store_floats(float *p, vector v)
{
    _mm512_storeu_ps(p, v);
}

static inline vector load_halves(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

static inline vector load_codes(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}

static inline vector multiply(vector a, vector b)
{
    return _mm512_mul_ps(a, b);
}

static inline vector subtract(vector a, vector b)
{
    return _mm512_sub_ps(a, b);
}

static inline vector fused(vector a, vector b, vector c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* The second where one is NaN. */
static inline vector larger(vector a, vector b)
{
    return _mm512_max_ps(a, b);
}

/* float_exp of sixteen values, the same bits. */
static inline vector exponential(vector x)
{
    const __m512 magic = _mm512_set1_ps(12582912.0f);
    const __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_set1_ps(EXP_LOWEST), _CMP_NLT_UQ); /* NaN is kept */
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512 y = _mm512_min_ps(_mm512_set1_ps(EXP_HIGHEST), x);
    __m512 n = _mm512_sub_ps(_mm512_add_ps(_mm512_mul_ps(y, _mm512_set1_ps(EXP_LOG2E)), magic), magic);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_HIGH), y);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_LOW), r);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(EXP_P0), r, _mm512_set1_ps(EXP_P1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P5));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    const __m512i exponent = _mm512_slli_epi32(_mm512_cvtps_epi32(n), 23);
    const __m512 result = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
    return _mm512_maskz_mov_ps(kept, _mm512_mask_blend_ps(nan, result, x));
}

static inline mask seen_lanes(uint32_t visible, int first)
{
    const uint32_t left = visible > (uint32_t)first ? visible - (uint32_t)first : 0;
    return left >= LANES ? (mask)0xffff : (mask)((1U << left) - 1);
}

static inline vector choose(mask m, vector a, vector b)
{
    return _mm512_mask_blend_ps(m, b, a);
}

static inline vector keep(mask m, vector v)
{
    return _mm512_maskz_mov_ps(m, v);
}

/* The upper eight lanes. */
static inline __m256 upper(vector v)
{
    return _mm256_castsi256_ps(_mm512_extracti64x4_epi64(_mm512_castps_si512(v), 1));
}

/* The tree of docs/numerics.md: j + (j + 16), j + (j + 8), ... */
static inline float sum_tree(const vector part[2])
{
    __m512 sixteen = _mm512_add_ps(part[0], part[1]);
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sixteen), upper(sixteen));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float largest(vector x)
{
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x), upper(x));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#include "kernel/x86/attention_wide.h"
