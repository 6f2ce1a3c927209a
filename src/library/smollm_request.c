/* The reader's side of a request: submitting it, taking its events, canceling and closing it. */
#include "base/clock.h"
#include "base/error.h"
#include "library/request_check.h"
#include "library/request_state.h"
#include "library/sized.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void request_destroy(struct smollm_request *request)
{
    if (request->sequence)
        engine_release(request->sequence);
    answer_form_destroy(request->form);
    free(request->ends);
    vector_ring_destroy(&request->vectors);
    turn_destroy(request->turn);
    event_ring_destroy(&request->ring);
    stop_matcher_destroy(&request->stops);
    buffer_free(&request->text);
    pthread_mutex_destroy(&request->mutex);
    pthread_cond_destroy(&request->changed);
    free(request);
}

void request_release(struct smollm_request *request)
{
    if (atomic_fetch_sub(&request->holders, 1) == 1)
        request_destroy(request);
}

struct smollm_usage request_usage(const struct smollm_request *request)
{
    const struct engine_account *account = &request->account;
    const uint64_t now = clock_nanoseconds();
    return (struct smollm_usage){.prompt_tokens = account->prompt_tokens,
                                 .cached_tokens = account->cached,
                                 .completion_tokens = account->generated,
                                 .reasoning_tokens = request->reasoning_tokens,
                                 .drafted_tokens = account->drafted,
                                 .accepted_tokens = account->accepted,
                                 .queue_ms = account_queue_ms(account, now),
                                 .prompt_ms = account_prompt_ms(account, now),
                                 .predict_ms = account_predict_ms(account, now)};
}

/* ---- Submitting ---- */

enum { STREAM_ROOM = 4096 };

/* The memory of its events: a ring of tokens, or the numbers that it gives. */
static int create_events(struct smollm_request *request, uint32_t batch, const struct smollm_request_options *options,
                         size_t prompt_tokens, size_t burst, struct smollm_error *error)
{
    if (!request_has_no_answer(options))
        return event_ring_create(&request->ring, burst, error);
    request->has_scores = options->score_token_count > 0;
    const size_t size = request->has_scores ? options->score_token_count : request->model->weights.config.hidden;
    size_t count = 1;
    /* Those of a pass and, while they are read, those of the next one: what finds no room is computed again. */
    if (options->output == SMOLLM_OUTPUT_EMBEDDING && options->pooling == SMOLLM_POOLING_NONE)
        count = prompt_tokens < 2 * (size_t)batch ? prompt_tokens : 2 * (size_t)batch;
    return vector_ring_create(&request->vectors, size, count, error);
}

