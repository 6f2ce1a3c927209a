#include "api/generation.h"

#include "api/open_generations.h"

#include "api/context.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- Start ---- */

static void make_id(struct generation *generation)
{
    static const char *const prefixes[] = {"chatcmpl-", "cmpl-", "cmpl-"};
    unsigned char random[12] = {0};
    if (getrandom(random, sizeof random, 0) != sizeof random)
        memcpy(random, &generation, sizeof generation);
    int used = snprintf(generation->id, sizeof generation->id, "%s", prefixes[generation->request.kind]);
    for (size_t i = 0; i < sizeof random; i++)
        used += snprintf(generation->id + used, sizeof generation->id - (size_t)used, "%02x", random[i]);
}

static struct smollm_request_options options_of(const struct generation_request *request,
                                                const struct smollm_sampling *sampling, const struct api_call *call)
{
    return (struct smollm_request_options){.size = sizeof(struct smollm_request_options),
                                           .sampling = sampling,
                                           .max_tokens = (int32_t)request->max_tokens,
                                           .ignore_eos = request->ignore_eos,
                                           .stop = request->stops,
                                           .stop_count = request->stop_count,
                                           .logprobs = request->logprobs > 0 ? (int)request->logprobs : 0,
                                           .want_logprobs = request->logprobs >= 0 || request->return_tokens,
                                           .want_progress = request->return_progress && request->is_stream,
                                           .key = call->key,
                                           .priority = (int32_t)request->priority,
                                           .deadline_ms = (uint32_t)request->deadline_ms,
                                           .max_thinking_tokens = (uint32_t)request->max_thinking_tokens,
                                           .form = request->has_form ? &request->form : NULL,
                                           .allowed_tokens = request->allowed_tokens,
                                           .allowed_token_count = request->allowed_token_count,
                                           .stop_tokens = request->stop_tokens,
                                           .stop_token_count = request->stop_token_count,
                                           .bad_words = request->bad_words,
                                           .bad_word_count = request->bad_word_count,
                                           .min_tokens = (uint32_t)request->min_tokens,
                                           .notify = call->notify,
                                           .notify_user = call->notify_user};
}

/* Whole seconds until the full queue has a place, estimated from how fast it drains; for Retry-After. */
static int seconds_until_place(const struct api *api)
{
    struct smollm_engine_stats stats;
    smollm_engine_get_stats(api->engine, &stats);
    return stats.seconds_between_ends < 1     ? 1
           : stats.seconds_between_ends > 600 ? 600
                                              : (int)(stats.seconds_between_ends + 1);
}

static int submit(struct generation *generation, uint32_t index, const struct api_call *call, struct api_error *error)
{
    const struct generation_request *request = &generation->request;
    struct choice *choice = &generation->choices[index];
    struct smollm_sampling sampling = request->sampling;
    uint32_t answers = (uint32_t)request->answers;
    sampling.seed += index % answers;
    static const struct smollm_tokenize_options special = {
        .size = sizeof special, .add_special = true, .parse_special = true};
    struct smollm_request_options options = options_of(request, &sampling, call);
    if (request->kind == GENERATION_CHAT) {
        options.conversation = &request->conversation;
    } else {
        const struct generation_prompt *prompt = &request->prompts[index / answers];
        options.prompt = prompt->text;
        options.prompt_options = &special;
        options.tokens = prompt->tokens;
        options.token_count = prompt->token_count;
    }
    struct smollm_error cause;
    *choice = (struct choice){.index = index, .is_first_of_prompt = index % answers == 0};
    if (smollm_submit(generation->api->engine, &options, &choice->request, &cause) < 0) {
        api_error_from(error, &cause);
        if (cause.code == SMOLLM_EBUSY)
            error->retry_after = seconds_until_place(generation->api);
        if (cause.code == SMOLLM_ECONTEXT)
            snprintf(error->param, sizeof error->param, "%s", request->kind == GENERATION_CHAT ? "messages" : "prompt");
        return -1;
    }
    choice->prompt_tokens = smollm_request_prompt_tokens(choice->request);
    return 0;
}

