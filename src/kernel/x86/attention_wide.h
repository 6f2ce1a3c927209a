/* Attention with vectors of any width: the bits of attention_generic. A tier's file says what its vectors can do and
 * then includes this:
 *
 *   LANES, vector (that many floats), mask (of a vector's lanes); SUFFIX(name) the name of an operation in this tier;
 *   FETCH_HINT, the cache that the next block is fetched into
 *   splat(x), load_floats(p), store_floats(p, v), load_halves(p) of f16, load_codes(p) of int8
 *   multiply(a, b), subtract(a, b), fused(a, b, c) = a * b + c, larger(a, b), exponential(v)
 *   seen_lanes(visible, first): lanes whose index from `first` on is below visible
 *   choose(mask, a, b): a where the mask is, b elsewhere; keep(mask, v): 0 elsewhere
 *   fold(parts): the first steps of the tree of docs/numerics.md, which leave LANES sums
 *   sum_rows(v), largest_rows(v): of LANES vectors, lane i of the result is of vector i; sums end the tree
 *
 * Rows, the query heads of all tokens, go up to MOST_ROWS at a time through the blocks, so that K and V are read once
 * for all of them; six rows are in registers together. For scores the 32 positions of a block are the lanes, for values
 * the head's dimensions are. More than six rows read K and V widened to float once, fewer widen them as they load.
 *
 * Only the blocks at the end hide something from some rows: their scores are masked, and values beyond what the first
 * row of a group sees are added row by row, since adding a value with weight 0 is not the same as not adding it. */
#ifndef KERNEL_X86_ATTENTION_WIDE_H
#define KERNEL_X86_ATTENTION_WIDE_H

#include "kernel/arithmetic.h"
#include "kernel/kernel.h"

#include <assert.h>

#ifndef ALWAYS_INLINE
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#endif
#if defined(UNROLL)
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

enum { PARTS = ATTENTION_BLOCK / LANES, MOST_ROWS = ATTENTION_TILE_ROWS, TOGETHER = 6 };

/* What values of a block are stored as. */
enum element { ELEMENT_F16, ELEMENT_INT8, ELEMENT_FLOAT };

/* The state of a row within a range: values are to be divided by sum. */
struct partial {
    /* Whole vectors are stored: what is behind the last row means nothing. */
    float maximum[MOST_ROWS + LANES];
    float sum[MOST_ROWS + LANES];
    /* [row][head_dim]: close together, as the cache wants them */
    _Alignas(64) float values[MOST_ROWS * ATTENTION_MOST_HEAD_DIM];
};

/* Rows that go together, and where they are. */
struct work {
    const struct attention_args *args;
    uint32_t first_row; /* row 0 of this work among all rows */
    uint32_t rows;
    uint32_t positions[MOST_ROWS]; /* that a row sees */
    struct partial total, range;
    /* The block under way. */
    const uint8_t *next;       /* the block after it, to be fetched ahead; of the last one, itself */
    const uint8_t *streams[2]; /* what is fetched of it now: of K and V by turns, see start_fetching */
    uint32_t block_position;
    _Alignas(64) float weights[MOST_ROWS][ATTENTION_BLOCK];
    float corrections[MOST_ROWS + LANES];
    _Alignas(64) float wide[ATTENTION_BLOCK * ATTENTION_MOST_HEAD_DIM]; /* K, then V */
};

ALWAYS_INLINE float *values_of(struct work *work, uint32_t row)
{
    return work->range.values + row * work->args->head_dim;
}

ALWAYS_INLINE size_t element_bytes(enum element e)
{
    return e == ELEMENT_FLOAT ? 4 : e == ELEMENT_F16 ? 2 : 1;
}

/* LANES values from index i on. */
ALWAYS_INLINE vector load(enum element e, const uint8_t *data, size_t i)
{
    data += i * element_bytes(e);
    return e == ELEMENT_FLOAT ? load_floats((const float *)(const void *)data)
           : e == ELEMENT_F16 ? load_halves(data)
                              : load_codes(data);
}

ALWAYS_INLINE float load_one(enum element e, const uint8_t *data, size_t i)
{
    data += i * element_bytes(e);
    if (e == ELEMENT_FLOAT)
        return *(const float *)(const void *)data;
    return e == ELEMENT_F16 ? half_to_float(*(const uint16_t *)(const void *)data) : (float)*(const int8_t *)data;
}

/* The next block may lie anywhere. It is fetched in equal steps, as this one is worked on: a core follows few misses at
 * a time, and waits when there are more. Of f16 lines of K and V by turns, as a core reads two streams faster than one:
 * their first halves with this block's scores, the others with its values. int8, bound by computing, gains nothing by
 * that: K with scores, V with values. */
