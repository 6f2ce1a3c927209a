/* Reading packed panels (kernel/packed_matrix.h) with AVX2: eight rows, an "octet" of the panel, are the 32-bit lanes
 * of a register. */
#ifndef KERNEL_X86_PANEL_AVX2_H
#define KERNEL_X86_PANEL_AVX2_H

#include "kernel/wide/panel_shape.h"

#include <immintrin.h>

enum { OCTET = 8, OCTETS = PANEL_ROWS / OCTET };

/* Word `index` of an octet; words points at the octet's bytes of word 0. */
ALWAYS_INLINE __m256i load_word(const uint8_t *words, int index)
{
    return _mm256_load_si256((const __m256i *)(words + index * WORD_BYTES));
}

ALWAYS_INLINE __m256i shift_right(__m256i x, int count)
{
    return _mm256_srl_epi32(x, _mm_cvtsi32_si128(count));
}

ALWAYS_INLINE __m256i mask_bytes(__m256i x, int mask)
{
    return _mm256_and_si256(x, _mm256_set1_epi8((char)mask));
}

/* Bit `bit` of every byte, moved to bit `to`. */
ALWAYS_INLINE __m256i take_bit(__m256i x, int bit, int to)
{
    return mask_bytes(_mm256_sll_epi32(shift_right(x, bit), _mm_cvtsi32_si128(to)), 1 << to);
}

/* The fifth bits of unit g in a word of 32 column bits: bit 4 of byte i is bit 4g + i. */
ALWAYS_INLINE __m256i fifth_bits(__m256i bits, int g)
{
    const __m256i lane =
        _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    __m256i byte = _mm256_shuffle_epi8(bits, _mm256_add_epi8(lane, _mm256_set1_epi8((char)(g / 2))));
    const __m256i select = _mm256_set1_epi32(g % 2 ? (int)0x80402010 : 0x08040201);
    return mask_bytes(_mm256_cmpeq_epi8(_mm256_and_si256(byte, select), select), 16);
}

