/* The engine's side of a request: its tokens become events. */
#include "base/clock.h"
#include "base/error.h"
#include "library/request_state.h"

#include <stdio.h>
#include <string.h>

/* Under the mutex: wakes the reader. notify is called under the mutex too, so never after smollm_request_close. */
static void tell_reader(struct smollm_request *request)
{
    pthread_cond_signal(&request->changed);
    if (request->notify)
        request->notify(request->notify_user);
}

/* ---- Into the ring ---- */

/* token: the one that is complete with this event, if its log-probability is wanted; otherwise NULL. */
static void write_event(struct smollm_request *request, const struct smollm_event *event,
                        const struct smollm_token *token)
{
    if (request->is_silent)
        return;
    pthread_mutex_lock(&request->mutex);
    request->is_lost |= !event_ring_write(&request->ring, event, request->told_tokens, token);
    if (!event_ring_has_room(&request->ring))
        atomic_store(&request->has_room, false);
    tell_reader(request);
    pthread_mutex_unlock(&request->mutex);
}

static void flush_text(struct smollm_request *request, const struct smollm_token *token)
{
    const struct smollm_event event = {.type = request->pending_type,
                                       .text = {request->pending, request->pending_size},
                                       .tool.index = request->pending_index};
    if (request->pending_size > 0)
        write_event(request, &event, token);
    request->pending_size = 0;
}

/* Text of any length; pieces end at characters. */
static void add_text(struct smollm_request *request, enum smollm_event_type type, uint32_t index, const char *data,
                     size_t size)
{
    if (request->pending_type != type || request->pending_index != index)
        flush_text(request, NULL);
    request->pending_type = type;
    request->pending_index = index;
    while (size > 0) {
        size_t room = EVENT_TEXT_MAX - request->pending_size, part = size < room ? size : room;
        while (part > 0 && part < size && ((unsigned char)data[part] & 0xc0) == 0x80)
            part--;
        memcpy(request->pending + request->pending_size, data, part);
        request->pending_size += part;
        data += part;
        size -= part;
        if (size > 0)
            flush_text(request, NULL);
    }
}

static void on_answer(void *user, const char *data, size_t size)
{
    add_text(user, SMOLLM_EVENT_TEXT, 0, data, size);
}

static void begin_tool_call(struct smollm_request *request, const struct chat_event *chat)
{
    char id[48];
    snprintf(id, sizeof id, "call_%016llx%02x", (unsigned long long)request->call_id, chat->index);
    const struct smollm_event event = {.type = SMOLLM_EVENT_TOOL_CALL,
                                       .tool = {.index = chat->index, .id = text_of(id), .name = chat->text}};
    flush_text(request, NULL);
    write_event(request, &event, NULL);
    request->tool_calls++;
}

static void on_chat_event(void *user, const struct chat_event *chat)
{
    struct smollm_request *request = user;
    if (request->stops.matched)
        return;
    switch (chat->type) {
    case CHAT_EVENT_THINKING:
        add_text(request, SMOLLM_EVENT_THINKING, 0, chat->text.data, chat->text.size);
        break;
    case CHAT_EVENT_TEXT:
        stop_matcher_feed(&request->stops, chat->text.data, chat->text.size, on_answer, request);
        break;
    case CHAT_EVENT_TOOL_BEGIN:
        begin_tool_call(request, chat);
        break;
    case CHAT_EVENT_TOOL_ARGUMENTS:
        add_text(request, SMOLLM_EVENT_TOOL_ARGUMENTS, chat->index, chat->text.data, chat->text.size);
        break;
    case CHAT_EVENT_TOOL_END:
        break;
    }
}

static void take_text(struct smollm_request *request)
{
    if (request->is_chat)
        chat_parser_feed(&request->parser, request->text.data, request->text.size, on_chat_event, request);
    else
        stop_matcher_feed(&request->stops, request->text.data, request->text.size, on_answer, request);
    buffer_clear(&request->text);
}

/* ---- The engine's callbacks ---- */

static bool is_ready(void *user)
{
    const struct smollm_request *request = user;
    return atomic_load(&request->has_room);
}