/* Keeps the text of the prompt if the answer repeats it. */
static int keep_prompt(struct generation *generation, struct choice *choice, struct api_error *error)
{
    struct generation_request *request = &generation->request;
    const struct generation_prompt *prompt = &request->prompts[choice->index / (uint32_t)request->answers];
    struct smollm_text text = prompt->text, detokenized = {0};
    struct smollm_error cause;
    if (prompt->tokens) {
        if (smollm_detokenize(generation->api->model, prompt->tokens, prompt->token_count, &detokenized, &cause) < 0) {
            api_error_from(error, &cause);
            return -1;
        }
        text = detokenized;
    }
    char *copy = arena_copy(&request->arena, text.data ? text.data : "", text.size);
    choice->prompt = (struct smollm_text){copy, text.size};
    smollm_free((void *)(uintptr_t)detokenized.data);
    if (!copy) {
        api_error_make(error, 503, "out_of_memory", "out of memory for the request");
        return -1;
    }
    return 0;
}

int generation_open(struct api *api, struct generation_request *request, const struct api_call *call,
                    struct generation **result, struct api_error *error)
{
    static const struct generation_format *const formats[] = {&chat_format, &completion_format, &native_format};
    struct generation *generation = calloc(1, sizeof *generation);
    *result = generation;
    if (!generation) {
        arena_free(&request->arena);
        api_error_make(error, 503, "out_of_memory", "out of memory for the request");
        return -1;
    }
    generation->api = api;
    generation->request = *request;
    generation->format = formats[request->kind];
    generation->created = time(NULL);
    make_id(generation);
    generation->key = call->key;
    uint32_t prompts = request->kind == GENERATION_CHAT ? 1 : (uint32_t)request->prompt_count;
    uint32_t count = prompts * (uint32_t)request->answers;
    for (uint32_t i = 0; i < count; i++) {
        if (submit(generation, i, call, error) < 0)
            return -1;
        generation->choice_count = i + 1;
        if ((request->echo || request->kind == GENERATION_NATIVE) &&
            keep_prompt(generation, &generation->choices[i], error) < 0)
            return -1;
    }
    generation->request.json = NULL;
    return 0;
}

static void choice_free(struct choice *choice)
{
    smollm_request_close(choice->request);
    choice->request = NULL;
    buffer_free(&choice->text);
    buffer_free(&choice->reasoning);
    buffer_free(&choice->tool_calls);
    buffer_free(&choice->arguments);
    buffer_free(&choice->stop);
    for (int i = 0; i < GENERATION_LOGPROB_LISTS; i++)
        buffer_free(&choice->lists[i]);
}

void generation_close(struct generation *generation)
{
    if (!generation)
        return;
    if (generation->open)
        open_generations_remove(generation->open, generation);
    for (uint32_t i = 0; i < generation->choice_count; i++)
        choice_free(&generation->choices[i]);
    arena_free(&generation->request.arena);
    free(generation);
}

/* ---- Events ---- */

static void close_tool_call(struct choice *choice)
{
    if (!choice->tool_call_is_open)
        return;
    struct json_writer writer = {&choice->tool_calls, true};
    json_key_text(&writer, "arguments", buffer_text(&choice->arguments));
    json_end_object(&writer);
    json_end_object(&writer);
    buffer_clear(&choice->arguments);
    choice->tool_call_is_open = false;
}

static void open_tool_call(struct choice *choice, const struct smollm_event *event)
{
    close_tool_call(choice);
    struct json_writer writer = generation_list(&choice->tool_calls);
    json_begin_object(&writer);
    json_key_text(&writer, "id", event->tool.id);
    json_key_word(&writer, "type", "function");
    json_key(&writer, "function");
    json_begin_object(&writer);
    json_key_text(&writer, "name", event->tool.name);
    choice->tool_call_is_open = true;
}

