#include "engine/sequence.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct engine_sequence *sequence_create(const struct engine_request *request, uint32_t context)
{
    const size_t bias_count = request->sampling.logit_bias_count;
    size_t max = context - request->prompt_count, token_bytes, bias_bytes, total;
    max = request->max_tokens < max ? request->max_tokens : max;
    max += request->prompt_count + DRAFT_MAX;
    if (!size_multiply(max, sizeof *request->prompt, &token_bytes) ||
        !size_multiply(bias_count, sizeof *request->sampling.logit_bias, &bias_bytes) ||
        !size_add(token_bytes + sizeof(struct engine_sequence), bias_bytes, &total))
        return NULL;
    struct engine_sequence *sequence = calloc(1, total);
    if (!sequence)
        return NULL;
    char *behind = (char *)(sequence + 1);
    sequence->tokens = (int32_t *)(void *)(behind + bias_bytes);
    sequence->token_count = request->prompt_count;
    memcpy(sequence->tokens, request->prompt, request->prompt_count * sizeof *request->prompt);
    if (bias_bytes > 0)
        memcpy(behind, request->sampling.logit_bias, bias_bytes);
    sequence->request = *request;
    sequence->request.prompt = sequence->tokens;
    sequence->request.sampling.logit_bias = (const struct smollm_logit_bias *)(const void *)behind;
    atomic_store(&sequence->holders, 2);
    account_open(&sequence->account, request->prompt_count, clock_nanoseconds());
    if (request->deadline_ms > 0)
        sequence->deadline_ns = sequence->account.submitted_ns + (uint64_t)request->deadline_ms * 1000000;
    sequence->shown_ahead = UINT32_MAX;
    drafter_begin(&sequence->drafter);
    drafter_begin(&sequence->form_drafter);
    return sequence;
}

void sequence_release(struct engine_sequence *sequence)
{
    if (atomic_fetch_sub(&sequence->holders, 1) != 1)
        return;
    struct engine *engine = sequence->engine;
    free(sequence);
    if (engine)
        engine_let_go(engine);
}

bool sequence_is_ready(const struct engine_sequence *sequence)
{
    const struct engine_client *client = &sequence->request.client;
    return !client->ready || client->ready(client->user);
}

bool sequence_is_over(const struct engine_sequence *sequence, uint64_t now_ns)
{
    return atomic_load(&sequence->canceled) || (sequence->deadline_ns > 0 && now_ns >= sequence->deadline_ns);
}
