/* Attention with AVX2, FMA and F16C. */
#include "kernel/x86/exp_avx2.h"

#include <stdint.h>

enum { LANES = 8 };
typedef __m256 vector;
typedef __m256 mask;
#define SUFFIX(name) name##_avx2
#define FETCH_HINT _MM_HINT_T0

static inline vector splat(float x)
{
    return _mm256_set1_ps(x);
}

static inline vector load_floats(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void store_floats(float *p, vector v)
{
    _mm256_storeu_ps(p, v);
}

static inline vector load_halves(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

static inline vector load_codes(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

static inline vector multiply(vector a, vector b)
{
    return _mm256_mul_ps(a, b);
}

static inline vector subtract(vector a, vector b)
{
    return _mm256_sub_ps(a, b);
}

static inline vector fused(vector a, vector b, vector c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* The second where one is NaN. */
static inline vector larger(vector a, vector b)
{
    return _mm256_max_ps(a, b);
}

static inline vector exponential(vector v)
{
    return exp_avx2(v);
}

static inline mask seen_lanes(uint32_t visible, int first)
{
    const __m256i index = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)visible), index));
}

static inline vector choose(mask m, vector a, vector b)
{
    return _mm256_blendv_ps(b, a, m);
}

static inline vector keep(mask m, vector v)
{
    return _mm256_and_ps(v, m);
}

/* The tree of docs/numerics.md: j + (j + 16), j + (j + 8), ... */
static inline float sum_tree(const vector part[4])
{
    __m256 eight = _mm256_add_ps(_mm256_add_ps(part[0], part[2]), _mm256_add_ps(part[1], part[3]));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float largest(vector x)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#include "kernel/x86/attention_wide.h"
