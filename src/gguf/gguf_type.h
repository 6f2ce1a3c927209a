/* The tensor types of GGUF that smollm reads: how many columns of a row share one block, and how many bytes that takes.
 *
 * Numbers and names are those of the GGUF specification (ggml, docs/gguf.md). What the bytes of a block mean is the
 * business of quant/. */
#ifndef GGUF_TYPE_H
#define GGUF_TYPE_H

#include <stddef.h>
#include <stdint.h>

/* name, number in the file, columns per block, bytes per block */
#define GGUF_TYPE_MAP(X)                                                                                               \
    X(F32, 0, 1, 4)                                                                                                    \
    X(F16, 1, 1, 2)                                                                                                    \
    X(Q4_0, 2, 32, 18)                                                                                                 \
    X(Q4_1, 3, 32, 20)                                                                                                 \
    X(Q5_0, 6, 32, 22)                                                                                                 \
    X(Q5_1, 7, 32, 24)                                                                                                 \
    X(Q8_0, 8, 32, 34)                                                                                                 \
    X(Q2_K, 10, 256, 84)                                                                                               \
    X(Q3_K, 11, 256, 110)                                                                                              \
    X(Q4_K, 12, 256, 144)                                                                                              \
    X(Q5_K, 13, 256, 176)                                                                                              \
    X(Q6_K, 14, 256, 210)                                                                                              \
    X(IQ4_NL, 20, 32, 18)                                                                                              \
    X(IQ4_XS, 23, 256, 136)                                                                                            \
    X(BF16, 30, 1, 2)

enum gguf_type {
#define GGUF_TYPE_ENUM(name, number, columns, bytes) GGUF_##name = (number),
    GGUF_TYPE_MAP(GGUF_TYPE_ENUM)
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
