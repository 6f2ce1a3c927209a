/* Attention with AVX2, FMA and F16C. */
#include "kernel/wide/unroll.h"
#include "kernel/x86/exp_avx2.h"

#include <stdbool.h>
#include <stdint.h>

enum { LANES = 8, FEW = 4 };
typedef __m256 vector;
typedef __m256i words;
typedef __m256 mask;
#define SUFFIX(name) name##_avx2

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

static inline words no_words(void)
{
    return _mm256_setzero_si256();
}

static inline words load_words(const void *p)
{
    return _mm256_loadu_si256(p);
}

static inline void store_words(void *p, words w)
{
    _mm256_storeu_si256(p, w);
}

static inline words widen_codes(const void *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(p));
}

static inline words splat_pair(const int16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
}

static inline words add_products(words sum, words a, words b)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

static inline vector floats_of(words w)
{
    return _mm256_cvtepi32_ps(w);
}

static inline vector load_integers(const void *p)
{
    return floats_of(load_words(p));
}

static inline void store_codes(int16_t *p, const vector part[4])
{
    UNROLL
    for (int i = 0; i < 4; i += 2) {
        const __m256i both = _mm256_packs_epi32(_mm256_cvtps_epi32(part[i]), _mm256_cvtps_epi32(part[i + 1]));
        store_words(p + i * LANES, _mm256_permute4x64_epi64(both, 0xd8));
    }
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

/* Returns b when either is NaN. */
static inline vector larger(vector a, vector b)
{
    return _mm256_max_ps(a, b);
}

static inline vector exponential(vector v)
{
    return exp_bounded_avx2(v);
}

static inline vector coarse_exponential(vector v)
{
    return exp_coarse_avx2(v);
}

static inline vector beside(vector a, vector b)
{
    return _mm256_permute2f128_ps(a, b, 0x20);
}

static inline vector upper_half(vector v)
{
    return _mm256_permute2f128_ps(v, v, 0x11);
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

/* Combines lanes j and j + 4 of every vector, two vectors' results in one; then j and j + 2, then j + 1. With few rows,
 * skipping the others would save nothing. */
ALWAYS_INLINE vector combine_rows(const vector row[LANES], const bool sum)
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

ALWAYS_INLINE vector sum_rows(const vector row[LANES], const int max_rows)
{
    return combine_rows(row, true);
}

ALWAYS_INLINE vector largest_rows(const vector row[LANES], const int max_rows)
{
    return combine_rows(row, false);
}

#include "kernel/wide/attention_wide.h"
