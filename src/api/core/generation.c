#include "api/core/generation.h"

#include "api/core/open_generations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- Start ---- */

void generation_make_id(const char *prefix, char *id, size_t size)
{
    unsigned char random[12] = {0};
    if (getrandom(random, sizeof random, 0) != sizeof random)
        memcpy(random, &id, sizeof id);
    int used = snprintf(id, size, "%s", prefix);
    for (size_t i = 0; i < sizeof random && (size_t)used < size; i++)
        used += snprintf(id + used, size - (size_t)used, "%02x", random[i]);
}

static struct smollm_request_options options_of(const struct generation *generation,
                                                const struct smollm_sampling *sampling, uint32_t prompt)
{
    const struct generation_request *request = &generation->request;
    return (struct smollm_request_options){
        .size = sizeof(struct smollm_request_options),
        .sampling = sampling,
        .max_tokens = (int32_t)request->max_tokens,
        .ignore_eos = request->ignore_eos,
        .stop = request->stops,
        .stop_count = request->stop_count,
        .logprobs = request->logprobs > 0 ? (int)request->logprobs : 0,
        .want_logprobs = request->logprobs >= 0 || request->return_tokens,
        .sampled_logprobs = request->sampled_logprobs,
        .want_progress = request->return_progress && request->is_stream,
        .key = generation->key,
        .priority = (int32_t)request->priority,
        .deadline_ms = (uint32_t)request->deadline_ms,
        .max_thinking_tokens = request->thinking_budget > 0 ? (uint32_t)request->thinking_budget : 0,
        .form = request->has_form ? &request->form : NULL,
        .allowed_tokens = request->allowed_tokens,
        .allowed_token_count = request->allowed_token_count,
        .stop_tokens = request->stop_tokens,
        .stop_token_count = request->stop_token_count,
        .answer_tokens = request->answer_tokens,
        .answer_token_count = request->answer_token_count,
        .silent_tokens = (uint32_t)request->silent_tokens,
        .bad_words = request->bad_words,
        .bad_word_count = request->bad_word_count,
        .min_tokens = (uint32_t)request->min_tokens,
        .output = request->output,
        .pooling = request->output == SMOLLM_OUTPUT_EMBEDDING ? request->pooling : SMOLLM_POOLING_LAST,
        .no_normalization = request->no_normalization,
        .score_tokens = request->score_tokens ? request->score_tokens[prompt] : NULL,
        .score_token_count = request->score_tokens ? request->score_token_counts[prompt] : 0,
        .want_prompt_logprobs = request->prompt_logprobs >= 0,
        .prompt_logprobs = request->prompt_logprobs > 0 ? (int)request->prompt_logprobs : 0,
        .notify = generation->notify,
        .notify_user = generation->notify_user};
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

static int submit(struct generation *generation, uint32_t index, struct api_error *error)
{
    const struct generation_request *request = &generation->request;
    struct choice *choice = &generation->choices[index];
    uint32_t answers = (uint32_t)request->answers;
    struct smollm_sampling own = generation->sampling;
    own.seed += index % answers;
    struct smollm_request_options options = options_of(generation, &own, index / answers);
    if (request->is_chat) {
        options.conversation = &request->conversation;
    } else {
        const struct generation_prompt *prompt = &request->prompts[index / answers];
        options.prompt = prompt->text;
        options.prompt_options = &generation_prompt_options;
        options.tokens = prompt->tokens;
        options.token_count = prompt->token_count;
    }
    struct smollm_error cause;
    if (smollm_submit(generation->api->engine, &options, &choice->request, &cause) < 0) {
        api_error_from(error, &cause);
        if (cause.code == SMOLLM_EBUSY)
            error->retry_after = seconds_until_place(generation->api);
        if (cause.code == SMOLLM_ECONTEXT)
            snprintf(error->param, sizeof error->param, "%s", request->is_chat ? "messages" : "prompt");
        return -1;
    }
    choice->prompt_tokens = smollm_request_prompt_tokens(choice->request);
    return 0;
}

/* Keeps the text of the prompt if the answer repeats it. */
static int keep_prompt(struct generation *generation, struct choice *choice, struct api_error *error)
{
    struct generation_request *request = &generation->request;
    const struct smollm_model *model = generation->api->model;
    const struct generation_prompt *prompt =
        request->is_chat ? NULL : &request->prompts[choice->index / (uint32_t)request->answers];
    struct smollm_text made = {0}; /* of a conversation or tokens */
    struct smollm_error cause;
    const int status = !prompt          ? smollm_apply_template(model, &request->conversation, &made, &cause)
                       : prompt->tokens ? smollm_detokenize(model, prompt->tokens, prompt->token_count, &made, &cause)
                                        : 0;
    if (status < 0)
        return api_refuse_from(error, &cause);
    const struct smollm_text text = prompt && !prompt->tokens ? prompt->text : made;
    char *copy = arena_copy(&request->arena, text.data ? text.data : "", text.size);
    choice->prompt = (struct smollm_text){copy, text.size};
    smollm_free((void *)(uintptr_t)made.data);
    return copy ? 0 : api_refuse_memory(error);
}

/* Submits further choices while others are under way; what finds no place in the queue then is tried again. */
static void submit_more(struct generation *generation)
{
    while (generation->error.status == 0 && generation->submitted_count < generation->choice_count &&
           generation->submitted_count - generation->done_count < GENERATION_WINDOW) {
        struct api_error error;
        if (submit(generation, generation->submitted_count, &error) < 0) {
            if (error.status != 429 || generation->submitted_count == generation->done_count)
                generation_fail(generation, &error);
            return;
        }
        generation->submitted_count++;
    }
}

static int open_choices(struct generation *generation, json_t *json, struct api_error *error)
{
    const struct generation_request *request = &generation->request;
    const uint32_t prompts = request->is_chat ? 1 : (uint32_t)request->prompt_count;
    const uint32_t count = prompts * (uint32_t)request->answers;
    if (count > 1 && (request->silent_tokens > 0 || request->answer_token_count > 0))
        return api_refuse(error, "continue_from", "continue_from goes on with one answer, and %u are asked for", count);
    generation->choices = calloc(count, sizeof *generation->choices);
    if (!generation->choices)
        return api_refuse_memory(error);
    generation->choice_count = count;
    for (uint32_t i = 0; i < count; i++) {
        generation->choices[i].index = i;
        generation->choices[i].is_first_of_prompt = i % (uint32_t)request->answers == 0;
    }
    for (uint32_t i = 0; i < count; i++)
        if ((request->echo || request->keep_prompt) && keep_prompt(generation, &generation->choices[i], error) < 0)
            return -1;
    for (uint32_t i = 0; i < count && i < GENERATION_WINDOW; i++) {
        if (submit(generation, i, error) < 0) {
            if (error->status != 429 || i == 0)
                return -1;
            *error = (struct api_error){0}; /* the queue is full now: the rest follows */
            break;
        }
        generation->submitted_count++;
    }
    if (generation->submitted_count == count)
        return 0;
    generation->json = json_incref(json);
    /* Prompts that are submitted later are tokenized now, on this thread. */
    return request->is_chat ? 0 : generation_request_tokenize(&generation->request, generation->api, error);
}

int generation_open(struct api *api, const struct generation_format *format, struct generation_request *request,
                    json_t *json, const struct api_call *call, struct generation **result, struct api_error *error)
{
    struct generation *generation = calloc(1, sizeof *generation);
    *result = generation;
    if (!generation) {
        generation_request_free(request);
        return api_refuse_memory(error);
    }
    generation->api = api;
    generation->request = *request;
    generation->format = format;
    generation->created = time(NULL);
    clock_gettime(CLOCK_MONOTONIC, &generation->started);
    generation_make_id(format->id_prefix, generation->id, sizeof generation->id);
    generation->key = call->key;
    generation->notify = call->notify;
    generation->notify_user = call->notify_user;
    if (call->request_id)
        snprintf(generation->request_id, sizeof generation->request_id, "%s", call->request_id);
    generation->sampling = generation_request_sampling(request, 0);
    return open_choices(generation, json, error);
}

int generation_write_count(struct api *api, const struct generation_format *format, const char *object,
                           const struct api_call *call, const json_t *json, struct buffer *out, struct api_error *error)
{
    struct generation_request request;
    struct smollm_error cause;
    int32_t *tokens = NULL;
    size_t count = 0;
    generation_request_init(&request, api);
    int status = format->read(api, call, json, &request, error);
    if (status == 0 && smollm_render(api->model, &request.conversation, &tokens, &count, &cause) < 0)
        status = api_refuse_from(error, &cause);
    generation_request_free(&request);
    smollm_free(tokens);
    if (status < 0)
        return status;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    if (object)
        json_key_word(&writer, "object", object);
    json_key_unsigned(&writer, "input_tokens", count);
    json_end_object(&writer);
    return 0;
}

static void choice_free(struct choice *choice)
{
    smollm_request_close(choice->request);
    choice->request = NULL;
    for (size_t i = 0; i < choice->item_count; i++) {
        buffer_free(&choice->items[i].text);
        buffer_free(&choice->items[i].id);
        buffer_free(&choice->items[i].name);
    }
    free(choice->items);
    free(choice->values);
    buffer_free(&choice->stop);
    for (int i = 0; i < GENERATION_LISTS; i++)
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
    free(generation->choices);
    json_decref(generation->json);
    generation_request_free(&generation->request);
    free(generation);
}

/* ---- Events ---- */

/* The item that an event belongs to; NULL: none, or out of memory. An event without text, which may carry tokens,
 * begins no item. */
static struct answer_item *item_of(struct choice *choice, const struct smollm_event *event, bool *begins)
{
    static const enum item_kind kinds[] = {[SMOLLM_EVENT_THINKING] = ITEM_THINKING,
                                           [SMOLLM_EVENT_TEXT] = ITEM_TEXT,
                                           [SMOLLM_EVENT_TOOL_CALL] = ITEM_CALL,
                                           [SMOLLM_EVENT_TOOL_ARGUMENTS] = ITEM_CALL};
    const bool is_call = event->type == SMOLLM_EVENT_TOOL_CALL || event->type == SMOLLM_EVENT_TOOL_ARGUMENTS;
    struct answer_item *last = choice->item_count > 0 ? &choice->items[choice->item_count - 1] : NULL;
    *begins = false;
    if (event->type < SMOLLM_EVENT_THINKING || event->type > SMOLLM_EVENT_TOOL_ARGUMENTS)
        return NULL;
    const bool belongs = last && last->kind == kinds[event->type] && event->type != SMOLLM_EVENT_TOOL_CALL;
    if (belongs || (!is_call && event->text.size == 0))
        return last;
    if (!choice->items || choice->item_count == choice->item_room) {
        const size_t room = choice->item_room * 2 + 4;
        struct answer_item *grown = realloc(choice->items, room * sizeof *grown);
        if (!grown)
            return NULL;
        choice->items = grown;
        choice->item_room = room;
    }
    last = &choice->items[choice->item_count++];
    *last = (struct answer_item){.kind = kinds[event->type]};
    *begins = true;
    return last;
}

static void keep_event(struct generation *generation, struct choice *choice, struct answer_item *item,
                       const struct smollm_event *event)
{
    if (!generation->request.is_stream && generation->format->keep_token)
        for (size_t i = 0; i < event->token_count; i++)
            generation->format->keep_token(generation, choice, &event->tokens[i]);
    if (item && (!generation->request.is_stream || generation->format->keeps_items))
        buffer_append_text(&item->text, event->text);
}

/* Under the lock of those who look for it from other threads (open_generations.h). */
static void close_request(struct generation *generation, struct choice *choice)
{
    struct smollm_request *request = choice->request;
    if (generation->open)
        pthread_mutex_lock(&generation->open->mutex);
    choice->request = NULL;
    if (generation->open)
        pthread_mutex_unlock(&generation->open->mutex);
    smollm_request_close(request);
}

static void note_longest(struct api *api, uint64_t tokens)
{
    uint64_t longest = atomic_load(&api->longest_tokens);
    while (tokens > longest && !atomic_compare_exchange_weak(&api->longest_tokens, &longest, tokens)) {
    }
}

static void finish_choice(struct generation *generation, struct choice *choice, const struct smollm_event *event)
{
    choice->reason = event->finish.reason;
    choice->usage = event->finish.usage;
    choice->seed = event->finish.seed;
    buffer_append_text(&choice->stop, event->finish.stop);
    choice->done = true;
    generation->done_count++;
    note_longest(generation->api, choice->prompt_tokens + (uint64_t)choice->usage.completion_tokens);
    close_request(generation, choice);
}

struct api_head generation_head(const struct generation *generation)
{
    const struct api_error *error = &generation->error;
    if (error->status != 0 && !generation->begun)
        return (struct api_head){
            .status = error->status, .retry_after = error->retry_after, .content_type = "application/json"};
    const bool is_stream = generation->request.is_stream;
    return (struct api_head){.status = 200,
                             .content_type = is_stream ? generation->format->protocol->stream_type : "application/json",
                             .is_stream = is_stream};
}

void generation_fail(struct generation *generation, const struct api_error *error)
{
    generation->error = *error;
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        struct choice *choice = &generation->choices[i];
        if (choice->request)
            smollm_request_get_usage(choice->request, &choice->usage);
        close_request(generation, choice);
    }
}

