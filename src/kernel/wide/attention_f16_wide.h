/* Attention to keys and values in f16, with vectors of any width: see attention_wide.h.
 *
 * Positions that are hidden from the first row of a group are added row by row, since adding a value with weight 0 is
 * not the same as not adding it. */
#ifndef KERNEL_WIDE_ATTENTION_F16_WIDE_H
#define KERNEL_WIDE_ATTENTION_F16_WIDE_H

#include "kernel/wide/attention_state_wide.h"

/* The size of an element of K or V: of the f16 original, or of its copy as float. */
ALWAYS_INLINE size_t element_bytes(const bool is_wide)
{
    return is_wide ? 4 : 2;
}

/* LANES values from index i on. */
ALWAYS_INLINE vector load_f16(const bool is_wide, const uint8_t *data, size_t i)
{
    data += i * element_bytes(is_wide);
    return is_wide ? load_floats((const float *)(const void *)data) : load_halves(data);
}

ALWAYS_INLINE float load_one_f16(const bool is_wide, const uint8_t *data, size_t i)
{
    data += i * element_bytes(is_wide);
    return is_wide ? *(const float *)(const void *)data : half_to_float(*(const uint16_t *)(const void *)data);
}

/* Writes the scores of `count` rows, chains over the dimensions, to weights. */
ALWAYS_INLINE void add_scores_f16(struct work *work, const bool is_wide, const uint8_t *k, uint32_t row,
                                  const int count)
{
    const uint32_t head_dim = work->args->head_dim;
    const float *q = work->args->q + (size_t)(work->first_row + row) * head_dim;
    const size_t step = 2 * LANES * element_bytes(is_wide);
    for (int half = 0; half < PARTS; half += 2) {
        const size_t from = (size_t)half / 2 * head_dim * step;
        vector score[TOGETHER][2];
        UNROLL
        for (int r = 0; r < count; r++)
            score[r][0] = score[r][1] = splat(0.0f);
        for (uint32_t d = 0; d < head_dim; d++) {
            const size_t at = (size_t)d * ATTENTION_BLOCK + (size_t)half * LANES;
            const vector k0 = load_f16(is_wide, k, at), k1 = load_f16(is_wide, k, at + LANES);
            if (!is_wide)
                fetch(work, from, d * step);
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

/* Turns the scores of `count` rows (up to max_rows) into weights, and updates the rows' maxima, sums and corrections.
 * Quantities that each row has one of are computed with the rows as lanes. all: the whole block is visible to every
 * row. */
ALWAYS_INLINE void soften_f16(struct work *work, uint32_t row, uint32_t count, const int max_rows, const bool all)
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
            const vector score = multiply(load_floats(weights + i * LANES), scale);
            store_floats(weights + i * LANES, score);
            of_rows[r] = larger(all ? score : choose(seen_lanes(visible, i * LANES), score, lowest), of_rows[r]);
        }
    }
    const vector old = load_floats(work->range.maximum + row), maximum = larger(largest_rows(of_rows, max_rows), old);
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
        for (int i = 0; i < PARTS; i++)
            store_floats(weights + i * LANES, weight[i]);
    }
    store_floats(work->range.sum + row,
                 fused(load_floats(work->range.sum + row), correction, sum_rows(of_rows, max_rows)));
}

static void add_softmax_f16(struct work *work, uint32_t first)
{
    const bool all = visible_of(work, first) == ATTENTION_BLOCK;
    for (uint32_t row = first; row < work->rows; row += LANES) {
        const uint32_t count = work->rows - row < LANES ? work->rows - row : LANES;
        if (all && count <= FEW)
            soften_f16(work, row, count, FEW, true);
        else if (all)
            soften_f16(work, row, count, LANES, true);
        else
            soften_f16(work, row, count, LANES, false);
    }
}

