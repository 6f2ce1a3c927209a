#include "model/kv_cache.h"

#include "base/half.h"
#include "base/memory.h"

int kv_cache_create(struct kv_cache *cache, const struct model_config *config, uint32_t pages,
                    struct smollm_error *error)
{
    *cache = (struct kv_cache){
        .layers = config->layers, .kv_heads = config->kv_heads, .head_dim = config->head_dim, .pages = pages};
    cache->block = (size_t)2 * config->head_dim * KV_PAGE_POSITIONS;
    cache->page_stride = cache->block * config->kv_heads;
    size_t bytes;
    if (!size_multiply(cache->page_stride * sizeof *cache->data, (size_t)pages, &bytes) ||
        !size_multiply(bytes, config->layers, &bytes) || !(cache->data = pages_allocate(bytes))) {
        *cache = (struct kv_cache){0};
        return error_set(error, SMOLLM_ENOMEM, "out of memory for a KV cache of %u pages of %d positions", pages,
                         KV_PAGE_POSITIONS);
    }
    cache->bytes = bytes;
    return 0;
}

void kv_cache_destroy(struct kv_cache *cache)
{
    pages_free(cache->data, cache->bytes);
    *cache = (struct kv_cache){0};
}

void kv_cache_write(const struct kv_cache *cache, uint32_t layer, uint32_t kv_head, uint32_t page, uint32_t slot,
                    const float *key, const float *value)
{
    uint16_t *k = kv_cache_base(cache, layer, kv_head) + page * cache->page_stride;
    uint16_t *v = k + (size_t)cache->head_dim * KV_PAGE_POSITIONS;
    for (uint32_t d = 0; d < cache->head_dim; d++) {
        k[(size_t)d * KV_PAGE_POSITIONS + slot] = half_from_float_saturated(key[d]);
        v[(size_t)slot * cache->head_dim + d] = half_from_float_saturated(value[d]);
    }
}
