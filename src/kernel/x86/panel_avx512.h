/* Reading packed panels (kernel/packed_matrix.h) with AVX-512: sixteen rows, a "half" of the panel, are the 32-bit
 * lanes of a register.
 *
 * vpdpbusd multiplies unsigned bytes by signed ones, so codes come as unsigned bytes for every type: signed ones have
 * 128 added. */
#ifndef KERNEL_X86_PANEL_AVX512_H
#define KERNEL_X86_PANEL_AVX512_H

#include "kernel/kernel.h"
#include "kernel/wide/panel_shape.h"

#include <immintrin.h>

enum { HALF = 16, HALVES = PANEL_ROWS / HALF };

/* Word `index` of a half; words points at the half's bytes of word 0. */
ALWAYS_INLINE __m512i load_word(const uint8_t *words, int index)
{
    return _mm512_load_si512(words + index * WORD_BYTES);
}

/* The count may be a variable; vpsrld by a register would take two operations. */
ALWAYS_INLINE __m512i shift_right(__m512i x, int count)
{
    return _mm512_srlv_epi32(x, _mm512_set1_epi32(count));
}

ALWAYS_INLINE __m512i mask_bytes(__m512i x, int mask)
{
    return _mm512_and_si512(x, _mm512_set1_epi8((char)mask));
}

/* Bit `from` of every byte at bit `to`; the other bits are undefined. */
ALWAYS_INLINE __m512i move_bit(__m512i x, int from, int to)
{
    return _mm512_rorv_epi32(x, _mm512_set1_epi32((from - to) & 31));
}

/* The bits of mask from low, the others from high. */
ALWAYS_INLINE __m512i select_bits(int mask, __m512i low, __m512i high)
{
    return _mm512_ternarylogic_epi32(_mm512_set1_epi8((char)mask), low, high, 0xca);
}

/* low with the bits of a word of 32 column bits as fifth bits of unit g: bit 4 of byte i is bit 4g + i. */
ALWAYS_INLINE __m512i add_fifth_bits(__m512i low, __m512i bits, int g)
{
    const __m128i byte =
        _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12), _mm_set1_epi8((char)(g / 2)));
    const __m512i spread = _mm512_shuffle_epi8(bits, _mm512_broadcast_i32x4(byte));
    const __mmask64 set = _mm512_test_epi8_mask(spread, _mm512_set1_epi32(g % 2 ? (int)0x80402010 : 0x08040201));
    return _mm512_mask_add_epi8(low, set, low, _mm512_set1_epi8(16));
}

/* The values of IQ4_NL and IQ4_XS, 128 added. */
ALWAYS_INLINE __m512i iq4_values(__m512i nibbles)
{
    const __m128i table = _mm_setr_epi8(1, 24, 45, 63, 79, 93, 106, 118, (char)129, (char)141, (char)153, (char)166,
                                        (char)181, (char)197, (char)217, (char)241);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), nibbles);
}

/* Codes of columns 4g to 4g + 3 of group `first + i` within a block, unsigned, four bytes for each row: first is a
 * multiple of groups_together, i below it, g a constant. */
ALWAYS_INLINE __m512i unit_codes(struct shape s, const uint8_t *words, int first, int i, int g)
{
    __m512i low;
    switch (s.type) {
    case GGUF_Q8_0:
        return _mm512_xor_si512(load_word(words, g), _mm512_set1_epi8((char)0x80));
    case GGUF_Q4_0:
    case GGUF_Q4_1:
        return mask_bytes(shift_right(load_word(words, g % 4), g / 4 * 4), 15);
    case GGUF_IQ4_NL:
        return iq4_values(mask_bytes(shift_right(load_word(words, g % 4), g / 4 * 4), 15));
    case GGUF_Q5_0:
    case GGUF_Q5_1:
        low = mask_bytes(shift_right(load_word(words, 1 + g % 4), g / 4 * 4), 15);
        return add_fifth_bits(low, load_word(words, 0), g);
    case GGUF_IQ4_XS:
        return iq4_values(mask_bytes(shift_right(load_word(words, 1 + first * 4 + g % 4), g / 4 * 4), 15));
    case GGUF_Q4_K:
        return mask_bytes(shift_right(load_word(words, 3 + first * 4 + g), i * 4), 15);
    case GGUF_Q5_K:
        low = shift_right(load_word(words, 11 + first * 4 + g), i * 4);
        return mask_bytes(select_bits(15, low, move_bit(load_word(words, 3 + g), first + i, 4)), 31);
    case GGUF_Q2_K:
        return mask_bytes(shift_right(load_word(words, 4 + first * 2 + g), i * 2), 3);
    case GGUF_Q3_K:
        low = shift_right(load_word(words, 11 + first * 2 + g), i * 2);
        return mask_bytes(select_bits(3, low, move_bit(load_word(words, 3 + g), first + i, 2)), 7);
    default: /* Q6_K */
        low = shift_right(load_word(words, 4 + first * 4 + i % 2 * 8 + g), i / 2 * 4);
        return mask_bytes(select_bits(15, low, move_bit(load_word(words, 36 + first * 2 + g), i * 2, 4)), 63);
    }
}

