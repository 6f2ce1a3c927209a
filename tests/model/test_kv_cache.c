/* Where keys and values lie: every block by itself, those of a page together. */
#include "model/kv_cache.h"

#include "base/memory.h"

#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LAYERS = 5, KV_HEADS = 3, HEAD_DIM = 32, PAGES = 2 * KV_GROUP + 3 };

static struct kv_cache create(enum kv_type type)
{
    const struct model_config config = {.layers = LAYERS, .kv_heads = KV_HEADS, .head_dim = HEAD_DIM};
    struct kv_cache cache;
    struct smollm_error error;
    if (kv_cache_create(&cache, &config, type, PAGES, &error) < 0)
        fail_msg("%s", error.message);
    return cache;
}

/* Fills every block with its own number; a block that overlapped another would not keep it. */
static void blocks_are_apart_and_groups_together(void **state)
{
    for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++) {
        struct kv_cache cache = create(type);
        const size_t block = kv_block_bytes(type, HEAD_DIM);
        uint8_t number = 0;
        for (uint32_t page = 0; page < PAGES; page++)
            for (uint32_t layer = 0; layer < LAYERS; layer++)
                for (uint32_t head = 0; head < KV_HEADS; head++) {
                    uint8_t *at = kv_cache_block(&cache, layer, head, page);
                    assert_true(at >= cache.data + page / KV_GROUP * cache.group_stride);
                    assert_true(at + block <= cache.data + (page / KV_GROUP + 1) * cache.group_stride);
                    assert_true(at + block <= cache.data + cache.reserved);
                    memset(at, ++number, block);
                }
        number = 0;
        for (uint32_t page = 0; page < PAGES; page++)
            for (uint32_t layer = 0; layer < LAYERS; layer++)
                for (uint32_t head = 0; head < KV_HEADS; head++) {
                    number++;
                    for (size_t i = 0; i < block; i++)
                        assert_int_equal(kv_cache_block(&cache, layer, head, page)[i], number);
                }
        const struct model_config config = {.layers = LAYERS, .kv_heads = KV_HEADS, .head_dim = HEAD_DIM};
        assert_int_equal(cache.bytes, PAGES * KV_PAGE_POSITIONS * kv_cache_bytes_per_position(&config, type));
        kv_cache_destroy(&cache);
    }
}

/* Every byte of a page's blocks is `number`. */
static bool holds(const struct kv_cache *cache, uint32_t page, uint8_t number)
{
    for (uint32_t layer = 0; layer < LAYERS; layer++)
        for (uint32_t head = 0; head < KV_HEADS; head++)
            for (size_t i = 0; i < cache->block; i++)
                if (kv_cache_block(cache, layer, head, page)[i] != number)
                    return false;
    return true;
}

static void a_page_is_copied_and_no_other(void **state)
{
    struct kv_cache cache = create(KV_F16);
    for (uint32_t page = 0; page < PAGES; page++)
        for (uint32_t layer = 0; layer < LAYERS; layer++)
            for (uint32_t head = 0; head < KV_HEADS; head++)
                memset(kv_cache_block(&cache, layer, head, page), (int)page, cache.block);
    kv_cache_copy_page(&cache, 1, KV_GROUP + 4);
    for (uint32_t page = 0; page < PAGES; page++)
        assert_true(holds(&cache, page, page == KV_GROUP + 4 ? 1 : (uint8_t)page));
    kv_cache_destroy(&cache);
}

static void memory_is_prepared_bit_by_bit_and_kept(void **state)
{
    struct kv_cache cache = create(KV_INT8);
    memset(cache.data, 7, cache.reserved);
    kv_cache_prepare(&cache, 1, 8192);
    assert_int_equal(cache.prepared, 8192);
    kv_cache_prepare(&cache, 1, cache.reserved);
    assert_in_range(cache.prepared, cache.group_stride, cache.group_stride + 4095);
    kv_cache_prepare(&cache, PAGES, SIZE_MAX);
    kv_cache_prepare(&cache, PAGES, SIZE_MAX);
    assert_in_range(cache.prepared, cache.reserved, cache.reserved + 4095);
    for (size_t i = 0; i < cache.reserved; i++)
        assert_int_equal(cache.data[i], 7);
    kv_cache_destroy(&cache);
}

/* Bytes of the cache's addresses behind which there is memory. */
static size_t memory_taken(const struct kv_cache *cache)
{
    const size_t pages = (cache->reserved + 4095) / 4096;
    unsigned char *present = array_allocate(pages, 1);
    assert_non_null(present);
    assert_int_equal(mincore(cache->data, cache->reserved, present), 0);
    size_t taken = 0;
    for (size_t i = 0; i < pages; i++)
        taken += (size_t)(present[i] & 1) * 4096;
    free(present);
    return taken;
}

/* The last group has few pages here; each head's begin and end inside a page of the system, at worst. */
static void no_more_memory_is_taken_than_pages_need(void **state)
{
    for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++) {
        struct kv_cache cache = create(type);
        assert_in_range(memory_taken(&cache), 0, 4096);
        kv_cache_prepare(&cache, PAGES, SIZE_MAX);
        for (uint32_t page = 0; page < PAGES; page++)
            for (uint32_t layer = 0; layer < LAYERS; layer++)
                for (uint32_t head = 0; head < KV_HEADS; head++)
                    memset(kv_cache_block(&cache, layer, head, page), 1, cache.block);
        assert_in_range(memory_taken(&cache), cache.bytes, cache.bytes + (size_t)LAYERS * KV_HEADS * 2 * 4096);
        kv_cache_destroy(&cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart_and_groups_together),
        cmocka_unit_test(a_page_is_copied_and_no_other),
        cmocka_unit_test(memory_is_prepared_bit_by_bit_and_kept),
        cmocka_unit_test(no_more_memory_is_taken_than_pages_need),
    };
    return cmocka_run_group_tests_name("kv_cache", tests, NULL, NULL);
}
