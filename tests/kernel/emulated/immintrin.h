/* AVX-512 on any CPU: what kernels include as <immintrin.h> when the tests compile them with this folder first in the
 * path. SIMDe (https://github.com/simd-everywhere/simde, Debian's libsimde-dev) emulates most of it; version 0.7.4
 * lacks the intrinsics below, or is not exact. Semantics: Intel Intrinsics Guide, under the instruction that is named.
 */
#ifndef TESTS_KERNEL_EMULATED_IMMINTRIN_H
#define TESTS_KERNEL_EMULATED_IMMINTRIN_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include "kernel/arithmetic.h"

#include <string.h>

/* An emulated instruction is long, and compilers need hours for unrolled tiles of them. */
#undef ALWAYS_INLINE
#define ALWAYS_INLINE static
#undef UNROLL
#define UNROLL

#if !defined(__AVX512BW__)
#define __mmask64 simde__mmask64
#define __mmask16 simde__mmask16
#endif

/* VFMADD213PS: one rounding, which SIMDe leaves to the compiler. */
static inline __m512 emulated_fmadd(__m512 a, __m512 b, __m512 c)
{
    float x[16], y[16], z[16];
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    memcpy(z, &c, sizeof z);
    for (int i = 0; i < 16; i++)
        z[i] = float_fma(x[i], y[i], z[i]);
    memcpy(&c, z, sizeof z);
    return c;
}
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps emulated_fmadd

/* VCVTPH2PS: binary16 to binary32, exact; NaNs become quiet. */
static inline __m512 emulated_cvtph_ps(__m256i a)
{
    uint16_t x[16];
    float y[16];
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++)
        y[i] = half_to_float(x[i]);
    __m512 result;
    memcpy(&result, y, sizeof y);
    return result;
}
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps emulated_cvtph_ps

/* VSHUFF32X4, as its twin for integers. */
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4(a, b, imm)                                                                                \
    _mm512_castsi512_ps(_mm512_shuffle_i32x4(_mm512_castps_si512(a), _mm512_castps_si512(b), imm))

/* VPMOVZXWD: sixteen uint16 to uint32. */
static inline __m512i emulated_cvtepu16_epi32(__m256i a)
{
    uint16_t x[16];
    uint32_t y[16];
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++)
        y[i] = x[i];
    __m512i result;
    memcpy(&result, y, sizeof y);
    return result;
}
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32

/* VCVTDQ2PS: int32 to binary32, rounded as MXCSR says: to nearest, ties to even. */
static inline __m512 emulated_cvtepi32_ps(__m512i a)
{
    int32_t x[16];
    float y[16];
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++)
        y[i] = (float)x[i];
    __m512 result;
    memcpy(&result, y, sizeof y);
    return result;
}
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps

/* VPMOVSXBD: sixteen int8 to int32. */
static inline __m512i emulated_cvtepi8_epi32(__m128i a)
{
    int8_t x[16];
    int32_t y[16];
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++)
        y[i] = x[i];
    __m512i result;
    memcpy(&result, y, sizeof y);
    return result;
}
#undef _mm512_cvtepi8_epi32
#define _mm512_cvtepi8_epi32 emulated_cvtepi8_epi32

/* VCVTPS2DQ: binary32 to int32, to nearest, ties to even; 0x80000000 for what does not fit. */
static inline __m512i emulated_cvtps_epi32(__m512 a)
{
    float x[16];
    int32_t y[16];
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++)
        y[i] = x[i] > -4194304.0f && x[i] < 4194304.0f ? (int32_t)float_round(x[i]) : INT32_MIN;
    __m512i result;
    memcpy(&result, y, sizeof y);
    return result;
}
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32 emulated_cvtps_epi32

/* VPSRAD: shifts int32 right by a constant, bringing in the sign; all sign for counts above 31. */
static inline __m512i emulated_srai_epi32(__m512i a, unsigned count)
{
    int32_t x[16];
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++)
        x[i] >>= count > 31 ? 31 : count;
    memcpy(&a, x, sizeof x);
    return a;
}
#undef _mm512_srai_epi32
#define _mm512_srai_epi32 emulated_srai_epi32

#endif
