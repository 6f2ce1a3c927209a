/* Attention with AVX-512. */
#include "kernel/wide/unroll.h"
#include "kernel/x86/exp_avx512.h"

#include <stdbool.h>
#include <stdint.h>

enum { LANES = 16, FEW = 4 };
typedef __m512 vector;
typedef __m512i words;
typedef __mmask16 mask;
#define SUFFIX(name) name##_avx512vnni

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

static inline words no_words(void)
{
    return _mm512_setzero_si512();
}

static inline words load_words(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline void store_words(void *p, words w)
{
    _mm512_storeu_si512(p, w);
}

static inline words widen_codes(const void *p)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(p));
}

static inline words splat_pair(const int16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
}

static inline words add_products(words sum, words a, words b)
{
    return _mm512_dpwssd_epi32(sum, a, b);
}

static inline vector floats_of(words w)
{
    return _mm512_cvtepi32_ps(w);
}

static inline vector load_integers(const void *p)
{
    return floats_of(load_words(p));
}

static inline void store_codes(int16_t *p, const vector part[2])
{
    const __m512i both = _mm512_packs_epi32(_mm512_cvtps_epi32(part[0]), _mm512_cvtps_epi32(part[1]));
    store_words(p, _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), both));
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

/* Returns b when either is NaN. */
static inline vector larger(vector a, vector b)
{
    return _mm512_max_ps(a, b);
}

static inline vector exponential(vector v)
{
    return exp_bounded_avx512(v);
}

static inline vector coarse_exponential(vector v)
{
    return exp_coarse_avx512(v);
}

static inline vector beside(vector a, vector b)
{
    return _mm512_shuffle_f32x4(a, b, 0x44);
}

static inline vector upper_half(vector v)
{
    return _mm512_shuffle_f32x4(v, v, 0xee);
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

static inline vector fold(const vector part[2])
{
    return _mm512_add_ps(part[0], part[1]);
}

static inline vector either(vector a, vector b, const bool sum)
{
    return sum ? _mm512_add_ps(a, b) : _mm512_max_ps(a, b);
}

/* Combines lanes j and j + 8 of each of 4 or all LANES rows, two vectors' results in one; then j and j + 4, j + 2, j
 * + 1. */
ALWAYS_INLINE vector combine_rows(const vector row[LANES], const int max_rows, const bool sum)
{
    vector two[8], four[4], eight[2];
    UNROLL
    for (int i = 0; i < max_rows / 2; i++)
        two[i] = either(_mm512_shuffle_f32x4(row[2 * i], row[2 * i + 1], 0x44),
                        _mm512_shuffle_f32x4(row[2 * i], row[2 * i + 1], 0xee), sum);
    UNROLL
    for (int i = 0; i < max_rows / 4; i++)
        four[i] = either(_mm512_shuffle_f32x4(two[2 * i], two[2 * i + 1], 0x88),
                         _mm512_shuffle_f32x4(two[2 * i], two[2 * i + 1], 0xdd), sum);
    for (int i = 0; i < 2; i++) {
        const vector first = four[max_rows < LANES ? 0 : 2 * i], second = four[max_rows < LANES ? 0 : 2 * i + 1];
        eight[i] = either(_mm512_shuffle_ps(first, second, 0x44), _mm512_shuffle_ps(first, second, 0xee), sum);
    }
    const vector all =
        either(_mm512_shuffle_ps(eight[0], eight[1], 0x88), _mm512_shuffle_ps(eight[0], eight[1], 0xdd), sum);
    /* Lane 4q + k holds the result of row q + 4k. */
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), all);
}

ALWAYS_INLINE vector sum_rows(const vector row[LANES], const int max_rows)
{
    return combine_rows(row, max_rows, true);
}

ALWAYS_INLINE vector largest_rows(const vector row[LANES], const int max_rows)
{
    return combine_rows(row, max_rows, false);
}

#include "kernel/wide/attention_wide.h"
