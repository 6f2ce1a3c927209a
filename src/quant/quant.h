/* The block formats of GGUF: what their bytes mean, decoding to float, encoding from float.
 *
 * Every block format is seen in one way. A block of `columns` weights is unpacked to integers (codes, and for the
 * 256-column formats integer scales and minimums of sub-blocks) and two half-precision factors, and each weight is
 *
 *     w = (d * scale) * (code - code_offset) - (dmin * min)
 *
 * computed in float in this order. The 32-column formats have scale 1; formats without a minimum have dmin 0. Q4_1 and
 * Q5_1 store what is added instead, so their dmin is its negative (min 1). This gives the same bits as gguf-py's
 * dequantize for every format (tests/quant), and is all that a repacker needs.
 *
 * F32, F16 and BF16 are not block formats: they have no layout, only rows. */
#ifndef QUANT_QUANT_H
#define QUANT_QUANT_H

#include "gguf/gguf_type.h"
#include "smollm_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUANT_COLUMNS_MAX = 256, QUANT_SUB_BLOCKS_MAX = 16, QUANT_BYTES_MAX = 210 };

struct quant_layout {
    uint32_t type;        /* enum gguf_type */
    uint32_t columns;     /* per block: 32 or 256 */
    uint32_t bytes;       /* per block */
    uint32_t sub_columns; /* under one integer scale: 16, 32 */
    uint32_t code_bits;   /* 2, 3, 4, 5, 6 or 8; of IQ4_NL and IQ4_XS the codes are table values and need 8 */
    int32_t code_offset;  /* subtracted from an unsigned code: 0, 4, 8, 16 or 32 */
    bool codes_signed;    /* codes are int8: Q8_0, IQ4_NL, IQ4_XS; their code_offset is 0 */
    bool has_min;         /* false: min and dmin are 0 */
    bool has_scales;      /* false: every scale is 1 */
};

/* One block, unpacked. Arrays are filled up to `columns` and `columns / sub_columns`. */
struct quant_block {
    union {
        uint8_t codes[QUANT_COLUMNS_MAX];
        int8_t signed_codes[QUANT_COLUMNS_MAX];
    };
    int8_t scales[QUANT_SUB_BLOCKS_MAX]; /* -128 to 127 (Q6_K), -32 to 31 (Q3_K, IQ4_XS), 0 to 63, 0 to 15, or 1 */
    uint8_t mins[QUANT_SUB_BLOCKS_MAX];  /* 0 to 63, 0 to 15, 1 (Q4_1, Q5_1) or 0 */
    uint16_t d_bits;                     /* binary16 */
    uint16_t dmin_bits;
    float d; /* the same, widened */
    float dmin;
};

/* NULL for F32, F16, BF16 and unknown types. */
const struct quant_layout *quant_layout_find(uint32_t type);

/* Reads layout->bytes bytes; any bytes are a valid block. */
void quant_block_unpack(const struct quant_layout *layout, const void *bytes, struct quant_block *block);
/* The formula above: layout->columns floats. */
void quant_block_decode(const struct quant_layout *layout, const struct quant_block *block, float *out);

/* Decodes `columns` values that begin at a block. 0, or SMOLLM_EINVAL when the type is unknown or the columns do not
 * fill whole blocks. `blocks` needs no alignment. */
int quant_row_decode(uint32_t type, const void *blocks, float *out, size_t columns);

/* Whether quant_row_encode writes this type: F32, F16, BF16, Q8_0, Q4_0. */
bool quant_can_encode(uint32_t type);
/* The way back. Values beyond the range of F16 saturate. The sum of squared errors of every block is at most that of
 * ggml's reference method. SMOLLM_EINVAL as above, SMOLLM_ENUMERIC when a value is not finite. */
int quant_row_encode(uint32_t type, const float *values, void *blocks, size_t columns);

#endif
