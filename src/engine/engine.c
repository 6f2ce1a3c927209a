#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "engine/pacer.h"
#include "engine/sequence.h"
#include "model/forward.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DRAFTING_STREAMS = 2, /* with more, passes are full of tokens that are sure */
    DRAFT_ROWS = DRAFTING_STREAMS * DRAFT_MOST
};

struct engine {
    struct engine_options options;
    const struct weights *weights;
    struct thread_pool *pool;
    struct kv_cache cache;
    struct forward forward;
    struct page_cache pages;
    struct pacer pacer;
    struct sampler_scratch scratch;
    struct slot *slots; /* [parallel] */
    struct batch_token *batch;
    float *logits; /* [parallel + DRAFT_ROWS][vocabulary] */
    pthread_t thread;
    bool thread_started;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    struct engine_sequence *queue_first, *queue_last;
    uint32_t queue_size;
    uint64_t next_id;
    bool draining;
    bool closing;
    uint64_t last_end_ns; /* when a sequence ended while others waited; 0: none has yet, or nobody waits */
    uint64_t wakes;       /* counts submissions, cancellations and wakes: a change means look again */

    _Atomic uint32_t running, waiting, pages_used;
    _Atomic uint64_t end_interval_ns; /* between ends while others wait, smoothed: how fast the queue drains */
    _Atomic uint64_t finished, prompt_tokens, cached_tokens, generated_tokens, drafted_tokens, accepted_tokens;
};

static double ms_between(uint64_t from, uint64_t to)
{
    return to > from ? (double)(to - from) * 1e-6 : 0.0;
}

/* ---- Ends ---- */

static void tell_finished(struct engine *engine, struct engine_sequence *sequence, enum engine_end end,
                          const struct engine_times *times, const struct smollm_error *error)
{
    /* First, so that whoever learns of the end finds it counted. */
    atomic_fetch_add(&engine->finished, 1);
    sequence->request.client.finished(sequence->request.client.user, end, times, error);
    sequence_release(sequence);
}

/* A slot has become free. */
static void note_end(struct engine *engine)
{
    const uint64_t now = clock_nanoseconds();
    pthread_mutex_lock(&engine->mutex);
    if (engine->last_end_ns > 0 && engine->queue_size > 0) {
        const uint64_t interval = now - engine->last_end_ns, old = atomic_load(&engine->end_interval_ns);
        atomic_store(&engine->end_interval_ns, old > 0 ? old - old / 4 + interval / 4 : interval);
    }
    engine->last_end_ns = engine->queue_size > 0 ? now : 0;
    pthread_mutex_unlock(&engine->mutex);
}

static void finish_slot(struct engine *engine, struct slot *slot, enum engine_end end, const struct smollm_error *error)
{
    uint64_t now = clock_nanoseconds();
    struct engine_sequence *sequence = slot->sequence;
    uint64_t prompt_end = slot->prompt_done_ns ? slot->prompt_done_ns : now;
    struct engine_times times = {.queue_ms = ms_between(sequence->submitted_ns, slot->started_ns),
                                 .prompt_ms = ms_between(slot->started_ns, prompt_end),
                                 .predict_ms = ms_between(prompt_end, now),
                                 .cached = slot->cached,
                                 .drafted = slot->drafted_all,
                                 .accepted = slot->accepted_all};
    slot_clear(slot, &engine->pages);
    atomic_store(&engine->pages_used, page_cache_held(&engine->pages));
    atomic_fetch_sub(&engine->running, 1);
    note_end(engine);
    tell_finished(engine, sequence, end, &times, error);
}

static void finish_queued(struct engine *engine, struct engine_sequence *sequence, enum engine_end end,
                          const struct smollm_error *error)
{
    struct engine_times times = {.queue_ms = ms_between(sequence->submitted_ns, clock_nanoseconds())};
    tell_finished(engine, sequence, end, &times, error);
}

/* ---- Queue ---- */

/* Takes the first waiting sequence, or NULL. */
static struct engine_sequence *queue_pop(struct engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    struct engine_sequence *sequence = engine->queue_first;
    if (sequence) {
        engine->queue_first = sequence->next;
        if (!engine->queue_first)
            engine->queue_last = NULL;
        engine->queue_size--;
        atomic_store(&engine->waiting, engine->queue_size);
    }
    pthread_mutex_unlock(&engine->mutex);
    return sequence;
}

