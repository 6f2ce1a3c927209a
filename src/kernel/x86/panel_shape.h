/* What the kernels of all x86 tiers must know of the block types to read packed panels (kernel/packed_matrix.h): every
 * function takes the shape of a type as a constant, is inlined, and folds to the few instructions of that type. */
#ifndef KERNEL_X86_PANEL_SHAPE_H
#define KERNEL_X86_PANEL_SHAPE_H

#include "kernel/packed_matrix.h"
#include "kernel/x86/unroll.h"

enum {
    UNITS = GROUP_COLUMNS / 4, /* of four columns, in a group of 32 */
    CHUNK_COLUMNS = 256,       /* what is worked on at a time: a block of 256, or up to eight of 32 */
    CHUNK_GROUPS = CHUNK_COLUMNS / GROUP_COLUMNS,
    WORD_BYTES = PANEL_ROWS * 4,
    HALF_BYTES = PANEL_ROWS * 2,
};

/* What the compiler must know of a type: see struct packed_layout. */
struct shape {
    uint32_t type;
    int columns, sub, offset, bits;
    bool is_signed, has_min;
    int halves, words;
};

/* type, block columns, sub-block columns, offset, bits of a code, signed, minimum, halves, words */
#define SHAPE_LIST(X)                                                                                                  \
    X(Q4_0, 32, 32, 8, 4, false, false, 1, 4)                                                                          \
    X(Q4_1, 32, 32, 0, 4, false, true, 2, 4)                                                                           \
    X(Q5_0, 32, 32, 16, 5, false, false, 1, 5)                                                                         \
    X(Q5_1, 32, 32, 0, 5, false, true, 2, 5)                                                                           \
    X(Q8_0, 32, 32, 0, 8, true, false, 1, 8)                                                                           \
    X(IQ4_NL, 32, 32, 0, 8, true, false, 1, 4)                                                                         \
    X(Q2_K, 256, 16, 0, 2, false, true, 2, 20)                                                                         \
    X(Q3_K, 256, 16, 4, 3, false, false, 1, 27)                                                                        \
    X(Q4_K, 256, 32, 0, 4, false, true, 2, 35)                                                                         \
    X(Q5_K, 256, 32, 0, 5, false, true, 2, 43)                                                                         \
    X(Q6_K, 256, 16, 32, 6, false, false, 1, 52)                                                                       \
    X(IQ4_XS, 256, 32, 0, 8, true, false, 2, 33)

ALWAYS_INLINE size_t shape_block_bytes(struct shape s)
{
    return (size_t)s.halves * HALF_BYTES + (size_t)s.words * WORD_BYTES;
}

/* Groups of 32 columns that share their words: where they are unrolled together, their shifts are constants. */
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
