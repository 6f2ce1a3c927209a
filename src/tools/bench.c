/* smollm bench: how fast prompts are read and tokens generated, alone and together, at the beginning and deep inside a
 * conversation. */
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "cli/print.h"
#include "gguf/gguf.h"
#include "tools/bench_profile.h"
#include "tools/pass.h"

#include <stdlib.h>
#include <unistd.h>

static const struct command_help help = {COMMAND_BENCH,
                                         "bench",
                                         "[MODEL]",
                                         "Measure how fast a model reads prompts and generates tokens.",
                                         "Runs every prompt length (-p) and every number of sequences (-b) at every "
                                         "depth (-d). Prints the median of -r runs and their range; compare figures "
                                         "of one run only. --profile says where the time goes: the operations of all "
                                         "runs, beside the read bandwidth and the peaks of int8 and float arithmetic, "
                                         "measured before and after each test.",
                                         0,
                                         1};

enum {
    MAX_VALUES = 16,
    MAX_BATCH = 1024,
    WARM_UP = 512 /* tokens of a prompt at most that are read before it is timed */
};
static const double LIMIT_SECONDS = 0.05; /* for each of three */

struct plan {
    uint32_t prompts[MAX_VALUES], prompt_count;
    uint32_t lengths[MAX_VALUES], length_count;
    uint32_t batches[MAX_VALUES], batch_count;
    uint32_t depths[MAX_VALUES], depth_count;
    uint32_t repetitions;
    bool json;
    bool printed; /* a first result */
    bool profiles;
    struct limits_meter meter; /* with profiles */
    struct limits limits;      /* before the current test, then the mean of before and after */
    struct profile profile;    /* of the test under way */
};

static uint32_t largest(const uint32_t *values, uint32_t count)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

/* Keys and values of the first `pages` pages: seeded numbers of ordinary size instead of a prompt that takes minutes. A
 * few rows of them are stored over and over, shifted. */
static void fill_cache(const struct pass *pass, uint32_t pages)
{
    enum { NUMBERS = 4099 };
    static float numbers[NUMBERS + ATTENTION_MAX_HEAD_DIM];
    const struct kv_cache *cache = &pass->cache;
    for (uint32_t i = 0; i < NUMBERS + ATTENTION_MAX_HEAD_DIM; i++)
        numbers[i] = (float)(int32_t)(hash_mix(i) >> 32) * 0x1p-31f;
    uint32_t row = 0;
    for (uint32_t layer = 0; layer < cache->layers; layer++)
        for (uint32_t kv_head = 0; kv_head < cache->kv_heads; kv_head++)
            for (uint32_t page = 0; page < pages && page < cache->pages; page++)
                for (uint32_t slot = 0; slot < KV_PAGE_POSITIONS; slot++, row++) {
                    const struct kv_store_args args = {.type = cache->type,
                                                       .block = kv_cache_block(cache, layer, kv_head, page),
                                                       .slot = slot,
                                                       .head_dim = cache->head_dim,
                                                       .key = numbers + row * 131 % NUMBERS,
                                                       .value = numbers + row * 257 % NUMBERS};
                    pass->forward.kernels.kv_store(&args);
                }
}

/* Seconds for reading `tokens` tokens from position `depth` on. */
static double time_prefill(struct pass *pass, uint32_t tokens, uint32_t depth)
{
    uint32_t most = pass->forward.max_tokens, vocabulary = pass->weights.config.vocabulary;
    double begin = clock_seconds();
    for (uint32_t first = 0; first < tokens; first += most) {
        uint32_t count = tokens - first < most ? tokens - first : most;
        for (uint32_t i = 0; i < count; i++)
            pass->tokens[i] = (struct batch_token){.id = (int32_t)((first + i) * 7919 % vocabulary),
                                                   .position = depth + first + i,
                                                   .pages = pass->pages,
                                                   .output = first + i + 1 == tokens ? ROW_LOGITS : ROW_NOTHING};
        forward_run(&pass->forward, pass->tokens, count,
                    (struct forward_results){.logits = pass->logits, .peaks = pass->peaks});
    }
    return clock_seconds() - begin;
}

