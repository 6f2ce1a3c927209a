#include "engine/sequence.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "model/kv_cache.h"

#include <stdlib.h>
#include <string.h>

struct engine_sequence *sequence_create(const struct engine_request *request)
{
    size_t prompt_bytes = (size_t)request->prompt_count * sizeof *request->prompt, bias_bytes, total;
    if (!size_multiply(request->sampling.logit_bias_count, sizeof *request->sampling.logit_bias, &bias_bytes) ||
        !size_add(prompt_bytes + sizeof(struct engine_sequence), bias_bytes, &total))
        return NULL;
    struct engine_sequence *sequence = calloc(1, total);
    if (!sequence)
        return NULL;
    sequence->request = *request;
    char *behind = (char *)(sequence + 1);
    if (prompt_bytes > 0)
        memcpy(behind, request->prompt, prompt_bytes);
    sequence->request.prompt = (const int32_t *)(const void *)behind;
    if (bias_bytes > 0)
        memcpy(behind + prompt_bytes, request->sampling.logit_bias, bias_bytes);
    sequence->request.sampling.logit_bias = (const struct smollm_logit_bias *)(const void *)(behind + prompt_bytes);
    atomic_store(&sequence->holders, 2);
    sequence->submitted_ns = clock_nanoseconds();
    return sequence;
}

void sequence_release(struct engine_sequence *sequence)
{
    if (atomic_fetch_sub(&sequence->holders, 1) == 1)
        free(sequence);
}

int slot_create(struct slot *slot, uint32_t context, uint32_t vocabulary, struct smollm_error *error)
{
    slot->tokens = array_allocate(context, sizeof *slot->tokens);
    slot->pages = array_allocate(context / KV_PAGE_POSITIONS + 1, sizeof *slot->pages);
    RETURN_ERROR_IF(!slot->tokens || !slot->pages, error, SMOLLM_ENOMEM, "out of memory for a context of %u tokens",
                    context);
    return sampler_create(&slot->sampler, vocabulary, error);
}

void slot_destroy(struct slot *slot)
{
    free(slot->tokens);
    free(slot->pages);
    sampler_destroy(&slot->sampler);
}

void slot_begin(struct slot *slot, struct engine_sequence *sequence)
{
    const struct engine_request *request = &sequence->request;
    slot->sequence = sequence;
    memcpy(slot->tokens, request->prompt, request->prompt_count * sizeof *slot->tokens);
    slot->token_count = slot->prompt_count = request->prompt_count;
    slot->computed = slot->planned = slot->cached = slot->page_count = slot->known_pages = 0;
    slot->parked = false;
    slot->started_ns = clock_nanoseconds();
    slot->prompt_done_ns = 0;
    sampler_begin(&slot->sampler, &request->sampling);
    drafter_begin(&slot->drafter);
    slot->drafted = slot->drafted_all = slot->accepted_all = 0;
    slot_publish(slot);
}

void slot_clear(struct slot *slot, struct page_cache *cache)
{
    const uint32_t rest = slot->computed % KV_PAGE_POSITIONS, known = slot->known_pages;
    if (rest > 0 && known < slot->page_count)
        page_cache_learn(cache, slot->sequence->request.owner, known > 0 ? slot->pages[known - 1] : NO_PAGE,
                         slot->pages[known], slot->tokens + (size_t)known * KV_PAGE_POSITIONS, rest);
    while (slot->page_count > 0)
        page_cache_release(cache, slot->pages[--slot->page_count]);
    slot->sequence = NULL;
    slot->token_count = slot->prompt_count = slot->computed = slot->cached = slot->known_pages = 0;
    slot_publish(slot);
}

bool slot_reserve(struct slot *slot, struct page_cache *cache, uint32_t positions)
{
    uint32_t need = (positions + KV_PAGE_POSITIONS - 1) / KV_PAGE_POSITIONS;
    for (; slot->page_count < need; slot->page_count++)
        if (!page_cache_take(cache, &slot->pages[slot->page_count]))
            return false;
    return true;
}

void slot_adopt(struct slot *slot, struct page_cache *cache, const struct kv_cache *kv)
{
    const uint64_t owner = slot->sequence->request.owner;
    while (slot->computed == slot->known_pages * KV_PAGE_POSITIONS && slot->page_count == slot->known_pages) {
        const uint32_t left = slot->prompt_count - 1 - slot->computed, at = slot->page_count;
        uint32_t common,
            page = page_cache_find(cache, owner, at > 0 ? slot->pages[at - 1] : NO_PAGE, slot->tokens + slot->computed,
                                   left < KV_PAGE_POSITIONS ? left : KV_PAGE_POSITIONS, &common);
        if (page == NO_PAGE)
            return;
        page_cache_hold(cache, page);
        if (common == KV_PAGE_POSITIONS) {
            slot->pages[at] = page;
            slot->known_pages++;
        } else {
            bool taken = page_cache_take(cache, &slot->pages[at]);
            if (taken)
                kv_cache_copy_page(kv, page, slot->pages[at]);
            page_cache_release(cache, page);
            if (!taken)
                return;
        }
        slot->page_count++;
        slot->computed += common;
        slot->cached += common;
    }
}

void slot_learn(struct slot *slot, struct page_cache *cache)
{
    for (; (slot->known_pages + 1) * KV_PAGE_POSITIONS <= slot->computed; slot->known_pages++) {
        const uint32_t at = slot->known_pages, parent = at > 0 ? slot->pages[at - 1] : NO_PAGE;
        const uint32_t known = page_cache_learn(cache, slot->sequence->request.owner, parent, slot->pages[at],
                                                slot->tokens + (size_t)at * KV_PAGE_POSITIONS, KV_PAGE_POSITIONS);
        if (known != slot->pages[at]) { /* computed twice, to the same bits */
            page_cache_hold(cache, known);
            page_cache_release(cache, slot->pages[at]);
            slot->pages[at] = known;
        }
    }
}

bool slot_should_wait(const struct slot *slot, const struct slot *other)
{
    const uint32_t reach = slot->computed + KV_PAGE_POSITIONS;
    return other != slot && other->sequence && other->planned > 0 && slot->computed % KV_PAGE_POSITIONS == 0 &&
           slot->prompt_count > reach && other->token_count >= reach &&
           other->sequence->request.owner == slot->sequence->request.owner &&
           memcmp(slot->tokens, other->tokens, reach * sizeof *slot->tokens) == 0;
}

void slot_publish(struct slot *slot)
{
    enum smollm_slot_state state = !slot->sequence                          ? SMOLLM_SLOT_IDLE
                                   : slot->token_count > slot->prompt_count ? SMOLLM_SLOT_DECODE
                                                                            : SMOLLM_SLOT_PREFILL;
    atomic_store_explicit(&slot->state, (int)state, memory_order_relaxed);
    atomic_store_explicit(&slot->shown_id, slot->sequence ? slot->sequence->id : 0, memory_order_relaxed);
    atomic_store_explicit(&slot->shown_prompt, slot->prompt_count, memory_order_relaxed);
    uint32_t processed = slot->computed < slot->prompt_count ? slot->computed : slot->prompt_count;
    atomic_store_explicit(&slot->shown_processed, processed, memory_order_relaxed);
    atomic_store_explicit(&slot->shown_generated, slot->token_count - slot->prompt_count, memory_order_relaxed);
}
