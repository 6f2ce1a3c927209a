/* AVX-512 and AMX on any CPU: what kernels include as <immintrin.h> when the tests compile them with this folder first
 * in the path. SIMDe (https://github.com/simd-everywhere/simde, Debian's libsimde-dev) emulates most of it; version
 * 0.7.4 lacks the intrinsics below, or is not exact. Semantics: Intel Intrinsics Guide, under the instruction that is
 * named.
 */
#ifndef TESTS_KERNEL_EMULATED_IMMINTRIN_H
#define TESTS_KERNEL_EMULATED_IMMINTRIN_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include "kernel/arithmetic.h"
#include "kernel/x86/tile_config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* An emulated instruction is long, and compilers need hours for unrolled tiles of them. */
#undef ALWAYS_INLINE
#define ALWAYS_INLINE static __attribute__((unused))
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

/* `count` numbers to others, as C converts them. */
#define EMULATED_CONVERT(name, count, from, from_vector, to, to_vector)                                                \
    static inline to_vector emulated_##name(from_vector a)                                                             \
    {                                                                                                                  \
        from x[count];                                                                                                 \
        to y[count];                                                                                                   \
        memcpy(x, &a, sizeof x);                                                                                       \
        for (int i = 0; i < (count); i++)                                                                              \
            y[i] = (to)x[i];                                                                                           \
        to_vector result;                                                                                              \
        memcpy(&result, y, sizeof y);                                                                                  \
        return result;                                                                                                 \
    }
/* VPMOVZXWD, VPMOVSXWD, VPMOVSXBD: smaller integers. VCVTPS2PD: exact. VCVTDQ2PS: rounded as MXCSR says, to nearest,
 * ties to even. */
EMULATED_CONVERT(cvtepu16_epi32, 16, uint16_t, __m256i, int32_t, __m512i)
EMULATED_CONVERT(cvtepi16_epi32, 16, int16_t, __m256i, int32_t, __m512i)
EMULATED_CONVERT(cvtepi8_epi32, 16, int8_t, __m128i, int32_t, __m512i)
EMULATED_CONVERT(cvtepi32_ps, 16, int32_t, __m512i, float, __m512)
EMULATED_CONVERT(cvtps_pd, 8, float, __m256, double, __m512d)
#undef EMULATED_CONVERT
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi16_epi32
#undef _mm512_cvtepi8_epi32
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtps_pd
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_cvtepi16_epi32 emulated_cvtepi16_epi32
#define _mm512_cvtepi8_epi32 emulated_cvtepi8_epi32
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtps_pd emulated_cvtps_pd

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

/* ---- AMX: Intel's Architecture Instruction Set Extensions, chapter 3. One thread's tiles; shapes are checked. ---- */

static struct {
    struct tile_config config;
    uint8_t bytes[8][16][64];
} emulated_tiles;

/* LDTILECFG: tiles become zero. */
static inline void emulated_tile_loadconfig(const void *config)
{
    memset(&emulated_tiles, 0, sizeof emulated_tiles);
    memcpy(&emulated_tiles.config, config, sizeof emulated_tiles.config);
    if (emulated_tiles.config.palette != 1)
        abort();
    for (int i = 0; i < 8; i++)
        if (emulated_tiles.config.rows[i] < 1 || emulated_tiles.config.rows[i] > 16 ||
            emulated_tiles.config.row_bytes[i] < 4 || emulated_tiles.config.row_bytes[i] > 64)
            abort();
}

static inline void emulated_tile_must_be_configured(void)
{
    if (emulated_tiles.config.palette != 1)
        abort();
}

static inline void emulated_tile_release(void)
{
    memset(&emulated_tiles, 0, sizeof emulated_tiles);
}

static inline void emulated_tile_zero(int tile)
{
    emulated_tile_must_be_configured();
    memset(emulated_tiles.bytes[tile], 0, sizeof emulated_tiles.bytes[tile]);
}

/* TILELOADD: what the configuration does not cover becomes zero. */
static inline void emulated_tile_loadd(int tile, const void *from, size_t stride)
{
    emulated_tile_zero(tile);
    for (size_t row = 0; row < emulated_tiles.config.rows[tile]; row++)
        memcpy(emulated_tiles.bytes[tile][row], (const uint8_t *)from + row * stride,
               emulated_tiles.config.row_bytes[tile]);
}

static inline void emulated_tile_stored(int tile, void *to, size_t stride)
{
    emulated_tile_must_be_configured();
    for (size_t row = 0; row < emulated_tiles.config.rows[tile]; row++)
        memcpy((uint8_t *)to + row * stride, emulated_tiles.bytes[tile][row], emulated_tiles.config.row_bytes[tile]);
}

/* TDPBSSD, TDPBSUD: sums[m][n] += four bytes of a[m][k], signed, times four of b[k][n]. */
static inline void emulated_tile_multiply(int sums, int a, int b, bool b_is_signed)
{
    emulated_tile_must_be_configured();
    const uint16_t *row_bytes = emulated_tiles.config.row_bytes;
    const uint8_t *rows = emulated_tiles.config.rows;
    if (rows[sums] != rows[a] || row_bytes[sums] != row_bytes[b] || row_bytes[a] != rows[b] * 4)
        abort();
    for (int m = 0; m < rows[sums]; m++)
        for (int n = 0; n < row_bytes[sums] / 4; n++) {
            int32_t sum;
            memcpy(&sum, &emulated_tiles.bytes[sums][m][n * 4], sizeof sum);
            for (int k = 0; k < row_bytes[a]; k++) {
                const uint8_t factor = emulated_tiles.bytes[b][k / 4][n * 4 + k % 4];
                sum += (int8_t)emulated_tiles.bytes[a][m][k] * (b_is_signed ? (int8_t)factor : (int32_t)factor);
            }
            memcpy(&emulated_tiles.bytes[sums][m][n * 4], &sum, sizeof sum);
        }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#undef _tile_dpbsud
#define _tile_loadconfig emulated_tile_loadconfig
#define _tile_release emulated_tile_release
#define _tile_zero emulated_tile_zero
#define _tile_loadd emulated_tile_loadd
#define _tile_stored emulated_tile_stored
#define _tile_dpbssd(sums, a, b) emulated_tile_multiply(sums, a, b, true)
#define _tile_dpbsud(sums, a, b) emulated_tile_multiply(sums, a, b, false)

#endif