/* For an answer that is not a stream. */
static void keep_event(struct generation *generation, struct choice *choice, const struct smollm_event *event)
{
    for (size_t i = 0; i < event->token_count; i++)
        generation->format->keep_token(generation, choice, &event->tokens[i]);
    if (event->type == SMOLLM_EVENT_TEXT)
        buffer_append_text(&choice->text, event->text);
    else if (event->type == SMOLLM_EVENT_THINKING)
        buffer_append_text(&choice->reasoning, event->text);
    else if (event->type == SMOLLM_EVENT_TOOL_CALL)
        open_tool_call(choice, event);
    else if (event->type == SMOLLM_EVENT_TOOL_ARGUMENTS)
        buffer_append_text(&choice->arguments, event->text);
}

static void finish_choice(struct generation *generation, struct choice *choice, const struct smollm_event *event)
{
    close_tool_call(choice);
    choice->reason = event->finish.reason;
    choice->usage = event->finish.usage;
    choice->seed = event->finish.seed;
    buffer_append_text(&choice->stop, event->finish.stop);
    choice->done = true;
    generation->done_count++;
    smollm_request_close(choice->request);
    choice->request = NULL;
}

void generation_fail(struct generation *generation, const struct api_error *error)
{
    generation->error = *error;
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        struct choice *choice = &generation->choices[i];
        if (choice->request)
            smollm_request_get_usage(choice->request, &choice->usage);
        smollm_request_close(choice->request);
        choice->request = NULL;
    }
}

static bool is_unwanted_tool_call(const struct generation *generation, const struct smollm_event *event)
{
    return generation->request.one_tool_call && event->tool.index > 0 &&
           (event->type == SMOLLM_EVENT_TOOL_CALL || event->type == SMOLLM_EVENT_TOOL_ARGUMENTS);
}

/* The beginning of a stream, before its first event. */
static void begin_stream(struct generation *generation, struct buffer *out)
{
    if (generation->begun || !generation->request.is_stream)
        return;
    for (uint32_t i = 0; i < generation->choice_count; i++)
        generation->format->begin(generation, &generation->choices[i], out);
    generation->begun = true;
}

static void take_event(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                       struct buffer *out)
{
    if (event->type != SMOLLM_EVENT_ERROR)
        begin_stream(generation, out);
    if (event->type == SMOLLM_EVENT_ERROR) {
        struct api_error error;
        api_error_from(&error, &event->error);
        generation_fail(generation, &error);
    } else if (event->type == SMOLLM_EVENT_FINISH) {
        finish_choice(generation, choice, event);
        if (generation->request.is_stream)
            generation->format->finish(generation, choice, out);
    } else if (!is_unwanted_tool_call(generation, event)) {
        choice->tool_call_count += event->type == SMOLLM_EVENT_TOOL_CALL;
        choice->has_new_line |= text_contains(event->text, "\n");
        if (generation->request.is_stream)
            generation->format->event(generation, choice, event, out);
        else
            keep_event(generation, choice, event);
        choice->tokens += (uint32_t)event->token_count;
    }
}

/* Takes one event of each choice that has one; false when none has. */
static bool take_events(struct generation *generation, struct buffer *out)
{
    bool any = false;
    for (uint32_t i = 0; i < generation->choice_count && generation->error.status == 0; i++) {
        struct choice *choice = &generation->choices[i];
        struct smollm_event event;
        if (choice->done || smollm_next_event(choice->request, 0, &event) < 0)
            continue;
        take_event(generation, choice, &event, out);
        any = true;
    }
    return any;
}

static enum api_state end(struct generation *generation, struct buffer *out)
{
    if (generation->error.status != 0 && generation->begun) {
        struct json_writer writer = event_stream_begin(out, NULL);
        api_error_write(&generation->error, out);
        event_stream_end(&writer);
    } else if (generation->error.status != 0) {
        api_error_write(&generation->error, out);
    } else if (generation->request.is_stream) {
        generation->format->end(generation, out);
    } else {
        generation->format->whole(generation, out);
    }
    return API_DONE;
}

