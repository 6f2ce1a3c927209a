/* What a sequence is given beside the tokens that are drawn: log-probabilities of its prompt, an embedding, scores. */
#include "base/clock.h"
#include "base/error.h"
#include "engine/embedding.h"
#include "engine/engine_state.h"
#include "kernel/arithmetic.h"

#include <string.h>

enum row_output sequence_output_at(const struct engine_sequence *s, uint32_t position)
{
    const struct engine_request *request = &s->request;
    if (position < sequence_next_output(s))
        return ROW_NOTHING;
    if (engine_purpose_is_embedding(request->purpose))
        return ROW_HIDDEN;
    const bool is_wanted =
        position + 1 < request->prompt_count || request->purpose == ENGINE_SCORES || request->max_tokens > 0;
    return is_wanted ? ROW_LOGITS : ROW_NOTHING;
}

/* ---- Log-probabilities ---- */

struct logits engine_logits(const struct engine *engine, size_t row)
{
    const uint32_t vocabulary = engine->weights->config.vocabulary;
    return (struct logits){.values = engine->logits + row * vocabulary,
                           .peaks = engine->peaks + row * peak_count(vocabulary),
                           .count = vocabulary};
}

static struct engine_logprob logprob_of(const struct logits *logits, int32_t id, double log_sum)
{
    return (struct engine_logprob){id, (float)logits_logprob(logits, id, log_sum)};
}

void engine_fill_logprobs(const struct engine *engine, const struct logits *logits, int alternatives,
                          struct engine_token *token)
{
    double log_sum = logits_log_sum(&engine->forward.kernels, logits);
    token->chosen = logprob_of(logits, token->id, log_sum);
    int32_t ids[ENGINE_ALTERNATIVES_MAX];
    logits_top(logits, ids, (uint32_t)alternatives);
    for (int i = 0; i < alternatives && ids[i] >= 0; i++)
        token->top[token->top_count++] = logprob_of(logits, ids[i], log_sum);
}

void engine_fill_sampled(struct engine *engine, int alternatives, struct engine_token *token)
{
    int32_t ids[ENGINE_ALTERNATIVES_MAX];
    double probabilities[ENGINE_ALTERNATIVES_MAX], drawn;
    token->top_count = (int)sampler_probabilities(&engine->scratch, (uint32_t)alternatives, ids, probabilities, &drawn);
    token->chosen = (struct engine_logprob){token->id, (float)double_log(drawn)};
    for (int i = 0; i < token->top_count; i++)
        token->top[i] = (struct engine_logprob){ids[i], (float)double_log(probabilities[i])};
}

static int not_finite(uint32_t position, struct smollm_error *error)
{
    return error_set(error, SMOLLM_ENUMERIC, "the model produced a value that is not finite at position %u", position);
}

/* ---- Positions of the prompt ---- */

/* The token after position `given`, whose logits are in the slot's next row. */
static int tell_prompt_token(const struct engine *engine, const struct slot *slot, struct smollm_error *error)
{
    const struct engine_sequence *s = slot->sequence;
    const struct engine_request *request = &s->request;
    const struct logits logits = engine_logits(engine, slot->first_row);
    struct engine_token token = {.id = s->tokens[s->given + 1]};
    if (logits_greatest(&logits) < 0)
        return not_finite(s->given, error);
    engine_fill_logprobs(engine, &logits, (int)request->prompt_alternatives, &token);
    request->client.prompt_token(request->client.user, &token);
    return 0;
}

/* The vector of position `given`, whose hidden state is in the slot's next row. */
static int tell_vector(const struct engine *engine, const struct slot *slot, struct smollm_error *error)
{
    struct engine_sequence *s = slot->sequence;
    const struct engine_client *client = &s->request.client;
    const uint32_t hidden = engine->weights->config.hidden;
    memset(s->sums, 0, hidden * sizeof *s->sums);
    embedding_add(s->sums, engine->hidden + (size_t)slot->first_row * hidden, hidden);
    const int status = embedding_finish(s->sums, hidden, 1, s->request.is_normalized, s->values, error);
    if (status == 0)
        client->values(client->user, s->values, s->value_count);
    return status;
}

bool give_outputs(struct engine *engine, struct slot *slot)
{
    struct engine_sequence *s = slot->sequence;
    const uint32_t end = slot->computed + slot->planned, hidden = engine->weights->config.hidden;
    if (s->outputs == 0)
        return true;
    const bool is_embedding = engine_purpose_is_embedding(s->request.purpose);
    for (; s->given < s->outputs && s->given < end; s->given++, slot->first_row++) {
        struct smollm_error error;
        if (s->request.purpose == ENGINE_EMBEDDING_MEAN) {
            embedding_add(s->sums, engine->hidden + (size_t)slot->first_row * hidden, hidden);
            continue;
        }
        if (!slot_is_ready(slot)) {
            slot->planned = s->given - slot->computed;
            return true;
        }
        if ((is_embedding ? tell_vector : tell_prompt_token)(engine, slot, &error) < 0) {
            slot_finish(engine, slot, ENGINE_END_ERROR, &error);
            return false;
        }
    }
    /* The first token of the answer is drawn from the row behind those of the prompt, when there is room for it. */
    const bool draws = !is_embedding && s->request.max_tokens > 0 && end == s->token_count;
    if (draws && end == s->request.prompt_count && !slot_is_ready(slot))
        slot->planned--;
    return true;
}

/* ---- The end of the prompt ---- */

static int find_embedding(struct engine *engine, struct slot *slot, struct smollm_error *error)
{
    struct engine_sequence *s = slot->sequence;
    const uint32_t hidden = engine->weights->config.hidden;
    if (s->request.purpose == ENGINE_EMBEDDING_EACH)
        return 0; /* all are given */
    if (s->request.purpose == ENGINE_EMBEDDING_LAST)
        embedding_add(s->sums, engine->hidden + (size_t)slot->first_row * hidden, hidden);
    const uint32_t count = s->request.purpose == ENGINE_EMBEDDING_LAST ? 1 : s->request.prompt_count;
    return embedding_finish(s->sums, hidden, count, s->request.is_normalized, s->values, error);
}

static int find_scores(struct engine *engine, struct slot *slot, struct smollm_error *error)
{
    struct engine_sequence *s = slot->sequence;
    const struct logits logits = engine_logits(engine, slot->first_row);
    if (logits_greatest(&logits) < 0)
        return not_finite(s->token_count - 1, error);
    const double log_sum = logits_log_sum(&engine->forward.kernels, &logits);
    for (uint32_t i = 0; i < s->request.score_count; i++)
        s->values[i] = (float)logits_logprob(&logits, s->request.score_tokens[i], log_sum);
    return 0;
}

void give_values(struct engine *engine, struct slot *slot)
{
    struct engine_sequence *s = slot->sequence;
    const struct engine_client *client = &s->request.client;
    struct smollm_error error;
    const int status =
        s->request.purpose == ENGINE_SCORES ? find_scores(engine, slot, &error) : find_embedding(engine, slot, &error);
    account_finish_prompt(&s->account, &engine->totals, clock_nanoseconds());
    if (status == 0 && s->request.purpose != ENGINE_EMBEDDING_EACH)
        client->values(client->user, s->values, s->value_count);
    slot_finish(engine, slot, status < 0 ? ENGINE_END_ERROR : ENGINE_END_STOPPED, status < 0 ? &error : NULL);
}
