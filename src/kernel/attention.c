/* Attention of one token, the definition that every tier must equal bit for bit (docs/numerics.md, "Attention"). */
#include "base/half.h"
#include "kernel/arithmetic.h"
#include "kernel/kernel.h"

#include <assert.h>

/* What a range of positions gives for one query head: values are to be divided by sum. */
struct partial {
    float maximum;
    float sum;
    float values[ATTENTION_MOST_HEAD_DIM];
};

static const float MINUS_INFINITY = -__builtin_inff();

/* visible: positions of this block that the token sees, 1 to 32 */
static void add_block(const float *q, const uint16_t *block, uint32_t head_dim, uint32_t visible, float scale,
                      struct partial *into)
{
    const uint16_t *k = block, *v = block + (size_t)head_dim * ATTENTION_BLOCK;
    float score[ATTENTION_BLOCK] = {0};
    for (uint32_t d = 0; d < head_dim; d++)
        for (uint32_t j = 0; j < visible; j++)
            score[j] = float_fma(q[d], half_to_float(k[d * ATTENTION_BLOCK + j]), score[j]);
    float maximum = into->maximum;
    for (uint32_t j = 0; j < visible; j++) {
        score[j] *= scale;
        maximum = score[j] > maximum ? score[j] : maximum;
    }
    float weight[ATTENTION_BLOCK] = {0}, tree[ATTENTION_BLOCK];
    for (uint32_t j = 0; j < visible; j++)
        weight[j] = float_exp(score[j] - maximum);
    memcpy(tree, weight, sizeof tree);
    for (uint32_t half = ATTENTION_BLOCK / 2; half >= 1; half /= 2)
        for (uint32_t j = 0; j < half; j++)
            tree[j] += tree[j + half];
    float correction = float_exp(into->maximum - maximum);
    into->sum = float_fma(into->sum, correction, tree[0]);
    into->maximum = maximum;
    for (uint32_t d = 0; d < head_dim; d++)
        into->values[d] *= correction;
    for (uint32_t j = 0; j < visible; j++)
        for (uint32_t d = 0; d < head_dim; d++)
            into->values[d] = float_fma(weight[j], half_to_float(v[j * head_dim + d]), into->values[d]);
}

static void merge(struct partial *into, const struct partial *range, uint32_t head_dim)
{
    float maximum = range->maximum > into->maximum ? range->maximum : into->maximum;
    float a = float_exp(into->maximum - maximum), b = float_exp(range->maximum - maximum);
    into->sum = float_fma(into->sum, a, range->sum * b);
    into->maximum = maximum;
    for (uint32_t d = 0; d < head_dim; d++)
        into->values[d] = float_fma(into->values[d], a, range->values[d] * b);
}

void attention_generic(const struct attention_args *args)
{
    uint32_t positions = args->position + 1, blocks = (positions + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK;
    assert(blocks > 0);
    for (uint32_t head = 0; head < args->heads; head++) {
        const float *q = args->q + (size_t)head * args->head_dim;
        struct partial total, range;
        for (uint32_t first = 0; first < blocks; first += ATTENTION_RANGE) {
            struct partial *into = first == 0 ? &total : &range;
            *into = (struct partial){.maximum = MINUS_INFINITY};
            for (uint32_t b = first; b < blocks && b < first + ATTENTION_RANGE; b++) {
                uint32_t left = positions - b * ATTENTION_BLOCK;
                add_block(q, args->cache + args->pages[b] * args->page_stride, args->head_dim,
                          left < ATTENTION_BLOCK ? left : ATTENTION_BLOCK, args->scale, into);
            }
            if (first > 0)
                merge(&total, &range, args->head_dim);
        }
        float inverse = 1.0f / total.sum;
        for (uint32_t d = 0; d < args->head_dim; d++)
            args->out[(size_t)head * args->head_dim + d] = total.values[d] * inverse;
    }
}