/* `wide` vectors of dimensions from d on of `count` rows: rescaled, then one chain over `visible` positions. */
ALWAYS_INLINE void add_columns_f16(struct work *work, const bool is_wide, const uint8_t *v, uint32_t row,
                                   const int count, uint32_t d, const int wide, uint32_t visible)
{
    const uint32_t head_dim = work->args->head_dim;
    const size_t step = (size_t)wide * LANES * element_bytes(is_wide);
    const size_t from = (size_t)d * ATTENTION_BLOCK * element_bytes(is_wide);
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
            x[i] = load_f16(is_wide, v, at + (size_t)i * LANES);
        if (!is_wide)
            fetch(work, from, j * step);
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

/* Adds positions [first, visible) of the block for one row. */
ALWAYS_INLINE void add_rest_f16(struct work *work, const bool is_wide, const uint8_t *v, uint32_t row, uint32_t first,
                                uint32_t visible)
{
    const uint32_t head_dim = work->args->head_dim;
    float *values = values_of(work, row);
    for (uint32_t j = first; j < visible; j++) {
        const float weight = work->weights[row][j];
        uint32_t d = 0;
        for (; d + LANES <= head_dim; d += LANES)
            store_floats(values + d,
                         fused(splat(weight), load_f16(is_wide, v, (size_t)j * head_dim + d), load_floats(values + d)));
        for (; d < head_dim; d++)
            values[d] = float_fma(weight, load_one_f16(is_wide, v, (size_t)j * head_dim + d), values[d]);
    }
}

ALWAYS_INLINE void add_values_f16(struct work *work, const bool is_wide, const uint8_t *v, uint32_t row,
                                  const int count)
{
    const uint32_t head_dim = work->args->head_dim, visible = visible_of(work, row);
    uint32_t d = 0;
    for (; d + 2 * LANES <= head_dim; d += 2 * LANES)
        add_columns_f16(work, is_wide, v, row, count, d, 2, visible);
    for (; d + LANES <= head_dim; d += LANES)
        add_columns_f16(work, is_wide, v, row, count, d, 1, visible);
    for (; d < head_dim; d++)
        for (int r = 0; r < count; r++) {
            float *value = &values_of(work, row + (uint32_t)r)[d];
            *value *= work->corrections[row + (uint32_t)r];
            for (uint32_t j = 0; j < visible; j++)
                *value = float_fma(work->weights[row + (uint32_t)r][j],
                                   load_one_f16(is_wide, v, (size_t)j * head_dim + d), *value);
        }
    for (int r = 1; r < count; r++) {
        const uint32_t visible_to_row = visible_of(work, row + (uint32_t)r);
        if (visible_to_row > visible)
            add_rest_f16(work, is_wide, v, row + (uint32_t)r, visible, visible_to_row);
    }
}

static void scores_f16(struct work *work, const bool is_wide, const uint8_t *k, uint32_t first)
{
    if (is_wide)
        ROW_GROUPS(add_scores_f16, true, k)
    else
        ROW_GROUPS(add_scores_f16, false, k)
}

static void values_f16(struct work *work, const bool is_wide, const uint8_t *v, uint32_t first)
{
    if (is_wide)
        ROW_GROUPS(add_values_f16, true, v)
    else
        ROW_GROUPS(add_values_f16, false, v)
}

/* Copies a block's K or V as float. */
static const uint8_t *widen_f16(struct work *work, const uint8_t *data)
{
    const size_t count = (size_t)work->args->head_dim * ATTENTION_BLOCK;
    float *wide = (float *)(void *)work->wide;
    for (size_t i = 0; i < count; i += 32) {
        for (size_t k = 0; k < 32; k += LANES)
            store_floats(wide + i + k, load_halves(data + 2 * (i + k)));
    }
    return work->wide;
}

static void add_block_f16(struct work *work, uint32_t first)
{
    const bool is_wide = work->rows - first > TOGETHER;
    const uint8_t *k = block_at(work, work->block), *v = k + kv_block_v(KV_F16, work->args->head_dim);
    start_half(work, false);
    scores_f16(work, is_wide, is_wide ? widen_f16(work, k) : k, first);
    add_softmax_f16(work, first);
    start_half(work, true);
    values_f16(work, is_wide, is_wide ? widen_f16(work, v) : v, first);
}

#endif
