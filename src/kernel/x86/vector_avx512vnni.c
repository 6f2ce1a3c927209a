/* The operations on single vectors with AVX-512: the bits of kernel/vector.c. */
#include "kernel/kernel.h"
#include "kernel/wide/unroll.h"
#include "kernel/wide/vector_rest.h"
#include "kernel/x86/exp_avx512.h"

#include <string.h>

enum { FOUR = 4, SHORT_BLOCK = 32 };

/* The first value of each quarter, four values, in the first quarter. */
ALWAYS_INLINE __m128i first_of_quarters(__m512i x)
{
    const __m512i index = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    return _mm512_castsi512_si128(_mm512_permutexvar_epi32(index, x));
}

/* Values two places, or one, further within each quarter, in a circle. */
ALWAYS_INLINE __m512i turn_by_two(__m512i x)
{
    return _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(x), 0x4e));
}

ALWAYS_INLINE __m512i turn_by_one(__m512i x)
{
    return _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(x), 0xb1));
}

/* Parts of the quarters of a and b: two of a, then two of b. */
#define QUARTERS(a, b, which)                                                                                          \
    _mm512_castps_si512(_mm512_shuffle_f32x4(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), which))

/* The largest bits of the magnitudes of four blocks of 32 values. */
ALWAYS_INLINE __m128i largest_of_four(const float *x)
{
    const __m512i magnitude = _mm512_set1_epi32(INT32_MAX);
    __m512i block[FOUR], two[2];
    UNROLL
    for (int i = 0; i < FOUR; i++)
        block[i] = _mm512_max_epi32(_mm512_and_si512(_mm512_loadu_si512(x + i * SHORT_BLOCK), magnitude),
                                    _mm512_and_si512(_mm512_loadu_si512(x + i * SHORT_BLOCK + 16), magnitude));
    UNROLL
    for (int i = 0; i < 2; i++)
        two[i] = _mm512_max_epi32(QUARTERS(block[2 * i], block[2 * i + 1], 0x44),
                                  QUARTERS(block[2 * i], block[2 * i + 1], 0xee));
    __m512i all = _mm512_max_epi32(QUARTERS(two[0], two[1], 0x88), QUARTERS(two[0], two[1], 0xdd));
    all = _mm512_max_epi32(all, turn_by_two(all));
    return first_of_quarters(_mm512_max_epi32(all, turn_by_one(all)));
}

/* Stores the codes of four blocks, 16 in a register, and their sums: to block `at` and the three after it, `stride`
 * apart. */
ALWAYS_INLINE void store_four(const struct quantize_args *args, size_t at, const __m512i q[2 * FOUR])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m128i sums[2];
    UNROLL
    for (int i = 0; i < 2; i++) {
        const __m512i mixed = _mm512_packs_epi16(_mm512_packs_epi32(q[4 * i], q[4 * i + 1]),
                                                 _mm512_packs_epi32(q[4 * i + 2], q[4 * i + 3]));
        const __m512i codes = _mm512_permutexvar_epi32(order, mixed);
        int8_t *to = args->codes + (at + (size_t)i * 2 * args->stride) * SHORT_BLOCK;
        _mm256_storeu_si256((__m256i *)(void *)to, _mm512_castsi512_si256(codes));
        to += (size_t)args->stride * SHORT_BLOCK;
        _mm256_storeu_si256((__m256i *)(void *)to, _mm512_extracti64x4_epi64(codes, 1));
        __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), codes);
        sum = _mm512_add_epi32(sum, turn_by_two(sum));
        sums[i] = first_of_quarters(_mm512_add_epi32(sum, turn_by_one(sum)));
    }
    const __m128i pairs = _mm_packs_epi32(sums[0], sums[1]);
    int16_t sums16[2 * FOUR];
    int32_t sums32[FOUR];
    _mm_storeu_si128((__m128i *)(void *)sums16, pairs);
    _mm_storeu_si128((__m128i *)(void *)sums32, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
    UNROLL
    for (int i = 0; i < FOUR; i++, at += args->stride) {
        memcpy(args->sums16 + at * 2, sums16 + i * 2, 2 * sizeof *sums16);
        args->sums32[at] = (int16_t)sums32[i];
    }
}

