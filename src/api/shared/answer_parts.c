#include "api/shared/answer_parts.h"

#include <math.h>

double answer_logprob(float logprob)
{
    return isfinite(logprob) ? (double)logprob : -9999.0;
}

static double per(double value, double divisor)
{
    return divisor > 0 ? value / divisor : 0;
}

void answer_write_timings(const struct choice *choice, struct json_writer *writer)
{
    struct smollm_usage usage = choice->usage;
    const struct smollm_usage *u = &usage;
    if (choice->request)
        smollm_request_get_usage(choice->request, &usage);
    uint32_t read = u->prompt_tokens - u->cached_tokens;
    /* The first token comes out of the prompt's last pass: predict_ms is the time of the others. */
    const uint32_t steps = u->completion_tokens > 1 ? u->completion_tokens - 1 : 0;
    json_key(writer, "timings");
    json_begin_object(writer);
    json_key_unsigned(writer, "cache_n", u->cached_tokens);
    json_key_unsigned(writer, "prompt_n", read);
    json_key_decimal(writer, "prompt_ms", u->prompt_ms);
    json_key_decimal(writer, "prompt_per_token_ms", per(u->prompt_ms, read));
    json_key_decimal(writer, "prompt_per_second", per(1000.0 * read, u->prompt_ms));
    json_key_unsigned(writer, "predicted_n", u->completion_tokens);
    json_key_decimal(writer, "predicted_ms", u->predict_ms);
    json_key_decimal(writer, "predicted_per_token_ms", steps > 0 ? u->predict_ms / steps : 0);
    json_key_decimal(writer, "predicted_per_second", per(1000.0 * steps, u->predict_ms));
    json_key_decimal(writer, "queue_ms", u->queue_ms);
    if (u->drafted_tokens > 0) {
        json_key_unsigned(writer, "draft_n", u->drafted_tokens);
        json_key_unsigned(writer, "draft_n_accepted", u->accepted_tokens);
    }
    json_end_object(writer);
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
