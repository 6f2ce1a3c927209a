#include "cli/opening.h"

#include "cli/model_path.h"
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void show_progress(void *user, double fraction)
{
    progress_update(user, (uint64_t)(fraction * 1000.0), 1000);
}

int open_model(const struct options *options, const char *argument, struct smollm_model **model,
               struct smollm_error *error)
{
    char *path;
    int status = model_path_find(argument ? argument : options->model, &path, error);
    if (status < 0)
        return status;
    struct progress progress;
    progress_begin(&progress, "loading");
    struct smollm_model_options wanted = {.size = sizeof(struct smollm_model_options),
                                          .cpu = options->cpu,
                                          .chat_format = options->chat_format,
                                          .threads = options->threads,
                                          .rope_scaling = options->rope_scaling,
                                          .rope_scale = options->rope_scale,
                                          .yarn_original_context = options->yarn_orig_ctx,
                                          .progress = show_progress,
                                          .progress_user = &progress};
    status = smollm_model_open(path, &wanted, model, error);
    progress_end(&progress);
    free(path);
    return status;
}

int start_engine(const struct options *options, uint32_t parallel, bool has_turns, struct smollm_model *model,
                 struct smollm_engine **engine, struct smollm_error *error)
{
    struct smollm_engine_options wanted = {.size = sizeof(struct smollm_engine_options),
                                           .context = options->ctx_size,
                                           .parallel = parallel,
                                           .threads = options->threads,
                                           .batch = options->ubatch_size,
                                           .cache_type = options->cache_type,
                                           .precise = options->precise,
                                           .no_speculation = strcmp(options->spec, "off") == 0,
                                           .no_read_ahead = !has_turns,
                                           .kv_bytes = (uint64_t)options->kv_memory};
    return smollm_engine_start(model, &wanted, engine, error);
}

struct smollm_sampling sampling_of(const struct options *options)
{
    struct smollm_sampling sampling = smollm_sampling_default();
    sampling.temperature = options->temp;
    sampling.top_k = options->top_k;
    sampling.top_p = options->top_p;
    sampling.min_p = options->min_p;
    sampling.repetition_penalty = options->repeat_penalty;
    sampling.repetition_window = options->repeat_last_n;
    sampling.presence_penalty = options->presence_penalty;
    sampling.frequency_penalty = options->frequency_penalty;
    sampling.seed = (uint64_t)options->seed;
    /* Small enough to be written down exactly in JSON. */
    if (options->seed < 0 && getrandom(&sampling.seed, sizeof sampling.seed, 0) == sizeof sampling.seed)
        sampling.seed >>= 11;
    return sampling;
}