enum api_state generation_pull(struct generation *generation, struct buffer *out, size_t max)
{
    if (generation->must_begin)
        begin_stream(generation, out);
    while (generation->error.status == 0 && generation->done_count < generation->choice_count) {
        if (out->size >= max)
            return API_READY;
        if (!take_events(generation, out))
            return API_WAITING;
    }
    return end(generation, out);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

void generation_get_figures(const struct generation *generation, struct api_figures *figures)
{
    *figures = (struct api_figures){.first_token_ms = -1};
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        const struct choice *choice = &generation->choices[i];
        struct smollm_usage usage = choice->usage;
        if (choice->request)
            smollm_request_get_usage(choice->request, &usage);
        figures->prompt_tokens += choice->is_first_of_prompt ? choice->prompt_tokens : 0;
        figures->cached_tokens += choice->is_first_of_prompt ? usage.cached_tokens : 0;
        figures->completion_tokens += usage.completion_tokens;
        figures->queue_ms = larger(figures->queue_ms, usage.queue_ms);
        if (usage.completion_tokens > 0)
            figures->first_token_ms = larger(figures->first_token_ms, usage.queue_ms + usage.prompt_ms);
    }
    figures->finish = generation->error.status != 0                       ? "error"
                      : generation->done_count < generation->choice_count ? "canceled"
                                                                          : generation_reason(&generation->choices[0]);
}

/* ---- Shared parts ---- */

struct json_writer generation_list(struct buffer *list)
{
    return (struct json_writer){list, list->size > 0};
}

double generation_logprob(float logprob)
{
    return isfinite(logprob) ? (double)logprob : -9999.0;
}

const char *generation_reason(const struct choice *choice)
{
    static const char *const names[] = {"stop", "length", "tool_calls", "stop"};
    return names[choice->reason];
}

void generation_write_envelope(const struct generation *generation, const char *object, struct json_writer *writer)
{
    json_key_word(writer, "id", generation->id);
    json_key_word(writer, "object", object);
    json_key_number(writer, "created", generation->created);
    json_key_word(writer, "model", generation->api->name);
    json_key_word(writer, "system_fingerprint", generation->api->fingerprint);
}

void generation_write_usage(const struct generation *generation, struct json_writer *writer)
{
    uint64_t prompt = 0, cached = 0, completion = 0, reasoning = 0;
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        const struct choice *choice = &generation->choices[i];
        prompt += choice->is_first_of_prompt ? choice->prompt_tokens : 0;
        cached += choice->is_first_of_prompt ? choice->usage.cached_tokens : 0;
        completion += choice->usage.completion_tokens;
        reasoning += choice->usage.reasoning_tokens;
    }
    json_key(writer, "usage");
    json_begin_object(writer);
    json_key_unsigned(writer, "prompt_tokens", prompt);
    json_key_unsigned(writer, "completion_tokens", completion);
    json_key_unsigned(writer, "total_tokens", prompt + completion);
    json_key(writer, "prompt_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "cached_tokens", cached);
    json_end_object(writer);
    json_key(writer, "completion_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "reasoning_tokens", reasoning);
    json_end_object(writer);
    json_end_object(writer);
}

static double per(double value, double divisor)
{
    return divisor > 0 ? value / divisor : 0;
}

void generation_write_timings(const struct choice *choice, struct json_writer *writer)
{
    const struct smollm_usage *u = &choice->usage;
    uint32_t read = u->prompt_tokens - u->cached_tokens;
    json_key(writer, "timings");
    json_begin_object(writer);
    json_key_unsigned(writer, "cache_n", u->cached_tokens);
    json_key_unsigned(writer, "prompt_n", read);
    json_key_decimal(writer, "prompt_ms", u->prompt_ms);
    json_key_decimal(writer, "prompt_per_token_ms", per(u->prompt_ms, read));
    json_key_decimal(writer, "prompt_per_second", per(1000.0 * read, u->prompt_ms));
    json_key_unsigned(writer, "predicted_n", u->completion_tokens);
    json_key_decimal(writer, "predicted_ms", u->predict_ms);
    json_key_decimal(writer, "predicted_per_token_ms", per(u->predict_ms, u->completion_tokens));
    json_key_decimal(writer, "predicted_per_second", per(1000.0 * u->completion_tokens, u->predict_ms));
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

void generation_write_progress(const struct smollm_event *event, struct json_writer *writer)
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
