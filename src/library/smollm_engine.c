/* smollm_engine_*: defaults, and what the engine says of itself. */
#include "base/error.h"
#include "base/thread_pool.h"
#include "library/handles.h"
#include "model/forward.h"

#include <stdlib.h>

int smollm_engine_start(struct smollm_model *model, const struct smollm_engine_options *options,
                        struct smollm_engine **result, struct smollm_error *error)
{
    *result = NULL;
    const struct smollm_engine_options none = {0};
    options = options ? options : &none;
    uint32_t most = model->weights.config.context;
    struct engine_options wanted = {.context = options->context ? options->context
                                               : most < 8192    ? most
                                                                : 8192,
                                    .parallel = options->parallel ? options->parallel : 4,
                                    .queue = options->queue ? options->queue : 64,
                                    .threads = options->threads ? options->threads : processors_available(),
                                    .batch = options->batch ? options->batch : 256,
                                    .tier = model->tier,
                                    .speculates = !options->no_speculation};
    int status = kv_type_parse(options->cache_type, &wanted.cache_type, error);
    if (status == 0)
        status = precise_parse(options->precise, &model->weights, &wanted.planes, error);
    if (status < 0)
        return status;
    struct smollm_engine *engine = calloc(1, sizeof *engine);
    RETURN_ERROR_IF(!engine, error, SMOLLM_ENOMEM, "out of memory");
    engine->model = model;
    status = engine_create(&model->weights, &wanted, &engine->engine, error);
    if (status < 0) {
        free(engine);
        return status;
    }
    *result = engine;
    return 0;
}

void smollm_engine_close(struct smollm_engine *engine)
{
    if (!engine)
        return;
    engine_destroy(engine->engine);
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

size_t smollm_engine_get_slots(const struct smollm_engine *engine, struct smollm_slot *slots, size_t count)
{
    return engine_get_slots(engine->engine, slots, count);
}
