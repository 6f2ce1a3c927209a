#include "cli/opening.h"

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/model_path.h"
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct watching {
    struct progress progress;
    const struct opening_watch *watch;
};

static bool show_progress(void *user, double fraction)
{
    struct watching *watching = user;
    progress_update(&watching->progress, (uint64_t)(fraction * 1000.0), 1000);
    return watching->watch ? watching->watch->progress(watching->watch->user, fraction) : !interrupt_pending();
}

/* What a user can change, which the library does not know. */
static void add_hint(int status, bool is_server, struct smollm_error *error)
{
    if (status == SMOLLM_ENOMEM && is_server)
        error_append(error, " (use a smaller --ctx-size, --parallel or --kv-memory, or --cache-type q8_0)");
    else if (status == SMOLLM_ENOMEM)
        error_append(error, " (use a smaller --ctx-size, or --cache-type q8_0)");
    else if (status == SMOLLM_EINVAL)
        error_append(error, " (--ctx-size sets the context; --rope-scaling yarn extends it for a model made for that)");
}

/* 3 MB: of a pass over a long prompt, and of some hundred pages that make room for it, there are fewer. */
enum { CACHE_EVENTS = 16384 };

static struct smollm_engine_options engine_options_of(const struct options *options, uint32_t parallel, bool has_turns)
{
    return (struct smollm_engine_options){.size = sizeof(struct smollm_engine_options),
                                          .context = options->ctx_size,
                                          .parallel = parallel,
                                          .threads = options->threads,
                                          .batch = options->ubatch_size,
                                          .cache_type = options->cache_type,
                                          .precise = options->precise,
                                          .no_speculation = strcmp(options->spec, "off") == 0,
                                          .no_read_ahead = !has_turns,
                                          .cache_events = options->kv_events ? CACHE_EVENTS : 0,
                                          .kv_bytes = (uint64_t)options->kv_memory};
}

int open_model(const struct options *options, const char *argument, uint32_t parallel,
               const struct opening_watch *watch, struct smollm_model **model, struct smollm_error *error)
{
    char *path;
    int status = model_path_find(argument ? argument : options->model, &path, error);
    if (status < 0)
        return status;
    struct watching watching = {.watch = watch};
    progress_begin(&watching.progress, "loading");
    struct smollm_model_options wanted = {.size = sizeof(struct smollm_model_options),
                                          .cpu = options->cpu,
                                          .chat_format = options->chat_format,
                                          .threads = options->threads,
                                          .rope_scaling = options->rope_scaling,
                                          .rope_scale = options->rope_scale,
                                          .yarn_original_context = options->yarn_orig_ctx,
                                          .progress = show_progress,
                                          .progress_user = &watching};
    const struct smollm_engine_options engine = engine_options_of(options, parallel, true);
    struct smollm_memory memory;
    status = smollm_measure(path, &wanted, &engine, &memory, error);
    if (status < 0) {
        add_hint(status, parallel > 1, error);
        free(path);
        return status;
    }
    /* A second Ctrl-C ends the program even if the disk does not respond. */
    const enum interrupt_mode before = watch ? INTERRUPT_ASKS : interrupt_set(INTERRUPT_ASKS_ONCE);
    status = smollm_model_open(path, &wanted, model, error);
    progress_end(&watching.progress);
    free(path);
    if (watch)
        return status;
    if (status == 0 && interrupt_pending())
        status = error_set(error, SMOLLM_ECANCELED, "interrupted while loading");
    if (status != SMOLLM_ECANCELED)
        interrupt_set(before);
    return status;
}

int start_engine(const struct options *options, uint32_t parallel, bool has_turns, struct smollm_model *model,
                 struct smollm_engine **engine, struct smollm_error *error)
{
    const struct smollm_engine_options wanted = engine_options_of(options, parallel, has_turns);
    const int status = smollm_engine_start(model, &wanted, engine, error);
    add_hint(status, parallel > 1, error);
    return status;
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
    /* Small enough to be exact in JSON. */
    if (options->seed == -1 && getrandom(&sampling.seed, sizeof sampling.seed, 0) == sizeof sampling.seed)
        sampling.seed >>= 11;
    return sampling;
}