ALWAYS_INLINE __m256i iq4_values(__m256i nibbles)
{
    const __m128i table = _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

/* Codes of columns 4g to 4g + 3 of group `first + i` within a block: four bytes for each row: first is a multiple
 * of groups_together, i below it, g a constant. */
ALWAYS_INLINE __m256i unit_codes(struct shape s, const uint8_t *words, int first, int i, int g)
{
    __m256i low, high;
    switch (s.type) {
    case GGUF_Q8_0:
        return load_word(words, g);
    case GGUF_Q4_0:
    case GGUF_Q4_1:
        return mask_bytes(_mm256_srli_epi32(load_word(words, g % 4), g / 4 * 4), 15);
    case GGUF_IQ4_NL:
        return iq4_values(mask_bytes(_mm256_srli_epi32(load_word(words, g % 4), g / 4 * 4), 15));
    case GGUF_Q5_0:
    case GGUF_Q5_1:
        low = mask_bytes(_mm256_srli_epi32(load_word(words, 1 + g % 4), g / 4 * 4), 15);
        return _mm256_or_si256(low, fifth_bits(load_word(words, 0), g));
    case GGUF_IQ4_XS:
        return iq4_values(mask_bytes(_mm256_srli_epi32(load_word(words, 1 + first * 4 + g % 4), g / 4 * 4), 15));
    case GGUF_Q4_K:
        return mask_bytes(_mm256_srli_epi32(load_word(words, 3 + first * 4 + g), i * 4), 15);
    case GGUF_Q5_K:
        low = mask_bytes(_mm256_srli_epi32(load_word(words, 11 + first * 4 + g), i * 4), 15);
        return _mm256_or_si256(low, take_bit(load_word(words, 3 + g), first + i, 4));
    case GGUF_Q2_K:
        return mask_bytes(_mm256_srli_epi32(load_word(words, 4 + first * 2 + g), i * 2), 3);
    case GGUF_Q3_K:
        low = mask_bytes(_mm256_srli_epi32(load_word(words, 11 + first * 2 + g), i * 2), 3);
        return _mm256_or_si256(low, take_bit(load_word(words, 3 + g), first + i, 2));
    default: /* Q6_K */
        low = mask_bytes(_mm256_srli_epi32(load_word(words, 4 + first * 4 + i % 2 * 8 + g), i / 2 * 4), 15);
        high = _mm256_slli_epi32(_mm256_srli_epi32(load_word(words, 36 + first * 2 + g), i * 2), 4);
        return _mm256_or_si256(low, mask_bytes(high, 0x30));
    }
}

/* Integer scales of sub-blocks 4k to 4k + 3 as signed bytes in the row's lane. halves points at the octet's d. */
ALWAYS_INLINE __m256i scale_bytes(struct shape s, const uint8_t *halves, const uint8_t *words, int k)
{
    const __m256i centre = _mm256_set1_epi8(32);
    __m256i x, low, high;
    switch (s.type) {
    case GGUF_Q4_K:
    case GGUF_Q5_K:
        if (k == 0)
            return mask_bytes(load_word(words, 0), 0x3f);
        return _mm256_or_si256(mask_bytes(load_word(words, 2), 0x0f),
                               mask_bytes(_mm256_srli_epi32(load_word(words, 0), 2), 0x30));
    case GGUF_Q2_K:
        return mask_bytes(load_word(words, k), 0x0f);
    case GGUF_Q3_K:
        x = load_word(words, 2);
        high = k < 2 ? _mm256_slli_epi32(x, 4 - k * 2) : _mm256_srli_epi32(x, (k - 2) * 2);
        low = mask_bytes(_mm256_srli_epi32(load_word(words, k % 2), k / 2 * 4), 0x0f);
        return _mm256_sub_epi8(_mm256_or_si256(low, mask_bytes(high, 0x30)), centre);
    case GGUF_IQ4_XS:
        /* Nibbles of two bytes become four bytes; so do pairs of bits of one byte of the high part. */
        x = _mm256_and_si256(_mm256_srli_epi32(load_word(words, 0), k * 16), _mm256_set1_epi32(0xffff));
        low = _mm256_or_si256(_mm256_and_si256(x, _mm256_set1_epi32(0x000f)),
                              _mm256_and_si256(_mm256_slli_epi32(x, 4), _mm256_set1_epi32(0x0f00)));
        low = _mm256_or_si256(low, _mm256_and_si256(_mm256_slli_epi32(x, 8), _mm256_set1_epi32(0x0f0000)));
        low = _mm256_or_si256(low, _mm256_and_si256(_mm256_slli_epi32(x, 12), _mm256_set1_epi32(0x0f000000)));
        x = _mm256_cvtepu16_epi32(_mm_load_si128((const __m128i *)(halves + HALF_BYTES)));
        x = _mm256_srli_epi32(x, k * 8);
        high = _mm256_or_si256(_mm256_and_si256(_mm256_slli_epi32(x, 4), _mm256_set1_epi32(0x30)),
                               _mm256_and_si256(_mm256_slli_epi32(x, 10), _mm256_set1_epi32(0x3000)));
        high = _mm256_or_si256(high, _mm256_and_si256(_mm256_slli_epi32(x, 16), _mm256_set1_epi32(0x300000)));
        high = _mm256_or_si256(high, _mm256_and_si256(_mm256_slli_epi32(x, 22), _mm256_set1_epi32(0x30000000)));
        return _mm256_sub_epi8(_mm256_or_si256(low, high), centre);
    default: /* Q6_K */
        return load_word(words, k);
    }
}

/* Integer minima of sub-blocks 4k to 4k + 3, likewise. */
ALWAYS_INLINE __m256i min_bytes(struct shape s, const uint8_t *words, int k)
{
    if (s.type == GGUF_Q2_K)
        return mask_bytes(_mm256_srli_epi32(load_word(words, k), 4), 0x0f);
    if (k == 0)
        return mask_bytes(load_word(words, 1), 0x3f);
    return _mm256_or_si256(mask_bytes(_mm256_srli_epi32(load_word(words, 2), 4), 0x0f),
                           mask_bytes(_mm256_srli_epi32(load_word(words, 1), 2), 0x30));
}

/* Bytes first and second of every lane as two int16. */
ALWAYS_INLINE __m256i widen_bytes(__m256i x, int first, int second)
{
    const __m256i lane =
        _mm256_setr_epi32(0, 0x04000400, 0x08000800, 0x0c000c00, 0, 0x04000400, 0x08000800, 0x0c000c00);
    const __m256i index = _mm256_add_epi8(lane, _mm256_set1_epi32(second << 24 | 0x80 << 16 | first << 8 | 0x80));
    return _mm256_srai_epi16(_mm256_shuffle_epi8(x, index), 8);
}

/* Everything of a chunk but its codes, widened once for all tokens. */
struct chunk {
    _Alignas(32) int16_t scales[16][PANEL_ROWS][2]; /* 256 columns: of each sub-block, twice */
    int16_t pairs[8][PANEL_ROWS][2];                /* of two neighboring sub-blocks: minima, or offset * scales */
    float d[CHUNK_GROUPS][PANEL_ROWS];              /* 256 columns: only the first */
    float minus[CHUNK_GROUPS][PANEL_ROWS];          /* -dmin; of Q4_1 and Q5_1 m */
};

ALWAYS_INLINE __m256 load_factor(const uint8_t *halves, int index, bool negative)
{
    __m256 x = _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(halves + index * HALF_BYTES)));
    return negative ? _mm256_xor_ps(x, _mm256_set1_ps(-0.0f)) : x;
}