static int request_create(struct smollm_engine *engine, const struct smollm_request_options *options,
                          size_t prompt_tokens, struct smollm_request **result, struct smollm_error *error)
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
    request->want_logprobs = options->want_logprobs;
    request->want_progress = options->want_progress;
    request->notify = options->notify;
    request->notify_user = options->notify_user;
    atomic_store(&request->holders, 1);
    atomic_store(&request->has_room, true);
    if (getrandom(&request->call_id, sizeof request->call_id, 0) != sizeof request->call_id)
        request->call_id = clock_nanoseconds();
    const size_t token_bytes = tokenizer_longest_token(engine->model->tokenizer);
    int status =
        create_events(request, engine->batch, options, prompt_tokens, EVENT_RING_BURST + 4 * token_bytes, error);
    if (status == 0)
        status = stop_matcher_create(&request->stops, options->stop, options->stop_count, error);
    if (status == 0) {
        buffer_reserve(&request->text, 3 * (token_bytes + 3) + STREAM_ROOM);
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

/* The most tokens that the answer may have. */
static size_t answer_room(const struct smollm_engine *engine, const struct smollm_request *request,
                          const struct smollm_request_options *options)
{
    struct smollm_engine_info info;
    engine_get_info(engine->engine, &info);
    const uint32_t prompt = request->account.prompt_tokens;
    const size_t room = info.context > prompt ? info.context - prompt : 0;
    return options->max_tokens >= 0 && (size_t)options->max_tokens < room ? (size_t)options->max_tokens : room;
}

/* The model's end tokens and those of the request; *ends NULL: only the model's, or none. */
static int find_ends(const struct smollm_model *model, const struct smollm_request_options *options, bool **ends,
                     struct smollm_error *error)
{
    const uint32_t vocabulary = model->weights.config.vocabulary;
    *ends = NULL;
    if (options->stop_token_count == 0)
        return 0;
    *ends = calloc(vocabulary, sizeof **ends);
    RETURN_ERROR_IF(!*ends, error, SMOLLM_ENOMEM, "out of memory for %u tokens", vocabulary);
    if (!options->ignore_eos)
        memcpy(*ends, model->end_token, vocabulary * sizeof **ends);
    for (size_t i = 0; i < options->stop_token_count; i++) {
        const int32_t token = options->stop_tokens[i];
        RETURN_ERROR_IF(token < 0 || (uint32_t)token >= vocabulary, error, SMOLLM_EINVAL,
                        "stop token %d is not in the vocabulary of %u", token, vocabulary);
        (*ends)[token] = true;
    }
    return 0;
}

static enum engine_purpose purpose_of(const struct smollm_request_options *options)
{
    if (options->score_token_count > 0)
        return ENGINE_SCORES;
    if (options->output != SMOLLM_OUTPUT_EMBEDDING)
        return ENGINE_ANSWER;
    return options->pooling == SMOLLM_POOLING_MEAN   ? ENGINE_EMBEDDING_MEAN
           : options->pooling == SMOLLM_POOLING_NONE ? ENGINE_EMBEDDING_EACH
                                                     : ENGINE_EMBEDDING_LAST;
}

/* What holds the answer, and what prepares the next turn. */
static int prepare_answer(struct smollm_engine *engine, struct smollm_request *request,
                          const struct prompt_tokens *prompt, const struct smollm_request_options *options,
                          struct engine_request *wanted, struct smollm_error *error)
{
    const size_t room = answer_room(engine, request, options);
    int status = find_ends(engine->model, options, &request->ends, error);
    if (status == 0 && request->ends)
        wanted->end_token = request->ends;
    if (status == 0)
        status = answer_form_create(engine, options, prompt, request, wanted->end_token, room, &request->form, error);
    if (status < 0)
        return status;
    if (request->form)
        wanted->form = answer_form_hook(request->form);
    if (options->conversation && engine->next_turns)
        request->turn = turn_create(engine->next_turns, options->conversation, prompt, options->key, room);
    wanted->answer = options->answer_tokens;
    wanted->answer_count = (uint32_t)options->answer_token_count;
    request->silent_tokens = options->silent_tokens;
    return answer_resume(request, options->answer_tokens, options->answer_token_count, wanted->end_token, error);
}

static int start(struct smollm_engine *engine, struct smollm_request *request, const struct prompt_tokens *prompt,
                 const struct smollm_request_options *options, struct smollm_error *error)
{
    struct smollm_sampling sampling = SMOLLM_SAMPLING_INIT;
    if (options->sampling) {
        int status = sized_read(&sampling, sizeof sampling, options->sampling, options->sampling->size,
                                "smollm_sampling", error);
        if (status < 0)
            return status;
    }
    RETURN_ERROR_IF(options->answer_token_count > UINT32_MAX, error, SMOLLM_ECONTEXT, "the answer has %zu tokens",
                    options->answer_token_count);
    RETURN_ERROR_IF(prompt->ids.count > UINT32_MAX, error, SMOLLM_ECONTEXT, "the prompt has %zu tokens",
                    prompt->ids.count);
    request->is_chat = prompt->is_chat;
    request->prompt_tokens = (uint32_t)prompt->ids.count;
    account_open(&request->account, request->prompt_tokens, clock_nanoseconds());
    if (prompt->is_chat)
        chat_parser_init(&request->parser, engine->model->chat_format, prompt->offers_tools,
                         prompt->starts_in_thinking);
    struct engine_request wanted = {
        .key = options->key,
        .priority = options->priority,
        .deadline_ms = options->deadline_ms,
        .prompt = prompt->ids.data,
        .prompt_count = request->account.prompt_tokens,
        .max_tokens = options->max_tokens < 0 ? ENGINE_UNLIMITED : (uint32_t)options->max_tokens,
        .sampling = sampling,
        .alternatives = options->want_logprobs ? options->logprobs : -1,
        .sampled_logprobs = options->sampled_logprobs,
        .end_token = options->ignore_eos ? NULL : engine->model->end_token,
        .purpose = purpose_of(options),
        .is_normalized = !options->no_normalization,
        .score_tokens = options->score_tokens,
        .score_count = (uint32_t)options->score_token_count,
        .wants_prompt = options->want_prompt_logprobs,
        .prompt_alternatives = options->want_prompt_logprobs ? (uint32_t)options->prompt_logprobs : 0,
        .client = answer_client(request)};
    request->seed = sampling.seed;
    int status = 0;
    if (request_has_no_answer(options))
        wanted.max_tokens = 0;
    else
        status = prepare_answer(engine, request, prompt, options, &wanted, error);
    if (status < 0)
        return status;
    atomic_store(&request->holders, 2);
    /* The engine may finish the request before engine_submit returns: its id is needed by then. */
    status = engine_submit(engine->engine, &wanted, &request->id, &request->sequence, error);
    if (status < 0)
        atomic_store(&request->holders, 1);
    return status;
}

int smollm_submit(struct smollm_engine *engine, const struct smollm_request_options *options,
                  struct smollm_request **result, struct smollm_error *error)
{
    *result = NULL;
    struct smollm_request *request = NULL;
    struct smollm_request_options wanted;
    struct prompt_tokens prompt = {0};
    struct smollm_engine_info info;
    int status = sized_read(&wanted, sizeof wanted, options, options->size, "smollm_request_options", error);
    engine_get_info(engine->engine, &info);
    if (status == 0)
        status = request_check(&wanted, error);
    if (status == 0)
        status = prompt_tokenize(engine->model, &wanted, info.context, &prompt, error);
    if (status == 0)
        status = request_create(engine, &wanted, prompt.ids.count, &request, error);
    if (status == 0)
        status = start(engine, request, &prompt, &wanted, error);
    token_buffer_free(&prompt.ids);
    if (status < 0 && request)
        request_destroy(request);
    if (status == 0)
        *result = request;
    return status;
}

/* ---- Reading ---- */

/* A slot for a few tokens is not worth a pause of others: the sequence goes on when nearly everything is read. */
static void make_room(struct smollm_request *request, bool is_low, bool *wake_engine)
{
    if (atomic_load(&request->has_room) || !is_low)
        return;
    atomic_store(&request->has_room, true);
    *wake_engine = true;
}

static bool take_vector(struct smollm_request *request, struct smollm_event *event, bool *wake_engine)
{
    const float *values = vector_ring_read(&request->vectors);
    make_room(request, vector_ring_is_low(&request->vectors), wake_engine);
    *event = (struct smollm_event){.type = request->has_scores ? SMOLLM_EVENT_SCORES : SMOLLM_EVENT_EMBEDDING,
                                   .values = values,
                                   .value_count = request->vectors.size};
    return values != NULL;
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
        make_room(request, event_ring_is_low(&request->ring), wake_engine);
        return true;
    }
    if (request->vectors.room > 0 && take_vector(request, event, wake_engine))
        return true;
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

static int next_event(struct smollm_request *request, int timeout_ms, struct smollm_event *event)
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
    pthread_mutex_unlock(&request->mutex);
    /* Not under the mutex, which the engine's thread takes under its own. Another thread may close the engine at this
     * moment: the sequence keeps what engine_wake needs. */
    if (wake_engine)
        engine_wake(request->engine);
    return status;
}

