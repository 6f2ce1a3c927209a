/* What the vector kernels must know of the block types to read packed panels (kernel/packed_matrix.h): every
 * function takes the shape of a type as a constant, is inlined, and folds to the few instructions of that type. */
#ifndef KERNEL_WIDE_PANEL_SHAPE_H
#define KERNEL_WIDE_PANEL_SHAPE_H

#include "kernel/packed_matrix.h"
#include "kernel/wide/unroll.h"

enum {
    UNITS = GROUP_COLUMNS / 4, /* units of four columns in a group of 32 */
    CHUNK_COLUMNS = 256,       /* columns processed at a time: a block of 256, or up to eight blocks of 32 */
    CHUNK_GROUPS = CHUNK_COLUMNS / GROUP_COLUMNS,
    WORD_BYTES = PANEL_ROWS * 4,
    HALF_BYTES = PANEL_ROWS * 2,
};

/* The constants of a type that kernels are compiled for: see struct packed_layout. */
struct shape {
    uint32_t type;
    int columns, sub, offset, bits;
    bool is_signed, has_min;
    int halves, words;
};

/* A row of GGUF_TYPE_MAP without its name, as the shape of that type. */
#define SHAPE(number, columns, bytes, sub, bits, offset, is_signed, min, scales, half_at, halves, ...)                 \
    ((struct shape){number, columns, sub, offset, bits, is_signed, min, halves, ((bytes)-2 * (halves)) / 4})

ALWAYS_INLINE size_t shape_block_bytes(struct shape s)
{
    return (size_t)s.halves * HALF_BYTES + (size_t)s.words * WORD_BYTES;
}

/* The number of groups of 32 columns that share their words. When they are unrolled together, shifts are constants. */
ALWAYS_INLINE int groups_together(struct shape s)
{
    switch (s.type) {
    case GGUF_Q4_K:
    case GGUF_Q5_K:
        return 2;
    case GGUF_Q2_K:
    case GGUF_Q3_K:
    case GGUF_Q6_K:
        return 4;
    default:
        return 1;
    }
}

#endif
