/* smollm_engine_*: defaults, information and statistics. */
#include "base/error.h"
#include "base/system_limits.h"
#include "base/thread_pool.h"
#include "library/form_cache.h"
#include "library/handles.h"
#include "library/next_turn.h"
#include "library/sized.h"
#include "model/forward.h"

#include <stdlib.h>
#include <string.h>

/* Positions of a conversation where none are asked for: as many as the model and the memory allow, up to 8192. */
static uint32_t standard_context(const struct model_config *config, const struct engine_options *wanted)
{
    uint64_t max = config->context < 8192 ? config->context : 8192;
    if (wanted->kv_bytes > 0) {
        const uint64_t fit = wanted->kv_bytes / kv_cache_bytes_per_position(config, wanted->cache_type);
        max = fit < max ? fit / KV_PAGE_POSITIONS * KV_PAGE_POSITIONS : max;
    }
    return max > 2 ? (uint32_t)max : 2;
}

int engine_options_resolve(const struct smollm_engine_options *given, const struct model_config *config,
                           uint64_t parameters, struct engine_options *wanted, struct smollm_error *error)
{
    struct smollm_engine_options copy = SMOLLM_ENGINE_OPTIONS_INIT;
    const struct smollm_engine_options *options = &copy;
    int status = given ? sized_read(&copy, sizeof copy, given, given->size, "smollm_engine_options", error) : 0;
    if (status < 0)
        return status;
    *wanted = (struct engine_options){.context = options->context,
                                      .parallel = options->parallel ? options->parallel : 4,
                                      .queue = options->queue ? options->queue : 64,
                                      .threads = options->threads ? options->threads : system_processors_available(""),
                                      .batch = options->batch ? options->batch : 256,
                                      .speculates = !options->no_speculation,
                                      .reads_ahead = !options->no_read_ahead,
                                      .cache_events = options->cache_events,
                                      .kv_bytes = options->kv_bytes};
    status = kv_type_parse(options->cache_type, &wanted->cache_type, error);
    if (status == 0)
        status = precise_parse(options->precise, parameters, &wanted->planes, error);
    if (status == 0 && wanted->context == 0)
        wanted->context = standard_context(config, wanted);
    return status < 0 ? status : engine_options_check(wanted, config, error);
}

int smollm_engine_start(struct smollm_model *model, const struct smollm_engine_options *options,
                        struct smollm_engine **result, struct smollm_error *error)
{
    *result = NULL;
    struct engine_options wanted;
    RETURN_ERROR_IF(!model->weights.block, error, SMOLLM_EINVAL, "the model was opened for its vocabulary only");
    int status = engine_options_resolve(options, &model->weights.config, model->weights.parameters, &wanted, error);
    if (status < 0)
        return status;
    wanted.tier = model->tier;
    struct smollm_engine *engine = calloc(1, sizeof *engine);
    RETURN_ERROR_IF(!engine, error, SMOLLM_ENOMEM, "out of memory");
    engine->model = model;
    engine->batch = wanted.batch;
    status = engine_create(&model->weights, &wanted, &engine->engine, error);
    if (status == 0)
        status = form_cache_create(model, &engine->forms, error);
    if (status == 0 && wanted.reads_ahead)
        status = next_turns_start(model, engine->engine, wanted.parallel, &engine->next_turns, error);
    if (status < 0) {
        smollm_engine_close(engine);
        return status;
    }
    *result = engine;
    return 0;
}

void smollm_engine_close(struct smollm_engine *engine)
{
    if (!engine)
        return;
    next_turns_stop(engine->next_turns);
    engine_destroy(engine->engine);
    next_turns_destroy(engine->next_turns);
    form_cache_destroy(engine->forms);
    free(engine);
}

void smollm_engine_drain(struct smollm_engine *engine)
{
    engine_drain(engine->engine);
}

void smollm_engine_get_info_sized(const struct smollm_engine *engine, struct smollm_engine_info *info, size_t size)
{
    struct smollm_engine_info now;
    engine_get_info(engine->engine, &now);
    sized_write(info, size, &now, sizeof now);
}

void smollm_engine_get_stats_sized(const struct smollm_engine *engine, struct smollm_engine_stats *stats, size_t size)
{
    struct smollm_engine_stats now;
    engine_get_stats(engine->engine, &now);
    sized_write(stats, size, &now, sizeof now);
}

void smollm_engine_get_histogram(const struct smollm_engine *engine, enum smollm_measure measure,
                                 struct smollm_histogram *histogram)
{
    *histogram = (struct smollm_histogram){0};
    if ((unsigned)measure < SMOLLM_MEASURES)
        engine_get_histogram(engine->engine, measure, histogram);
}

size_t smollm_engine_get_slots_sized(const struct smollm_engine *engine, struct smollm_slot *slots, size_t count,
                                     size_t size)
{
    struct smollm_engine_info info;
    struct smollm_slot slot;
    engine_get_info(engine->engine, &info);
    for (size_t i = 0; i < count && i < info.parallel; i++) {
        engine_get_slot(engine->engine, i, &slot);
        sized_write((char *)slots + i * size, size, &slot, sizeof slot);
    }
    return info.parallel;
}

int smollm_next_cache_event_sized(struct smollm_engine *engine, int timeout_ms, struct smollm_cache_event *event,
                                  size_t size)
{
    static const enum smollm_cache_event_type types[] = {[CACHE_CLEARED] = SMOLLM_CACHE_CLEARED,
                                                         [CACHE_STORED] = SMOLLM_CACHE_STORED,
                                                         [CACHE_REMOVED] = SMOLLM_CACHE_REMOVED};
    _Static_assert(sizeof event->tokens == sizeof(int32_t) * KV_PAGE_POSITIONS, "a page of tokens");
    struct cache_event read;
    if (!engine_keeps_cache_events(engine->engine))
        return SMOLLM_EINVAL;
    if (!engine_read_cache_event(engine->engine, timeout_ms, &read))
        return SMOLLM_ETIMEDOUT;
    struct smollm_cache_event next = {.type = types[read.type],
                                      .key = read.key,
                                      .page = read.page,
                                      .parent = read.parent,
                                      .has_parent = read.has_parent};
    memcpy(next.tokens, read.tokens, sizeof next.tokens);
    sized_write(event, size, &next, sizeof next);
    return 0;
}
