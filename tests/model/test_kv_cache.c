/* Where keys and values lie: every block by itself, those of a page together. */
#include "model/kv_cache.h"

#include "cmocka_all.h"

#include <string.h>

enum { LAYERS = 5, KV_HEADS = 3, HEAD_DIM = 32, PAGES = 7 };

static struct kv_cache create(enum kv_type type)
{
    const struct model_config config = {.layers = LAYERS, .kv_heads = KV_HEADS, .head_dim = HEAD_DIM};
    struct kv_cache cache;
    struct smollm_error error;
    if (kv_cache_create(&cache, &config, type, PAGES, &error) < 0)
        fail_msg("%s", error.message);
    return cache;
}

static uint8_t *block_of(const struct kv_cache *cache, uint32_t page, uint32_t layer, uint32_t kv_head)
{
    return kv_cache_base(cache, layer, kv_head) + page * cache->page_stride;
}

/* Fills every block with its own number; a block that overlapped another would not keep it. */
static void blocks_are_apart_and_pages_together(void **state)
{
    for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++) {
        struct kv_cache cache = create(type);
        const size_t block = kv_block_bytes(type, HEAD_DIM);
        uint8_t number = 0;
        for (uint32_t page = 0; page < PAGES; page++)
            for (uint32_t layer = 0; layer < LAYERS; layer++)
                for (uint32_t head = 0; head < KV_HEADS; head++) {
                    uint8_t *at = block_of(&cache, page, layer, head);
                    assert_true(at >= cache.data + page * cache.page_stride);
                    assert_true(at + block <= cache.data + (page + 1) * cache.page_stride);
                    assert_true(at + block <= cache.data + cache.bytes);
                    memset(at, ++number, block);
                }
        number = 0;
        for (uint32_t page = 0; page < PAGES; page++)
            for (uint32_t layer = 0; layer < LAYERS; layer++)
                for (uint32_t head = 0; head < KV_HEADS; head++) {
                    number++;
                    for (size_t i = 0; i < block; i++)
                        assert_int_equal(block_of(&cache, page, layer, head)[i], number);
                }
        const size_t positions = (size_t)PAGES * KV_PAGE_POSITIONS;
        const struct model_config config = {.layers = LAYERS, .kv_heads = KV_HEADS, .head_dim = HEAD_DIM};
        assert_int_equal(cache.bytes, positions * kv_cache_bytes_per_position(&config, type));
        kv_cache_destroy(&cache);
    }
}

static void a_page_is_copied_and_no_other(void **state)
{
    struct kv_cache cache = create(KV_F16);
    for (uint32_t page = 0; page < PAGES; page++)
        memset(cache.data + page * cache.page_stride, (int)page, cache.page_stride);
    kv_cache_copy_page(&cache, 1, 4);
    for (uint32_t page = 0; page < PAGES; page++)
        for (size_t i = 0; i < cache.page_stride; i++)
            assert_int_equal(cache.data[page * cache.page_stride + i], page == 4 ? 1 : page);
    kv_cache_destroy(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart_and_pages_together),
        cmocka_unit_test(a_page_is_copied_and_no_other),
    };
    return cmocka_run_group_tests_name("kv_cache", tests, NULL, NULL);
}