/* Nibbles 4k to 4k + 3 of a word of 16 bits as bytes, and pairs of bits 4k to 4k + 3 in bits 4 and 5 of bytes. */
ALWAYS_INLINE __m512i spread_scales(__m512i nibbles, __m512i pairs, int k)
{
    const __m512i low = shift_right(nibbles, k * 16), high = shift_right(pairs, k * 8);
    __m512i bytes = _mm512_setzero_si512();
    UNROLL
    for (int i = 0; i < 4; i++) {
        bytes = _mm512_or_si512(
            bytes, _mm512_and_si512(_mm512_slli_epi32(low, (unsigned)i * 4), _mm512_set1_epi32(0x0f << i * 8)));
        bytes = _mm512_or_si512(
            bytes, _mm512_and_si512(_mm512_slli_epi32(high, 4 + (unsigned)i * 6), _mm512_set1_epi32(0x30 << i * 8)));
    }
    return bytes;
}

/* Integer scales of sub-blocks 4k to 4k + 3 as signed bytes in the row's lane. halves points at the half's d. */
ALWAYS_INLINE __m512i scale_bytes(struct shape s, const uint8_t *halves, const uint8_t *words, int k)
{
    const __m512i centre = _mm512_set1_epi8(32);
    __m512i low;
    switch (s.type) {
    case GGUF_Q4_K:
    case GGUF_Q5_K:
        if (k == 0)
            return mask_bytes(load_word(words, 0), 0x3f);
        return mask_bytes(select_bits(0x0f, load_word(words, 2), shift_right(load_word(words, 0), 2)), 0x3f);
    case GGUF_Q2_K:
        return mask_bytes(load_word(words, k), 0x0f);
    case GGUF_Q3_K:
        low = shift_right(load_word(words, k % 2), k / 2 * 4);
        return _mm512_sub_epi8(mask_bytes(select_bits(0x0f, low, move_bit(load_word(words, 2), k * 2, 4)), 0x3f),
                               centre);
    case GGUF_IQ4_XS:
        low = _mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i *)(halves + HALF_BYTES)));
        return _mm512_sub_epi8(spread_scales(load_word(words, 0), low, k), centre);
    default: /* Q6_K */
        return load_word(words, k);
    }
}

/* Integer minima of sub-blocks 4k to 4k + 3, likewise. */
ALWAYS_INLINE __m512i min_bytes(struct shape s, const uint8_t *words, int k)
{
    if (s.type == GGUF_Q2_K)
        return mask_bytes(shift_right(load_word(words, k), 4), 0x0f);
    if (k == 0)
        return mask_bytes(load_word(words, 1), 0x3f);
    return mask_bytes(select_bits(0x0f, shift_right(load_word(words, 2), 4), shift_right(load_word(words, 1), 2)),
                      0x3f);
}

/* Byte `index` of every lane, signed, as int32. */
ALWAYS_INLINE __m512i widen_byte(__m512i x, unsigned index)
{
    return _mm512_srai_epi32(_mm512_slli_epi32(x, 24 - index * 8), 24);
}

/* The same as int16, zeros above it. */
ALWAYS_INLINE __m512i widen_byte_low(__m512i x, int index, const bool is_signed)
{
    const int base = (int)0x80808000; /* bytes: one of a lane, then nothing three times */
    __m128i from = _mm_add_epi32(_mm_setr_epi32(base, base + 4, base + 8, base + 12), _mm_set1_epi32(index));
    if (!is_signed)
        return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(from));
    /* One byte higher, and back with its sign. */
    from = _mm_or_si128(_mm_slli_epi32(from, 8), _mm_set1_epi32(0x80));
    return _mm512_srai_epi16(_mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(from)), 8);
}

/* Bytes first and first + 1 of every lane, unsigned, as two int16. */
ALWAYS_INLINE __m512i widen_pair(__m512i x, int first)
{
    const __m128i index =
        _mm_add_epi8(_mm_setr_epi8(0, -128, 1, -128, 4, -128, 5, -128, 8, -128, 9, -128, 12, -128, 13, -128),
                     _mm_set1_epi16((short)first));
    return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(index));
}

