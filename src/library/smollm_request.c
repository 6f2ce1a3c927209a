/* smollm_submit and what follows: tokens of the engine become events for the reader.
 *
 * On the engine's thread a token passes decoder, parser and stop strings into the ring; the reader takes events out on
 * its own thread. A request is held by both sides and freed by the last one. Nothing is allocated after smollm_submit.
 */
#include "base/clock.h"
#include "base/error.h"
#include "chat/chat_parser.h"
#include "library/event_ring.h"
#include "library/handles.h"
#include "library/next_turn.h"
#include "library/stop_matcher.h"
#include "tokenizer/token_decoder.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STREAM_ROOM = 4096 };

struct smollm_request {
    struct engine *engine;
    const struct smollm_model *model;
    struct engine_sequence *sequence;
    uint64_t id;
    _Atomic int holders; /* the reader and the engine */

    /* Used by the engine's thread. */
    struct token_decoder decoder;
    struct chat_parser parser;
    struct stop_matcher stops;
    struct buffer text; /* decoded, with room for any token */
    bool is_chat;
    bool ignore_eos;
    bool want_logprobs;
    bool want_progress;
    const struct smollm_token *token;   /* to go with the next event */
    _Atomic uint32_t completion_tokens; /* read by the reader too */
    uint32_t reasoning_tokens;
    uint32_t tool_calls;
    uint64_t seed;
    uint32_t prompt_count;
    struct turn *turn; /* of a conversation, for its next one; NULL: none is told */
    uint64_t submitted_ns;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    struct event_ring ring;
    bool parked; /* the engine waits for room */
    bool has_queued;
    bool has_progress;
    bool canceled;
    bool ended;     /* `last` is set */
    bool delivered; /* and has been read */
    bool has_slot;  /* usage.queue_ms is known */
    struct smollm_usage usage;
    struct smollm_event queued; /* the newest of its kind, as is the next one */
    struct smollm_event progress;
    struct smollm_event last;
    void (*notify)(void *user);
    void *notify_user;
};

static void request_destroy(struct smollm_request *request)
{
    turn_destroy(request->turn);
    event_ring_destroy(&request->ring);
    stop_matcher_destroy(&request->stops);
    buffer_free(&request->text);
    pthread_mutex_destroy(&request->mutex);
    pthread_cond_destroy(&request->changed);
    free(request);
}

static void request_release(struct smollm_request *request)
{
    if (atomic_fetch_sub(&request->holders, 1) == 1)
        request_destroy(request);
}

/* ---- Engine's thread ---- */

/* Under the mutex: tells the reader that there is something. notify is called under the mutex too, so that none comes
 * after smollm_request_close. */
static void tell_reader(struct smollm_request *request)
{
    pthread_cond_signal(&request->changed);
    if (request->notify)
        request->notify(request->notify_user);
}

static void write_event(struct smollm_request *request, struct smollm_event *event)
{
    pthread_mutex_lock(&request->mutex);
    event_ring_write(&request->ring, event, request->token);
    tell_reader(request);
    pthread_mutex_unlock(&request->mutex);
    request->token = NULL;
}

/* Text of any length, in events of at most EVENT_TEXT_MOST bytes that end at characters. */
static void write_text(struct smollm_request *request, enum smollm_event_type type, uint32_t index, const char *data,
                       size_t size)
{
    while (size > 0) {
        size_t part = size < EVENT_TEXT_MOST ? size : EVENT_TEXT_MOST;
        while (part < size && part > 1 && ((unsigned char)data[part] & 0xc0) == 0x80)
            part--;
        struct smollm_event event = {.type = type, .text = {data, part}, .tool.index = index};
        write_event(request, &event);
        data += part;
        size -= part;
    }
}

static void on_answer(void *user, const char *data, size_t size)
{
    write_text(user, SMOLLM_EVENT_TEXT, 0, data, size);
}

