/* Storing a key and a value with AVX2 and F16C: the bits of kv_store_generic. */
#include "kernel/kernel.h"
#include "kernel/x86/exp_avx2.h"

#include <assert.h>

enum { LANES = 8 };

/* Eight floats to f16, saturating; NaN stays NaN. */
static inline __m128i saturated_halves(__m256 x)
{
    x = _mm256_min_ps(_mm256_set1_ps(65504.0f), x); /* the second operand where one is NaN */
    x = _mm256_max_ps(_mm256_set1_ps(-65504.0f), x);
    return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
}

/* x as f16, each `stride` halves behind the one before. */
static void store_halves(const float *x, uint32_t head_dim, size_t stride, uint16_t *to)
{
    uint32_t d = 0;
    for (; d + LANES <= head_dim; d += LANES) {
        uint16_t halves[LANES];
        _mm_storeu_si128((__m128i *)halves, saturated_halves(_mm256_loadu_ps(x + d)));
        if (stride == 1)
            memcpy(to + d, halves, sizeof halves);
        else
            for (uint32_t i = 0; i < LANES; i++)
                to[(d + i) * stride] = halves[i];
    }
    for (; d < head_dim; d++)
        to[d * stride] = half_from_float_saturated(x[d]);
}

void kv_store_avx2(const struct kv_store_args *args)
{
    const uint32_t head_dim = args->head_dim, slot = args->slot;
    void *k = args->block, *v = args->block + kv_block_v(args->type, head_dim);
    assert(slot < ATTENTION_BLOCK);
    if (args->type == KV_INT8) {
        kv_store_int8(args);
        return;
    }
    store_halves(args->key, head_dim, ATTENTION_BLOCK, (uint16_t *)k + slot);
    store_halves(args->value, head_dim, 1, (uint16_t *)v + (size_t)slot * head_dim);
}
