#include "model/kv_cache.h"

#include "base/memory.h"

#include <stdbool.h>
#include <string.h>

static const char *const type_names[KV_TYPE_COUNT] = {"f16", "q8_0"};

int kv_cache_create(struct kv_cache *cache, const struct model_config *config, enum kv_type type, uint32_t pages,
                    struct smollm_error *error)
{
    *cache = (struct kv_cache){.layers = config->layers,
                               .kv_heads = config->kv_heads,
                               .head_dim = config->head_dim,
                               .pages = pages,
                               .type = type};
    cache->block = kv_block_bytes(type, config->head_dim);
    const uint32_t groups = pages / KV_GROUP, others = pages % KV_GROUP;
    if (!size_multiply(cache->block, (size_t)config->kv_heads * config->layers * KV_GROUP, &cache->group_stride) ||
        !size_multiply(cache->group_stride, groups + (others > 0), &cache->reserved) ||
        !(cache->data = pages_allocate(cache->reserved))) {
        *cache = (struct kv_cache){0};
        return error_set(error, SMOLLM_ENOMEM, "out of memory for a KV cache of %u pages of %d positions", pages,
                         KV_PAGE_POSITIONS);
    }
    if (others > 0)
        pages_keep_small(cache->data + groups * cache->group_stride, cache->group_stride);
    cache->bytes = cache->group_stride / KV_GROUP * pages;
    return 0;
}

void kv_cache_destroy(struct kv_cache *cache)
{
    pages_free(cache->data, cache->reserved);
    *cache = (struct kv_cache){0};
}

size_t kv_cache_bytes_per_position(const struct model_config *config, enum kv_type type)
{
    return kv_block_bytes(type, config->head_dim) / ATTENTION_BLOCK * config->kv_heads * config->layers;
}

void kv_cache_copy_page(const struct kv_cache *cache, uint32_t from, uint32_t to)
{
    for (uint32_t layer = 0; layer < cache->layers; layer++)
        for (uint32_t kv_head = 0; kv_head < cache->kv_heads; kv_head++)
            memcpy(kv_cache_block(cache, layer, kv_head, to), kv_cache_block(cache, layer, kv_head, from),
                   cache->block);
}

/* Whether these bytes belong to a page. Those after the pages of the last group do not. */
static bool is_of_a_page(const struct kv_cache *cache, size_t offset)
{
    const size_t group = offset / cache->group_stride,
                 in_group = offset % cache->group_stride / cache->block % KV_GROUP;
    return group * KV_GROUP + in_group < cache->pages;
}

void kv_cache_prepare(struct kv_cache *cache, uint32_t pages, size_t max_bytes)
{
    const size_t wanted = (size_t)(pages / KV_GROUP + (pages % KV_GROUP > 0)) * cache->group_stride;
    const size_t end = wanted < cache->reserved ? wanted : cache->reserved,
                 left = end > cache->prepared ? end - cache->prepared : 0;
    for (size_t to = cache->prepared + (left < max_bytes ? left : max_bytes); cache->prepared < to;
         cache->prepared += 4096)
        if (is_of_a_page(cache, cache->prepared)) {
            volatile uint8_t *byte = cache->data + cache->prepared;
            *byte = *byte; /* it may be in use */
        }
}

int kv_type_parse(const char *name, enum kv_type *type, struct smollm_error *error)
{
    *type = KV_F16;
    if (!name)
        return 0;
    for (int i = 0; i < KV_TYPE_COUNT; i++)
        if (strcmp(name, type_names[i]) == 0) {
            *type = (enum kv_type)i;
            return 0;
        }
    return error_set(error, SMOLLM_EINVAL, "unknown KV cache type '%s'; it must be f16 or q8_0", name);
}

const char *kv_type_name(enum kv_type type)
{
    return type_names[type];
}
