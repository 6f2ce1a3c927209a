/* Reading and writing single values of packed panels in plain C, for packing, the generic matmul and single rows. */
#ifndef KERNEL_PACKED_CODES_H
#define KERNEL_PACKED_CODES_H

#include "base/half.h"
#include "kernel/packed_matrix.h"

static inline float packed_half(const uint8_t *data)
{
    uint16_t half;
    memcpy(&half, data, sizeof half);
    return half_to_float(half);
}

/* A value of F32, F16 or BF16. */
static inline float packed_float_value(const struct packed_layout *layout, const uint8_t *data)
{
    if (layout->type == GGUF_F32) {
        float value;
        memcpy(&value, data, sizeof value);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, data, sizeof bits);
    return layout->type == GGUF_F16 ? half_to_float(bits) : bfloat_to_float(bits);
}

/* The byte of code plane data that holds (row, column % 4) of unit `unit`. */
static inline size_t packed_code_byte(uint32_t unit, uint32_t row, uint32_t column)
{
    return (size_t)unit * PANEL_ROWS * 4 + row * 4 + column % 4;
}

/* The code of (row, column) in a group of 32 columns; signed codes come as their two's complement byte. */
static inline uint8_t packed_code_get(const struct packed_layout *layout, const uint8_t *codes, uint32_t row,
                                      uint32_t column)
{
    uint32_t g = column / 4;
    if (layout->bits == 8)
        return codes[packed_code_byte(g, row, column)];
    unsigned code = 0, shift = 0;
    if (layout->bits & 4) {
        code = codes[packed_code_byte(g % 4, row, column)] >> (g / 4 * 4) & 15;
        codes += 4 * PANEL_ROWS * 4;
        shift = 4;
    }
    if (layout->bits & 2) {
        code |= (unsigned)(codes[packed_code_byte(g % 2, row, column)] >> (g / 2 * 2) & 3) << shift;
        codes += 2 * PANEL_ROWS * 4;
        shift += 2;
    }
    if (layout->bits & 1)
        code |= (unsigned)(codes[packed_code_byte(0, row, column)] >> g & 1) << shift;
    return (uint8_t)code;
}

static inline void packed_code_set(const struct packed_layout *layout, uint8_t *codes, uint32_t row, uint32_t column,
                                   uint8_t code)
{
    uint32_t g = column / 4;
    if (layout->bits == 8) {
        codes[packed_code_byte(g, row, column)] = code;
        return;
    }
    unsigned rest = code;
    if (layout->bits & 4) {
        codes[packed_code_byte(g % 4, row, column)] |= (uint8_t)((rest & 15) << (g / 4 * 4));
        codes += 4 * PANEL_ROWS * 4;
        rest >>= 4;
    }
    if (layout->bits & 2) {
        codes[packed_code_byte(g % 2, row, column)] |= (uint8_t)((rest & 3) << (g / 2 * 2));
        codes += 2 * PANEL_ROWS * 4;
        rest >>= 2;
    }
    if (layout->bits & 1)
        codes[packed_code_byte(0, row, column)] |= (uint8_t)((rest & 1) << g);
}

/* Index of the integer scale or minimum of (sub-block, row). */
static inline size_t packed_pair_index(uint32_t sub, uint32_t row)
{
    return (size_t)(sub / 2) * PANEL_ROWS * 2 + row * 2 + sub % 2;
}

#endif