static inline void start_fetching(struct work *work, bool values)
{
    const uint8_t *k = work->next, *v = k + kv_block_v(work->args->type, work->args->head_dim);
    const size_t lines = (size_t)(v - k) / 64;
    const bool by_turns = work->args->type == KV_F16;
    work->streams[0] = !values ? k : by_turns ? v + lines / 2 * 64 : v;
    work->streams[1] = values ? k + (lines + 1) / 2 * 64 : v;
}

/* offset: of this step, in as many bytes as K has; a line is asked for once. */
ALWAYS_INLINE void fetch(const struct work *work, enum element e, size_t offset)
{
    const size_t line = offset / 64;
    const uint8_t *from = e == ELEMENT_F16 ? work->streams[line % 2] + line / 2 * 64 : work->streams[0] + line * 64;
    if (offset % 64 == 0)
        _mm_prefetch((const char *)from, FETCH_HINT);
}

/* Positions of the block under way that a row sees: at most 32, 0 for none. */
static inline uint32_t visible_of(const struct work *work, uint32_t row)
{
    const uint32_t positions = work->positions[row];
    const uint32_t left = positions > work->block_position ? positions - work->block_position : 0;
    return left < ATTENTION_BLOCK ? left : ATTENTION_BLOCK;
}

/* Chains of `count` rows over the dimensions, into weights. */
ALWAYS_INLINE void add_scores(struct work *work, enum element e, const uint8_t *k, uint32_t row, const int count)
{
    const uint32_t head_dim = work->args->head_dim;
    const float *q = work->args->q + (size_t)(work->first_row + row) * head_dim;
    const size_t step = 2 * LANES * element_bytes(e);
    for (int half = 0; half < PARTS; half += 2) {
        vector score[TOGETHER][2];
        UNROLL
        for (int r = 0; r < count; r++)
            score[r][0] = score[r][1] = splat(0.0f);
        for (uint32_t d = 0; d < head_dim; d++) {
            const size_t at = (size_t)d * ATTENTION_BLOCK + (size_t)half * LANES;
            const vector k0 = load(e, k, at), k1 = load(e, k, at + LANES);
            if (e != ELEMENT_FLOAT)
                fetch(work, e, ((size_t)half / 2 * head_dim + d) * step);
            UNROLL
            for (int r = 0; r < count; r++) {
                const vector qd = splat(q[(size_t)r * head_dim + d]);
                score[r][0] = fused(qd, k0, score[r][0]);
                score[r][1] = fused(qd, k1, score[r][1]);
            }
        }
        UNROLL
        for (int r = 0; r < count; r++) {
            store_floats(work->weights[row + (uint32_t)r] + half * LANES, score[r][0]);
            store_floats(work->weights[row + (uint32_t)r] + half * LANES + LANES, score[r][1]);
        }
    }
}

/* Scores of `count` rows, LANES at most, to weights; their maxima, sums and corrections. scales: of K and V, or NULL.
 * The rows are the lanes of what there is one of for each. all: every row sees all of the block. */
ALWAYS_INLINE void soften(struct work *work, uint32_t row, uint32_t count, const float *scales, const bool all)
{
    const vector lowest = splat(-__builtin_inff()), scale = splat(work->args->scale);
    vector of_rows[LANES];
    _Alignas(64) float maxima[LANES];
    for (uint32_t r = 0; r < LANES; r++)
        of_rows[r] = lowest;
    for (uint32_t r = 0; r < count; r++) {
        const uint32_t visible = visible_of(work, row + r);
        float *weights = work->weights[row + r];
        for (int i = 0; i < PARTS; i++) {
            vector score = load_floats(weights + i * LANES);
            if (scales)
                score = multiply(score, load_floats(scales + i * LANES));
            score = multiply(score, scale);
            store_floats(weights + i * LANES, score);
            of_rows[r] = larger(all ? score : choose(seen_lanes(visible, i * LANES), score, lowest), of_rows[r]);
        }
    }
    const vector old = load_floats(work->range.maximum + row), maximum = larger(largest_rows(of_rows), old);
    const vector correction = exponential(subtract(old, maximum));
    store_floats(maxima, maximum);
    store_floats(work->range.maximum + row, maximum);
    store_floats(work->corrections + row, correction);
    for (uint32_t r = 0; r < count; r++) {
        const uint32_t visible = visible_of(work, row + r);
        float *weights = work->weights[row + r];
        vector weight[PARTS];
        for (int i = 0; i < PARTS; i++) {
            weight[i] = exponential(subtract(load_floats(weights + i * LANES), splat(maxima[r])));
            if (!all)
                weight[i] = keep(seen_lanes(visible, i * LANES), weight[i]);
        }
        of_rows[r] = fold(weight);
        for (int i = 0; i < PARTS; i++) {
            if (scales)
                weight[i] = multiply(weight[i], load_floats(scales + ATTENTION_BLOCK + i * LANES));
            store_floats(weights + i * LANES, weight[i]);
        }
    }
    store_floats(work->range.sum + row, fused(load_floats(work->range.sum + row), correction, sum_rows(of_rows)));
}

