/* Attention, the definition that every tier must equal bit for bit (docs/numerics.md, "Attention"). */
#include "kernel/attention.h"
#include "base/half.h"
#include "kernel/arithmetic.h"
#include "kernel/kernel.h"

#include <assert.h>

/* The state of a range of positions for one row. The result is values / sum. */
struct partial {
    float maximum;
    float sum;
    float values[ATTENTION_MAX_HEAD_DIM];
};

static const float MINUS_INFINITY = -__builtin_inff();

/* One query head of one token. With int8 keys it has codes: value = code * unit. */
struct query {
    const float *values;
    int16_t codes[ATTENTION_MAX_HEAD_DIM];
    float unit;
};

/* The sum of 32 weights, by the tree of docs/numerics.md. */
static float tree_sum(const float weight[ATTENTION_BLOCK])
{
    float tree[ATTENTION_BLOCK];
    memcpy(tree, weight, sizeof tree);
    for (uint32_t half = ATTENTION_BLOCK / 2; half >= 1; half /= 2)
        for (uint32_t j = 0; j < half; j++)
            tree[j] += tree[j + half];
    return tree[0];
}

/* visible: the number of positions of this block that are visible to the token, 1 to 32. */
static void add_block_f16(const struct attention_args *args, const struct query *query, const uint8_t *block,
                          uint32_t visible, struct partial *into)
{
    const uint32_t head_dim = args->head_dim;
    const uint16_t *k = (const uint16_t *)(const void *)block;
    const uint16_t *v = (const uint16_t *)(const void *)(block + kv_block_v(args->type, head_dim));
    float score[ATTENTION_BLOCK] = {0}, weight[ATTENTION_BLOCK] = {0};
    for (uint32_t d = 0; d < head_dim; d++)
        for (uint32_t j = 0; j < visible; j++)
            score[j] = float_fma(query->values[d], half_to_float(k[d * ATTENTION_BLOCK + j]), score[j]);
    float maximum = into->maximum;
    for (uint32_t j = 0; j < visible; j++) {
        score[j] *= args->scale;
        maximum = score[j] > maximum ? score[j] : maximum;
    }
    for (uint32_t j = 0; j < visible; j++)
        weight[j] = float_exp(score[j] - maximum);
    const float correction = float_exp(into->maximum - maximum);
    into->sum = float_fma(into->sum, correction, tree_sum(weight));
    into->maximum = maximum;
    for (uint32_t d = 0; d < head_dim; d++)
        into->values[d] *= correction;
    for (uint32_t j = 0; j < visible; j++)
        for (uint32_t d = 0; d < head_dim; d++)
            into->values[d] = float_fma(weight[j], half_to_float(v[(size_t)j * head_dim + d]), into->values[d]);
}

static void add_block_int8(const struct attention_args *args, const struct query *query, const uint8_t *block,
                           uint32_t visible, struct partial *into)
{
    const uint32_t head_dim = args->head_dim;
    const int8_t *k = (const int8_t *)block, *v = k + kv_block_v(args->type, head_dim);
    const float *k_scales = (const float *)(const void *)(block + kv_block_scales(args->type, head_dim));
    const float *v_scales = k_scales + ATTENTION_BLOCK;
    const float unit = query->unit * args->scale;
    float score[ATTENTION_BLOCK], weight[ATTENTION_BLOCK] = {0}, maximum = MINUS_INFINITY;
    for (uint32_t j = 0; j < visible; j++) {
        int32_t sum = 0;
        for (uint32_t d = 0; d < head_dim; d++)
            sum += query->codes[d] * k[kv_int8_key(d, j)];
        score[j] = (float)sum * k_scales[j] * unit;
        maximum = score[j] > maximum ? score[j] : maximum;
    }
    const struct code_scale of_weights = float_code_scale(float_largest_magnitude(v_scales, visible), 32767.0f);
    int16_t codes[ATTENTION_BLOCK];
    for (uint32_t j = 0; j < visible; j++) {
        weight[j] = float_exp_coarse(score[j] - maximum);
        const float code = weight[j] * (v_scales[j] * of_weights.inverse);
        codes[j] = code > 0.0f ? (int16_t)float_round(code) : 0; /* 0 for NaN, which shows in the sum */
    }
    const float most = maximum > into->maximum ? maximum : into->maximum;
    const float correction = float_exp_coarse(into->maximum - most), joining = float_exp_coarse(maximum - most);
    into->sum = float_fma(into->sum, correction, tree_sum(weight) * joining);
    into->maximum = most;
    for (uint32_t d = 0; d < head_dim; d++) {
        int32_t sum = 0;
        for (uint32_t j = 0; j < visible; j++)
            sum += codes[j] * v[kv_int8_value(d, j, head_dim)];
        into->values[d] = float_fma((float)sum, of_weights.unit * joining, into->values[d] * correction);
    }
}

static void add_range(const struct attention_args *args, const struct query *query, uint32_t range, uint32_t positions,
                      struct partial *into)
{
    *into = (struct partial){.maximum = MINUS_INFINITY};
    for (uint32_t b = range * ATTENTION_RANGE; b < (range + 1) * ATTENTION_RANGE && b * ATTENTION_BLOCK < positions;
         b++) {
        const uint32_t left = positions - b * ATTENTION_BLOCK,
                       visible = left < ATTENTION_BLOCK ? left : ATTENTION_BLOCK;
        const uint8_t *block = args->cache + kv_page_offset(args->pages[b], kv_block_bytes(args->type, args->head_dim),
                                                            args->group_stride);
        if (args->type == KV_F16)
            add_block_f16(args, query, block, visible, into);
        else
            add_block_int8(args, query, block, visible, into);
    }
}

