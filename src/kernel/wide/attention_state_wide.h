/* The state of attention with vectors of any width, for attention_wide.h, which tells what a tier's file says
 * beforehand. */
#ifndef KERNEL_WIDE_ATTENTION_STATE_WIDE_H
#define KERNEL_WIDE_ATTENTION_STATE_WIDE_H

#include "kernel/arithmetic.h"
#include "kernel/kernel.h"
#include "kernel/wide/fetch_line.h"
#include "kernel/wide/unroll.h"

#include <assert.h>

enum {
    PARTS = ATTENTION_BLOCK / LANES,
    MAX_ROWS = ATTENTION_TILE_ROWS,
    TOGETHER = 6,
    MAX_LEAD = 20480 /* bytes, where blocks are small */
};

/* The state of a row within a range: values are to be divided by sum. */
struct partial {
    /* Whole vectors are stored: what is behind the last row means nothing. */
    float maximum[MAX_ROWS + LANES];
    float sum[MAX_ROWS + LANES];
    /* [row][head_dim]: close together, as the cache wants them */
    _Alignas(64) float values[MAX_ROWS * ATTENTION_MAX_HEAD_DIM];
};

/* Rows that go together, and where they are. */
struct work {
    const struct attention_args *args;
    uint32_t first_row; /* row 0 of this work among all rows */
    uint32_t rows;
    uint32_t positions[MAX_ROWS]; /* that a row sees */
    struct partial total, range;
    size_t block_bytes;
    uint32_t last_block;       /* that any row sees of the ranges that are wanted */
    uint32_t lead;             /* blocks from what is read to what is fetched from memory meanwhile */
    uint32_t block;            /* under way */
    bool has_end;              /* the last block is read from `end` */
    const uint8_t *far, *near; /* the half blocks that are fetched */
    _Alignas(64) float weights[MAX_ROWS][ATTENTION_BLOCK]; /* scores before */
    float corrections[MAX_ROWS + LANES];
    /* K, then V, for many rows: [MAX_HEAD_DIM][32] of f16 as float, of int8 as int16 */
    _Alignas(64) uint8_t wide[sizeof(float) * ATTENTION_BLOCK * ATTENTION_MAX_HEAD_DIM];
    _Alignas(64) uint8_t end[2 * sizeof(uint16_t) * ATTENTION_BLOCK * ATTENTION_MAX_HEAD_DIM];
    /* int8 only: the rows' queries and weights as codes, and what one of theirs is worth. */
    _Alignas(64) int16_t queries[MAX_ROWS][ATTENTION_MAX_HEAD_DIM];
    _Alignas(64) int16_t weight_codes[MAX_ROWS][ATTENTION_BLOCK];
    float query_units[MAX_ROWS];
    float weight_units[MAX_ROWS + LANES];
};

ALWAYS_INLINE float *values_of(struct work *work, uint32_t row)
{
    return work->range.values + row * work->args->head_dim;
}

static inline uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Block `block`; behind the last one come those of args->next, or the last one again. */
static inline const uint8_t *block_at(const struct work *work, uint32_t block)
{
    const struct attention_args *args = work->args;
    const struct attention_next *next = &args->next;
    const bool is_next = block > work->last_block && next->count > 0;
    if (work->has_end && block == work->last_block)
        return work->end;
    const uint8_t *cache = is_next ? next->cache : args->cache;
    const uint32_t page = is_next ? next->pages[smaller(block - work->last_block, next->count) - 1]
                                  : args->pages[smaller(block, work->last_block)];
    return cache + kv_page_offset(page, work->block_bytes, args->group_stride);
}

/* Begins with a block. What comes is asked for twice, line by line in the order of reading, which the core follows on
 * its own, and so faster: `lead` blocks ahead from memory into the second-level cache, then half a block ahead from
 * there into the first-level one. Where a block is no neighbor of the one before, a line in every 4 KiB of it is asked
 * for in advance, for addresses to be translated in time; between neighbors that would only disturb. */
static inline void start_block(struct work *work, uint32_t block)
{
    const uint8_t *after = block_at(work, block + 3);
    work->block = block;
    if (after != block_at(work, block + 2) + work->block_bytes)
        for (size_t at = 0; at < work->block_bytes; at += 4096)
            __builtin_prefetch(after + at, 0, 2);
}

/* Begins with K, or V, of the block. */
static inline void start_half(struct work *work, bool values)
{
    const size_t v = kv_block_v(work->args->type, work->args->head_dim);
    work->far = block_at(work, work->block + work->lead) + (values ? v : 0);
    work->near = block_at(work, work->block + values) + (values ? 0 : v);
}

/* offset: of this step from where the loop began, `from` in the half block; a line is asked for once. */
ALWAYS_INLINE void fetch(const struct work *work, size_t from, size_t offset)
{
    if (offset % 64 == 0)
        fetch_line(work->far + from + offset, work->near + from + offset);
}

/* For many rows, who have widened all of the half block: into the second-level cache alone, a share before each
 * TOGETHER of the rows [first, rows). */
static inline void fetch_share(const struct work *work, uint32_t first, uint32_t row)
{
    const size_t lines = kv_block_v(work->args->type, work->args->head_dim) / 64, all = work->rows - first;
    const size_t begin = row - first, end = begin + TOGETHER < all ? begin + TOGETHER : all;
    for (size_t line = lines * begin / all; line < lines * end / all; line++)
        __builtin_prefetch(work->far + line * 64, 0, 2);
}

/* Takes what the last row sees of the last block to `end`, where others may be storing what it does not see. */
static inline void take_end(struct work *work)
{
    const struct attention_args *args = work->args;
    const uint32_t visible = work->positions[work->rows - 1] - work->last_block * ATTENTION_BLOCK;
    work->has_end = false;
    if (args->end_is_shared && visible < ATTENTION_BLOCK) {
        kv_copy_positions(args->type, args->head_dim, block_at(work, work->last_block), visible, work->end);
        work->has_end = true;
    }
}

/* Positions of the block under way that a row sees: at most 32, 0 for none. */
static inline uint32_t visible_of(const struct work *work, uint32_t row)
{
    const uint32_t positions = work->positions[row], before = work->block * ATTENTION_BLOCK;
    const uint32_t left = positions > before ? positions - before : 0;
    return left < ATTENTION_BLOCK ? left : ATTENTION_BLOCK;
}

/* K and V of a block for rows [first, rows). */
#define ROW_GROUPS(operation, is_wide, data)                                                                           \
    for (uint32_t row = first; row < work->rows; row += TOGETHER) {                                                    \
        if (is_wide)                                                                                                   \
            fetch_share(work, first, row);                                                                             \
        switch (work->rows - row) {                                                                                    \
        case 1:                                                                                                        \
            operation(work, is_wide, data, row, 1);                                                                    \
            break;                                                                                                     \
        case 2:                                                                                                        \
            operation(work, is_wide, data, row, 2);                                                                    \
            break;                                                                                                     \
        case 3:                                                                                                        \
            operation(work, is_wide, data, row, 3);                                                                    \
            break;                                                                                                     \
        case 4:                                                                                                        \
            operation(work, is_wide, data, row, 4);                                                                    \
            break;                                                                                                     \
        case 5:                                                                                                        \
            operation(work, is_wide, data, row, 5);                                                                    \
            break;                                                                                                     \
        default:                                                                                                       \
            operation(work, is_wide, data, row, 6);                                                                    \
            break;                                                                                                     \
        }                                                                                                              \
    }

#endif
