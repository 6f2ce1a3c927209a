/* Creating and destroying an engine, its loop, and the functions for other threads. */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/system_limits.h"
#include "engine/engine_state.h"

#include <stdlib.h>
#include <string.h>

/* Until another thread calls, or the next deadline. */
static void wait_for_work(struct engine *engine, uint64_t wakes)
{
    pthread_mutex_lock(&engine->mutex);
    const uint64_t deadline = admission_deadline(engine);
    const struct timespec until = {.tv_sec = (time_t)(deadline / 1000000000), .tv_nsec = (long)(deadline % 1000000000)};
    int status = 0;
    while (engine->wakes == wakes && status == 0)
        status = deadline > 0 ? pthread_cond_timedwait(&engine->changed, &engine->mutex, &until)
                              : pthread_cond_wait(&engine->changed, &engine->mutex);
    pthread_mutex_unlock(&engine->mutex);
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
        admission_run(engine);
        if (!step_run(engine))
            wait_for_work(engine, wakes);
    }
    struct smollm_error error;
    error_set(&error, SMOLLM_ECLOSED, "the engine was shut down");
    admission_end_all(engine, &error);
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
                    "prompt is too long: %u tokens > %u maximum. This model's maximum context length is %u tokens; "
                    "please reduce the length of the messages.",
                    request->prompt_count, engine->options.context, engine->options.context);
    RETURN_ERROR_IF(request->answer_count > engine->options.context - request->prompt_count, error, SMOLLM_ECONTEXT,
                    "the answer begins with %u tokens, and the context of %u has room for %u", request->answer_count,
                    engine->options.context, engine->options.context - request->prompt_count);
    RETURN_ERROR_IF(request->alternatives > ENGINE_ALTERNATIVES_MAX, error, SMOLLM_EINVAL,
                    "%d alternatives are out of range (0 to %d)", request->alternatives, ENGINE_ALTERNATIVES_MAX);
    RETURN_ERROR_IF(request->prompt_alternatives > ENGINE_ALTERNATIVES_MAX, error, SMOLLM_EINVAL,
                    "%u alternatives to tokens of the prompt are out of range (0 to %d)", request->prompt_alternatives,
                    ENGINE_ALTERNATIVES_MAX);
    RETURN_ERROR_IF(
        request->purpose == ENGINE_SCORES && (request->score_count == 0 || request->score_count > ENGINE_SCORES_MAX),
        error, SMOLLM_EINVAL, "%u tokens to score are out of range (1 to %d)", request->score_count, ENGINE_SCORES_MAX);
    for (uint32_t i = 0; request->purpose == ENGINE_SCORES && i < request->score_count; i++)
        RETURN_ERROR_IF(request->score_tokens[i] < 0 || (uint32_t)request->score_tokens[i] >= vocabulary, error,
                        SMOLLM_EINVAL, "token %d to score is not in the vocabulary of %u", request->score_tokens[i],
                        vocabulary);
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
    struct engine_sequence *sequence =
        sequence_create(request, engine->options.context, engine->weights->config.hidden);
    RETURN_ERROR_IF(!sequence, error, SMOLLM_ENOMEM, "out of memory for a request");
    pthread_mutex_lock(&engine->mutex);
    if (engine->draining)
        status = error_set(error, SMOLLM_ECLOSED, "the server is shutting down");
    else if (engine->queue.new_ones >= engine->options.queue)
        status = error_set(error, SMOLLM_EBUSY, "the queue is full: %u requests are waiting", engine->queue.new_ones);
    if (status == 0) {
        *id = sequence->id = ++engine->next_id;
        *result = sequence;
        sequence->engine = engine;
        atomic_fetch_add(&engine->holders, 1);
        queue_insert(&engine->queue, sequence);
        engine->queue_changed = true;
        atomic_fetch_add(&engine->waiting, 1);
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

void engine_read_ahead(struct engine *engine, uint64_t key, const int32_t *tokens, uint32_t count)
{
    const struct engine_request request = {.key = key, .prompt = tokens, .prompt_count = count};
    if (count == 0 || count >= engine->options.context)
        return;
    struct engine_sequence *sequence = sequence_create(&request, engine->options.context, 0), *dropped = NULL;
    if (!sequence)
        return;
    sequence->reads_ahead = true;
    atomic_store(&sequence->holders, 1);
    pthread_mutex_lock(&engine->mutex);
    if (engine->draining) {
        dropped = sequence;
    } else {
        sequence->id = ++engine->next_id;
        if (engine->ahead.size >= engine->options.parallel) {
            dropped = engine->ahead.first;
            queue_remove(&engine->ahead, dropped);
        }
        queue_insert(&engine->ahead, sequence);
        wake(engine);
    }
    pthread_mutex_unlock(&engine->mutex);
    if (dropped)
        sequence_release(dropped);
}

bool engine_keeps_cache_events(const struct engine *engine)
{
    return engine->cache_events.ring != NULL;
}

bool engine_read_cache_event(struct engine *engine, int timeout_ms, struct cache_event *event)
{
    return cache_events_read(&engine->cache_events, timeout_ms, event);
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
                                        .page_positions = KV_PAGE_POSITIONS,
                                        .kv_bytes = engine->cache.bytes,
                                        .cpu = cpu_tier_name(engine->forward.kernels.tier)};
}

