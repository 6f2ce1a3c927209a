/* Attention of one token with AVX2, FMA and F16C: the bits of attention_generic.
 *
 * For scores the 32 positions of a block are the lanes of four registers, for values the head's dimensions are. The
 * query heads of a KV head go together, so that K and V are converted from f16 once. */
#include "base/half.h"
#include "kernel/arithmetic.h"
#include "kernel/kernel.h"
#include "kernel/x86/exp_avx2.h"

#include <assert.h>

enum { LANES = 8, PARTS = ATTENTION_BLOCK / LANES, MOST_TOGETHER = 4 };

struct partial {
    float maximum[MOST_TOGETHER];
    float sum[MOST_TOGETHER];
    float values[MOST_TOGETHER][ATTENTION_MOST_HEAD_DIM];
};

static inline __m256 load_halves(const uint16_t *data)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)data));
}

/* The tree of docs/numerics.md: j + (j + 16), j + (j + 8), ... */
static inline float sum_tree(const __m256 part[PARTS])
{
    __m256 eight = _mm256_add_ps(_mm256_add_ps(part[0], part[2]), _mm256_add_ps(part[1], part[3]));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float maximum_of(__m256 x)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* Values of eight dimensions: rescaled, then one chain over the visible positions. */
static inline __attribute__((always_inline)) void add_values(struct partial *into, const uint16_t *v, uint32_t d,
                                                             uint32_t head_dim, uint32_t visible, const int heads,
                                                             const float correction[MOST_TOGETHER],
                                                             float weight[MOST_TOGETHER][ATTENTION_BLOCK])
{
    __m256 value[MOST_TOGETHER];
    for (int h = 0; h < heads; h++)
        value[h] = _mm256_mul_ps(_mm256_loadu_ps(into->values[h] + d), _mm256_set1_ps(correction[h]));
    for (uint32_t j = 0; j < visible; j++) {
        __m256 x = load_halves(v + j * head_dim + d);
        for (int h = 0; h < heads; h++)
            value[h] = _mm256_fmadd_ps(_mm256_broadcast_ss(&weight[h][j]), x, value[h]);
    }
    for (int h = 0; h < heads; h++)
        _mm256_storeu_ps(into->values[h] + d, value[h]);
}

static inline __attribute__((always_inline)) void add_block(const struct attention_args *args, const float *q,
                                                            const uint16_t *block, uint32_t visible, const int heads,
                                                            struct partial *into)
{
    const uint32_t head_dim = args->head_dim;
    const uint16_t *k = block, *v = block + (size_t)head_dim * ATTENTION_BLOCK;
    float weight[MOST_TOGETHER][ATTENTION_BLOCK], correction[MOST_TOGETHER];
    /* Two registers of positions at a time: with four heads eight chains are under way. */
    for (int half = 0; half < PARTS; half += 2) {
        __m256 score[MOST_TOGETHER][2];
        for (int h = 0; h < heads; h++)
            score[h][0] = score[h][1] = _mm256_setzero_ps();
        for (uint32_t d = 0; d < head_dim; d++) {
            __m256 k0 = load_halves(k + d * ATTENTION_BLOCK + half * LANES);
            __m256 k1 = load_halves(k + d * ATTENTION_BLOCK + half * LANES + LANES);
            for (int h = 0; h < heads; h++) {
                __m256 qd = _mm256_broadcast_ss(q + (size_t)h * head_dim + d);
                score[h][0] = _mm256_fmadd_ps(qd, k0, score[h][0]);
                score[h][1] = _mm256_fmadd_ps(qd, k1, score[h][1]);
            }
        }
        for (int h = 0; h < heads; h++)
            for (int i = 0; i < 2; i++)
                _mm256_storeu_ps(weight[h] + (half + i) * LANES, score[h][i]);
    }
    const __m256 lowest = _mm256_set1_ps(-__builtin_inff());
    for (int h = 0; h < heads; h++) {
        __m256 score[PARTS], seen[PARTS];
        __m256 most = lowest;
        for (int i = 0; i < PARTS; i++) {
            const __m256i index =
                _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(i * LANES));
            seen[i] = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)visible), index));
            score[i] = _mm256_mul_ps(_mm256_loadu_ps(weight[h] + i * LANES), _mm256_set1_ps(args->scale));
            most = _mm256_max_ps(_mm256_blendv_ps(lowest, score[i], seen[i]), most);
        }
        float maximum = maximum_of(most);
        maximum = maximum > into->maximum[h] ? maximum : into->maximum[h];
        for (int i = 0; i < PARTS; i++) {
            score[i] = _mm256_and_ps(exp_avx2(_mm256_sub_ps(score[i], _mm256_set1_ps(maximum))), seen[i]);
            _mm256_storeu_ps(weight[h] + i * LANES, score[i]);
        }
        correction[h] = float_exp(into->maximum[h] - maximum);
        into->sum[h] = float_fma(into->sum[h], correction[h], sum_tree(score));
        into->maximum[h] = maximum;
    }
    uint32_t d = 0;
    for (; d + LANES <= head_dim; d += LANES)
        add_values(into, v, d, head_dim, visible, heads, correction, weight);
    for (; d < head_dim; d++)
        for (int h = 0; h < heads; h++) {
            float value = into->values[h][d] * correction[h];
            for (uint32_t j = 0; j < visible; j++)
                value = float_fma(weight[h][j], half_to_float(v[j * head_dim + d]), value);
            into->values[h][d] = value;
        }
}