static void add_softmax(struct work *work, uint32_t first, const float *scales)
{
    const bool all = visible_of(work, first) == ATTENTION_BLOCK;
    for (uint32_t row = first; row < work->rows; row += LANES) {
        const uint32_t count = work->rows - row < LANES ? work->rows - row : LANES;
        if (all && scales)
            soften(work, row, count, scales, true);
        else if (all)
            soften(work, row, count, NULL, true);
        else
            soften(work, row, count, scales, false);
    }
}

/* `wide` vectors of dimensions from d on of `count` rows: rescaled, then one chain over `visible` positions. */
ALWAYS_INLINE void add_columns(struct work *work, enum element e, const uint8_t *v, uint32_t row, const int count,
                               uint32_t d, const int wide, uint32_t visible)
{
    const uint32_t head_dim = work->args->head_dim;
    const size_t step = (size_t)wide * LANES * element_bytes(e);
    vector value[TOGETHER][2];
    UNROLL
    for (int r = 0; r < count; r++) {
        UNROLL
        for (int i = 0; i < wide; i++)
            value[r][i] = multiply(load_floats(values_of(work, row + (uint32_t)r) + d + i * LANES),
                                   splat(work->corrections[row + (uint32_t)r]));
    }
    for (uint32_t j = 0; j < visible; j++) {
        const size_t at = (size_t)j * head_dim + d;
        vector x[2];
        UNROLL
        for (int i = 0; i < wide; i++)
            x[i] = load(e, v, at + (size_t)i * LANES);
        if (e != ELEMENT_FLOAT)
            fetch(work, e, (size_t)d * ATTENTION_BLOCK * element_bytes(e) + j * step);
        UNROLL
        for (int r = 0; r < count; r++) {
            const vector weight = splat(work->weights[row + (uint32_t)r][j]);
            UNROLL
            for (int i = 0; i < wide; i++)
                value[r][i] = fused(weight, x[i], value[r][i]);
        }
    }
    UNROLL
    for (int r = 0; r < count; r++) {
        UNROLL
        for (int i = 0; i < wide; i++)
            store_floats(values_of(work, row + (uint32_t)r) + d + i * LANES, value[r][i]);
    }
}

/* Positions [first, visible) of the block for one row. */
ALWAYS_INLINE void add_rest(struct work *work, enum element e, const uint8_t *v, uint32_t row, uint32_t first,
                            uint32_t visible)
{
    const uint32_t head_dim = work->args->head_dim;
    float *values = values_of(work, row);
    for (uint32_t j = first; j < visible; j++) {
        const float weight = work->weights[row][j];
        uint32_t d = 0;
        for (; d + LANES <= head_dim; d += LANES)
            store_floats(values + d,
                         fused(splat(weight), load(e, v, (size_t)j * head_dim + d), load_floats(values + d)));
        for (; d < head_dim; d++)
            values[d] = float_fma(weight, load_one(e, v, (size_t)j * head_dim + d), values[d]);
    }
}

ALWAYS_INLINE void add_values(struct work *work, enum element e, const uint8_t *v, uint32_t row, const int count)
{
    const uint32_t head_dim = work->args->head_dim, visible = visible_of(work, row);
    uint32_t d = 0;
    for (; d + 2 * LANES <= head_dim; d += 2 * LANES)
        add_columns(work, e, v, row, count, d, 2, visible);
    for (; d + LANES <= head_dim; d += LANES)
        add_columns(work, e, v, row, count, d, 1, visible);
    for (; d < head_dim; d++)
        for (int r = 0; r < count; r++) {
            float *value = &values_of(work, row + (uint32_t)r)[d];
            *value *= work->corrections[row + (uint32_t)r];
            for (uint32_t j = 0; j < visible; j++)
                *value =
                    float_fma(work->weights[row + (uint32_t)r][j], load_one(e, v, (size_t)j * head_dim + d), *value);
        }
    for (int r = 1; r < count; r++) {
        const uint32_t sees = visible_of(work, row + (uint32_t)r);
        if (sees > visible)
            add_rest(work, e, v, row + (uint32_t)r, visible, sees);
    }
}

