/* smollm_engine_*: defaults, and what the engine says of itself. */
#include "base/error.h"
#include "base/thread_pool.h"
#include "library/handles.h"
#include "library/next_turn.h"
#include "model/forward.h"

#include <stdlib.h>

/* Positions of a conversation where none are asked for: as many as the model and the memory allow, up to 8192. */
static uint32_t standard_context(const struct model_config *config, const struct engine_options *wanted)
{
    uint64_t most = config->context < 8192 ? config->context : 8192;
    if (wanted->kv_bytes > 0) {
        const uint64_t fit = wanted->kv_bytes / kv_cache_bytes_per_position(config, wanted->cache_type);
        most = fit < most ? fit / KV_PAGE_POSITIONS * KV_PAGE_POSITIONS : most;
    }
    return most > 2 ? (uint32_t)most : 2;
}

int smollm_engine_start(struct smollm_model *model, const struct smollm_engine_options *options,
                        struct smollm_engine **result, struct smollm_error *error)
{
    *result = NULL;
    const struct smollm_engine_options none = {0};
    options = options ? options : &none;
    uint32_t most = model->weights.config.context;
    RETURN_ERROR_IF(options->context > most, error, SMOLLM_EINVAL,
                    "a context of %u tokens is more than the %u that the model reads (use a smaller --ctx-size, or "
                    "--rope-scaling yarn for a model that was made for it)",
                    options->context, most);
    struct engine_options wanted = {.context = options->context,
                                    .parallel = options->parallel ? options->parallel : 4,
                                    .queue = options->queue ? options->queue : 64,
                                    .threads = options->threads ? options->threads : processors_available(),
                                    .batch = options->batch ? options->batch : 256,
                                    .tier = model->tier,
                                    .speculates = !options->no_speculation,
                                    .kv_bytes = options->kv_bytes};
    int status = kv_type_parse(options->cache_type, &wanted.cache_type, error);
    if (status == 0)
        status = precise_parse(options->precise, &model->weights, &wanted.planes, error);
    if (status < 0)
        return status;
    if (wanted.context == 0)
        wanted.context = standard_context(&model->weights.config, &wanted);
    struct smollm_engine *engine = calloc(1, sizeof *engine);
    RETURN_ERROR_IF(!engine, error, SMOLLM_ENOMEM, "out of memory");
    engine->model = model;
    status = engine_create(&model->weights, &wanted, &engine->engine, error);
    if (status == 0 && !options->no_read_ahead)
        status = next_turns_start(model, engine->engine, &engine->next_turns, error);
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
    free(engine);
}

void smollm_engine_drain(struct smollm_engine *engine)
{
    engine_drain(engine->engine);
}

void smollm_engine_get_info(const struct smollm_engine *engine, struct smollm_engine_info *info)
{
    engine_get_info(engine->engine, info);
}

void smollm_engine_get_stats(const struct smollm_engine *engine, struct smollm_engine_stats *stats)
{
    engine_get_stats(engine->engine, stats);
}

void smollm_engine_get_histogram(const struct smollm_engine *engine, enum smollm_measure measure,
                                 struct smollm_histogram *histogram)
{
    *histogram = (struct smollm_histogram){0};
    if ((unsigned)measure < SMOLLM_MEASURES)
        engine_get_histogram(engine->engine, measure, histogram);
}

size_t smollm_engine_get_slots(const struct smollm_engine *engine, struct smollm_slot *slots, size_t count)
{
    return engine_get_slots(engine->engine, slots, count);
}