void engine_get_stats(const struct engine *engine, struct smollm_engine_stats *stats)
{
    /* The queue first, so that a request on its way from there to a slot is seen; the pages last (admission.c). */
    const uint32_t waiting = atomic_load(&engine->waiting), running = atomic_load(&engine->running);
    *stats = (struct smollm_engine_stats){.requests_running = running,
                                          .requests_waiting = waiting,
                                          .requests_finished = atomic_load(&engine->totals.finished),
                                          .seconds_between_ends = (double)atomic_load(&engine->end_interval_ns) * 1e-9,
                                          .prompt_tokens = atomic_load(&engine->totals.prompt_tokens),
                                          .cached_tokens = atomic_load(&engine->totals.cached_tokens),
                                          .generated_tokens = atomic_load(&engine->totals.generated_tokens),
                                          .drafted_tokens = atomic_load(&engine->totals.drafted_tokens),
                                          .accepted_tokens = atomic_load(&engine->totals.accepted_tokens),
                                          .read_ahead_tokens = atomic_load(&engine->ahead_tokens),
                                          .pauses = atomic_load(&engine->pauses),
                                          .kv_pages_total = engine->pages.total,
                                          .kv_pages_used = atomic_load(&engine->pages_used),
                                          .kv_pages_cached = atomic_load(&engine->meter.pages_cached),
                                          .kv_pages_evicted = atomic_load(&engine->meter.pages_evicted)};
}

void engine_get_histogram(const struct engine *engine, enum smollm_measure measure, struct smollm_histogram *histogram)
{
    histogram_read(&engine->meter.histograms[measure], histogram);
}

void engine_get_slot(const struct engine *engine, size_t index, struct smollm_slot *shown)
{
    const struct slot *slot = &engine->slots[index];
    *shown = (struct smollm_slot){.state = (enum smollm_slot_state)atomic_load(&slot->state),
                                  .request_id = atomic_load(&slot->shown_id),
                                  .prompt_tokens = atomic_load(&slot->shown_prompt),
                                  .processed_tokens = atomic_load(&slot->shown_processed),
                                  .generated_tokens = atomic_load(&slot->shown_generated)};
}

/* ---- Create and destroy ---- */

static uint64_t page_bytes(const struct model_config *config, const struct engine_options *options)
{
    return KV_PAGE_POSITIONS * kv_cache_bytes_per_position(config, options->cache_type);
}

/* Pages of one conversation that fills its context. */
static uint64_t pages_of_one(const struct engine_options *options)
{
    return ((uint64_t)options->context + KV_PAGE_POSITIONS - 1) / KV_PAGE_POSITIONS;
}

static uint64_t pages_of_all(const struct model_config *config, const struct engine_options *options)
{
    return options->kv_bytes > 0 ? options->kv_bytes / page_bytes(config, options)
                                 : pages_of_one(options) * options->parallel;
}

static uint32_t max_tokens_of_pass(const struct engine_options *options)
{
    return options->batch + options->parallel + DRAFT_ROWS;
}

struct memory_need engine_need(const struct model_config *config, const struct engine_options *options)
{
    const uint64_t vocabulary = config->vocabulary, rows = engine_logits_rows(options),
                   pages = pages_of_all(config, options);
    /* Logits; two numbers per token of the vocabulary in each slot, six in the sampler's scratch. */
    const uint64_t logits = sizeof(float) * vocabulary * (rows + 2 * ((uint64_t)options->parallel + 1) + 6);
    const uint64_t hidden = sizeof(float) * config->hidden * (uint64_t)options->batch;
    const uint64_t lists = pages * (sizeof(struct cached_page) + 3 * sizeof(uint32_t)) +
                           ((uint64_t)options->parallel + 1) * pages_of_one(options) * sizeof(uint32_t) +
                           (uint64_t)options->cache_events * sizeof(struct cache_event);
    return (struct memory_need){
        .kv_cache = pages * page_bytes(config, options),
        .work = logits + hidden + lists +
                forward_bytes(config, options->threads, options->planes, max_tokens_of_pass(options))};
}