ALWAYS_INLINE void chunk_read_256(struct shape s, const uint8_t *block, struct chunk *chunk)
{
    for (int o = 0; o < OCTETS; o++) {
        const uint8_t *halves = block + o * OCTET * 2, *words = block + s.halves * HALF_BYTES + o * OCTET * 4;
        _mm256_store_ps(&chunk->d[0][o * OCTET], load_factor(halves, 0, false));
        if (s.has_min)
            _mm256_store_ps(&chunk->minus[0][o * OCTET], load_factor(halves, 1, true));
        UNROLL
        for (int k = 0; k < s.columns / s.sub / 4; k++) {
            const __m256i scales = scale_bytes(s, halves, words, k);
            UNROLL
            for (int i = 0; i < 4; i++)
                _mm256_store_si256((__m256i *)chunk->scales[k * 4 + i][o * OCTET], widen_bytes(scales, i, i));
            UNROLL
            for (int i = 0; i < 2; i++) {
                __m256i pair = _mm256_setzero_si256();
                if (s.has_min)
                    pair = widen_bytes(min_bytes(s, words, k), i * 2, i * 2 + 1);
                else if (s.offset)
                    pair =
                        _mm256_mullo_epi16(widen_bytes(scales, i * 2, i * 2 + 1), _mm256_set1_epi16((short)s.offset));
                if (s.has_min || s.offset)
                    _mm256_store_si256((__m256i *)chunk->pairs[k * 2 + i][o * OCTET], pair);
            }
        }
    }
}

ALWAYS_INLINE void chunk_read_32(struct shape s, const uint8_t *blocks, int groups, struct chunk *chunk)
{
    for (int group = 0; group < groups; group++, blocks += shape_block_bytes(s))
        for (int o = 0; o < OCTETS; o++) {
            _mm256_store_ps(&chunk->d[group][o * OCTET], load_factor(blocks + o * OCTET * 2, 0, false));
            if (s.has_min)
                _mm256_store_ps(&chunk->minus[group][o * OCTET], load_factor(blocks + o * OCTET * 2, 1, false));
        }
}

#endif