/* K and V of a block for rows [first, rows). */
#define ROW_GROUPS(operation, e, data)                                                                                 \
    for (uint32_t row = first; row < work->rows; row += TOGETHER)                                                      \
        switch (work->rows - row) {                                                                                    \
        case 1:                                                                                                        \
            operation(work, e, data, row, 1);                                                                          \
            break;                                                                                                     \
        case 2:                                                                                                        \
            operation(work, e, data, row, 2);                                                                          \
            break;                                                                                                     \
        case 3:                                                                                                        \
            operation(work, e, data, row, 3);                                                                          \
            break;                                                                                                     \
        case 4:                                                                                                        \
            operation(work, e, data, row, 4);                                                                          \
            break;                                                                                                     \
        case 5:                                                                                                        \
            operation(work, e, data, row, 5);                                                                          \
            break;                                                                                                     \
        default:                                                                                                       \
            operation(work, e, data, row, 6);                                                                          \
            break;                                                                                                     \
        }

#define GROUP_FUNCTIONS(name, e)                                                                                       \
    static void scores_##name(struct work *work, const uint8_t *k, uint32_t first)                                     \
    {                                                                                                                  \
        ROW_GROUPS(add_scores, e, k)                                                                                   \
    }                                                                                                                  \
    static void values_##name(struct work *work, const uint8_t *v, uint32_t first)                                     \
    {                                                                                                                  \
        ROW_GROUPS(add_values, e, v)                                                                                   \
    }
GROUP_FUNCTIONS(f16, ELEMENT_F16)
GROUP_FUNCTIONS(int8, ELEMENT_INT8)
GROUP_FUNCTIONS(float, ELEMENT_FLOAT)

/* A block's K or V as float. */
ALWAYS_INLINE void widen(struct work *work, enum element e, const uint8_t *data)
{
    const size_t count = (size_t)work->args->head_dim * ATTENTION_BLOCK;
    for (size_t i = 0; i < count; i += 32) {
        fetch(work, e, i * element_bytes(e));
        for (size_t k = 0; k < 32; k += LANES)
            store_floats(work->wide + i + k, load(e, data, i + k));
    }
}

static void add_block(struct work *work, const uint8_t *block)
{
    const struct attention_args *args = work->args;
    const bool is_f16 = args->type == KV_F16;
    const uint8_t *v = block + kv_block_v(args->type, args->head_dim);
    const float *scales =
        is_f16 ? NULL : (const float *)(const void *)(block + kv_block_scales(args->type, args->head_dim));
    /* Rows that see nothing of the block come first. */
    uint32_t first = 0;
    while (first < work->rows && visible_of(work, first) == 0)
        first++;
    start_fetching(work, false);
    const bool widens = work->rows - first > TOGETHER;
    const uint8_t *wide = (const uint8_t *)work->wide;
    if (widens) {
        if (is_f16)
            widen(work, ELEMENT_F16, block);
        else
            widen(work, ELEMENT_INT8, block);
        scores_float(work, wide, first);
    } else if (is_f16) {
        scores_f16(work, block, first);
    } else {
        scores_int8(work, block, first);
    }
    for (size_t at = 0; !is_f16 && at < 2 * ATTENTION_BLOCK * sizeof *scales; at += 64)
        _mm_prefetch((const char *)(work->next + kv_block_scales(args->type, args->head_dim) + at), FETCH_HINT);
    add_softmax(work, first, scales);
    start_fetching(work, true);
    if (widens) {
        if (is_f16)
            widen(work, ELEMENT_F16, v);
        else
            widen(work, ELEMENT_INT8, v);
        values_float(work, wide, first);
    } else if (is_f16) {
        values_f16(work, v, first);
    } else {
        values_int8(work, v, first);
    }
}

static void add_range(struct work *work, uint32_t range, uint32_t positions)
{
    const struct attention_args *args = work->args;
    const uint32_t first = range * ATTENTION_RANGE;
    for (uint32_t row = 0; row < work->rows + LANES; row++) {
        work->range.maximum[row] = -__builtin_inff();
        work->range.sum[row] = 0;
    }
    memset(work->range.values, 0, (size_t)work->rows * args->head_dim * sizeof(float));
    for (uint32_t b = first; b < first + ATTENTION_RANGE && b * ATTENTION_BLOCK < positions; b++) {
        work->block_position = b * ATTENTION_BLOCK;
        const uint32_t next = (b + 1) * ATTENTION_BLOCK < positions ? b + 1 : b;
        const uint32_t after = (next + 1) * ATTENTION_BLOCK < positions ? next + 1 : next;
        work->next = args->cache + args->pages[next] * args->page_stride;
        /* One line of the block after that, for its address to be translated in time. */
        _mm_prefetch((const char *)(args->cache + args->pages[after] * args->page_stride), FETCH_HINT);
        add_block(work, args->cache + args->pages[b] * args->page_stride);
    }
}