/* Seconds for `steps` tokens in each of `batch` sequences. Each has its own run of pages. */
static double time_decode(struct pass *pass, uint32_t batch, uint32_t steps, uint32_t depth)
{
    uint32_t pages_each = (depth + steps) / KV_PAGE_POSITIONS + 1, vocabulary = pass->weights.config.vocabulary;
    double begin = clock_seconds();
    for (uint32_t step = 0; step < steps; step++) {
        for (uint32_t i = 0; i < batch; i++)
            pass->tokens[i] = (struct batch_token){.id = (int32_t)((step * batch + i) * 7919 % vocabulary),
                                                   .position = depth + step,
                                                   .pages = pass->pages + (size_t)i * pages_each,
                                                   .output = ROW_LOGITS};
        forward_run(&pass->forward, pass->tokens, batch,
                    (struct forward_results){.logits = pass->logits, .peaks = pass->peaks});
    }
    return clock_seconds() - begin;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_result(struct plan *plan, const struct pass *pass, const char *test, uint32_t tokens, uint32_t batch,
                         uint32_t depth, double *speeds)
{
    qsort(speeds, plan->repetitions, sizeof *speeds, compare_doubles);
    double least = speeds[0], most = speeds[plan->repetitions - 1];
    double median = (speeds[(plan->repetitions - 1) / 2] + speeds[plan->repetitions / 2]) / 2;
    unsigned threads = thread_pool_size(pass->pool);
    if (plan->json) {
        printf("%s{\"test\":\"%s\",\"tokens\":%u,\"batch\":%u,\"depth\":%u,\"threads\":%u,\"tokens_per_second\":"
               "{\"median\":%.3f,\"min\":%.3f,\"max\":%.3f}",
               plan->printed ? "," : "[", test, tokens, batch, depth, threads, median, least, most);
        if (plan->profiles)
            bench_profile_print_json(&plan->profile, &plan->limits);
        printf("}");
    } else {
        if (!plan->printed || plan->profiles)
            printf("%-8s %7s %6s %7s %8s %12s %23s\n", "test", "tokens", "batch", "depth", "threads", "tokens/s",
                   "least to most");
        printf("%-8s %7u %6u %7u %8u %12.2f %11.2f %11.2f\n", test, tokens, batch, depth, threads, median, least, most);
        if (plan->profiles)
            bench_profile_print(&plan->profile, &plan->limits);
    }
    fflush(stdout);
    plan->printed = true;
}

/* Around the runs of a test, after its warm-up. */
static void begin_profile(struct plan *plan, struct pass *pass)
{
    if (!plan->profiles)
        return;
    plan->limits = limits_measure(&plan->meter, LIMIT_SECONDS);
    plan->profile = (struct profile){0};
    pass->forward.profile = &plan->profile;
}

static void end_profile(struct plan *plan, struct pass *pass)
{
    if (!plan->profiles)
        return;
    pass->forward.profile = NULL;
    const struct limits after = limits_measure(&plan->meter, LIMIT_SECONDS);
    plan->limits.bytes_per_second = (plan->limits.bytes_per_second + after.bytes_per_second) / 2;
    plan->limits.int8_macs_per_second = (plan->limits.int8_macs_per_second + after.int8_macs_per_second) / 2;
    plan->limits.tile_macs_per_second = (plan->limits.tile_macs_per_second + after.tile_macs_per_second) / 2;
    plan->limits.float_macs_per_second = (plan->limits.float_macs_per_second + after.float_macs_per_second) / 2;
}

static void run_tests(struct plan *plan, struct pass *pass, double *speeds)
{
    for (uint32_t d = 0; d < plan->depth_count && !output_is_lost(); d++) {
        uint32_t depth = plan->depths[d];
        fill_cache(pass, depth > 0 ? pass->cache.pages : 0);
        for (uint32_t p = 0; p < plan->prompt_count && !output_is_lost(); p++) {
            if (plan->prompts[p] == 0)
                continue;
            time_prefill(pass, plan->prompts[p] < WARM_UP ? plan->prompts[p] : WARM_UP, depth);
            begin_profile(plan, pass);
            for (uint32_t r = 0; r < plan->repetitions; r++)
                speeds[r] = plan->prompts[p] / time_prefill(pass, plan->prompts[p], depth);
            end_profile(plan, pass);
            print_result(plan, pass, "prefill", plan->prompts[p], 1, depth, speeds);
        }
        for (uint32_t b = 0; b < plan->batch_count && !output_is_lost(); b++)
            for (uint32_t n = 0; n < plan->length_count && !output_is_lost(); n++) {
                uint32_t batch = plan->batches[b], steps = plan->lengths[n];
                if (steps == 0)
                    continue;
                time_decode(pass, batch, steps < 4 ? steps : 4, depth);
                begin_profile(plan, pass);
                for (uint32_t r = 0; r < plan->repetitions; r++)
                    speeds[r] = (double)steps * batch / time_decode(pass, batch, steps, depth);
                end_profile(plan, pass);
                print_result(plan, pass, "decode", steps, batch, depth, speeds);
            }
    }
    if (plan->json)
        printf("%s\n", plan->printed ? "]" : "[]");
}

static int run(struct plan *plan, const struct options *options, const char *path, struct smollm_error *error)
{
    struct gguf_file *file;
    int status = gguf_open(path, &file, error);
    if (status < 0)
        return error_prefix(error, "%s", path);
    const struct model_config_options changes = {options->rope_scaling, options->rope_scale, options->yarn_orig_ctx};
    struct model_config config;
    struct pass pass = {0};
    status = model_config_read(&config, file, &changes, error);
    uint32_t batch = largest(plan->batches, plan->batch_count), steps = largest(plan->lengths, plan->length_count);
    uint32_t prompt = largest(plan->prompts, plan->prompt_count), depth = largest(plan->depths, plan->depth_count);
    uint64_t length = (uint64_t)depth + (prompt > steps ? prompt : steps);
    uint64_t positions = length + ((uint64_t)depth + steps + KV_PAGE_POSITIONS) * batch;
    struct options wanted = *options;
    wanted.ubatch_size = options->ubatch_size > batch ? options->ubatch_size : batch;
    if (status == 0 && (length > config.context || positions > UINT32_MAX))
        status = error_set(error, SMOLLM_ECONTEXT, "%llu positions are needed, but the model's context is %u",
                           (unsigned long long)length, config.context);
    if (status == 0)
        status = pass_create(&pass, file, &config, &wanted, (uint32_t)positions, batch, error);
    if (status < 0)
        error_prefix(error, "%s", path);
    gguf_close(file);
    double *speeds = calloc(plan->repetitions, sizeof *speeds);
    if (status == 0 && !speeds)
        status = error_set(error, SMOLLM_ENOMEM, "out of memory");
    if (status == 0 && plan->profiles)
        status = limits_meter_create(&plan->meter, pass.pool, limits_default_bytes(), error);
    if (status == 0)
        run_tests(plan, &pass, speeds);
    free(speeds);
    limits_meter_destroy(&plan->meter);
    pass_destroy(&pass);
    return status;
}

int command_bench(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    struct plan plan = {.repetitions = options.repetitions, .json = options.json, .profiles = options.profile};
    plan.prompt_count = options_list(&help, "p", options.n_prompt, 0, 1 << 24, plan.prompts, MAX_VALUES);
    if (plan.prompt_count > 0)
        plan.length_count = options_list(&help, "n", options.n_gen, 0, 1 << 24, plan.lengths, MAX_VALUES);
    if (plan.length_count > 0)
        plan.batch_count = options_list(&help, "b", options.n_batch, 1, MAX_BATCH, plan.batches, MAX_VALUES);
    if (plan.batch_count > 0)
        plan.depth_count = options_list(&help, "d", options.n_depth, 0, 1 << 24, plan.depths, MAX_VALUES);
    if (plan.depth_count == 0)
        return EXIT_USAGE;
    struct smollm_error error = {0};
    char *path;
    if (model_path_find(options.argument_count > 0 ? options.arguments[0] : options.model, &path, &error) < 0)
        return print_error(&error);
    int status = run(&plan, &options, path, &error);
    free(path);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
