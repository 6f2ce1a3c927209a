/* The keys and values of all sequences, in pages of 32 positions that sequences hold by number.
 *
 * Memory: f16 [layer][page][KV head]{ K [head_dim][32], V [32][head_dim] }; a page is one block of the attention
 * kernel. Who owns which page is the engine's business. */
#ifndef MODEL_KV_CACHE_H
#define MODEL_KV_CACHE_H

#include "base/error.h"
#include "kernel/kernel.h"
#include "model/config.h"

enum { KV_PAGE_POSITIONS = ATTENTION_BLOCK };

struct kv_cache {
    uint32_t layers;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t pages;
    size_t block;       /* halves of one KV head in one page */
    size_t page_stride; /* halves from one page to the next within a layer */
    uint16_t *data;
    size_t bytes;
};

/* Allocates address space for all pages; memory is taken as pages are first written. */
int kv_cache_create(struct kv_cache *cache, const struct model_config *config, uint32_t pages,
                    struct smollm_error *error);
/* Accepts a zeroed struct. */
void kv_cache_destroy(struct kv_cache *cache);

/* The first block (page 0) of a layer and KV head; add page * page_stride. */
static inline uint16_t *kv_cache_base(const struct kv_cache *cache, uint32_t layer, uint32_t kv_head)
{
    return cache->data + (size_t)layer * cache->pages * cache->page_stride + kv_head * cache->block;
}

/* Stores the key and value [head_dim] of one position and KV head as f16, saturating. */
void kv_cache_write(const struct kv_cache *cache, uint32_t layer, uint32_t kv_head, uint32_t page, uint32_t slot,
                    const float *key, const float *value);

#endif