static bool is_unwanted_tool_call(const struct generation *generation, const struct smollm_event *event)
{
    return !generation->request.parallel_tool_calls && event->tool.index > 0 &&
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

static void take_part(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                      struct buffer *out)
{
    bool begins;
    struct answer_item *item = item_of(choice, event, &begins);
    if (event->complete_tokens > 0)
        choice->complete_tokens = event->complete_tokens;
    if (begins && item->kind == ITEM_CALL) {
        buffer_append_text(&item->id, event->tool.id);
        buffer_append_text(&item->name, event->tool.name);
        choice->call_count++;
    }
    choice->has_new_line |= text_contains(event->text, "\n");
    keep_event(generation, choice, item, event);
    if (generation->request.is_stream)
        generation->format->event(generation, choice, event, begins, out);
    choice->tokens += (uint32_t)event->token_count;
    const bool has_part = event->text.size > 0 || event->type == SMOLLM_EVENT_TOOL_CALL;
    if (item ? item->text.failed || item->id.failed || item->name.failed : has_part)
        out->failed = true; /* nothing may be lost in silence */
}

static void keep_values(const struct generation *generation, struct choice *choice, const struct smollm_event *event,
                        struct buffer *out)
{
    const struct generation_request *request = &generation->request;
    const bool has_many = request->output == SMOLLM_OUTPUT_EMBEDDING && request->pooling == SMOLLM_POOLING_NONE;
    const size_t vectors = has_many ? choice->prompt_tokens : 1;
    if (!choice->values)
        choice->values = calloc(vectors * event->value_count, sizeof *choice->values);
    choice->value_count = event->value_count;
    if (choice->values && choice->vector_count < vectors)
        memcpy(choice->values + choice->vector_count++ * event->value_count, event->values,
               event->value_count * sizeof *choice->values);
    out->failed |= !choice->values;
}

static void take_prompt_tokens(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                               struct buffer *out)
{
    for (size_t i = 0; i < event->token_count && generation->format->prompt_token; i++)
        generation->format->prompt_token(generation, choice, &event->tokens[i], out);
}

static void take_event(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                       struct buffer *out)
{
    if (event->type == SMOLLM_EVENT_ERROR) {
        struct api_error error;
        api_error_from(&error, &event->error);
        generation_fail(generation, &error);
        return;
    }
    begin_stream(generation, out);
    if (event->type == SMOLLM_EVENT_FINISH) {
        finish_choice(generation, choice, event);
        if (generation->request.is_stream)
            generation->format->finish(generation, choice, out);
    } else if (event->type == SMOLLM_EVENT_EMBEDDING || event->type == SMOLLM_EVENT_SCORES) {
        keep_values(generation, choice, event, out);
    } else if (event->type == SMOLLM_EVENT_PROMPT_TOKENS) {
        take_prompt_tokens(generation, choice, event, out);
    } else if (!is_unwanted_tool_call(generation, event)) {
        take_part(generation, choice, event, out);
    }
}

/* Takes one event of each choice that has one; false when none has. */
static bool take_events(struct generation *generation, struct buffer *out)
{
    bool any = false;
    for (uint32_t i = 0; i < generation->submitted_count && generation->error.status == 0; i++) {
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
    const struct protocol *protocol = generation->format->protocol;
    if (generation->error.status != 0 && generation->begun) {
        protocol->stream_error(generation, out);
    } else if (generation->error.status != 0) {
        protocol->error(&generation->error, generation->request_id, out);
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
        submit_more(generation);
    }
    return end(generation, out);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

void generation_get_figures(const struct generation *generation, struct api_figures *figures)
{
    static const char *const reasons[] = {[SMOLLM_FINISH_STOP] = "stop",
                                          [SMOLLM_FINISH_LENGTH] = "length",
                                          [SMOLLM_FINISH_TOOL_CALLS] = "tool_calls",
                                          [SMOLLM_FINISH_CANCELED] = "canceled"};
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
                                                                          : reasons[generation->choices[0].reason];
}

/* ---- For formats ---- */

struct json_writer generation_list(struct buffer *list)
{
    return (struct json_writer){list, list->size > 0};
}

struct generation_totals generation_total(const struct generation *generation)
{
    struct generation_totals totals = {0};
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        const struct choice *choice = &generation->choices[i];
        totals.prompt += choice->is_first_of_prompt ? choice->prompt_tokens : 0;
        totals.cached += choice->is_first_of_prompt ? choice->usage.cached_tokens : 0;
        totals.completion += choice->usage.completion_tokens;
        totals.reasoning += choice->usage.reasoning_tokens;
    }
    return totals;
}

struct buffer generation_join(const struct choice *choice, enum item_kind kind)
{
    struct buffer joined = {0};
    for (size_t i = 0; i < choice->item_count; i++)
        if (choice->items[i].kind == kind)
            buffer_append_text(&joined, buffer_text(&choice->items[i].text));
    return joined;
}