static int allocate(struct engine *engine, struct smollm_error *error)
{
    const struct engine_options *o = &engine->options;
    const struct model_config *c = &engine->weights->config;
    const uint64_t one = pages_of_one(o), pages = pages_of_all(c, o);
    const struct memory_need need = engine_need(c, o);
    RETURN_ERROR_IF(pages < one, error, SMOLLM_ENOMEM,
                    "a conversation of %u tokens needs %.2f MiB for keys and values; %.2f MiB are allowed", o->context,
                    (double)(one * page_bytes(c, o)) / 1048576.0, (double)o->kv_bytes / 1048576.0);
    RETURN_ERROR_IF(pages > UINT32_MAX / 2, error, SMOLLM_ELIMIT, "%u conversations of %u tokens are too many",
                    o->parallel, o->context);
    int status = memory_need_check(&need, error);
    if (status < 0) {
        error_prefix(error, "%u conversations of %u tokens", o->parallel, o->context);
        return status;
    }
    const uint32_t max = max_tokens_of_pass(o);
    pacer_begin(&engine->pacer);
    engine_meter_begin(&engine->meter);
    status = thread_pool_create(o->threads, &engine->pool, error);
    if (status == 0)
        status = kv_cache_create(&engine->cache, c, o->cache_type, (uint32_t)pages, error);
    if (status == 0)
        status = page_cache_create(&engine->pages, (uint32_t)pages, error);
    if (status == 0 && o->cache_events > 0)
        status = cache_events_create(&engine->cache_events, o->cache_events, error);
    if (status == 0 && o->cache_events > 0)
        engine->pages.events = &engine->cache_events;
    if (status == 0)
        status = forward_create(&engine->forward, engine->weights, &engine->cache, engine->pool, o->tier, o->planes,
                                max, error);
    if (status == 0)
        status = sampler_scratch_create(&engine->scratch, c->vocabulary, &engine->forward.kernels, error);
    if (status == 0 && o->speculates)
        status = history_create(&engine->history, error);
    if (status < 0)
        return status;
    engine->shares.capacity = 2 * o->parallel + o->queue + PAUSED_MAX;
    engine->shares.keys = array_allocate(engine->shares.capacity, sizeof *engine->shares.keys);
    engine->places = array_allocate(engine->shares.capacity + 1, sizeof *engine->places);
    engine->slots = array_allocate(o->parallel + 1, sizeof *engine->slots);
    engine->order = array_allocate(o->parallel, sizeof(struct slot *));
    engine->batch = array_allocate(max, sizeof *engine->batch);
    engine->logits = array_allocate((size_t)engine_logits_rows(o) * c->vocabulary, sizeof *engine->logits);
    engine->peaks = array_allocate((size_t)engine_logits_rows(o) * peak_count(c->vocabulary), sizeof *engine->peaks);
    engine->hidden = array_allocate((size_t)o->batch * c->hidden, sizeof *engine->hidden);
    RETURN_ERROR_IF(!engine->shares.keys || !engine->places || !engine->slots || !engine->order || !engine->batch ||
                        !engine->logits || !engine->peaks || !engine->hidden,
                    error, SMOLLM_ENOMEM, "out of memory for %u conversations", o->parallel);
    for (uint32_t i = 0; i <= o->parallel && status == 0; i++)
        status = slot_create(&engine->slots[i], o->context, c->vocabulary, error);
    return status;
}

int engine_options_check(const struct engine_options *options, const struct model_config *config,
                         struct smollm_error *error)
{
    const struct {
        const char *name;
        uint32_t value, min, max;
    } ranges[] = {
        {"context", options->context, 2, config->context},
        {"parallel", options->parallel, 1, ENGINE_PARALLEL_MAX},
        {"queue", options->queue, 1, ENGINE_QUEUE_MAX},
        {"batch", options->batch, 1, ENGINE_BATCH_MAX},
        {"threads", options->threads, 1, ENGINE_THREADS_MAX},
        {"cache_events", options->cache_events > 0 ? options->cache_events : 2, 2, ENGINE_CACHE_EVENTS_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        RETURN_ERROR_IF(ranges[i].value < ranges[i].min || ranges[i].value > ranges[i].max, error, SMOLLM_EINVAL,
                        "%s is %u; it must be from %u to %u", ranges[i].name, ranges[i].value, ranges[i].min,
                        ranges[i].max);
    return 0;
}

int engine_create(const struct weights *weights, const struct engine_options *options, struct engine **result,
                  struct smollm_error *error)
{
    *result = NULL;
    int status = engine_options_check(options, &weights->config, error);
    if (status < 0)
        return status;
    struct engine *engine = array_allocate(1, sizeof *engine);
    RETURN_ERROR_IF(!engine, error, SMOLLM_ENOMEM, "out of memory");
    engine->options = *options;
    engine->weights = weights;
    atomic_store(&engine->holders, 1);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&engine->mutex, NULL);
    pthread_cond_init(&engine->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    status = allocate(engine, error);
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
    for (uint32_t i = 0; engine->slots && i <= engine->options.parallel; i++)
        slot_destroy(&engine->slots[i]);
    free(engine->slots);
    free((void *)engine->order);
    free(engine->shares.keys);
    free(engine->places);
    history_destroy(&engine->history);
    free(engine->batch);
    free(engine->logits);
    free(engine->peaks);
    free(engine->hidden);
    sampler_scratch_destroy(&engine->scratch);
    forward_destroy(&engine->forward);
    page_cache_destroy(&engine->pages);
    cache_events_destroy(&engine->cache_events);
    kv_cache_destroy(&engine->cache);
    thread_pool_destroy(engine->pool);
    engine_let_go(engine);
}

void engine_let_go(struct engine *engine)
{
    if (atomic_fetch_sub(&engine->holders, 1) != 1)
        return;
    pthread_mutex_destroy(&engine->mutex);
    pthread_cond_destroy(&engine->changed);
    free(engine);
}
