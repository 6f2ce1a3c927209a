/* A weight matrix as the kernels read it: panels of 32 rows, in which the same bytes of the rows lie side by side, so
 * that a row is a lane of a vector register.
 *
 * Quantized types. A panel is a sequence of blocks of 32 or 256 columns (block_columns), each of which is the 32 rows'
 * blocks of the file, transposed. It holds exactly the file's bytes:
 *
 *   uint16 halves[n][32 rows]  the block's 16-bit fields: d, then dmin, m or scales_h where the type has it
 *   uint32 words[n][32 rows]   everything else, four bytes at a time. Four neighboring bytes of codes belong to four
 *                              neighboring columns in every type. Scales come first: a type which has them last in the
 *                              file begins at words_first and wraps around.
 *
 * The list in gguf/gguf_type.h says where the fields of each type lie. What their bits mean is defined by ggml
 * (ggml-common.h); quant.c reads them in the same way.
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

enum { PANEL_ROWS = 32, GROUP_COLUMNS = 32, MAX_BLOCK_COLUMNS = 256 };

/* How the weights of a type are laid out and what they mean. */
struct packed_layout {
    uint32_t type;          /* enum gguf_type */
    uint32_t block_columns; /* 32 or 256; 0 for float types */
    uint32_t sub_columns;   /* columns that share an integer scale: 16 or 32 */
    int32_t offset;         /* subtracted from a code; 0 for signed codes */
    bool is_signed;         /* codes are int8: Q8_0, and the table values of IQ4_NL and IQ4_XS */
    bool has_min;
    uint32_t file_bytes;  /* size of a block of one row in the file */
    uint32_t halves_at;   /* byte offset of its 16-bit fields */
    uint32_t halves;      /* number of 16-bit fields: 1 or 2 */
    uint32_t words_at;    /* byte offset of all other bytes */
    uint32_t words;       /* number of 32-bit words in them */
    uint32_t words_first; /* index of the word that a panel stores first */
    uint32_t block_bytes; /* size of a block of 32 rows in a panel */
    uint32_t value_bytes; /* size of a value of a float type, otherwise 0 */
};

/* NULL for a type that is not in gguf_type.h. */
const struct packed_layout *packed_layout_find(uint32_t type);

struct packed_matrix {
    const struct packed_layout *layout;
    uint32_t rows;
    uint32_t columns;
    uint32_t panels;
    size_t panel_bytes;
    uint8_t *data; /* 64-byte aligned */
};

/* Sets the shape. The caller then sets data to packed_matrix_bytes of memory. SMOLLM_EUNSUPPORTED when the columns do
 * not fill whole blocks, SMOLLM_ELIMIT when the size does not fit. */
int packed_matrix_describe(struct packed_matrix *matrix, uint32_t type, uint32_t rows, uint32_t columns,
                           struct smollm_error *error);
size_t packed_matrix_bytes(const struct packed_matrix *matrix);

/* Packs panel `panel` from its rows as they are in the file (the last panel may have fewer than 32). */
void packed_matrix_pack(struct packed_matrix *matrix, uint32_t panel, const uint8_t *rows, size_t row_bytes);

/* The way back: the bytes of the file of one block of one row; quantized types. */
void packed_block_unpack(const struct packed_layout *layout, const uint8_t *block, uint32_t row, uint8_t *bytes);

/* The weights of one row as float, the same bits as quant/'s decoder gives. */
void packed_matrix_row(const struct packed_matrix *matrix, uint32_t row, float *out);

#endif
