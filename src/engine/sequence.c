#include "engine/sequence.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* How many positions of the prompt have an output each. */
static uint32_t count_outputs(const struct engine_request *request)
{
    if (request->purpose == ENGINE_EMBEDDING_MEAN || request->purpose == ENGINE_EMBEDDING_EACH)
        return request->prompt_count;
    return request->purpose == ENGINE_ANSWER && request->wants_prompt ? request->prompt_count - 1 : 0;
}

struct engine_sequence *sequence_create(const struct engine_request *request, uint32_t context, uint32_t hidden)
{
    const size_t bias_count = request->sampling.logit_bias_count;
    const bool is_embedding = engine_purpose_is_embedding(request->purpose);
    const size_t sums = is_embedding ? hidden : 0,
                 scores = request->purpose == ENGINE_SCORES ? request->score_count : 0;
    const size_t values = sums + scores; /* it is one or the other */
    const size_t result_bytes = sums * sizeof(double) + values * sizeof(float) + scores * sizeof *request->score_tokens;
    size_t max = context - request->prompt_count, token_bytes, bias_bytes, total;
    max = request->max_tokens < max ? request->max_tokens : max;
    max = request->answer_count > max ? request->answer_count : max;
    max += request->prompt_count + DRAFT_MAX;
    if (!size_multiply(max, sizeof *request->prompt, &token_bytes) ||
        !size_multiply(bias_count, sizeof *request->sampling.logit_bias, &bias_bytes) ||
        !size_add(token_bytes + sizeof(struct engine_sequence) + result_bytes, bias_bytes, &total))
        return NULL;
    struct engine_sequence *sequence = calloc(1, total);
    if (!sequence)
        return NULL;
    /* In the order of their alignment. */
    sequence->sums = (double *)(void *)(sequence + 1);
    sequence->values = (float *)(void *)(sequence->sums + sums);
    int32_t *score_tokens = (int32_t *)(void *)(sequence->values + values);
    char *behind = (char *)(score_tokens + scores);
    sequence->tokens = (int32_t *)(void *)(behind + bias_bytes);
    sequence->outputs = count_outputs(request);
    sequence->value_count = (uint32_t)values;
    sequence->token_count = request->prompt_count + request->answer_count;
    memcpy(sequence->tokens, request->prompt, request->prompt_count * sizeof *request->prompt);
    if (request->answer_count > 0)
        memcpy(sequence->tokens + request->prompt_count, request->answer,
               request->answer_count * sizeof *request->answer);
    if (bias_bytes > 0)
        memcpy(behind, request->sampling.logit_bias, bias_bytes);
    if (scores > 0)
        memcpy(score_tokens, request->score_tokens, scores * sizeof *score_tokens);
    sequence->request = *request;
    sequence->request.prompt = sequence->tokens;
    sequence->request.answer = sequence->tokens + request->prompt_count;
    sequence->request.sampling.logit_bias = (const struct smollm_logit_bias *)(const void *)behind;
    sequence->request.score_tokens = score_tokens;
    atomic_store(&sequence->holders, 2);
    account_open(&sequence->account, request->prompt_count, clock_nanoseconds());
    sequence->account.generated = request->answer_count;
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
