/* Attention with vectors of any width: the bits of attention_generic. A tier's file says what its vectors can do and
 * then includes this:
 *
 *   LANES, vector (that many floats), mask (of a vector's lanes); SUFFIX(name) the name of an operation in this tier;
 *   splat(x), load_floats(p), store_floats(p, v), load_halves(p) of f16
 *   multiply(a, b), subtract(a, b), fused(a, b, c) = a * b + c, larger(a, b)
 *   exponential(v), coarse_exponential(v) of values up to 0
 *   beside(a, b): the lower half of a, then that of b; upper_half(v) in place of the lower one
 *   seen_lanes(visible, first): lanes whose index from `first` on is below visible
 *   choose(mask, a, b): a where the mask is, b elsewhere; keep(mask, v): 0 elsewhere
 *   fold(parts): the first steps of the tree of docs/numerics.md, which leave LANES sums
 *   sum_rows(v, max_rows), largest_rows(v, max_rows): of max_rows vectors, FEW or LANES; lane i of the result is that
 * of vector i, and sum_rows ends the tree words (LANES int32, or that many pairs of int16), no_words() all 0,
 * load_words(p), store_words(p, w) widen_codes(p) of 2 LANES int8, splat_pair(p) of int16, add_products(w, a, b): w +
 * the sum of each pair's products floats_of(w), load_integers(p) of int32 as floats store_codes(p, parts): values below
 * 32768 as int16; NaN becomes any code
 *
 * Rows are the query heads of all tokens. Up to MAX_ROWS of them go through the blocks together, so that K and V are
 * read once for all of them; six rows are in registers at a time. For scores the 32 positions of a block are the lanes,
 * for values the head's dimensions are. More than six rows share one widened copy of K and V, fewer widen them while
 * loading. Only the last blocks have positions that are hidden from some rows; their scores are masked. */
#ifndef KERNEL_WIDE_ATTENTION_WIDE_H
#define KERNEL_WIDE_ATTENTION_WIDE_H

#include "kernel/wide/attention_f16_wide.h"
#include "kernel/wide/attention_int8_wide.h"

static void add_range(struct work *work, uint32_t range)
{
    const struct attention_args *args = work->args;
    const uint32_t first = range * ATTENTION_RANGE;
    for (uint32_t row = 0; row < work->rows + LANES; row++) {
        work->range.maximum[row] = -__builtin_inff();
        work->range.sum[row] = 0;
    }
    memset(work->range.values, 0, (size_t)work->rows * args->head_dim * sizeof(float));
    const uint32_t end = smaller(first + ATTENTION_RANGE, work->last_block + 1);
    for (uint32_t b = first; b < end; b++) {
        /* The rows to which no position of the block is visible come first. */
        uint32_t row = 0;
        start_block(work, b);
        while (row < work->rows && visible_of(work, row) == 0)
            row++;
        if (args->type == KV_F16)
            add_block_f16(work, row);
        else
            add_block_int8(work, row);
    }
}

static void merge(float *maximum, float *sum, float *values, float range_maximum, float range_sum,
                  const float *range_values, uint32_t head_dim)
{
    const float larger_maximum = range_maximum > *maximum ? range_maximum : *maximum;
    const float a = float_exp(*maximum - larger_maximum), b = float_exp(range_maximum - larger_maximum);
    *sum = float_fma(*sum, a, range_sum * b);
    *maximum = larger_maximum;
    for (uint32_t d = 0; d < head_dim; d++)
        values[d] = float_fma(values[d], a, range_values[d] * b);
}

static void finish(const float *values, float sum, uint32_t head_dim, float *out)
{
    const float inverse = 1.0f / sum;
    for (uint32_t d = 0; d < head_dim; d++)
        out[d] = values[d] * inverse;
}

/* Merges the range's result into the total, or stores it as a partial result. */
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
    /* A third of a megabyte is too much for the stack of a thread that the caller may have created. */
    static_assert(sizeof(struct work) <= ATTENTION_SCRATCH_BYTES, "");
    struct work *const work = args->scratch;
    work->args = args;
    work->block_bytes = kv_block_bytes(args->type, args->head_dim);
    work->lead = work->block_bytes * 2 <= MAX_LEAD ? 2 : 1;
    assert(args->head_dim <= ATTENTION_MAX_HEAD_DIM);
    for (work->first_row = 0; work->first_row < rows; work->first_row += MAX_ROWS) {
        work->rows = smaller(rows - work->first_row, MAX_ROWS);
        for (uint32_t row = 0; row < work->rows; row++)
            work->positions[row] = args->position + (work->first_row + row) / args->heads + 1;
        const uint32_t positions = work->positions[work->rows - 1];
        if (args->type == KV_INT8)
            code_queries(work);
        uint32_t range = args->partials ? args->first_range : 0, last = attention_ranges(positions);
        if (args->partials)
            last = smaller(last, args->last_range);
        work->last_block = smaller(last * ATTENTION_RANGE - 1, (positions - 1) / ATTENTION_BLOCK);
        take_end(work);
        for (; range < last; range++) {
            add_range(work, range);
            keep_range(work, range);
        }
        for (uint32_t row = 0; row < work->rows && !args->partials; row++) {
            const uint32_t at = work->first_row + row;
            finish(work->total.values + row * args->head_dim, work->total.sum[row], args->head_dim,
                   args->out + at / args->heads * args->out_stride + (size_t)(at % args->heads) * args->head_dim);
        }
    }
}

void SUFFIX(attention_merge)(const struct attention_merge_args *args)
{
    const uint32_t rows = args->tokens * args->heads, head_dim = args->head_dim;
    const size_t size = attention_partial_floats(head_dim);
    float values[ATTENTION_MAX_HEAD_DIM];
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