static void on_queued(void *user, uint32_t ahead, double seconds)
{
    struct smollm_request *request = user;
    if (!request->want_progress)
        return;
    pthread_mutex_lock(&request->mutex);
    request->queued = (struct smollm_event){.type = SMOLLM_EVENT_QUEUED};
    request->queued.queue.ahead = ahead;
    request->queued.queue.seconds = seconds;
    request->has_queued = true;
    tell_reader(request);
    pthread_mutex_unlock(&request->mutex);
}

static void on_progress(void *user, const struct engine_account *account)
{
    struct smollm_request *request = user;
    pthread_mutex_lock(&request->mutex);
    request->account = *account;
    if (request->want_progress) {
        request->progress = (struct smollm_event){.type = SMOLLM_EVENT_PROGRESS};
        request->progress.progress.total = account->prompt_tokens;
        request->progress.progress.processed = account->counted;
        request->progress.progress.cached = account->cached;
        request->progress.progress.ms = account_prompt_ms(account, clock_nanoseconds());
        request->has_progress = true;
        request->has_queued = false; /* an unread place in the queue is out of date */
        tell_reader(request);
    }
    pthread_mutex_unlock(&request->mutex);
}

static struct smollm_token_logprob describe(const struct smollm_request *request, struct engine_logprob logprob)
{
    return (struct smollm_token_logprob){logprob.id, logprob.logprob,
                                         tokenizer_token_text(request->model->tokenizer, logprob.id)};
}

/* top: memory for the alternatives. */
static struct smollm_token describe_token(const struct smollm_request *request, const struct engine_token *token,
                                          struct smollm_token_logprob top[ENGINE_ALTERNATIVES_MAX])
{
    for (int i = 0; i < token->top_count; i++)
        top[i] = describe(request, token->top[i]);
    return (struct smollm_token){
        .chosen = describe(request, token->chosen), .top = top, .top_count = (size_t)token->top_count};
}

static void on_prompt_token(void *user, const struct engine_token *read)
{
    struct smollm_request *request = user;
    struct smollm_token_logprob top[ENGINE_ALTERNATIVES_MAX];
    const struct smollm_token token = describe_token(request, read, top);
    const struct smollm_event event = {.type = SMOLLM_EVENT_PROMPT_TOKENS};
    write_event(request, &event, &token);
}

static void on_values(void *user, const float *values, uint32_t count)
{
    struct smollm_request *request = user;
    pthread_mutex_lock(&request->mutex);
    (void)count;
    vector_ring_write(&request->vectors, values);
    if (vector_ring_is_full(&request->vectors))
        atomic_store(&request->has_room, false);
    tell_reader(request);
    pthread_mutex_unlock(&request->mutex);
}

/* Passes a token of the answer on; drawn NULL: without log-probabilities. */
static void take_token(struct smollm_request *request, int32_t id, const struct engine_token *drawn)
{
    if (request->turn)
        turn_add(request->turn, id);
    token_decoder_push(&request->decoder, tokenizer_token_text(request->model->tokenizer, id), &request->text);
    take_text(request);
    request->taken_tokens++;
    if (!drawn || !request->want_logprobs || (request->stops.matched && request->pending_size == 0)) {
        if (request->pending_size > 0)
            request->told_tokens = request->taken_tokens;
        flush_text(request, NULL);
        return;
    }
    request->told_tokens = request->taken_tokens;
    struct smollm_token_logprob top[ENGINE_ALTERNATIVES_MAX];
    const struct smollm_token token = describe_token(request, drawn, top);
    /* A token whose text is held back still has a log-probability to report. */
    const struct smollm_event empty = {.type = SMOLLM_EVENT_TEXT, .text = {"", 0}};
    if (request->pending_size == 0)
        write_event(request, &empty, &token);
    flush_text(request, &token);
}

static bool on_token(void *user, const struct engine_token *drawn, const struct engine_account *account)
{
    struct smollm_request *request = user;
    pthread_mutex_lock(&request->mutex);
    request->account = *account;
    request->reasoning_tokens +=
        request->is_chat && !drawn->is_end && request->parser.state == CHAT_STATE_THINKING ? 1 : 0;
    pthread_mutex_unlock(&request->mutex);
    if (drawn->is_end)
        return false;
    request->is_silent = account->generated <= request->silent_tokens;
    take_token(request, drawn->id, drawn);
    request->is_silent = false;
    return !request->stops.matched && !request->is_lost;
}

