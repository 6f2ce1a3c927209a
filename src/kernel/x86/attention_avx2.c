/* Attention with AVX2, FMA and F16C. */
#include "kernel/x86/exp_avx2.h"

#include <stdbool.h>
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

static inline vector fold(const vector part[4])
{
    return _mm256_add_ps(_mm256_add_ps(part[0], part[2]), _mm256_add_ps(part[1], part[3]));
}

static inline vector either(vector a, vector b, const bool sum)
{
    return sum ? _mm256_add_ps(a, b) : _mm256_max_ps(a, b);
}

/* Lanes j and j + 4 of every vector together, two vectors' results in one; then j and j + 2, j + 1. */
static inline vector combine_rows(const vector row[LANES], const bool sum)
{
    vector two[4], four[2];
    for (int i = 0; i < 4; i++)
        two[i] = either(_mm256_permute2f128_ps(row[i], row[i + 4], 0x20),
                        _mm256_permute2f128_ps(row[i], row[i + 4], 0x31), sum);
    for (int i = 0; i < 2; i++)
        four[i] = either(_mm256_shuffle_ps(two[2 * i], two[2 * i + 1], 0x44),
                         _mm256_shuffle_ps(two[2 * i], two[2 * i + 1], 0xee), sum);
    return either(_mm256_shuffle_ps(four[0], four[1], 0x88), _mm256_shuffle_ps(four[0], four[1], 0xdd), sum);
}

static inline vector sum_rows(const vector row[LANES])
{
    return combine_rows(row, true);
}

static inline vector largest_rows(const vector row[LANES])
{
    return combine_rows(row, false);
}

#include "kernel/x86/attention_wide.h"