/* Takes out of the queue what has been cancelled there; the result is a list. */
static struct engine_sequence *queue_take_canceled(struct engine *engine)
{
    struct engine_sequence *canceled = NULL;
    pthread_mutex_lock(&engine->mutex);
    struct engine_sequence **link = &engine->queue_first, *last = NULL;
    while (*link) {
        struct engine_sequence *sequence = *link;
        if (!atomic_load(&sequence->canceled)) {
            last = sequence;
            link = &sequence->next;
            continue;
        }
        *link = sequence->next;
        sequence->next = canceled;
        canceled = sequence;
        engine->queue_size--;
    }
    engine->queue_last = last;
    atomic_store(&engine->waiting, engine->queue_size);
    pthread_mutex_unlock(&engine->mutex);
    return canceled;
}

static void admit(struct engine *engine)
{
    for (struct engine_sequence *sequence = queue_take_canceled(engine), *next; sequence; sequence = next) {
        next = sequence->next;
        finish_queued(engine, sequence, ENGINE_END_CANCELED, NULL);
    }
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        if (slot->sequence && atomic_load(&slot->sequence->canceled))
            finish_slot(engine, slot, ENGINE_END_CANCELED, NULL);
        if (slot->sequence)
            continue;
        struct engine_sequence *sequence = queue_pop(engine);
        if (!sequence)
            continue;
        slot_begin(slot, sequence);
        atomic_fetch_add(&engine->running, 1);
    }
}

/* ---- Steps ---- */

static bool slot_is_ready(struct slot *slot)
{
    const struct engine_client *client = &slot->sequence->request.client;
    slot->parked = client->ready && !client->ready(client->user);
    return !slot->parked;
}

static void plan_tokens(struct engine *engine, struct slot *slot, uint32_t count, uint32_t *size)
{
    slot->planned = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = slot->computed + i;
        engine->batch[(*size)++] = (struct batch_token){.id = slot->tokens[position],
                                                        .position = position,
                                                        .pages = slot->pages,
                                                        .wants_logits = position + 1 >= slot->token_count};
    }
}

/* The last token of a stream, and guesses at those behind it. */
static void plan_stream(struct engine *engine, struct slot *slot, bool may_guess, uint32_t *size)
{
    const uint32_t most_tokens = slot->sequence->request.most_tokens, made = slot->token_count - slot->prompt_count;
    uint32_t room = engine->options.context - slot->token_count - 1;
    if (most_tokens > 0 && most_tokens - made - 1 < room)
        room = most_tokens - made - 1;
    slot->drafted = 0;
    if (may_guess) {
        int32_t guesses[DRAFT_MOST];
        uint32_t count = drafter_guess(&slot->drafter, slot->tokens, slot->token_count,
                                       room < DRAFT_MOST ? room : DRAFT_MOST, guesses);
        if (count > 0 && slot_reserve(slot, &engine->pages, slot->token_count + count)) {
            memcpy(slot->tokens + slot->token_count, guesses, count * sizeof *guesses);
            slot->drafted = count;
        }
    }
    plan_tokens(engine, slot, 1 + slot->drafted, size);
}

/* The oldest prompt that is not planned yet and needs nothing that this pass computes. */
static struct slot *next_prompt(struct engine *engine)
{
    struct slot *oldest = NULL;
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        if (!slot->sequence || slot->token_count > slot->prompt_count || slot->planned > 0 ||
            (oldest && slot->sequence->id > oldest->sequence->id))
            continue;
        bool waits = false;
        for (uint32_t k = 0; k < engine->options.parallel && !waits; k++)
            waits = slot_should_wait(slot, &engine->slots[k]);
        oldest = waits ? oldest : slot;
    }
    return oldest;
}

/* Tokens of all streams (*streams of them, *stream_tokens in all), then as much of prompts as the batch and the
 * streams' rhythm allow, oldest sequence first. */
