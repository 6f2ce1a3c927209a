/* Attention to keys and values in int8, with vectors of any width: see attention_wide.h.
 *
 * Queries and weights are int16 codes, so that scores and values are sums of integers, which are exact: nothing depends
 * on their order, and positions hidden from a row have weight 0. */
#ifndef KERNEL_WIDE_ATTENTION_INT8_WIDE_H
#define KERNEL_WIDE_ATTENTION_INT8_WIDE_H

#include "kernel/wide/attention_state_wide.h"

/* Loads LANES pairs of codes from pair i on, from the int8 original of K or V or from its copy as int16. */
ALWAYS_INLINE words load_pairs(const bool is_wide, const uint8_t *data, size_t i)
{
    return is_wide ? load_words(data + 4 * i) : widen_codes(data + 2 * i);
}

/* Writes the sums of `count` rows over pairs of dimensions to weights, as int32. */
ALWAYS_INLINE void add_scores_int8(struct work *work, const bool is_wide, const uint8_t *k, uint32_t row,
                                   const int count)
{
    const uint32_t pairs = work->args->head_dim / 2;
    for (int half = 0; half < PARTS; half += 2) {
        const size_t from = (size_t)half / 2 * pairs * 4 * LANES;
        words score[TOGETHER][2];
        UNROLL
        for (int r = 0; r < count; r++)
            score[r][0] = score[r][1] = no_words();
        for (uint32_t d = 0; d < pairs; d++) {
            const size_t at = (size_t)d * ATTENTION_BLOCK + (size_t)half * LANES;
            const words k0 = load_pairs(is_wide, k, at), k1 = load_pairs(is_wide, k, at + LANES);
            if (!is_wide)
                fetch(work, from, (size_t)d * 4 * LANES);
            UNROLL
            for (int r = 0; r < count; r++) {
                const words q = splat_pair(work->queries[row + (uint32_t)r] + (size_t)2 * d);
                score[r][0] = add_products(score[r][0], q, k0);
                score[r][1] = add_products(score[r][1], q, k1);
            }
        }
        UNROLL
        for (int r = 0; r < count; r++) {
            store_words(work->weights[row + (uint32_t)r] + half * LANES, score[r][0]);
            store_words(work->weights[row + (uint32_t)r] + half * LANES + LANES, score[r][1]);
        }
    }
}

/* Turns the sums of `count` rows (up to max_rows) into codes of weights with a unit for each row, and updates the rows'
 * maxima, sums and corrections. Quantities that each row has one of are computed with the rows as lanes. scales: of K
 * and V. all: the whole block is visible to every row; then whole is the scale of the weights' codes. */
