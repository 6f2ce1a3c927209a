/* Unpacking of each block format, and the one formula that makes weights of it. Bit positions are those of ggml's block
 * structs (ggml-common.h) as gguf-py's quants.py reads them. */
#include "quant/quant.h"

#include "base/half.h"

#include <string.h>

static const struct quant_layout layouts[] = {
#define LAYOUT(name, number, columns, bytes, sub, bits, offset, is_signed, min, scales, ...)                           \
    {number, columns, bytes, sub, bits, offset, is_signed, min, scales},
    GGUF_TYPE_MAP(GGUF_TYPE_SKIP, LAYOUT)
#undef LAYOUT
};

/* The 16 values of IQ4_NL and IQ4_XS. */
static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

const struct quant_layout *quant_layout_find(uint32_t type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (layouts[i].type == type)
            return &layouts[i];
    return NULL;
}

static uint16_t load_u16(uint8_t const *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t load_u32(uint8_t const *p)
{
    return load_u16(p) | (uint32_t)load_u16(p + 2) << 16;
}

/* n bytes hold n codes in their low and the n that follow in their high nibbles. */
static void unpack_nibbles(uint8_t const *p, size_t n, uint8_t *codes)
{
    for (size_t i = 0; i < n; i++) {
        codes[i] = p[i] & 15;
        codes[n + i] = p[i] >> 4;
    }
}

/* Q5_0, Q5_1: bit i of a 32-bit word is the fifth of code i. */
static void add_fifth_bits(uint32_t bits, uint8_t *codes)
{
    for (unsigned i = 0; i < 32; i++)
        codes[i] |= (uint8_t)((bits >> i & 1) << 4);
}

/* Q4_K, Q5_K: eight scales and eight minimums of six bits in 12 bytes. The first four of each stand in the low six bits
 * of bytes 0 to 3 and 4 to 7; the others have their low four bits in bytes 8 to 11, the upper two on top of those. */
static void unpack_scales_mins_6(uint8_t const *p, int8_t *scales, uint8_t *mins)
{
    for (unsigned i = 0; i < 4; i++) {
        scales[i] = (int8_t)(p[i] & 63);
        mins[i] = p[4 + i] & 63;
        scales[4 + i] = (int8_t)((p[8 + i] & 15) | (p[i] >> 6) << 4);
        mins[4 + i] = (uint8_t)(p[8 + i] >> 4 | (p[4 + i] >> 6) << 4);
    }
}

/* Q3_K: sixteen scales of six bits with offset 32: low nibbles in bytes 0 to 7, upper two bits in bytes 8 to 11. */
static void unpack_scales_3(uint8_t const *p, int8_t *scales)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned low = i < 8 ? p[i] & 15u : (unsigned)p[i - 8] >> 4;
        unsigned high = ((unsigned)p[8 + i % 4] >> (i / 4 * 2)) & 3u;
        scales[i] = (int8_t)((int)(low | high << 4) - 32);
    }
}