static uint32_t plan(struct engine *engine, uint32_t *streams, uint32_t *stream_tokens)
{
    uint32_t size = 0;
    *streams = 0;
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        const struct slot *slot = &engine->slots[i];
        *streams += slot->sequence && slot->token_count > slot->prompt_count;
    }
    const bool may_guess = engine->options.speculates && *streams <= DRAFTING_STREAMS;
    *streams = 0;
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        slot->planned = 0;
        if (slot->sequence && slot->token_count > slot->prompt_count && slot_is_ready(slot) &&
            slot_reserve(slot, &engine->pages, slot->token_count)) {
            plan_stream(engine, slot, may_guess, &size);
            ++*streams;
        }
    }
    *stream_tokens = size;
    uint32_t room = pacer_room(&engine->pacer, *streams, engine->options.batch);
    while (room > 0) {
        struct slot *oldest = next_prompt(engine);
        if (!oldest)
            break;
        slot_adopt(oldest, &engine->pages, &engine->cache);
        uint32_t left = oldest->prompt_count - oldest->computed, count = left < room ? left : room;
        if (!slot_reserve(oldest, &engine->pages, oldest->computed + count))
            break;
        plan_tokens(engine, oldest, count, &size);
        room -= count;
    }
    return size;
}

static void fill_logprobs(struct engine *engine, const float *logits, int alternatives, struct engine_token *token)
{
    uint32_t vocabulary = engine->weights->config.vocabulary;
    double log_sum = logits_log_sum(&engine->forward.kernels, logits, vocabulary);
    token->chosen = (struct engine_logprob){token->id, (float)((double)logits[token->id] - log_sum)};
    int32_t ids[ENGINE_MOST_ALTERNATIVES];
    logits_top(logits, vocabulary, ids, (uint32_t)alternatives);
    for (int i = 0; i < alternatives && ids[i] >= 0; i++)
        token->top[token->top_count++] = (struct engine_logprob){ids[i], (float)((double)logits[ids[i]] - log_sum)};
}

/* Draws the next token of a slot and hands it over; false when the sequence has ended. */
static bool draw_token(struct engine *engine, struct slot *slot, const float *logits)
{
    const struct engine_request *request = &slot->sequence->request;
    struct engine_token token = {0};
    int status = sampler_next(&slot->sampler, &engine->scratch, logits, slot->tokens, slot->token_count, &token.id);
    if (status < 0) {
        struct smollm_error error;
        error_set(&error, status, "the model produced a value that is not finite at position %u", slot->token_count);
        finish_slot(engine, slot, ENGINE_END_ERROR, &error);
        return false;
    }
    if (slot->prompt_done_ns == 0) {
        slot->prompt_done_ns = clock_nanoseconds();
        atomic_fetch_add(&engine->prompt_tokens, slot->prompt_count);
        atomic_fetch_add(&engine->cached_tokens, slot->cached);
    }
    if (request->alternatives >= 0)
        fill_logprobs(engine, logits, request->alternatives, &token);
    slot->tokens[slot->token_count++] = token.id;
    atomic_fetch_add(&engine->generated_tokens, 1);
    token.is_end = request->end_token && request->end_token[token.id];
    bool go_on = request->client.token(request->client.user, &token);
    uint32_t generated = slot->token_count - slot->prompt_count;
    slot_publish(slot);
    if (token.is_end)
        finish_slot(engine, slot, ENGINE_END_TOKEN, NULL);
    else if (!go_on)
        finish_slot(engine, slot, ENGINE_END_STOPPED, NULL);
    else if (generated == request->most_tokens || slot->token_count == engine->options.context)
        finish_slot(engine, slot, ENGINE_END_LENGTH, NULL);
    return slot->sequence != NULL;
}

/* Draws from the rows of a slot: one, and as many more as guesses turn out to be right. */
static void draw_tokens(struct engine *engine, struct slot *slot)
{
    const uint32_t vocabulary = engine->weights->config.vocabulary, drafted = slot->drafted;
    const float *logits = engine->logits + (size_t)slot->first_row * vocabulary;
    uint32_t right = 0;
    slot->drafted = 0;
    slot->drafted_all += drafted;
    atomic_fetch_add(&engine->drafted_tokens, drafted);
    for (;;) {
        /* Drawing overwrites the guess. */
        const int32_t guess = right < drafted ? slot->tokens[slot->token_count] : -1;
        if (!draw_token(engine, slot, logits + (size_t)right * vocabulary))
            return;
        if (right == drafted || slot->tokens[slot->token_count - 1] != guess || !slot_is_ready(slot))
            break;
        right++;
        slot->accepted_all++;
        slot->computed++;
        atomic_fetch_add(&engine->accepted_tokens, 1);
        slot_learn(slot, &engine->pages);
    }
    drafter_note(&slot->drafter, drafted, right);
}