ALWAYS_INLINE void soften_int8(struct work *work, uint32_t row, uint32_t count, const float *scales,
                               const struct code_scale *whole, const int max_rows, const bool all)
{
    const vector lowest = splat(-__builtin_inff());
    vector of_rows[LANES];
    _Alignas(64) float maxima[LANES], units[LANES] = {0};
    for (uint32_t r = 0; r < LANES; r++)
        of_rows[r] = lowest;
    for (uint32_t r = 0; r < count; r++) {
        const uint32_t visible = visible_of(work, row + r);
        const vector unit = splat(work->query_units[row + r]);
        float *weights = work->weights[row + r];
        for (int i = 0; i < PARTS; i++) {
            const vector sum = multiply(load_integers(weights + i * LANES), load_floats(scales + i * LANES));
            const vector score = multiply(sum, unit);
            store_floats(weights + i * LANES, score);
            of_rows[r] = larger(all ? score : choose(seen_lanes(visible, i * LANES), score, lowest), of_rows[r]);
        }
    }
    const vector maximum = largest_rows(of_rows, max_rows);
    store_floats(maxima, maximum);
    for (uint32_t r = 0; r < count; r++) {
        const uint32_t visible = visible_of(work, row + r);
        const float *weights = work->weights[row + r], *value_scales = scales + ATTENTION_BLOCK;
        const struct code_scale codes =
            all ? *whole : float_code_scale(float_largest_magnitude(value_scales, visible), 32767.0f);
        vector weight[PARTS], coded[PARTS];
        for (int i = 0; i < PARTS; i++) {
            weight[i] = coarse_exponential(subtract(load_floats(weights + i * LANES), splat(maxima[r])));
            if (!all)
                weight[i] = keep(seen_lanes(visible, i * LANES), weight[i]);
            const vector code = multiply(load_floats(value_scales + i * LANES), splat(codes.inverse));
            coded[i] = multiply(weight[i], code);
        }
        /* NaN has no code. A weight that is NaN shows in the sum; where a scale is NaN, the value codes are 0. */
        store_codes(work->weight_codes[row + r], coded);
        of_rows[r] = fold(weight);
        units[r] = codes.unit;
    }
    const vector old = load_floats(work->range.maximum + row), greatest = larger(maximum, old);
    vector correction = subtract(old, greatest), joining = subtract(maximum, greatest);
    if (max_rows == FEW) {
        correction = coarse_exponential(beside(correction, joining));
        joining = upper_half(correction);
    } else {
        correction = coarse_exponential(correction);
        joining = coarse_exponential(joining);
    }
    store_floats(work->range.maximum + row, greatest);
    store_floats(work->corrections + row, correction);
    store_floats(work->weight_units + row, multiply(load_floats(units), joining));
    store_floats(work->range.sum + row,
                 fused(load_floats(work->range.sum + row), correction, multiply(sum_rows(of_rows, max_rows), joining)));
}

static void add_softmax_int8(struct work *work, uint32_t first, const float *scales)
{
    const bool all = visible_of(work, first) == ATTENTION_BLOCK;
    struct code_scale whole = {0};
    if (all)
        whole = float_code_scale(float_largest_magnitude(scales + ATTENTION_BLOCK, ATTENTION_BLOCK), 32767.0f);
    for (uint32_t row = first; row < work->rows; row += LANES) {
        const uint32_t count = work->rows - row < LANES ? work->rows - row : LANES;
        if (all && count <= FEW)
            soften_int8(work, row, count, scales, &whole, FEW, true);
        else if (all)
            soften_int8(work, row, count, scales, &whole, LANES, true);
        else
            soften_int8(work, row, count, scales, NULL, LANES, false);
    }
}

/* `vectors` vectors of dimensions from d on, which lie among the `columns` from `first` on, of `count` rows: rescaled,
 * and the sum over pairs of positions added. */
ALWAYS_INLINE void add_columns_int8(struct work *work, const bool is_wide, const uint8_t *v, uint32_t row,
                                    const int count, uint32_t first, uint32_t columns, uint32_t d, const int vectors)
{
    const size_t at = (size_t)first * (ATTENTION_BLOCK / 2) + d - first; /* in pairs */
    const size_t from = (size_t)d * ATTENTION_BLOCK;
    words sum[TOGETHER][2];
    UNROLL
    for (int r = 0; r < count; r++)
        sum[r][0] = sum[r][1] = no_words();
    for (uint32_t j = 0; j < ATTENTION_BLOCK / 2; j++) {
        words x[2];
        UNROLL
        for (int i = 0; i < vectors; i++)
            x[i] = load_pairs(is_wide, v, at + (size_t)j * columns + (size_t)i * LANES);
        if (!is_wide)
            fetch(work, from, (size_t)j * (size_t)vectors * 2 * LANES);
        UNROLL
        for (int r = 0; r < count; r++) {
            const words weight = splat_pair(work->weight_codes[row + (uint32_t)r] + (size_t)2 * j);
            UNROLL
            for (int i = 0; i < vectors; i++)
                sum[r][i] = add_products(sum[r][i], weight, x[i]);
        }
    }
    UNROLL
    for (int r = 0; r < count; r++) {
        const vector unit = splat(work->weight_units[row + (uint32_t)r]);
        const vector correction = splat(work->corrections[row + (uint32_t)r]);
        UNROLL
        for (int i = 0; i < vectors; i++) {
            float *values = values_of(work, row + (uint32_t)r) + d + i * LANES;
            store_floats(values, fused(floats_of(sum[r][i]), unit, multiply(load_floats(values), correction)));
        }
    }
}

