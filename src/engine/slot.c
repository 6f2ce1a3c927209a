#include "engine/slot.h"

#include "base/memory.h"
#include "model/kv_cache.h"

#include <stdlib.h>
#include <string.h>

int slot_create(struct slot *slot, uint32_t context, uint32_t vocabulary, struct smollm_error *error)
{
    slot->pages = array_allocate(context / KV_PAGE_POSITIONS + 1, sizeof *slot->pages);
    RETURN_ERROR_IF(!slot->pages, error, SMOLLM_ENOMEM, "out of memory for a context of %u tokens", context);
    return sampler_create(&slot->sampler, vocabulary, error);
}

void slot_destroy(struct slot *slot)
{
    free(slot->pages);
    sampler_destroy(&slot->sampler);
}

void slot_begin(struct slot *slot, struct engine_sequence *sequence)
{
    const uint32_t prompt = sequence->request.prompt_count;
    slot->sequence = sequence;
    slot->computed = slot->planned = slot->drafted = slot->page_count = slot->cached_pages = 0;
    slot->parked = false;
    sampler_begin(&slot->sampler, &sequence->request.sampling);
    sampler_resume(&slot->sampler, sequence->tokens + prompt, sequence->token_count - prompt);
    slot_publish(slot);
}

struct engine_sequence *slot_clear(struct slot *slot, struct page_cache *cache)
{
    struct engine_sequence *sequence = slot->sequence;
    const uint32_t rest = slot->computed % KV_PAGE_POSITIONS, cached = slot->cached_pages;
    if (rest > 0 && cached < slot->page_count)
        page_cache_insert(cache, sequence->request.key, cached > 0 ? slot->pages[cached - 1] : NO_PAGE,
                          slot->pages[cached], sequence->tokens + (size_t)cached * KV_PAGE_POSITIONS, rest);
    while (slot->page_count > 0)
        page_cache_release(cache, slot->pages[--slot->page_count]);
    slot->sequence = NULL;
    slot->computed = slot->planned = slot->drafted = slot->cached_pages = 0;
    slot->parked = false;
    slot_publish(slot);
    return sequence;
}

bool slot_is_ready(struct slot *slot)
{
    slot->parked = !sequence_is_ready(slot->sequence);
    if (slot->parked)
        slot->sequence->last_token_ns = 0;
    return !slot->parked;
}

static uint32_t last_page(const struct slot *slot)
{
    return slot->page_count > 0 ? slot->pages[slot->page_count - 1] : NO_PAGE;
}

bool slot_reserve(struct slot *slot, struct page_cache *cache, uint32_t positions)
{
    uint32_t need = (positions + KV_PAGE_POSITIONS - 1) / KV_PAGE_POSITIONS;
    if (need > slot->page_count)
        page_cache_free_up(cache, need - slot->page_count);
    for (; slot->page_count < need; slot->page_count++)
        if (!page_cache_take(cache, last_page(slot), &slot->pages[slot->page_count]))
            return false;
    return true;
}

void slot_adopt(struct slot *slot, struct page_cache *cache, const struct kv_cache *kv)
{
    struct engine_sequence *sequence = slot->sequence;
    const uint32_t last = sequence_next_output(sequence);
    while (slot->computed == slot->cached_pages * KV_PAGE_POSITIONS && slot->page_count == slot->cached_pages) {
        const uint32_t left = last - slot->computed, at = slot->page_count;
        uint32_t common,
            page = page_cache_find(cache, sequence->request.key, last_page(slot), sequence->tokens + slot->computed,
                                   left < KV_PAGE_POSITIONS ? left : KV_PAGE_POSITIONS, &common);
        if (page == NO_PAGE)
            return;
        page_cache_hold(cache, page);
        if (common == KV_PAGE_POSITIONS) {
            slot->pages[at] = page;
            slot->cached_pages++;
        } else {
            bool taken = page_cache_take(cache, last_page(slot), &slot->pages[at]);
            if (taken)
                kv_cache_copy_page(kv, page, slot->pages[at]);
            page_cache_release(cache, page);
            if (!taken)
                return;
        }
        slot->page_count++;
        slot->computed += common;
        account_adopt(&sequence->account, slot->computed);
    }
}

void slot_insert_pages(struct slot *slot, struct page_cache *cache)
{
    for (; (slot->cached_pages + 1) * KV_PAGE_POSITIONS <= slot->computed; slot->cached_pages++) {
        const uint32_t at = slot->cached_pages, parent = at > 0 ? slot->pages[at - 1] : NO_PAGE;
        const uint32_t cached =
            page_cache_insert(cache, slot->sequence->request.key, parent, slot->pages[at],
                              slot->sequence->tokens + (size_t)at * KV_PAGE_POSITIONS, KV_PAGE_POSITIONS);
        if (cached != slot->pages[at]) { /* another slot computed the same page, to the same bits */
            page_cache_hold(cache, cached);
            page_cache_release(cache, slot->pages[at]);
            slot->pages[at] = cached;
        }
    }
}

bool slot_should_wait(const struct slot *slot, const struct slot *other)
{
    const struct engine_sequence *mine = slot->sequence, *its = other->sequence;
    const uint32_t reach = slot->computed + KV_PAGE_POSITIONS;
    return other != slot && its && other->planned > 0 && other->computed < reach &&
           slot->computed % KV_PAGE_POSITIONS == 0 && sequence_next_output(mine) >= reach &&
           its->token_count >= reach && its->request.key == mine->request.key &&
           memcmp(mine->tokens, its->tokens, reach * sizeof *mine->tokens) == 0;
}

void slot_publish(struct slot *slot)
{
    const struct engine_sequence *s = slot->sequence;
    const uint32_t prompt = s ? s->request.prompt_count : 0;
    enum smollm_slot_state state = !s                              ? SMOLLM_SLOT_IDLE
                                   : s->account.prompt_done_ns > 0 ? SMOLLM_SLOT_DECODE
                                                                   : SMOLLM_SLOT_PREFILL;
    atomic_store_explicit(&slot->state, (int)state, memory_order_relaxed);
    atomic_store_explicit(&slot->shown_id, s ? s->id : 0, memory_order_relaxed);
    atomic_store_explicit(&slot->shown_prompt, prompt, memory_order_relaxed);
    atomic_store_explicit(&slot->shown_processed, slot->computed < prompt ? slot->computed : prompt,
                          memory_order_relaxed);
    atomic_store_explicit(&slot->shown_generated, s ? s->account.generated : 0, memory_order_relaxed);
}