/* One forward pass and what follows from it; false when there was nothing to compute. */
static bool step(struct engine *engine)
{
    uint32_t streams, stream_tokens, size = plan(engine, &streams, &stream_tokens), rows = 0;
    if (size == 0)
        return false;
    /* Rows of logits come in the batch's order, in which tokens of a slot follow each other. */
    for (uint32_t i = 0; i < size; i++) {
        const bool begins = i == 0 || engine->batch[i].pages != engine->batch[i - 1].pages;
        for (uint32_t k = 0; k < engine->options.parallel && begins; k++)
            if (engine->slots[k].planned > 0 && engine->slots[k].pages == engine->batch[i].pages)
                engine->slots[k].first_row = rows;
        rows += engine->batch[i].wants_logits;
    }
    atomic_store(&engine->pages_used, page_cache_held(&engine->pages));
    const uint64_t begin = clock_nanoseconds();
    forward_run(&engine->forward, engine->batch, size, engine->logits);
    pacer_note(&engine->pacer, streams, size - stream_tokens, ms_between(begin, clock_nanoseconds()) * 1e-3);
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        if (slot->planned == 0)
            continue;
        slot->computed += slot->planned - slot->drafted;
        slot_learn(slot, &engine->pages);
        slot_publish(slot);
        const struct engine_client *client = &slot->sequence->request.client;
        if (client->progress && slot->token_count == slot->prompt_count)
            client->progress(client->user, slot->computed, slot->cached, slot->prompt_count,
                             ms_between(slot->started_ns, clock_nanoseconds()));
    }
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        if (slot->planned > 0 && slot->computed == slot->token_count)
            draw_tokens(engine, slot);
    }
    return true;
}

static void *engine_main(void *user)
{
    struct engine *engine = user;
    for (;;) {
        pthread_mutex_lock(&engine->mutex);
        uint64_t wakes = engine->wakes;
        bool closing = engine->closing;
        pthread_mutex_unlock(&engine->mutex);
        if (closing)
            break;
        admit(engine);
        if (step(engine))
            continue;
        pthread_mutex_lock(&engine->mutex);
        while (engine->wakes == wakes)
            pthread_cond_wait(&engine->changed, &engine->mutex);
        pthread_mutex_unlock(&engine->mutex);
    }
    struct smollm_error error;
    error_set(&error, SMOLLM_ECLOSED, "the engine was shut down");
    for (uint32_t i = 0; i < engine->options.parallel; i++)
        if (engine->slots[i].sequence)
            finish_slot(engine, &engine->slots[i], ENGINE_END_ERROR, &error);
    for (struct engine_sequence *sequence; (sequence = queue_pop(engine));)
        finish_queued(engine, sequence, ENGINE_END_ERROR, &error);
    return NULL;
}

/* ---- Other threads ---- */

static void wake(struct engine *engine)
{
    engine->wakes++;
    pthread_cond_signal(&engine->changed);
}

void engine_wake(struct engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    wake(engine);
    pthread_mutex_unlock(&engine->mutex);
}

static int check_request(const struct engine *engine, const struct engine_request *request, struct smollm_error *error)
{
    uint32_t vocabulary = engine->weights->config.vocabulary;
    RETURN_ERROR_IF(request->prompt_count == 0, error, SMOLLM_EINVAL, "the prompt is empty");
    RETURN_ERROR_IF(request->prompt_count >= engine->options.context, error, SMOLLM_ECONTEXT,
                    "the prompt has %u tokens, the context is %u", request->prompt_count, engine->options.context);
    RETURN_ERROR_IF(request->alternatives > ENGINE_MOST_ALTERNATIVES, error, SMOLLM_EINVAL,
                    "%d alternatives wanted (0 to %d)", request->alternatives, ENGINE_MOST_ALTERNATIVES);
    for (uint32_t i = 0; i < request->prompt_count; i++)
        RETURN_ERROR_IF(request->prompt[i] < 0 || (uint32_t)request->prompt[i] >= vocabulary, error, SMOLLM_EINVAL,
                        "token %d at position %u is not in the vocabulary of %u", request->prompt[i], i, vocabulary);
    return sampling_check(&request->sampling, vocabulary, error);
}