int answer_resume(struct smollm_request *request, const int32_t *tokens, size_t count, const bool *ends,
                  struct smollm_error *error)
{
    const struct engine_form form = request->form ? answer_form_hook(request->form) : (struct engine_form){0};
    const uint32_t vocabulary = request->model->weights.config.vocabulary;
    request->is_silent = true;
    for (size_t i = 0; i < count; i++) {
        const int32_t token = tokens[i];
        const uint32_t *allowed = NULL;
        RETURN_ERROR_IF(token < 0 || (uint32_t)token >= vocabulary, error, SMOLLM_EINVAL,
                        "token %d of the answer is %d; it must be from 0 to %u", (int)i, token, vocabulary - 1);
        RETURN_ERROR_IF(request->stops.matched || (ends && ends[token]), error, SMOLLM_EINVAL,
                        "the answer to go on with ends %s token %d", request->stops.matched ? "before" : "with",
                        (int)i);
        const int status = form.mask ? form.mask(form.user, &allowed, error) : 0;
        if (status < 0)
            return status;
        RETURN_ERROR_IF(status > 0 || (allowed && !(allowed[token / 32] >> (uint32_t)token % 32 & 1)), error,
                        SMOLLM_EINVAL, "token %d of the answer to go on with, %d, does not fit its form", (int)i,
                        token);
        if (form.advance)
            form.advance(form.user, token);
        request->reasoning_tokens += request->is_chat && request->parser.state == CHAT_STATE_THINKING ? 1 : 0;
        take_token(request, token, NULL);
    }
    request->is_silent = false;
    RETURN_ERROR_IF(request->stops.matched, error, SMOLLM_EINVAL,
                    "the answer to go on with ends in a stop string at token %zu", count - 1);
    return 0;
}

static enum smollm_finish_reason reason_of(const struct smollm_request *request, enum engine_end end)
{
    if (end == ENGINE_END_CANCELED)
        return SMOLLM_FINISH_CANCELED;
    if (end == ENGINE_END_LENGTH && !request->stops.matched)
        return SMOLLM_FINISH_LENGTH;
    return request->tool_calls > 0 ? SMOLLM_FINISH_TOOL_CALLS : SMOLLM_FINISH_STOP;
}

/* Text that was held back, and the conversation's next turn. */
static void complete_answer(struct smollm_request *request)
{
    token_decoder_finish(&request->decoder, &request->text);
    take_text(request);
    if (request->is_chat)
        chat_parser_finish(&request->parser, on_chat_event, request);
    stop_matcher_finish(&request->stops, on_answer, request);
    flush_text(request, NULL);
    if (request->turn && !request->stops.matched && !request->is_lost) {
        turn_finish(request->turn);
        request->turn = NULL;
    }
}

/* Under the mutex. */
static void write_last_event(struct smollm_request *request, enum engine_end end, const struct smollm_error *error)
{
    if (error || request->is_lost) {
        request->last = (struct smollm_event){.type = SMOLLM_EVENT_ERROR};
        if (error)
            request->last.error = *error;
        else
            error_set(&request->last.error, SMOLLM_ELIMIT,
                      "one token of the answer has more text than fits into its buffer (%zu bytes)",
                      request->ring.size);
        return;
    }
    request->last = (struct smollm_event){.type = SMOLLM_EVENT_FINISH};
    request->last.finish.reason = reason_of(request, end);
    if (request->stops.matched)
        request->last.finish.stop = request->stops.stops[request->stops.match];
    request->last.finish.seed = request->seed;
    request->last.finish.usage = request_usage(request);
}

static void on_finished(void *user, enum engine_end end, const struct engine_account *account,
                        const struct smollm_error *error)
{
    struct smollm_request *request = user;
    if (end != ENGINE_END_ERROR && end != ENGINE_END_CANCELED)
        complete_answer(request);
    pthread_mutex_lock(&request->mutex);
    request->account = *account;
    write_last_event(request, end, error);
    request->ended = true;
    tell_reader(request);
    pthread_mutex_unlock(&request->mutex);
    request_release(request);
}

struct engine_client answer_client(struct smollm_request *request)
{
    return (struct engine_client){.user = request,
                                  .ready = is_ready,
                                  .queued = on_queued,
                                  .progress = on_progress,
                                  .prompt_token = on_prompt_token,
                                  .values = on_values,
                                  .token = on_token,
                                  .finished = on_finished};
}