static void merge(float *maximum, float *sum, float *values, float range_maximum, float range_sum,
                  const float *range_values, uint32_t head_dim)
{
    const float most = range_maximum > *maximum ? range_maximum : *maximum;
    const float a = float_exp(*maximum - most), b = float_exp(range_maximum - most);
    *sum = float_fma(*sum, a, range_sum * b);
    *maximum = most;
    for (uint32_t d = 0; d < head_dim; d++)
        values[d] = float_fma(values[d], a, range_values[d] * b);
}

static void finish(const float *values, float sum, uint32_t head_dim, float *out)
{
    const float inverse = 1.0f / sum;
    for (uint32_t d = 0; d < head_dim; d++)
        out[d] = values[d] * inverse;
}

/* The range's result joins the total, or becomes a partial result. */
static void keep_range(struct work *work, uint32_t range)
{
    const struct attention_args *args = work->args;
    const uint32_t head_dim = args->head_dim, begin = range * ATTENTION_RANGE * ATTENTION_BLOCK;
    struct partial *total = &work->total, *from = &work->range;
    for (uint32_t row = 0; row < work->rows; row++) {
        const uint32_t at = work->first_row + row;
        if (args->position + at / args->heads < begin)
            continue;
        if (args->partials) {
            float *to = args->partials + ((size_t)(range - args->first_range) * args->tokens * args->heads + at) *
                                             attention_partial_floats(head_dim);
            to[0] = from->maximum[row];
            to[1] = from->sum[row];
            memcpy(to + 2, from->values + row * head_dim, head_dim * sizeof *to);
        } else if (range == 0) {
            total->maximum[row] = from->maximum[row];
            total->sum[row] = from->sum[row];
            memcpy(total->values + row * head_dim, from->values + row * head_dim, head_dim * sizeof(float));
        } else {
            merge(&total->maximum[row], &total->sum[row], total->values + row * head_dim, from->maximum[row],
                  from->sum[row], from->values + row * head_dim, head_dim);
        }
    }
}

void SUFFIX(attention)(const struct attention_args *args)
{
    const uint32_t rows = args->tokens * args->heads;
    struct work work;
    work.args = args;
    assert(args->head_dim <= ATTENTION_MOST_HEAD_DIM);
    for (work.first_row = 0; work.first_row < rows; work.first_row += MOST_ROWS) {
        work.rows = rows - work.first_row < MOST_ROWS ? rows - work.first_row : MOST_ROWS;
        for (uint32_t row = 0; row < work.rows; row++)
            work.positions[row] = args->position + (work.first_row + row) / args->heads + 1;
        const uint32_t positions = work.positions[work.rows - 1];
        uint32_t range = args->partials ? args->first_range : 0, last = attention_ranges(positions);
        if (args->partials && args->last_range < last)
            last = args->last_range;
        for (; range < last; range++) {
            add_range(&work, range, positions);
            keep_range(&work, range);
        }
        for (uint32_t row = 0; row < work.rows && !args->partials; row++) {
            const uint32_t at = work.first_row + row;
            finish(work.total.values + row * args->head_dim, work.total.sum[row], args->head_dim,
                   args->out + at / args->heads * args->out_stride + (size_t)(at % args->heads) * args->head_dim);
        }
    }
}

void SUFFIX(attention_merge)(const struct attention_merge_args *args)
{
    const uint32_t rows = args->tokens * args->heads, head_dim = args->head_dim;
    const size_t size = attention_partial_floats(head_dim);
    float values[ATTENTION_MOST_HEAD_DIM];
    for (uint32_t row = 0; row < rows; row++) {
        const float *from = args->partials + row * size;
        float maximum = from[0], sum = from[1];
        memcpy(values, from + 2, head_dim * sizeof *values);
        for (uint32_t r = 1; r < attention_ranges(args->position + row / args->heads + 1); r++) {
            from = args->partials + ((size_t)r * rows + row) * size;
            merge(&maximum, &sum, values, from[0], from[1], from + 2, head_dim);
        }
        finish(values, sum, head_dim,
               args->out + row / args->heads * args->out_stride + (size_t)(row % args->heads) * head_dim);
    }
}

#endif
