/* The operations on single vectors with AVX-512: the bits of kernel/vector.c. */
#include "kernel/kernel.h"
#include "kernel/x86/exp_avx512.h"
#include "kernel/x86/vector_rest.h"

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
