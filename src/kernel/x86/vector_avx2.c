/* The operations on single vectors with AVX2 and FMA: the bits of kernel/vector.c. */
#include "kernel/kernel.h"
#include "kernel/wide/vector_rest.h"
#include "kernel/x86/exp_avx2.h"

void rmsnorm_avx2(const struct rmsnorm_args *args)
{
    const uint32_t whole = args->size / 16 * 16;
    __m256 low = _mm256_setzero_ps(), high = low;
    for (uint32_t i = 0; i < whole; i += 16) {
        __m256 a = _mm256_loadu_ps(args->x + i), b = _mm256_loadu_ps(args->x + i + 8);
        low = _mm256_fmadd_ps(a, a, low);
        high = _mm256_fmadd_ps(b, b, high);
    }
    float sum[16];
    _mm256_storeu_ps(sum, low);
    _mm256_storeu_ps(sum + 8, high);
    for (uint32_t i = whole; i < args->size; i++)
        sum[i - whole] = float_fma(args->x[i], args->x[i], sum[i - whole]);
    for (uint32_t half = 8; half >= 1; half /= 2)
        for (uint32_t i = 0; i < half; i++)
            sum[i] += sum[i + half];
    float scale = 1.0f / __builtin_sqrtf(sum[0] / (float)args->size + args->epsilon);
    uint32_t i = 0;
    for (; i + 8 <= args->size; i += 8)
        _mm256_storeu_ps(args->out + i,
                         _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(args->x + i), _mm256_set1_ps(scale)),
                                       _mm256_loadu_ps(args->weight + i)));
    for (; i < args->size; i++)
        args->out[i] = (args->x[i] * scale) * args->weight[i];
}

void rotate_avx2(const struct rotate_args *args)
{
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    uint32_t i = 0;
    for (; i + 4 <= args->pairs; i += 4) {
        /* Each of four angles for both of its dimensions. */
        const __m256 cosine = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(args->cosine + i)), twice);
        const __m256 sine = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(args->sine + i)), twice);
        float *pairs = args->heads + 2 * (size_t)i;
        for (uint32_t h = 0; h < args->count; h++, pairs += args->head_dim) {
            const __m256 x = _mm256_loadu_ps(pairs), other = _mm256_permute_ps(x, 0xb1);
            _mm256_storeu_ps(pairs, _mm256_addsub_ps(_mm256_mul_ps(x, cosine), _mm256_mul_ps(other, sine)));
        }
    }
    struct rotate_args rest = *args;
    rest.heads += 2 * (size_t)i;
    rest.pairs -= i;
    rest.cosine += i;
    rest.sine += i;
    rotate_generic(&rest);
}

/* Stores 32 codes and the two sums of 16. Returns the larger of `max` and the sums of their magnitudes, 16 codes to
 * the two lanes of each half. */
static inline __m256i store_codes(const __m256i q[4], int8_t *codes, int16_t *sums16, __m256i max)
{
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)codes, bytes);
    __m256i sums = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), _mm256_set1_epi16(1));
    sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32(sums, 0x4e));
    sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32(sums, 0xb1));
    sums16[0] = (int16_t)_mm256_extract_epi16(sums, 0);
    sums16[1] = (int16_t)_mm256_extract_epi16(sums, 8);
    const __m256i eight = _mm256_sad_epu8(_mm256_abs_epi8(bytes), _mm256_setzero_si256());
    return _mm256_max_epi32(max, _mm256_add_epi64(eight, _mm256_shuffle_epi32(eight, 0x4e)));
}

/* Quantizes 32 values of a block; with two planes, the codes of the remainders go to the next block. max: of both
 * planes. */
static inline __attribute__((always_inline)) void quantize_32(const float *x, __m256 inverse, uint32_t block,
                                                              const bool both, int8_t *codes, int16_t *sums16,
                                                              __m256i max[2])
{
    __m256i q[4], fine[4];
    for (int i = 0; i < 4; i++) {
        const __m256 units = _mm256_mul_ps(_mm256_loadu_ps(x + i * 8), inverse);
        q[i] = _mm256_cvtps_epi32(units);
        fine[i] =
            _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(units, _mm256_cvtepi32_ps(q[i])), _mm256_set1_ps(128.0f)));
    }
    max[0] = store_codes(q, codes, sums16, max[0]);
    if (both)
        max[1] = store_codes(fine, codes + block, sums16 + block / 16, max[1]);
}

