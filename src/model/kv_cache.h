/* The keys and values of all sequences, in pages of 32 positions that sequences hold by number.
 *
 * Memory: [group][layer][KV head][page of the group] blocks of kernel/attention.h, as f16 or int8. A group of pages
 * is one piece: a head's neighboring blocks are together, as memory wants to be read, and a sequence that grows meets
 * new memory, which the system has to clear, in one place and not in every layer: see kv_cache_prepare. The last group
 * has the addresses of a whole one, but takes the memory of its pages only. Who owns which page is the engine's
 * business. */
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
    enum kv_type type;
    size_t block;        /* bytes of one KV head in one page */
    size_t group_stride; /* bytes of a group of pages, all layers */
    uint8_t *data;
    size_t bytes;    /* size of all pages */
    size_t reserved; /* size of the reserved addresses: whole groups */
    size_t prepared; /* below this offset, all pages are in memory */
};

/* Allocates address space for all pages; memory is taken as pages are first written. */
int kv_cache_create(struct kv_cache *cache, const struct model_config *config, enum kv_type type, uint32_t pages,
                    struct smollm_error *error);
/* Accepts a zeroed struct. */
void kv_cache_destroy(struct kv_cache *cache);

/* Bytes of one position in all layers. */
size_t kv_cache_bytes_per_position(const struct model_config *config, enum kv_type type);

/* The block of page 0 of a layer and KV head, from which kernels compute the addresses of the others. */
static inline uint8_t *kv_cache_base(const struct kv_cache *cache, uint32_t layer, uint32_t kv_head)
{
    return cache->data + ((size_t)layer * cache->kv_heads + kv_head) * KV_GROUP * cache->block;
}

static inline uint8_t *kv_cache_block(const struct kv_cache *cache, uint32_t layer, uint32_t kv_head, uint32_t page)
{
    return kv_cache_base(cache, layer, kv_head) + kv_page_offset(page, cache->block, cache->group_stride);
}

/* Prefetches the lines of memory in which a key of a page is going to be stored. */
static inline void kv_cache_expect_key(const struct kv_cache *cache, uint32_t layer, uint32_t kv_head, uint32_t page)
{
    const uint8_t *block = kv_cache_block(cache, layer, kv_head, page);
    for (size_t at = 0; at < kv_block_v(cache->type, cache->head_dim); at += 64)
        __builtin_prefetch(block + at, 0, 2);
}

/* Copies a page. */
void kv_cache_copy_page(const struct kv_cache *cache, uint32_t from, uint32_t to);

/* Has the system provide the memory of pages [0, pages), which it clears, at most max_bytes of it in a call: a
 * little in each pass, and not a whole group in the one that begins with it. Not while a pass runs. */
void kv_cache_prepare(struct kv_cache *cache, uint32_t pages, size_t max_bytes);

/* "f16" or "q8_0", NULL for f16; SMOLLM_EINVAL for another name. */
int kv_type_parse(const char *name, enum kv_type *type, struct smollm_error *error);
const char *kv_type_name(enum kv_type type);

#endif