/* A single dimension of `count` rows. */
static inline void add_column_int8(struct work *work, const bool is_wide, const uint8_t *v, uint32_t row,
                                   const int count, uint32_t d)
{
    for (uint32_t at = row; at < row + (uint32_t)count; at++) {
        int32_t sum = 0;
        for (uint32_t j = 0; j < ATTENTION_BLOCK; j++) {
            const size_t i = kv_int8_value(d, j, work->args->head_dim);
            sum +=
                work->weight_codes[at][j] * (is_wide ? ((const int16_t *)(const void *)v)[i] : ((const int8_t *)v)[i]);
        }
        float *value = &values_of(work, at)[d];
        *value = float_fma((float)sum, work->weight_units[at], *value * work->corrections[at]);
    }
}

ALWAYS_INLINE void add_values_int8(struct work *work, const bool is_wide, const uint8_t *v, uint32_t row,
                                   const int count)
{
    const uint32_t head_dim = work->args->head_dim;
    for (uint32_t first = 0; first < head_dim; first += KV_COLUMNS) {
        const uint32_t columns = head_dim - first < KV_COLUMNS ? head_dim - first : KV_COLUMNS;
        uint32_t d = first;
        for (; d + 2 * LANES <= first + columns; d += 2 * LANES)
            add_columns_int8(work, is_wide, v, row, count, first, columns, d, 2);
        for (; d + LANES <= first + columns; d += LANES)
            add_columns_int8(work, is_wide, v, row, count, first, columns, d, 1);
        for (; d < first + columns; d++)
            add_column_int8(work, is_wide, v, row, count, d);
    }
}

static void scores_int8(struct work *work, const bool is_wide, const uint8_t *k, uint32_t first)
{
    if (is_wide)
        ROW_GROUPS(add_scores_int8, true, k)
    else
        ROW_GROUPS(add_scores_int8, false, k)
}

static void values_int8(struct work *work, const bool is_wide, const uint8_t *v, uint32_t first)
{
    if (is_wide)
        ROW_GROUPS(add_values_int8, true, v)
    else
        ROW_GROUPS(add_values_int8, false, v)
}

/* A block's K or V as int16. */
static const uint8_t *widen_int8(struct work *work, const uint8_t *data)
{
    const size_t count = (size_t)work->args->head_dim * ATTENTION_BLOCK;
    for (size_t i = 0; i < count; i += 64) {
        for (size_t k = 0; k < 64; k += 2 * LANES)
            store_words(work->wide + 2 * (i + k), widen_codes(data + i + k));
    }
    return work->wide;
}

/* Codes of all rows' queries. */
static void code_queries(struct work *work)
{
    const struct attention_args *args = work->args;
    for (uint32_t row = 0; row < work->rows; row++) {
        const float *q = args->q + (size_t)(work->first_row + row) * args->head_dim;
        work->query_units[row] = float_wide_codes(q, args->head_dim, work->queries[row]) * args->scale;
    }
}

static void add_block_int8(struct work *work, uint32_t first)
{
    const bool is_wide = work->rows - first > TOGETHER;
    const size_t scales_at = kv_block_scales(KV_INT8, work->args->head_dim);
    const uint8_t *k = block_at(work, work->block), *v = k + kv_block_v(KV_INT8, work->args->head_dim);
    start_half(work, false);
    scores_int8(work, is_wide, is_wide ? widen_int8(work, k) : k, first);
    for (size_t at = scales_at; at < work->block_bytes; at += 64)
        fetch_line(block_at(work, work->block + work->lead) + at, block_at(work, work->block + 1) + at);
    add_softmax_int8(work, first, (const float *)(const void *)(k + scales_at));
    start_half(work, true);
    values_int8(work, is_wide, is_wide ? widen_int8(work, v) : v, first);
}

#endif