int engine_submit(struct engine *engine, const struct engine_request *request, uint64_t *id,
                  struct engine_sequence **result, struct smollm_error *error)
{
    *result = NULL;
    int status = check_request(engine, request, error);
    if (status < 0)
        return status;
    struct engine_sequence *sequence = sequence_create(request);
    RETURN_ERROR_IF(!sequence, error, SMOLLM_ENOMEM, "out of memory for a request");
    pthread_mutex_lock(&engine->mutex);
    if (engine->draining)
        status = error_set(error, SMOLLM_ECLOSED, "the server is shutting down");
    else if (engine->queue_size >= engine->options.queue)
        status = error_set(error, SMOLLM_EBUSY, "%u requests are waiting already", engine->queue_size);
    if (status == 0) {
        *id = sequence->id = ++engine->next_id;
        *result = sequence;
        if (engine->queue_last)
            engine->queue_last->next = sequence;
        else
            engine->queue_first = sequence;
        engine->queue_last = sequence;
        atomic_store(&engine->waiting, ++engine->queue_size);
        wake(engine);
    }
    pthread_mutex_unlock(&engine->mutex);
    if (status < 0) {
        free(sequence);
        return status;
    }
    return 0;
}

void engine_cancel(struct engine *engine, struct engine_sequence *sequence)
{
    atomic_store(&sequence->canceled, true);
    engine_wake(engine);
}

void engine_release(struct engine_sequence *sequence)
{
    sequence_release(sequence);
}

void engine_drain(struct engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    engine->draining = true;
    pthread_mutex_unlock(&engine->mutex);
}

void engine_get_info(const struct engine *engine, struct smollm_engine_info *info)
{
    *info = (struct smollm_engine_info){.context = engine->options.context,
                                        .parallel = engine->options.parallel,
                                        .threads = engine->options.threads,
                                        .kv_bytes = engine->cache.bytes,
                                        .cpu = cpu_tier_name(engine->forward.kernels.tier)};
}

void engine_get_stats(const struct engine *engine, struct smollm_engine_stats *stats)
{
    *stats = (struct smollm_engine_stats){.requests_running = atomic_load(&engine->running),
                                          .requests_waiting = atomic_load(&engine->waiting),
                                          .requests_finished = atomic_load(&engine->finished),
                                          .seconds_between_ends = (double)atomic_load(&engine->end_interval_ns) * 1e-9,
                                          .prompt_tokens = atomic_load(&engine->prompt_tokens),
                                          .cached_tokens = atomic_load(&engine->cached_tokens),
                                          .generated_tokens = atomic_load(&engine->generated_tokens),
                                          .drafted_tokens = atomic_load(&engine->drafted_tokens),
                                          .accepted_tokens = atomic_load(&engine->accepted_tokens),
                                          .kv_pages_total = engine->pages.total,
                                          .kv_pages_used = atomic_load(&engine->pages_used)};
}

size_t engine_get_slots(const struct engine *engine, struct smollm_slot *slots, size_t count)
{
    for (size_t i = 0; i < count && i < engine->options.parallel; i++) {
        const struct slot *slot = &engine->slots[i];
        slots[i] = (struct smollm_slot){.state = (enum smollm_slot_state)atomic_load(&slot->state),
                                        .request_id = atomic_load(&slot->shown_id),
                                        .prompt_tokens = atomic_load(&slot->shown_prompt),
                                        .processed_tokens = atomic_load(&slot->shown_processed),
                                        .generated_tokens = atomic_load(&slot->shown_generated)};
    }
    return engine->options.parallel;
}

/* ---- Beginning and end ---- */

/* Memory that the system could give now, in bytes; 0 when it does not say. */
static uint64_t memory_available(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file)
        return 0;
    char line[128];
    unsigned long long kib = 0;
    while (fgets(line, sizeof line, file) && sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
        kib = 0;
    fclose(file);
    return kib * 1024;
}