static void merge(struct partial *into, const struct partial *range, int heads, uint32_t head_dim)
{
    for (int h = 0; h < heads; h++) {
        float maximum = range->maximum[h] > into->maximum[h] ? range->maximum[h] : into->maximum[h];
        float a = float_exp(into->maximum[h] - maximum), b = float_exp(range->maximum[h] - maximum);
        into->sum[h] = float_fma(into->sum[h], a, range->sum[h] * b);
        into->maximum[h] = maximum;
        for (uint32_t d = 0; d < head_dim; d++)
            into->values[h][d] = float_fma(into->values[h][d], a, range->values[h][d] * b);
    }
}

static void reset(struct partial *partial, int heads, uint32_t head_dim)
{
    for (int h = 0; h < heads; h++) {
        partial->maximum[h] = -__builtin_inff();
        partial->sum[h] = 0;
        memset(partial->values[h], 0, head_dim * sizeof(float));
    }
}

static inline __attribute__((always_inline)) void heads_together(const struct attention_args *args, uint32_t head,
                                                                 const int heads)
{
    const uint32_t positions = args->position + 1, head_dim = args->head_dim;
    const uint32_t blocks = (positions + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK;
    const float *q = args->q + (size_t)head * head_dim;
    struct partial total, range;
    assert(blocks > 0);
    for (uint32_t first = 0; first < blocks; first += ATTENTION_RANGE) {
        struct partial *into = first == 0 ? &total : &range;
        reset(into, heads, head_dim);
        for (uint32_t b = first; b < blocks && b < first + ATTENTION_RANGE; b++) {
            uint32_t left = positions - b * ATTENTION_BLOCK;
            add_block(args, q, args->cache + args->pages[b] * args->page_stride,
                      left < ATTENTION_BLOCK ? left : ATTENTION_BLOCK, heads, into);
        }
        if (first > 0)
            merge(&total, &range, heads, head_dim);
    }
    for (int h = 0; h < heads; h++) {
        float inverse = 1.0f / total.sum[h];
        for (uint32_t d = 0; d < head_dim; d++)
            args->out[(head + (uint32_t)h) * (size_t)head_dim + d] = total.values[h][d] * inverse;
    }
}

void attention_avx2(const struct attention_args *args)
{
    uint32_t head = 0;
    for (; head + 4 <= args->heads; head += 4)
        heads_together(args, head, 4);
    switch (args->heads - head) {
    case 3:
        heads_together(args, head, 3);
        break;
    case 2:
        heads_together(args, head, 2);
        break;
    case 1:
        heads_together(args, head, 1);
        break;
    default:
        break;
    }
}