static void merge(struct partial *into, float range_maximum, float range_sum, const float *range_values,
                  uint32_t head_dim)
{
    float maximum = range_maximum > into->maximum ? range_maximum : into->maximum;
    float a = float_exp(into->maximum - maximum), b = float_exp(range_maximum - maximum);
    into->sum = float_fma(into->sum, a, range_sum * b);
    into->maximum = maximum;
    for (uint32_t d = 0; d < head_dim; d++)
        into->values[d] = float_fma(into->values[d], a, range_values[d] * b);
}

static void finish(const struct partial *total, uint32_t head_dim, float *out)
{
    float inverse = 1.0f / total->sum;
    for (uint32_t d = 0; d < head_dim; d++)
        out[d] = total->values[d] * inverse;
}

void attention_generic(const struct attention_args *args)
{
    for (uint32_t row = 0; row < args->tokens * args->heads; row++) {
        const uint32_t token = row / args->heads, positions = args->position + token + 1;
        struct query query = {.values = args->q + (size_t)row * args->head_dim};
        struct partial total, range;
        if (args->type == KV_INT8)
            query.unit = float_wide_codes(query.values, args->head_dim, query.codes);
        for (uint32_t r = args->partials ? args->first_range : 0;
             r < attention_ranges(positions) && !(args->partials && r >= args->last_range); r++) {
            struct partial *into = r == 0 ? &total : &range;
            add_range(args, &query, r, positions, into);
            if (args->partials) {
                float *to = args->partials + ((size_t)(r - args->first_range) * args->tokens * args->heads + row) *
                                                 attention_partial_floats(args->head_dim);
                to[0] = into->maximum;
                to[1] = into->sum;
                memcpy(to + 2, into->values, args->head_dim * sizeof *to);
            } else if (r > 0) {
                merge(&total, range.maximum, range.sum, range.values, args->head_dim);
            }
        }
        if (!args->partials)
            finish(&total, args->head_dim,
                   args->out + token * args->out_stride + (size_t)(row % args->heads) * args->head_dim);
    }
}

void attention_merge_generic(const struct attention_merge_args *args)
{
    const uint32_t rows = args->tokens * args->heads;
    const size_t size = attention_partial_floats(args->head_dim);
    for (uint32_t row = 0; row < rows; row++) {
        const uint32_t token = row / args->heads, ranges = attention_ranges(args->position + token + 1);
        struct partial total = {.maximum = args->partials[row * size], .sum = args->partials[row * size + 1]};
        memcpy(total.values, args->partials + row * size + 2, args->head_dim * sizeof(float));
        for (uint32_t r = 1; r < ranges; r++) {
            const float *from = args->partials + ((size_t)r * rows + row) * size;
            merge(&total, from[0], from[1], from + 2, args->head_dim);
        }
        finish(&total, args->head_dim,
               args->out + token * args->out_stride + (size_t)(row % args->heads) * args->head_dim);
    }
}

void kv_store_generic(const struct kv_store_args *args)
{
    const uint32_t head_dim = args->head_dim;
    void *k = args->block, *v = args->block + kv_block_v(args->type, head_dim);
    assert(args->slot < ATTENTION_BLOCK);
    if (args->type == KV_INT8) {
        kv_store_int8(args);
        return;
    }
    for (uint32_t d = 0; d < head_dim; d++) {
        ((uint16_t *)k)[d * ATTENTION_BLOCK + args->slot] = half_from_float_saturated(args->key[d]);
        ((uint16_t *)v)[args->slot * head_dim + d] = half_from_float_saturated(args->value[d]);
    }
}

void kv_store_int8(const struct kv_store_args *args)
{
    const uint32_t head_dim = args->head_dim, slot = args->slot;
    int8_t *k = (int8_t *)args->block, *v = k + kv_block_v(args->type, head_dim);
    float *scales = (float *)(void *)(args->block + kv_block_scales(args->type, head_dim));
    int8_t codes[ATTENTION_MAX_HEAD_DIM];
    scales[slot] = float_codes(args->key, head_dim, codes, NULL);
    for (uint32_t d = 0; d < head_dim; d++)
        k[kv_int8_key(d, slot)] = codes[d];
    scales[ATTENTION_BLOCK + slot] = float_codes(args->value, head_dim, codes, NULL);
    for (uint32_t d = 0; d < head_dim; d++)
        v[kv_int8_value(d, slot, head_dim)] = codes[d];
}

void kv_copy_positions(enum kv_type type, uint32_t head_dim, const uint8_t *block, uint32_t count, uint8_t *to)
{
    const size_t v = kv_block_v(type, head_dim), scales = kv_block_scales(type, head_dim);
    const size_t together = type == KV_F16 ? 1 : 2; /* dimensions of K */
    memset(to, 0, kv_block_bytes(type, head_dim));
    for (size_t at = 0; at < v; at += together * ATTENTION_BLOCK * kv_value_bytes(type))
        memcpy(to + at, block + at, together * count * kv_value_bytes(type));
    if (type == KV_F16) {
        memcpy(to + v, block + v, (size_t)count * head_dim * kv_value_bytes(type));
        return;
    }
    for (uint32_t slot = 0; slot < count; slot++)
        for (uint32_t d = 0; d < head_dim; d++)
            to[v + kv_int8_value(d, slot, head_dim)] = block[v + kv_int8_value(d, slot, head_dim)];
    memcpy(to + scales, block + scales, count * sizeof(float));
    memcpy(to + scales + ATTENTION_BLOCK * sizeof(float), block + scales + ATTENTION_BLOCK * sizeof(float),
           count * sizeof(float));
}