static inline __attribute__((always_inline)) void quantize(const struct quantize_args *args, const bool both,
                                                           const bool wants_large)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    const uint32_t block = args->block, planes = both ? 2 : 1;
    for (uint32_t b = 0; b < args->size / block; b++) {
        const float *x = args->x + (size_t)b * block;
        __m256i max = _mm256_setzero_si256();
        for (uint32_t i = 0; i < block; i += 8)
            max = _mm256_max_epi32(max, _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(x + i)), magnitude));
        __m128i four = _mm_max_epi32(_mm256_castsi256_si128(max), _mm256_extracti128_si256(max, 1));
        four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
        uint32_t bits = (uint32_t)_mm_cvtsi128_si32(four);
        size_t at = (size_t)b * args->stride;
        int8_t *codes = args->codes + at * block;
        int16_t *sums16 = args->sums16 + at * (block / 16);
        int16_t *sums32 = args->sums32 + at * (block / 32);
        if (bits >= 0x7f800000) {
            for (uint32_t plane = 0; plane < planes; plane++)
                args->scales[at + plane] = __builtin_nanf("");
            memset(codes, 0, block * planes);
            if (wants_large)
                memset(args->large + at, 0, planes);
            memset(sums16, 0, block / 16 * planes * sizeof *sums16);
            memset(sums32, 0, block / 32 * planes * sizeof *sums32);
            continue;
        }
        float maximum = float_from_bits(bits);
        bool zero = maximum < 0x1p-100f;
        args->scales[at] = zero ? 0.0f : maximum / 127.0f;
        if (both)
            args->scales[at + 1] = args->scales[at] / 128.0f;
        const __m256 inverse = _mm256_set1_ps(zero ? 0.0f : 127.0f / maximum);
        __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (uint32_t i = 0; i < block / 32; i++)
            quantize_32(x + i * 32, inverse, block, both, codes + i * 32, sums16 + i * 2, sums);
        for (uint32_t plane = 0; wants_large && plane < planes; plane++)
            args->large[at + plane] =
                _mm256_movemask_epi8(_mm256_cmpgt_epi32(sums[plane], _mm256_set1_epi32(MAX_SMALL_SUM))) != 0;
        for (uint32_t i = 0; i < block / 32 * planes; i++)
            sums32[i] = (int16_t)(sums16[i * 2] + sums16[i * 2 + 1]);
    }
}

void quantize_avx2(const struct quantize_args *args)
{
    const bool both = args->planes > 1;
    if (both && args->large)
        quantize(args, true, true);
    else if (both)
        quantize(args, true, false);
    else if (args->large)
        quantize(args, false, true);
    else
        quantize(args, false, false);
}

void swiglu_avx2(const struct swiglu_args *args)
{
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    uint32_t i = 0;
    for (; i + 8 <= args->size; i += 8) {
        __m256 gate = _mm256_loadu_ps(args->gate + i);
        __m256 below = _mm256_add_ps(one, exp_avx2(_mm256_xor_ps(gate, sign)));
        _mm256_storeu_ps(args->out + i, _mm256_mul_ps(_mm256_div_ps(gate, below), _mm256_loadu_ps(args->up + i)));
    }
    swiglu_rest(args, i);
}

void exponentials_avx2(const struct exponentials_args *args)
{
    const __m256 maximum = _mm256_set1_ps(args->maximum);
    __m256d part[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
    const uint32_t whole = args->size / 16 * 16;
    for (uint32_t i = 0; i < whole; i += 16)
        for (uint32_t half = 0; half < 2; half++) {
            __m256 value = exp_avx2(_mm256_sub_ps(_mm256_loadu_ps(args->x + i + half * 8), maximum));
            if (args->out)
                _mm256_storeu_ps(args->out + i + half * 8, value);
            part[half * 2] = _mm256_add_pd(part[half * 2], _mm256_cvtps_pd(_mm256_castps256_ps128(value)));
            part[half * 2 + 1] = _mm256_add_pd(part[half * 2 + 1], _mm256_cvtps_pd(_mm256_extractf128_ps(value, 1)));
        }
    double sum[16];
    for (int i = 0; i < 4; i++)
        _mm256_storeu_pd(sum + i * 4, part[i]);
    exponentials_rest(args, whole, sum);
}

void peaks_avx2(const struct peaks_args *args)
{
    const __m256i magnitude = _mm256_set1_epi32(INT32_MAX);
    uint32_t at = 0;
    for (; at + PEAK_VALUES <= args->size; at += PEAK_VALUES) {
        /* Compares the values as integers in the same order, whose maximum has no special cases. */
        __m256i max = _mm256_set1_epi32(INT32_MIN);
        __m256 is_nan = _mm256_setzero_ps();
        for (uint32_t i = 0; i < PEAK_VALUES; i += 8) {
            const __m256 x = _mm256_loadu_ps(args->x + at + i);
            const __m256i bits = _mm256_castps_si256(x);
            const __m256i turned = _mm256_and_si256(_mm256_srai_epi32(bits, 31), magnitude);
            max = _mm256_max_epi32(max, _mm256_xor_si256(bits, turned));
            is_nan = _mm256_or_ps(is_nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
        }
        __m128i four = _mm_max_epi32(_mm256_castsi256_si128(max), _mm256_extracti128_si256(max, 1));
        four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
        const int32_t bits = float_order(_mm_cvtsi128_si32(four));
        args->peaks[at / PEAK_VALUES] =
            _mm256_movemask_ps(is_nan) ? __builtin_nanf("") : float_from_bits((uint32_t)bits);
    }
    const struct peaks_args rest = {args->x + at, args->peaks + at / PEAK_VALUES, args->size - at};
    peaks_generic(&rest);
}
