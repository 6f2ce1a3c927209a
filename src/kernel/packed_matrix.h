/* A weight matrix as the kernels read it: panels of 32 rows, in which the same four columns of the rows lie side by
 * side, so that a row is a lane of a vector register.
 *
 * Quantised types. A panel is a sequence of blocks of 32 or 256 columns (block_columns). A block:
 *
 *   f16   d[32]                     factor of each row
 *   f16   dmin[32]                  has_min only: factor of the minimum (of Q4_1 and Q5_1: the negative of m)
 *   int8  scales[subs / 2][32][2]   256 columns only: integer scales of sub-blocks, in pairs
 *   uint8 mins[subs / 2][32][2]     has_min with 256 columns only: integer minima
 *   codes of each group of 32 columns in turn, in planes of 4, 2 and 1 bits (or 8), each plane in units of
 *   [32 rows][4 columns] bytes:
 *     8 bits: unit g holds columns 4g..4g+3                                    (8 units, 1024 bytes)
 *     4 bits: unit g holds group g in the low and group g + 4 in the high half (4 units, 512 bytes)
 *     2 bits: unit g holds groups g, g + 2, g + 4, g + 6 from low to high bits (2 units, 256 bytes)
 *     1 bit:  groups 0 to 7 from low to high bits                              (1 unit, 128 bytes)
 *
 * The weight is (d * scale) * (code - offset) - dmin * min, with scale and min 1 in 32-column types. With has_table
 * the code stands for an entry of packed_iq4_values. This is the view that quant/quant.h has of every format.
 *
 * Float types (F32, F16, BF16): [columns][32 rows] of the type itself.
 *
 * Rows beyond the matrix in the last panel are zero. */
#ifndef KERNEL_PACKED_MATRIX_H
#define KERNEL_PACKED_MATRIX_H

#include "gguf/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PANEL_ROWS = 32, GROUP_COLUMNS = 32, MOST_BLOCK_COLUMNS = 256 };

/* How the weights of a type are laid out and what they mean. */
struct packed_layout {
    uint32_t type;          /* enum gguf_type */
    uint32_t block_columns; /* 32 or 256; 0 for float types */
    uint32_t sub_columns;   /* columns that share an integer scale: 16 or 32 */
    uint32_t bits;          /* of a code: 2 to 6, or 8 */
    int32_t offset;         /* subtracted from a code; 0 for signed codes */
    bool is_signed;         /* 8-bit codes are int8, and so are values of the table */
    bool has_table;         /* 4-bit codes are indices into packed_iq4_values */
    bool has_min;
    uint32_t block_bytes; /* of a block of 32 rows */
    uint32_t scales_at;   /* byte offsets within a block */
    uint32_t mins_at;
    uint32_t codes_at;
    uint32_t group_bytes; /* codes of 32 columns and 32 rows */
    uint32_t value_bytes; /* of a value of a float type, otherwise 0 */
};

/* The sixteen values of IQ4_NL and IQ4_XS. */
extern const int8_t packed_iq4_values[16];

/* NULL for a type that is not in gguf_type.h. */
const struct packed_layout *packed_layout_find(uint32_t type);

struct packed_matrix {
    const struct packed_layout *layout;
    uint32_t rows;
    uint32_t columns;
    uint32_t panels;
    size_t panel_bytes;
    uint8_t *data;
};

/* Sets the shape; data is still to be set, packed_matrix_bytes of it. SMOLLM_EUNSUPPORTED when columns do not fill
 * whole blocks or a size does not fit. */
int packed_matrix_describe(struct packed_matrix *matrix, uint32_t type, uint32_t rows, uint32_t columns,
                           struct smollm_error *error);
size_t packed_matrix_bytes(const struct packed_matrix *matrix);

/* Packs panel `panel` from its rows as they stand in the file (the last panel may have fewer than 32). */
void packed_matrix_pack(struct packed_matrix *matrix, uint32_t panel, const uint8_t *rows, size_t row_bytes);

/* The weights of one row as float, the same bits as quant/'s decoder gives. */
void packed_matrix_row(const struct packed_matrix *matrix, uint32_t row, float *out);

#endif
