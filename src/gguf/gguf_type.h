/* The tensor types of GGUF that smollm reads: how many columns of a row share one block, and how many bytes that takes.
 *
 * Numbers and names are those of the GGUF specification (ggml, docs/gguf.md). What the bytes of a block mean is the
 * business of quant/. */
#ifndef GGUF_TYPE_H
#define GGUF_TYPE_H

#include <stddef.h>
#include <stdint.h>

/* The one list of tensor types, in the order of their numbers. FLOAT rows hold plain numbers, BLOCK rows hold blocks:
 *
 *   FLOAT(name, number, columns, bytes)
 *   BLOCK(name, number, columns, bytes, sub_columns, bits, offset, is_signed, has_min, has_scales,
 *         halves_at, halves, words_at, words_first)
 *
 *   number       of the type in a file
 *   columns      per block, in `bytes` bytes of the file
 *   sub_columns  that share one integer scale and minimum
 *   bits         of an unpacked code; for IQ4_NL and IQ4_XS of a value of their table
 *   offset       subtracted from a code; 0 when codes are signed
 *   halves_at    byte offset of the block's 16-bit fields, of which there are `halves`
 *   words_at     byte offset of all other bytes, which kernel/packed_matrix.h transposes as 32-bit words
 *   words_first  index of the word that a packed panel stores first
 *
 * gguf_type.c, quant.c, packed_matrix.c and the kernels' struct shape expand it. A macro that needs only the first
 * parameters ends with `...`; so one macro can serve for both kinds of rows. */
#define GGUF_TYPE_MAP(FLOAT, BLOCK)                                                                                    \
    FLOAT(F32, 0, 1, 4)                                                                                                \
    FLOAT(F16, 1, 1, 2)                                                                                                \
    BLOCK(Q4_0, 2, 32, 18, 32, 4, 8, false, false, false, 0, 1, 2, 0)                                                  \
    BLOCK(Q4_1, 3, 32, 20, 32, 4, 0, false, true, false, 0, 2, 4, 0)                                                   \
    BLOCK(Q5_0, 6, 32, 22, 32, 5, 16, false, false, false, 0, 1, 2, 0)                                                 \
    BLOCK(Q5_1, 7, 32, 24, 32, 5, 0, false, true, false, 0, 2, 4, 0)                                                   \
    BLOCK(Q8_0, 8, 32, 34, 32, 8, 0, true, false, false, 0, 1, 2, 0)                                                   \
    BLOCK(Q2_K, 10, 256, 84, 16, 2, 0, false, true, true, 80, 2, 0, 0)                                                 \
    BLOCK(Q3_K, 11, 256, 110, 16, 3, 4, false, false, true, 108, 1, 0, 24)                                             \
    BLOCK(Q4_K, 12, 256, 144, 32, 4, 0, false, true, true, 0, 2, 4, 0)                                                 \
    BLOCK(Q5_K, 13, 256, 176, 32, 5, 0, false, true, true, 0, 2, 4, 0)                                                 \
    BLOCK(Q6_K, 14, 256, 210, 16, 6, 32, false, false, true, 208, 1, 0, 48)                                            \
    BLOCK(IQ4_NL, 20, 32, 18, 32, 8, 0, true, false, false, 0, 1, 2, 0)                                                \
    BLOCK(IQ4_XS, 23, 256, 136, 32, 8, 0, true, false, true, 0, 2, 4, 0)                                               \
    FLOAT(BF16, 30, 1, 2)

/* Passed as FLOAT or BLOCK, this leaves those rows out. */
#define GGUF_TYPE_SKIP(...)

enum gguf_type {
#define GGUF_TYPE_ENUM(name, number, ...) GGUF_##name = (number),
    GGUF_TYPE_MAP(GGUF_TYPE_ENUM, GGUF_TYPE_ENUM)
#undef GGUF_TYPE_ENUM
};

struct gguf_type_info {
    const char *name;
    uint32_t number;
    uint32_t block_columns;
    uint32_t block_bytes;
};

/* NULL for a number that is not in the table. */
const struct gguf_type_info *gguf_type_find(uint32_t number);
/* By name, in any case of letters ("q8_0"); NULL when there is none. */
const struct gguf_type_info *gguf_type_find_name(const char *name);
/* "Q4_K"; for types of the specification that smollm does not read their name too, "unknown" for the rest. */
const char *gguf_type_name(uint32_t number);

/* Bytes of a row of `columns` values: 0 when the type is unknown, the columns do not fill whole blocks, or the size
 * does not fit. */
uint64_t gguf_type_row_bytes(uint32_t number, uint64_t columns);

#endif
