#include "api/shared/answer_parts.h"

#include <math.h>
#include <stdio.h>

double answer_logprob(float logprob)
{
    return isfinite(logprob) ? (double)logprob : -9999.0;
}

static void write_token(struct json_writer *writer, const struct smollm_token_logprob *token)
{
    json_key_text(writer, "token", token->bytes);
    json_key_decimal(writer, "logprob", answer_logprob(token->logprob));
    json_key(writer, "bytes");
    json_bytes(writer, token->bytes);
}

void answer_write_logprob(struct json_writer *writer, const struct smollm_token *token)
{
    json_begin_object(writer);
    write_token(writer, &token->chosen);
    json_key(writer, "top_logprobs");
    json_begin_array(writer);
    for (size_t i = 0; i < token->top_count; i++) {
        json_begin_object(writer);
        write_token(writer, &token->top[i]);
        json_end_object(writer);
    }
    json_end_array(writer);
    json_end_object(writer);
}

static void write_prompt_logprob(const struct smollm_token_logprob *token, size_t rank, struct json_writer *writer)
{
    char id[16];
    snprintf(id, sizeof id, "%d", token->token);
    json_key(writer, id);
    json_begin_object(writer);
    json_key_decimal(writer, "logprob", answer_logprob(token->logprob));
    if (rank > 0)
        json_key_unsigned(writer, "rank", rank);
    else
        json_key_nothing(writer, "rank");
    json_key_text(writer, "decoded_token", token->bytes);
    json_end_object(writer);
}

void answer_keep_prompt_logprob(struct buffer *list, const struct smollm_token *token)
{
    struct json_writer writer = generation_list(list);
    bool is_among_top = false;
    json_begin_object(&writer);
    for (size_t i = 0; i < token->top_count; i++) {
        write_prompt_logprob(&token->top[i], i + 1, &writer);
        is_among_top |= token->top[i].token == token->chosen.token;
    }
    if (!is_among_top)
        write_prompt_logprob(&token->chosen, 0, &writer);
    json_end_object(&writer);
}

void answer_write_prompt_logprobs(const struct generation *generation, const struct buffer *list,
                                  struct json_writer *writer)
{
    if (!generation->request.shows_prompt_logprobs)
        return;
    json_key(writer, "prompt_logprobs");
    json_begin_array(writer);
    json_nothing(writer);
    if (list->size > 0)
        json_ready(writer, buffer_text(list));
    json_end_array(writer);
}

static double per(double value, double divisor)
{
    return divisor > 0 ? value / divisor : 0;
}

/* What the event says of the reading of the prompt goes into the usage, which may have gone on since. */
static void take_progress(const struct smollm_event *event, struct smollm_usage *usage)
{
    if (event->type != SMOLLM_EVENT_QUEUED && event->type != SMOLLM_EVENT_PROGRESS)
        return;
    const bool has_read = event->progress.processed > event->progress.cached;
    *usage = (struct smollm_usage){.prompt_tokens = event->progress.processed,
                                   .cached_tokens = event->progress.cached,
                                   .queue_ms = usage->queue_ms,
                                   .prompt_ms = has_read ? event->progress.ms : 0};
}

void answer_write_timings_at(const struct choice *choice, const struct smollm_event *event, struct json_writer *writer)
{
    struct smollm_usage usage = choice->usage;
    const struct smollm_usage *u = &usage;
    if (choice->request)
        smollm_request_get_usage(choice->request, &usage);
    if (event)
        take_progress(event, &usage);
    uint32_t read = u->prompt_tokens - u->cached_tokens;
    /* The first token comes out of the prompt's last pass: predict_ms is the time of the others. */
    const uint32_t steps = u->completion_tokens > 1 ? u->completion_tokens - 1 : 0;
    json_key(writer, "timings");
    json_begin_object(writer);
    json_key_unsigned(writer, "cache_n", u->cached_tokens);
    json_key_unsigned(writer, "prompt_n", read);
    json_key_precise(writer, "prompt_ms", u->prompt_ms);
    json_key_precise(writer, "prompt_per_token_ms", per(u->prompt_ms, read));
    json_key_precise(writer, "prompt_per_second", per(1000.0 * read, u->prompt_ms));
    json_key_unsigned(writer, "predicted_n", u->completion_tokens);
    json_key_precise(writer, "predicted_ms", u->predict_ms);
    json_key_precise(writer, "predicted_per_token_ms", steps > 0 ? u->predict_ms / steps : 0);
    json_key_precise(writer, "predicted_per_second", per(1000.0 * steps, u->predict_ms));
    json_key_precise(writer, "queue_ms", u->queue_ms);
    if (u->drafted_tokens > 0) {
        json_key_unsigned(writer, "draft_n", u->drafted_tokens);
        json_key_unsigned(writer, "draft_n_accepted", u->accepted_tokens);
    }
    json_end_object(writer);
}

void answer_write_timings(const struct choice *choice, struct json_writer *writer)
{
    answer_write_timings_at(choice, NULL, writer);
}

static void write_place(const struct smollm_event *event, struct json_writer *writer)
{
    json_key(writer, "queue");
    json_begin_object(writer);
    json_key_unsigned(writer, "ahead", event->queue.ahead);
    json_key_decimal(writer, "seconds", event->queue.seconds < 0 ? (double)NAN : event->queue.seconds);
    json_end_object(writer);
}

void answer_write_progress(const struct smollm_event *event, struct json_writer *writer)
{
    if (event->type == SMOLLM_EVENT_QUEUED) {
        write_place(event, writer);
        return;
    }
    if (event->type != SMOLLM_EVENT_PROGRESS)
        return;
    json_key(writer, "prompt_progress");
    json_begin_object(writer);
    json_key_unsigned(writer, "total", event->progress.total);
    json_key_unsigned(writer, "cache", event->progress.cached);
    json_key_unsigned(writer, "processed", event->progress.processed);
    json_key_decimal(writer, "time_ms", event->progress.ms);
    json_end_object(writer);
}
