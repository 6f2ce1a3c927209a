/* Attention over the paged KV cache: how a block of keys and values lies in memory, and the operations on it.
 *
 * A block holds 32 positions of one layer and KV head, as f16 or as int8 with one scale per position for K and one for
 * V (float, value = code * scale):
 *
 *   f16   K [head_dim][32]         transposed: positions are the lanes of a vector
 *         V [32][head_dim]
 *   int8  K [head_dim / 2][32][2]  the same, but two neighboring dimensions together
 *         V [head_dim / 32][16][32][2]  two neighboring positions together, 32 dimensions at a time, of which the last
 *                                  may be fewer
 *         scales of K [32], scales of V [32]
 *
 * head_dim is even. */
#ifndef KERNEL_ATTENTION_H
#define KERNEL_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ATTENTION_BLOCK = 32,                /* positions */
    ATTENTION_RANGE = 16,                /* blocks */
    ATTENTION_MAX_HEAD_DIM = 256,        /* values */
    KV_COLUMNS = 32,                     /* dimensions of int8 values that are stored together */
    ATTENTION_TILE_ROWS = 96,            /* tokens * query heads; a call is most efficient with up to this many */
    ATTENTION_SCRATCH_BYTES = 384 * 1024 /* the workspace of a call, which needs only a small stack */
};

/* The number of consecutive pages that are adjacent in memory: see kv_page_offset. */
enum { KV_GROUP = ATTENTION_RANGE };

enum kv_type { KV_F16, KV_INT8, KV_TYPE_COUNT };

static inline size_t kv_value_bytes(enum kv_type type)
{
    return type == KV_F16 ? 2 : 1;
}

/* The offset of a dimension's code for the position at `slot` in an int8 block: in K, and in V from kv_block_v on. */
static inline size_t kv_int8_key(uint32_t dimension, uint32_t slot)
{
    return ((size_t)dimension / 2 * ATTENTION_BLOCK + slot) * 2 + dimension % 2;
}

static inline size_t kv_int8_value(uint32_t dimension, uint32_t slot, uint32_t head_dim)
{
    const uint32_t first = dimension / KV_COLUMNS * KV_COLUMNS;
    const uint32_t columns = head_dim - first < KV_COLUMNS ? head_dim - first : KV_COLUMNS;
    return (size_t)first * ATTENTION_BLOCK + ((size_t)slot / 2 * columns + dimension - first) * 2 + slot % 2;
}

/* Offsets in a block, and its size, which is a multiple of 64. */
static inline size_t kv_block_v(enum kv_type type, uint32_t head_dim)
{
    return (size_t)head_dim * ATTENTION_BLOCK * kv_value_bytes(type);
}

static inline size_t kv_block_scales(enum kv_type type, uint32_t head_dim)
{
    return 2 * kv_block_v(type, head_dim);
}

static inline size_t kv_block_bytes(enum kv_type type, uint32_t head_dim)
{
    return kv_block_scales(type, head_dim) + (type == KV_F16 ? 0 : 2 * ATTENTION_BLOCK * sizeof(float));
}

/* From the block of page 0 to that of another page, of the same layer and KV head. Pages lie in groups of KV_GROUP, of
 * which the blocks of a layer and head are next to each other; from group to group it is group_stride bytes. */
static inline size_t kv_page_offset(uint32_t page, size_t block_bytes, size_t group_stride)
{
    return page / KV_GROUP * group_stride + page % KV_GROUP * block_bytes;
}

/* Stores the key and value [head_dim] of one position at slot `slot` of a block. f16 saturates; int8 rounds to the
 * nearest code of the row's scale (docs/numerics.md, "KV cache"). */
struct kv_store_args {
    enum kv_type type;
    uint8_t *block;
    uint32_t slot;
    uint32_t head_dim;
    const float *key;
    const float *value;
};

/* The same for int8, without the table of a tier. */
void kv_store_int8(const struct kv_store_args *args);

/* Copies the first `count` positions of a block. The others are not read, and are 0 in the copy. */
void kv_copy_positions(enum kv_type type, uint32_t head_dim, const uint8_t *block, uint32_t count, uint8_t *to);

/* The pages of a layer and KV head that the thread will probably attend to next. */
struct attention_next {
    const uint8_t *cache;
    const uint32_t *pages;
    uint32_t count; /* 0 when there are none */
};

/* Attention of neighboring tokens of one sequence with the query heads that share one head of K and V.
 *
 * q    [tokens][heads][head_dim], rotated
 * out  [tokens][out_stride], of which heads * head_dim are written; may not alias q
 * Token t is at position + t, and positions 0 to position + t are visible to it; position p lies at slot p % 32 of page
 * pages[p / 32], whose block is kv_page_offset bytes after cache. What is stored after the last token changes no
 * result; with `end_is_shared` it is not read at all, as another thread may be storing it.
 *
 * Online softmax by blocks of 32 positions; ranges of ATTENTION_RANGE blocks (512 positions) begin anew and are merged
 * in order. With `partials` only ranges [first_range, last_range) are computed, and left there unmerged, so that
 * several threads can share a long context: [range - first_range][row][attention_partial_floats], row = token * heads +
 * head, untouched where a token sees nothing of a range.
 *
 * `next` changes no result: kernels may prefetch it towards their end.
 * Dao et al., "FlashAttention-2", 2023, section 3. */
struct attention_args {
    const float *q;
    float *out;
    size_t out_stride;
    uint32_t tokens;
    uint32_t heads;
    uint32_t head_dim;
    enum kv_type type;
    const uint8_t *cache;
    const uint32_t *pages;
    size_t group_stride;
    uint32_t position;
    float scale;
    uint32_t first_range;
    uint32_t last_range;
    float *partials; /* NULL to compute all ranges and merge them into out */
    bool end_is_shared;
    struct attention_next next;
    void
        *scratch; /* ATTENTION_SCRATCH_BYTES, 64-byte aligned, used by one thread at a time; the content is undefined */
};

/* The size of one row's partial result: its maximum, its sum, and head_dim values. The result is values / sum. */
static inline size_t attention_partial_floats(uint32_t head_dim)
{
    return 2 + (size_t)head_dim;
}

/* The number of ranges that hold so many positions. */
static inline uint32_t attention_ranges(uint32_t positions)
{
    const uint32_t range = ATTENTION_RANGE * ATTENTION_BLOCK;
    return positions / range + (positions % range > 0);
}

/* Merges the partial results of all ranges, [range][row][attention_partial_floats], into out. */
struct attention_merge_args {
    const float *partials;
    float *out; /* as in attention_args */
    size_t out_stride;
    uint32_t tokens;
    uint32_t heads;
    uint32_t head_dim;
    uint32_t position;
};

#endif