/* Everything of a chunk but its codes, widened once for all tokens. */
struct chunk {
    _Alignas(64) int32_t scales[16][PANEL_ROWS]; /* 256 columns: of each sub-block; see has_low_scales */
    int32_t back_pairs[4][PANEL_ROWS];           /* added_back times int16 scales of two neighboring sub-blocks */
    int32_t min_pairs[8][PANEL_ROWS];            /* 256 columns: int16 minima, likewise */
    float d[CHUNK_GROUPS][PANEL_ROWS];           /* 256 columns: only the first */
    float minus[CHUNK_GROUPS][PANEL_ROWS];       /* -dmin; of Q4_1 and Q5_1 m */
    float unbias[CHUNK_GROUPS][PANEL_ROWS];      /* 32 columns, many tokens: -d * SUM_BIAS */
    bool is_finite;                              /* 32 columns, many tokens: every d is */
};

/* A sum of 32 products that starts with these bits is the float SUM_BIAS + sum without a conversion, as it is below
 * 2^22 in magnitude: fma(d, it, -d * SUM_BIAS) is d * sum, rounded once, since d has but 11 bits. It is NaN for an
 * infinite d. */
#define SUM_BIAS 12582912.0f
enum { SUM_BIAS_BITS = 0x4b400000 };

/* What is subtracted from an unsigned code before the sums of a sub-block are scaled; it costs next to nothing, since a
 * sum starts with -bias times the sum of the activations. Q5_K is centered to make its sums small; added_back makes
 * good. */
ALWAYS_INLINE int bias(struct shape s)
{
    return s.is_signed ? 128 : s.type == GGUF_Q5_K ? 16 : s.offset;
}

ALWAYS_INLINE int added_back(struct shape s)
{
    return s.is_signed ? 0 : bias(s) - s.offset;
}

/* Whether the sum of a sub-block fits int16 whatever the codes and the activations are; small: none of these is of a
 * large block (struct quantize_args). */
ALWAYS_INLINE bool sums_fit_int16(struct shape s, const bool small)
{
    const int below = bias(s), above = (1 << s.bits) - 1 - bias(s), max = above > below ? above : below;
    return max * (small ? MAX_SMALL_SUM * s.sub / 16 : 127 * s.sub) < 1 << 15;
}

/* When sums fit int16, the upper halves of scales are zero, since the upper half of such a sum is only its sign. */
ALWAYS_INLINE bool has_low_scales(struct shape s)
{
    return sums_fit_int16(s, true);
}

ALWAYS_INLINE __m512 load_factor(const uint8_t *halves, int index, bool negative)
{
    const __m512 x = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(halves + index * HALF_BYTES)));
    return negative ? _mm512_xor_ps(x, _mm512_set1_ps(-0.0f)) : x;
}

ALWAYS_INLINE void chunk_read_256(struct shape s, const uint8_t *block, struct chunk *chunk)
{
    for (int row = 0; row < PANEL_ROWS; row += HALF) {
        const uint8_t *halves = block + row * 2, *words = block + s.halves * HALF_BYTES + row * 4;
        _mm512_store_ps(&chunk->d[0][row], load_factor(halves, 0, false));
        if (s.has_min)
            _mm512_store_ps(&chunk->minus[0][row], load_factor(halves, 1, true));
        UNROLL
        for (int k = 0; k < s.columns / s.sub / 4; k++) {
            const __m512i scales = scale_bytes(s, halves, words, k);
            UNROLL
            for (int i = 0; i < 4; i++) {
                _mm512_store_si512(chunk->scales[k * 4 + i] + row, has_low_scales(s)
                                                                       ? widen_byte_low(scales, i, !s.has_min)
                                                                       : widen_byte(scales, (unsigned)i));
            }
            UNROLL
            for (int i = 0; i < 2; i++) {
                if (added_back(s))
                    _mm512_store_si512(
                        chunk->back_pairs[k * 2 + i] + row,
                        _mm512_mullo_epi16(widen_pair(scales, i * 2), _mm512_set1_epi16((short)added_back(s))));
                if (s.has_min)
                    _mm512_store_si512(chunk->min_pairs[k * 2 + i] + row, widen_pair(min_bytes(s, words, k), i * 2));
            }
        }
    }
}

ALWAYS_INLINE void chunk_read_32(struct shape s, const uint8_t *blocks, int groups, const bool many,
                                 struct chunk *chunk)
{
    __mmask16 finite = 0xffff;
    for (int group = 0; group < groups; group++, blocks += shape_block_bytes(s))
        for (int row = 0; row < PANEL_ROWS; row += HALF) {
            const __m512 d = load_factor(blocks + row * 2, 0, false);
            _mm512_store_ps(&chunk->d[group][row], d);
            if (many) {
                finite &= _mm512_cmp_ps_mask(_mm512_abs_ps(d), _mm512_set1_ps(__builtin_inff()), _CMP_LT_OQ);
                _mm512_store_ps(&chunk->unbias[group][row], _mm512_mul_ps(d, _mm512_set1_ps(-SUM_BIAS)));
            }
            if (s.has_min)
                _mm512_store_ps(&chunk->minus[group][row], load_factor(blocks + row * 2, 1, false));
        }
    chunk->is_finite = finite == 0xffff;
}

#endif