/* 256 codes of two bits: each 32 bytes hold four runs of 32 codes, lowest bits first. */
static void unpack_pairs(uint8_t const *p, uint8_t *codes)
{
    for (unsigned i = 0; i < 256; i++)
        codes[i] = p[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

/* 256 codes of four bits: each 32 bytes hold two runs of 32 codes. */
static void unpack_nibble_runs(uint8_t const *p, uint8_t *codes)
{
    for (unsigned i = 0; i < 4; i++)
        unpack_nibbles(p + 32 * i, 32, codes + 64 * i);
}

static void look_up_iq4(uint8_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        codes[i] = (uint8_t)iq4_values[codes[i]];
}

static void unpack_q2_k(uint8_t const *p, struct quant_block *b)
{
    for (unsigned i = 0; i < 16; i++) {
        b->scales[i] = (int8_t)(p[i] & 15);
        b->mins[i] = p[i] >> 4;
    }
    unpack_pairs(p + 16, b->codes);
    b->d_bits = load_u16(p + 80);
    b->dmin_bits = load_u16(p + 82);
}

/* hmask[32] qs[64] scales[12] d. Bit r of hmask[i] is the third bit of code 32 r + i. */
static void unpack_q3_k(uint8_t const *p, struct quant_block *b)
{
    unpack_pairs(p + 32, b->codes);
    for (unsigned i = 0; i < 256; i++)
        b->codes[i] |= (uint8_t)((p[i % 32] >> (i / 32) & 1) << 2);
    unpack_scales_3(p + 96, b->scales);
    b->d_bits = load_u16(p + 108);
}

/* d dmin scales[12] qs[128] */
static void unpack_q4_k(uint8_t const *p, struct quant_block *b)
{
    b->d_bits = load_u16(p);
    b->dmin_bits = load_u16(p + 2);
    unpack_scales_mins_6(p + 4, b->scales, b->mins);
    unpack_nibble_runs(p + 16, b->codes);
}

/* d dmin scales[12] qh[32] qs[128]. Bit r of qh[i] is the fifth bit of code 32 r + i. */
static void unpack_q5_k(uint8_t const *p, struct quant_block *b)
{
    b->d_bits = load_u16(p);
    b->dmin_bits = load_u16(p + 2);
    unpack_scales_mins_6(p + 4, b->scales, b->mins);
    unpack_nibble_runs(p + 48, b->codes);
    for (unsigned i = 0; i < 256; i++)
        b->codes[i] |= (uint8_t)((p[16 + i % 32] >> (i / 32) & 1) << 4);
}

/* ql[128] qh[64] scales[16] d. Each 64 bytes of ql hold two runs of 64 low nibbles; qh is as in unpack_pairs. */
static void unpack_q6_k(uint8_t const *p, struct quant_block *b)
{
    uint8_t high[256];
    unpack_nibbles(p, 64, b->codes);
    unpack_nibbles(p + 64, 64, b->codes + 128);
    unpack_pairs(p + 128, high);
    for (unsigned i = 0; i < 256; i++)
        b->codes[i] |= (uint8_t)(high[i] << 4);
    memcpy(b->scales, p + 192, 16);
    b->d_bits = load_u16(p + 208);
}

/* d scales_h scales_l[4] qs[128]: eight scales of six bits with offset 32; runs of 32 codes, 16 bytes each. */
static void unpack_iq4_xs(uint8_t const *p, struct quant_block *b)
{
    uint16_t scales_high = load_u16(p + 2);
    for (unsigned i = 0; i < 8; i++) {
        unsigned low = ((unsigned)p[4 + i / 2] >> (i % 2 * 4)) & 15u;
        unsigned high = ((unsigned)scales_high >> (2 * i)) & 3u;
        b->scales[i] = (int8_t)((int)(low | high << 4) - 32);
        unpack_nibbles(p + 8 + 16 * i, 16, b->codes + 32 * i);
    }
    look_up_iq4(b->codes, 256);
    b->d_bits = load_u16(p);
}

/* The formats of 32 columns: d, for some the minimum, for some fifth bits, then the codes. */
static void unpack_32(uint32_t type, uint8_t const *p, struct quant_block *b)
{
    b->d_bits = load_u16(p);
    b->scales[0] = 1;
    switch (type) {
    case GGUF_Q8_0:
        memcpy(b->codes, p + 2, 32);
        break;
    case GGUF_Q4_0:
        unpack_nibbles(p + 2, 16, b->codes);
        break;
    case GGUF_Q5_0:
        unpack_nibbles(p + 6, 16, b->codes);
        add_fifth_bits(load_u32(p + 2), b->codes);
        break;
    case GGUF_IQ4_NL:
        unpack_nibbles(p + 2, 16, b->codes);
        look_up_iq4(b->codes, 32);
        break;
    case GGUF_Q4_1:
        unpack_nibbles(p + 4, 16, b->codes);
        break;
    case GGUF_Q5_1:
        unpack_nibbles(p + 8, 16, b->codes);
        add_fifth_bits(load_u32(p + 4), b->codes);
        break;
    }
    if (type == GGUF_Q4_1 || type == GGUF_Q5_1) {
        b->dmin_bits = load_u16(p + 2) ^ 0x8000;
        b->mins[0] = 1;
    }
}

void quant_block_unpack(const struct quant_layout *layout, const void *bytes, struct quant_block *block)
{
    block->dmin_bits = 0;
    memset(block->mins, 0, sizeof block->mins);
    switch (layout->type) {
    case GGUF_Q2_K:
        unpack_q2_k(bytes, block);
        break;
    case GGUF_Q3_K:
        unpack_q3_k(bytes, block);
        break;
    case GGUF_Q4_K:
        unpack_q4_k(bytes, block);
        break;
    case GGUF_Q5_K:
        unpack_q5_k(bytes, block);
        break;
    case GGUF_Q6_K:
        unpack_q6_k(bytes, block);
        break;
    case GGUF_IQ4_XS:
        unpack_iq4_xs(bytes, block);
        break;
    default:
        unpack_32(layout->type, bytes, block);
        break;
    }
    block->d = half_to_float(block->d_bits);
    block->dmin = half_to_float(block->dmin_bits);
}

void quant_block_decode(const struct quant_layout *layout, const struct quant_block *block, float *out)
{
    for (uint32_t begin = 0, s = 0; begin < layout->columns; begin += layout->sub_columns, s++) {
        float scale = block->d * (float)block->scales[s];
        float min = block->dmin * (float)block->mins[s];
        for (uint32_t i = begin; i < begin + layout->sub_columns; i++) {
            int32_t code = layout->codes_signed ? block->signed_codes[i] : block->codes[i] - layout->code_offset;
            /* Without a minimum this subtracts +0, which changes no bit, not even of -0. */
            out[i] = scale * (float)code - min;
        }
    }
}

int quant_row_decode(uint32_t type, const void *blocks, float *out, size_t columns)
{
    const struct gguf_type_info *info = gguf_type_find(type);
    const struct quant_layout *layout = quant_layout_find(type);
    uint8_t const *p = blocks;
    if (!info || columns % info->block_columns != 0)
        return SMOLLM_EINVAL;
    if (layout) {
        struct quant_block block = {0};
        for (size_t i = 0; i < columns; i += layout->columns, p += layout->bytes) {
            quant_block_unpack(layout, p, &block);
            quant_block_decode(layout, &block, out + i);
        }
        return 0;
    }
    if (type == GGUF_F32)
        memcpy(out, p, columns * sizeof(float));
    else
        for (size_t i = 0; i < columns; i++)
            out[i] = type == GGUF_F16 ? half_to_float(load_u16(p + 2 * i)) : bfloat_to_float(load_u16(p + 2 * i));
    return 0;
}
