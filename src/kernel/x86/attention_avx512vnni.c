/* Attention with AVX-512. */
#include "kernel/x86/exp_avx512.h"

#include <stdbool.h>
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

static inline vector exponential(vector v)
{
    return exp_avx512(v);
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

/* Lanes j and j + 8 of every vector together, two vectors' results in one; then j and j + 4, j + 2, j + 1. */
static inline vector combine_rows(const vector row[LANES], const bool sum)
{
    vector two[8], four[4], eight[2];
    for (int i = 0; i < 8; i++)
        two[i] = either(_mm512_shuffle_f32x4(row[2 * i], row[2 * i + 1], 0x44),
                        _mm512_shuffle_f32x4(row[2 * i], row[2 * i + 1], 0xee), sum);
    for (int i = 0; i < 4; i++)
        four[i] = either(_mm512_shuffle_f32x4(two[2 * i], two[2 * i + 1], 0x88),
                         _mm512_shuffle_f32x4(two[2 * i], two[2 * i + 1], 0xdd), sum);
    for (int i = 0; i < 2; i++)
        eight[i] = either(_mm512_shuffle_ps(four[2 * i], four[2 * i + 1], 0x44),
                          _mm512_shuffle_ps(four[2 * i], four[2 * i + 1], 0xee), sum);
    const vector all =
        either(_mm512_shuffle_ps(eight[0], eight[1], 0x88), _mm512_shuffle_ps(eight[0], eight[1], 0xdd), sum);
    /* Lane 4q + k is of row q + 4k. */
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), all);
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