static int allocate(struct engine *engine, struct smollm_error *error)
{
    const struct engine_options *o = &engine->options;
    const struct model_config *c = &engine->weights->config;
    uint64_t pages = ((uint64_t)o->context + KV_PAGE_POSITIONS - 1) / KV_PAGE_POSITIONS * o->parallel;
    uint64_t need = pages * KV_PAGE_POSITIONS * kv_cache_bytes_per_position(c, o->cache_type),
             have = memory_available();
    RETURN_ERROR_IF(pages > UINT32_MAX / 2 || (have > 0 && need > have), error, SMOLLM_ENOMEM,
                    "the KV cache of %u conversations of %u tokens needs %.1f GiB, %.1f GiB are free (use a smaller "
                    "--ctx-size or --parallel, or --cache-type q8_0)",
                    o->parallel, o->context, (double)need / 1073741824.0, (double)have / 1073741824.0);
    uint32_t most = o->batch + o->parallel + DRAFT_ROWS;
    pacer_begin(&engine->pacer);
    int status = thread_pool_create(o->threads, &engine->pool, error);
    if (status == 0)
        status = kv_cache_create(&engine->cache, c, o->cache_type, (uint32_t)pages, error);
    if (status == 0)
        status = page_cache_create(&engine->pages, (uint32_t)pages, error);
    if (status == 0)
        status = forward_create(&engine->forward, engine->weights, &engine->cache, engine->pool, o->tier, o->planes,
                                most, error);
    if (status == 0)
        status = sampler_scratch_create(&engine->scratch, c->vocabulary, &engine->forward.kernels, error);
    if (status < 0)
        return status;
    engine->slots = array_allocate(o->parallel, sizeof *engine->slots);
    engine->batch = array_allocate(most, sizeof *engine->batch);
    engine->logits = array_allocate((size_t)(o->parallel + DRAFT_ROWS) * c->vocabulary, sizeof *engine->logits);
    RETURN_ERROR_IF(!engine->slots || !engine->batch || !engine->logits, error, SMOLLM_ENOMEM,
                    "out of memory for %u conversations", o->parallel);
    for (uint32_t i = 0; i < o->parallel && status == 0; i++)
        status = slot_create(&engine->slots[i], o->context, c->vocabulary, error);
    return status;
}

int engine_create(const struct weights *weights, const struct engine_options *options, struct engine **result,
                  struct smollm_error *error)
{
    *result = NULL;
    RETURN_ERROR_IF(options->context < 2 || options->context > weights->config.context, error, SMOLLM_EINVAL,
                    "a context of %u tokens (2 to %u)", options->context, weights->config.context);
    RETURN_ERROR_IF(options->parallel < 1 || options->parallel > 1024, error, SMOLLM_EINVAL,
                    "%u conversations at once (1 to 1024)", options->parallel);
    RETURN_ERROR_IF(options->batch < 1 || options->batch > 8192, error, SMOLLM_EINVAL,
                    "a batch of %u tokens (1 to 8192)", options->batch);
    struct engine *engine = array_allocate(1, sizeof *engine);
    RETURN_ERROR_IF(!engine, error, SMOLLM_ENOMEM, "out of memory");
    engine->options = *options;
    engine->weights = weights;
    pthread_mutex_init(&engine->mutex, NULL);
    pthread_cond_init(&engine->changed, NULL);
    int status = allocate(engine, error);
    if (status == 0) {
        int failed = pthread_create(&engine->thread, NULL, engine_main, engine);
        engine->thread_started = failed == 0;
        if (failed)
            status = error_set(error, SMOLLM_ENOMEM, "cannot start the engine's thread: %s", strerror(failed));
    }
    if (status < 0) {
        engine_destroy(engine);
        return status;
    }
    *result = engine;
    return 0;
}

void engine_destroy(struct engine *engine)
{
    if (!engine)
        return;
    if (engine->thread_started) {
        pthread_mutex_lock(&engine->mutex);
        engine->draining = engine->closing = true;
        wake(engine);
        pthread_mutex_unlock(&engine->mutex);
        pthread_join(engine->thread, NULL);
    }
    for (uint32_t i = 0; engine->slots && i < engine->options.parallel; i++)
        slot_destroy(&engine->slots[i]);
    free(engine->slots);
    free(engine->batch);
    free(engine->logits);
    sampler_scratch_destroy(&engine->scratch);
    forward_destroy(&engine->forward);
    page_cache_destroy(&engine->pages);
    kv_cache_destroy(&engine->cache);
    thread_pool_destroy(engine->pool);
    pthread_mutex_destroy(&engine->mutex);
    pthread_cond_destroy(&engine->changed);
    free(engine);
}