int smollm_next_event_sized(struct smollm_request *request, int timeout_ms, struct smollm_event *event, size_t size)
{
    struct smollm_event next = {0};
    const int status = next_event(request, timeout_ms, &next);
    if (status == 0)
        sized_write(event, size, &next, sizeof next);
    return status;
}

void smollm_cancel(struct smollm_request *request)
{
    pthread_mutex_lock(&request->mutex);
    const bool tell = !request->ended && !request->canceled;
    request->canceled = true;
    pthread_mutex_unlock(&request->mutex);
    if (tell)
        engine_cancel(request->engine, request->sequence);
}

void smollm_end_thinking(struct smollm_request *request)
{
    atomic_store(&request->ends_thinking, true);
}

void smollm_request_close(struct smollm_request *request)
{
    if (!request)
        return;
    smollm_cancel(request);
    pthread_mutex_lock(&request->mutex);
    request->notify = NULL;
    pthread_mutex_unlock(&request->mutex);
    request_release(request);
}

void smollm_request_get_usage_sized(struct smollm_request *request, struct smollm_usage *usage, size_t size)
{
    pthread_mutex_lock(&request->mutex);
    const struct smollm_usage now = request_usage(request);
    pthread_mutex_unlock(&request->mutex);
    sized_write(usage, size, &now, sizeof now);
}

uint64_t smollm_request_id(const struct smollm_request *request)
{
    return request->id;
}

uint32_t smollm_request_prompt_tokens(const struct smollm_request *request)
{
    return request->prompt_tokens;
}
