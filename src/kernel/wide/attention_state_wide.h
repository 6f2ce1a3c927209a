/* The state of attention with vectors of any width. attention_wide.h lists what a tier's file defines before it
 * includes this. */
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
    /* In bytes: with blocks up to half this size, prefetches run two blocks ahead. */
    MAX_LEAD = 20480
};

/* The state of each row within a range. The result is values / sum. */
struct partial {
    /* Whole vectors are stored, so elements after the last row have no meaning. */
    float maximum[MAX_ROWS + LANES];
    float sum[MAX_ROWS + LANES];
    /* [row][head_dim], without gaps, which suits the cache. */
    _Alignas(64) float values[MAX_ROWS * ATTENTION_MAX_HEAD_DIM];
};

/* The rows of one call that are processed together, and how far they have come. */
struct work {
    const struct attention_args *args;
    uint32_t first_row; /* row 0 of this work among all rows */
    uint32_t rows;
    uint32_t positions[MAX_ROWS]; /* the number of positions visible to each row */
    struct partial total, range;
    size_t block_bytes;
    uint32_t last_block;            /* the last block of the wanted ranges that is visible to any row */
    uint32_t lead;                  /* how many blocks ahead of reading a block is prefetched from memory */
    uint32_t block;                 /* the current block */
    bool has_end;                   /* whether the last block is read from `end` */
    const uint8_t *for_l2, *for_l1; /* the half blocks (K or V) that are prefetched into each cache */
    _Alignas(64) float weights[MAX_ROWS][ATTENTION_BLOCK]; /* holds the scores first */
    float corrections[MAX_ROWS + LANES];
    /* K, then V, for many rows: [MAX_HEAD_DIM][32] f16 as float, int8 as int16 */
    _Alignas(64) uint8_t wide[sizeof(float) * ATTENTION_BLOCK * ATTENTION_MAX_HEAD_DIM];
    _Alignas(64) uint8_t end[2 * sizeof(uint16_t) * ATTENTION_BLOCK * ATTENTION_MAX_HEAD_DIM];
    /* int8 only: the codes of each row's query and weights, and the unit of each: value = code * unit. */
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

/* The address of block `block`. Blocks after the last one are those of args->next, or the last one again. */
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

/* Starts a block. Each line is prefetched twice in the order of reading, which the hardware prefetcher recognizes:
 * `lead` blocks ahead from memory into the second-level cache, then half a block ahead into the first-level cache. When
 * a block does not follow the one before it in memory, one line of every 4 KiB of it is prefetched in advance so that
 * its addresses are translated in time; between adjacent blocks that would only slow things down. */
static inline void start_block(struct work *work, uint32_t block)
{
    const uint8_t *after = block_at(work, block + 3);
    work->block = block;
    if (after != block_at(work, block + 2) + work->block_bytes)
        for (size_t at = 0; at < work->block_bytes; at += 4096)
            __builtin_prefetch(after + at, 0, 2);
}

/* Starts K or V of the block. */
static inline void start_half(struct work *work, bool values)
{
    const size_t v = kv_block_v(work->args->type, work->args->head_dim);
    work->for_l2 = block_at(work, work->block + work->lead) + (values ? v : 0);
    work->for_l1 = block_at(work, work->block + values) + (values ? 0 : v);
}

/* Prefetches what a step of a loop calls for. The loop began at byte `from` of the half block, and the step is `offset`
 * bytes further; each line is prefetched once. */
ALWAYS_INLINE void fetch(const struct work *work, size_t from, size_t offset)
{
    if (offset % 64 == 0)
        fetch_line(work->for_l2 + from + offset, work->for_l1 + from + offset);
}

/* For many rows, which read a widened copy of the half block: prefetches into the second-level cache only, a share
 * before each TOGETHER of the rows [first, rows). */
static inline void fetch_share(const struct work *work, uint32_t first, uint32_t row)
{
    const size_t lines = kv_block_v(work->args->type, work->args->head_dim) / 64, all = work->rows - first;
    const size_t begin = row - first, end = begin + TOGETHER < all ? begin + TOGETHER : all;
    for (size_t line = lines * begin / all; line < lines * end / all; line++)
        __builtin_prefetch(work->for_l2 + line * 64, 0, 2);
}

/* Copies the positions of the last block that are visible to the last row to `end`, since other threads may be storing
 * positions after them. */
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

/* The number of positions of the current block that are visible to a row: 0 to 32. */
static inline uint32_t visible_of(const struct work *work, uint32_t row)
{
    const uint32_t positions = work->positions[row], before = work->block * ATTENTION_BLOCK;
    const uint32_t left = positions > before ? positions - before : 0;
    return left < ATTENTION_BLOCK ? left : ATTENTION_BLOCK;
}

/* Applies an operation to K or V of a block, for rows [first, rows). */
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
