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
    slot->computed = slot->planned = slot->page_count = 0;
    slot->parked = false;
    slot->started_ns = clock_nanoseconds();
    slot->prompt_done_ns = 0;
    sampler_begin(&slot->sampler, &request->sampling);
    slot_publish(slot);
}

void slot_clear(struct slot *slot, struct page_pool *pool)
{
    while (slot->page_count > 0)
        page_pool_give(pool, slot->pages[--slot->page_count]);
    slot->sequence = NULL;
    slot->token_count = slot->prompt_count = slot->computed = 0;
    slot_publish(slot);
}

bool slot_reserve(struct slot *slot, struct page_pool *pool, uint32_t positions)
{
    uint32_t need = (positions + KV_PAGE_POSITIONS - 1) / KV_PAGE_POSITIONS;
    for (; slot->page_count < need; slot->page_count++)
        if (!page_pool_take(pool, &slot->pages[slot->page_count]))
            return false;
    return true;
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