static void on_chat_event(void *user, const struct chat_event *chat)
{
    struct smollm_request *request = user;
    struct smollm_event event = {.type = SMOLLM_EVENT_TOOL_CALL, .tool.index = chat->index};
    char id[48];
    if (request->stops.matched)
        return;
    switch (chat->type) {
    case CHAT_EVENT_THINKING:
        write_text(request, SMOLLM_EVENT_THINKING, 0, chat->text.data, chat->text.size);
        break;
    case CHAT_EVENT_TEXT:
        stop_matcher_feed(&request->stops, chat->text.data, chat->text.size, on_answer, request);
        break;
    case CHAT_EVENT_TOOL_BEGIN:
        snprintf(id, sizeof id, "call_%llu_%u", (unsigned long long)request->id, chat->index);
        event.tool.id = text_of(id);
        event.tool.name = chat->text;
        request->tool_calls++;
        write_event(request, &event);
        break;
    case CHAT_EVENT_TOOL_ARGUMENTS:
        write_text(request, SMOLLM_EVENT_TOOL_ARGUMENTS, chat->index, chat->text.data, chat->text.size);
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

static bool client_ready(void *user)
{
    struct smollm_request *request = user;
    pthread_mutex_lock(&request->mutex);
    /* Once parked it goes on when the reader has taken all but a quarter: a slot is not given for a few tokens. */
    request->parked = request->parked ? !event_ring_is_low(&request->ring) : !event_ring_has_room(&request->ring);
    bool ready = !request->parked;
    pthread_mutex_unlock(&request->mutex);
    return ready;
}

static void client_queued(void *user, uint32_t ahead, double seconds)
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

static double ms_since_submitted(const struct smollm_request *request)
{
    return (double)(clock_nanoseconds() - request->submitted_ns) * 1e-6;
}

static void client_progress(void *user, uint32_t processed, uint32_t cached, uint32_t total, double ms)
{
    struct smollm_request *request = user;
    pthread_mutex_lock(&request->mutex);
    if (!request->has_slot)
        request->usage.queue_ms = ms_since_submitted(request) - ms;
    request->has_slot = true;
    request->usage.cached_tokens = cached;
    if (!request->want_progress) {
        pthread_mutex_unlock(&request->mutex);
        return;
    }
    request->progress = (struct smollm_event){.type = SMOLLM_EVENT_PROGRESS};
    request->progress.progress.total = total;
    request->progress.progress.processed = processed;
    request->progress.progress.cached = cached;
    request->progress.progress.ms = ms;
    request->has_progress = true;
    request->has_queued = false; /* what was not read of the queue is over */
    tell_reader(request);
    pthread_mutex_unlock(&request->mutex);
}

static struct smollm_token_logprob describe(const struct smollm_request *request, struct engine_logprob logprob)
{
    return (struct smollm_token_logprob){logprob.id, logprob.logprob,
                                         tokenizer_token_text(request->model->tokenizer, logprob.id)};
}

static void note_first_token(struct smollm_request *request)
{
    pthread_mutex_lock(&request->mutex);
    request->usage.prompt_ms = ms_since_submitted(request) - request->usage.queue_ms;
    pthread_mutex_unlock(&request->mutex);
}

static bool client_token(void *user, const struct engine_token *drawn)
{
    struct smollm_request *request = user;
    if (request->completion_tokens == 0)
        note_first_token(request);
    request->completion_tokens++;
    if (drawn->is_end)
        return false;
    if (request->turn)
        turn_add(request->turn, drawn->id);
    struct smollm_token_logprob top[ENGINE_MOST_ALTERNATIVES];
    struct smollm_token token = {.top = top, .top_count = (size_t)drawn->top_count};
    if (request->want_logprobs) {
        token.chosen = describe(request, drawn->chosen);
        for (int i = 0; i < drawn->top_count; i++)
            top[i] = describe(request, drawn->top[i]);
        request->token = &token;
    }
    if (request->is_chat && request->parser.state == CHAT_STATE_THINKING)
        request->reasoning_tokens++;
    token_decoder_push(&request->decoder, tokenizer_token_text(request->model->tokenizer, drawn->id), &request->text);
    take_text(request);
    /* A token whose text is held back still has a log-probability to tell. */
    if (request->token && !request->stops.matched) {
        struct smollm_event event = {.type = SMOLLM_EVENT_TEXT, .text = {"", 0}};
        write_event(request, &event);
    }
    request->token = NULL;
    return !request->stops.matched;
}

static enum smollm_finish_reason reason_of(const struct smollm_request *request, enum engine_end end)
{
    if (end == ENGINE_END_CANCELED)
        return SMOLLM_FINISH_CANCELED;
    if (end == ENGINE_END_LENGTH && !request->stops.matched)
        return SMOLLM_FINISH_LENGTH;
    return request->tool_calls > 0 ? SMOLLM_FINISH_TOOL_CALLS : SMOLLM_FINISH_STOP;
}

static void client_finished(void *user, enum engine_end end, const struct engine_times *times,
                            const struct smollm_error *error)
{
    struct smollm_request *request = user;
    request->token = NULL;
    if (end != ENGINE_END_ERROR && end != ENGINE_END_CANCELED) {
        token_decoder_finish(&request->decoder, &request->text);
        take_text(request);
        if (request->is_chat)
            chat_parser_finish(&request->parser, on_chat_event, request);
        stop_matcher_finish(&request->stops, on_answer, request);
        if (request->turn && !request->stops.matched) {
            turn_finish(request->turn);
            request->turn = NULL;
        }
    }
    pthread_mutex_lock(&request->mutex);
    request->usage = (struct smollm_usage){.prompt_tokens = request->prompt_count,
                                           .cached_tokens = times->cached,
                                           .completion_tokens = request->completion_tokens,
                                           .reasoning_tokens = request->reasoning_tokens,
                                           .drafted_tokens = times->drafted,
                                           .accepted_tokens = times->accepted,
                                           .queue_ms = times->queue_ms,
                                           .prompt_ms = times->prompt_ms,
                                           .predict_ms = times->predict_ms};
    if (error) {
        request->last = (struct smollm_event){.type = SMOLLM_EVENT_ERROR, .error = *error};
    } else {
        request->last = (struct smollm_event){.type = SMOLLM_EVENT_FINISH};
        request->last.finish.reason = reason_of(request, end);
        if (request->stops.matched)
            request->last.finish.stop = request->stops.stops[request->stops.match];
        request->last.finish.seed = request->seed;
        request->last.finish.usage = request->usage;
    }
    request->ended = true;
    tell_reader(request);
    pthread_mutex_unlock(&request->mutex);
    request_release(request);
}

/* ---- Reader's thread ---- */

static int request_create(struct smollm_engine *engine, const struct smollm_request_options *options,
                          struct smollm_request **result, struct smollm_error *error)
{
    struct smollm_request *request = calloc(1, sizeof *request);
    RETURN_ERROR_IF(!request, error, SMOLLM_ENOMEM, "out of memory for a request");
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&request->mutex, NULL);
    pthread_cond_init(&request->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    request->engine = engine->engine;
    request->model = engine->model;
    request->ignore_eos = options->ignore_eos;
    request->want_logprobs = options->want_logprobs;
    request->want_progress = options->want_progress;
    request->notify = options->notify;
    request->notify_user = options->notify_user;
    atomic_store(&request->holders, 1);
    int status = event_ring_create(&request->ring, error);
    if (status == 0)
        status = stop_matcher_create(&request->stops, options->stop, options->stop_count, error);
    if (status == 0) {
        buffer_reserve(&request->text, 3 * (tokenizer_longest_token(engine->model->tokenizer) + 3) + STREAM_ROOM);
        if (request->text.failed)
            status = error_set(error, SMOLLM_ENOMEM, "out of memory for a request");
    }
    if (status < 0) {
        request_destroy(request);
        return status;
    }
    *result = request;
    return 0;
}

static int check_options(const struct smollm_request_options *options, struct smollm_error *error)
{
    int prompts = (options->conversation != NULL) + (options->prompt.data != NULL) + (options->tokens != NULL);
    RETURN_ERROR_IF(prompts != 1, error, SMOLLM_EINVAL, "%d prompts (conversation, prompt, tokens); one is needed",
                    prompts);
    RETURN_ERROR_IF(options->want_logprobs && (options->logprobs < 0 || options->logprobs > ENGINE_MOST_ALTERNATIVES),
                    error, SMOLLM_EINVAL, "logprobs is %d (0 to %d)", options->logprobs, ENGINE_MOST_ALTERNATIVES);
    return 0;
}

/* Tokens that the answer may have. */
static size_t answer_room(const struct smollm_engine *engine, const struct smollm_request *request,
                          const struct smollm_request_options *options)
{
    struct smollm_engine_info info;
    engine_get_info(engine->engine, &info);
    const size_t room = info.context > request->prompt_count ? info.context - request->prompt_count : 0;
    return options->max_tokens > 0 && options->max_tokens < room ? options->max_tokens : room;
}

static int start(struct smollm_engine *engine, struct smollm_request *request, const struct prompt_tokens *prompt,
                 const struct smollm_request_options *options, struct smollm_error *error)
{
    const struct smollm_sampling standard = smollm_sampling_default();
    RETURN_ERROR_IF(prompt->ids.count > UINT32_MAX, error, SMOLLM_ECONTEXT, "the prompt has %zu tokens",
                    prompt->ids.count);
    request->is_chat = prompt->is_chat;
    request->prompt_count = request->usage.prompt_tokens = (uint32_t)prompt->ids.count;
    request->submitted_ns = clock_nanoseconds();
    if (prompt->is_chat)
        chat_parser_init(&request->parser, engine->model->chat_format, prompt->offers_tools,
                         prompt->starts_in_thinking);
    struct engine_request wanted = {.owner = options->cache_owner,
                                    .priority = options->priority,
                                    .deadline_ms = options->deadline_ms,
                                    .prompt = prompt->ids.data,
                                    .prompt_count = request->prompt_count,
                                    .most_tokens = options->max_tokens,
                                    .sampling = options->sampling ? *options->sampling : standard,
                                    .alternatives = options->want_logprobs ? options->logprobs : -1,
                                    .end_token = options->ignore_eos ? NULL : engine->model->end_token,
                                    .client = {.user = request,
                                               .ready = client_ready,
                                               .queued = client_queued,
                                               .progress = client_progress,
                                               .token = client_token,
                                               .finished = client_finished}};
    request->seed = wanted.sampling.seed;
    if (options->conversation && engine->next_turns)
        request->turn = turn_create(engine->next_turns, options->conversation, prompt, options->cache_owner,
                                    answer_room(engine, request, options));
    atomic_store(&request->holders, 2);
    /* The engine may finish the request before engine_submit returns: its id is needed by then. */
    int status = engine_submit(engine->engine, &wanted, &request->id, &request->sequence, error);
    if (status < 0)
        atomic_store(&request->holders, 1);
    return status;
}

int smollm_submit(struct smollm_engine *engine, const struct smollm_request_options *options,
                  struct smollm_request **result, struct smollm_error *error)
{
    *result = NULL;
    struct smollm_request *request = NULL;
    struct prompt_tokens prompt = {0};
    int status = check_options(options, error);
    if (status == 0)
        status = prompt_tokenize(engine->model, options, &prompt, error);
    if (status == 0)
        status = request_create(engine, options, &request, error);
    if (status == 0)
        status = start(engine, request, &prompt, options, error);
    token_buffer_free(&prompt.ids);
    if (status < 0 && request)
        request_destroy(request);
    if (status == 0)
        *result = request;
    return status;
}

/* Under the mutex: the next event, if there is one. */
static bool take_event(struct smollm_request *request, struct smollm_event *event, bool *wake_engine)
{
    if (request->has_queued) {
        request->has_queued = false;
        *event = request->queued;
        return true;
    }
    if (request->has_progress) {
        request->has_progress = false;
        *event = request->progress;
        return true;
    }
    if (event_ring_read(&request->ring, event)) {
        if (request->parked && event_ring_is_low(&request->ring))
            *wake_engine = true;
        return true;
    }
    if (!request->ended || request->delivered)
        return false;
    request->delivered = true;
    *event = request->last;
    return true;
}

static struct timespec deadline_in(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

int smollm_next_event(struct smollm_request *request, int timeout_ms, struct smollm_event *event)
{
    struct timespec deadline = deadline_in(timeout_ms > 0 ? timeout_ms : 0);
    bool wake_engine = false;
    int status = 0;
    pthread_mutex_lock(&request->mutex);
    while (!take_event(request, event, &wake_engine)) {
        if (request->delivered) {
            status = SMOLLM_ECLOSED;
            break;
        }
        int waited = timeout_ms < 0    ? pthread_cond_wait(&request->changed, &request->mutex)
                     : timeout_ms == 0 ? ETIMEDOUT
                                       : pthread_cond_timedwait(&request->changed, &request->mutex, &deadline);
        if (waited == ETIMEDOUT) {
            status = take_event(request, event, &wake_engine) ? 0 : SMOLLM_ETIMEDOUT;
            break;
        }
    }
    /* The engine may be closed as soon as the last event is there; until then it lives. */
    bool ended = request->ended;
    pthread_mutex_unlock(&request->mutex);
    if (wake_engine && !ended)
        engine_wake(request->engine);
    return status;
}

void smollm_cancel(struct smollm_request *request)
{
    pthread_mutex_lock(&request->mutex);
    bool tell = !request->ended && !request->canceled;
    request->canceled = true;
    pthread_mutex_unlock(&request->mutex);
    if (tell)
        engine_cancel(request->engine, request->sequence);
}

void smollm_request_close(struct smollm_request *request)
{
    if (!request)
        return;
    smollm_cancel(request);
    pthread_mutex_lock(&request->mutex);
    request->notify = NULL;
    pthread_mutex_unlock(&request->mutex);
    engine_release(request->sequence);
    request_release(request);
}

void smollm_request_get_usage(struct smollm_request *request, struct smollm_usage *usage)
{
    pthread_mutex_lock(&request->mutex);
    *usage = request->usage;
    if (!request->ended) {
        const double rest = ms_since_submitted(request) - usage->queue_ms - usage->prompt_ms;
        usage->completion_tokens = request->completion_tokens;
        *(!request->has_slot ? &usage->queue_ms : usage->prompt_ms > 0 ? &usage->predict_ms : &usage->prompt_ms) = rest;
    }
    pthread_mutex_unlock(&request->mutex);
}

uint64_t smollm_request_id(const struct smollm_request *request)
{
    return request->id;
}

uint32_t smollm_request_prompt_tokens(const struct smollm_request *request)
{
    return request->prompt_count;
}