/* Four blocks of 32 finite values, whose largest magnitudes these are. */
ALWAYS_INLINE void quantize_four(const struct quantize_args *args, const float *x, size_t at, __m128i largest,
                                 const bool both)
{
    const __m128 maximum = _mm_castsi128_ps(largest), is_zero = _mm_cmplt_ps(maximum, _mm_set1_ps(0x1p-100f));
    const __m128 scale = _mm_andnot_ps(is_zero, _mm_div_ps(maximum, _mm_set1_ps(127.0f)));
    const __m512 inverse = _mm512_castps128_ps512(_mm_andnot_ps(is_zero, _mm_div_ps(_mm_set1_ps(127.0f), maximum)));
    __m512i q[2 * FOUR], fine[2 * FOUR];
    UNROLL
    for (int i = 0; i < 2 * FOUR; i++) {
        const __m512 units =
            _mm512_mul_ps(_mm512_loadu_ps(x + i * 16), _mm512_permutexvar_ps(_mm512_set1_epi32(i / 2), inverse));
        q[i] = _mm512_cvtps_epi32(units);
        if (both)
            fine[i] = _mm512_cvtps_epi32(
                _mm512_mul_ps(_mm512_sub_ps(units, _mm512_cvtepi32_ps(q[i])), _mm512_set1_ps(128.0f)));
    }
    store_four(args, at, q);
    if (both)
        store_four(args, at + 1, fine);
    float scales[FOUR];
    _mm_storeu_ps(scales, scale);
    UNROLL
    for (int i = 0; i < FOUR; i++, at += args->stride) {
        args->scales[at] = scales[i];
        if (both)
            args->scales[at + 1] = scales[i] / 128.0f;
    }
}

/* `count` blocks from block `first` on with the AVX2 kernel. */
static void quantize_rest(const struct quantize_args *args, uint32_t first, uint32_t count)
{
    const size_t at = (size_t)first * args->stride;
    const struct quantize_args rest = {.x = args->x + (size_t)first * SHORT_BLOCK,
                                       .size = count * SHORT_BLOCK,
                                       .block = SHORT_BLOCK,
                                       .stride = args->stride,
                                       .planes = args->planes,
                                       .codes = args->codes + at * SHORT_BLOCK,
                                       .scales = args->scales + at,
                                       .sums16 = args->sums16 + at * 2,
                                       .sums32 = args->sums32 + at};
    if (count > 0)
        quantize_avx2(&rest);
}

ALWAYS_INLINE void quantize_short(const struct quantize_args *args, const bool both)
{
    const uint32_t blocks = args->size / SHORT_BLOCK;
    uint32_t block = 0;
    for (; block + FOUR <= blocks; block += FOUR) {
        const float *x = args->x + (size_t)block * SHORT_BLOCK;
        const __m128i largest = largest_of_four(x);
        if (_mm_movemask_epi8(_mm_cmpgt_epi32(largest, _mm_set1_epi32(0x7f7fffff))))
            quantize_rest(args, block, FOUR);
        else
            quantize_four(args, x, (size_t)block * args->stride, largest, both);
    }
    quantize_rest(args, block, blocks - block);
}

/* Blocks of 32 four at a time; a block of 256 is large enough for the AVX2 kernel. */
void quantize_avx512vnni(const struct quantize_args *args)
{
    if (args->block != SHORT_BLOCK || args->large)
        quantize_avx2(args);
    else if (args->planes > 1)
        quantize_short(args, true);
    else
        quantize_short(args, false);
}

void swiglu_avx512vnni(const struct swiglu_args *args)
{
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    const __m512 one = _mm512_set1_ps(1.0f);
    uint32_t i = 0;
    for (; i + 16 <= args->size; i += 16) {
        const __m512 gate = _mm512_loadu_ps(args->gate + i);
        const __m512 opposite = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(gate), sign));
        const __m512 below = _mm512_add_ps(one, exp_avx512(opposite));
        _mm512_storeu_ps(args->out + i, _mm512_mul_ps(_mm512_div_ps(gate, below), _mm512_loadu_ps(args->up + i)));
    }
    swiglu_rest(args, i);
}

void exponentials_avx512vnni(const struct exponentials_args *args)
{
    const __m512 maximum = _mm512_set1_ps(args->maximum);
    const uint32_t whole = args->size / 16 * 16;
    __m512d low = _mm512_setzero_pd(), high = low;
    for (uint32_t i = 0; i < whole; i += 16) {
        const __m512 value = exp_avx512(_mm512_sub_ps(_mm512_loadu_ps(args->x + i), maximum));
        if (args->out)
            _mm512_storeu_ps(args->out + i, value);
        const __m256 upper = _mm256_castsi256_ps(_mm512_extracti64x4_epi64(_mm512_castps_si512(value), 1));
        low = _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_castps512_ps256(value)));
        high = _mm512_add_pd(high, _mm512_cvtps_pd(upper));
    }
    double sum[16];
    _mm512_storeu_pd(sum, low);
    _mm512_storeu_pd(sum + 8, high);
    exponentials_rest(args, whole, sum);
}
