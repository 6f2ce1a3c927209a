/* /metrics: what the engine counts and measures, in Prometheus' text format 0.0.4. Reads atomics and constants only:
 * never waits, however long the pass that the engine is in. */
#include "api/llama_server/llama_server.h"

#include <inttypes.h>
#include <stdio.h>

static void begin_metric(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_metric(struct buffer *out, const char *name, const char *type, const char *help, double value)
{
    begin_metric(out, name, type, help);
    buffer_printf(out, "%s %.15g\n", name, value);
}

/* The count is the sum of the buckets, so that both agree while other values are recorded. */
static void write_histogram(struct buffer *out, const char *name, const char *help, const struct smollm_histogram *h)
{
    uint64_t count = 0;
    begin_metric(out, name, "histogram", help);
    for (size_t i = 0; i < h->bound_count; i++) {
        count += h->counts[i];
        buffer_printf(out, "%s_bucket{le=\"%.10g\"} %" PRIu64 "\n", name, h->bounds[i], count);
    }
    count += h->counts[h->bound_count];
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.15g\n%s_count %" PRIu64 "\n", name, count, name,
                  h->sum, name, count);
}

static void write_histograms(const struct api *api, struct buffer *out)
{
    static const struct {
        enum smollm_measure measure;
        const char *name, *help;
    } measures[] = {
        {SMOLLM_MEASURE_FIRST_TOKEN_SECONDS, "smollm_time_to_first_token_seconds",
         "From the arrival of a request to the first token of its answer."},
        {SMOLLM_MEASURE_INTER_TOKEN_SECONDS, "smollm_inter_token_seconds",
         "Between tokens of an answer; tokens of one pass share its time."},
        {SMOLLM_MEASURE_QUEUE_SECONDS, "smollm_queue_seconds", "In the queue."},
        {SMOLLM_MEASURE_REQUEST_SECONDS, "smollm_request_seconds", "From the arrival of a request to its end."},
        {SMOLLM_MEASURE_STEP_SECONDS, "smollm_step_seconds", "One pass of the model and what follows from it."},
        {SMOLLM_MEASURE_BATCH_TOKENS, "smollm_batch_tokens", "Tokens in a pass."},
        {SMOLLM_MEASURE_CACHED_TOKENS, "smollm_cached_prompt_tokens",
         "Tokens of a prompt taken from the prefix cache."},
        {SMOLLM_MEASURE_ACCEPTED_TOKENS, "smollm_draft_accepted_tokens", "Tokens of one guess that were right."},
    };
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) {
        struct smollm_histogram histogram;
        smollm_engine_get_histogram(api->engine, measures[i].measure, &histogram);
        write_histogram(out, measures[i].name, measures[i].help, &histogram);
    }
}

static void write_requests(const struct api *api, const struct smollm_engine_stats *s, struct buffer *out)
{
    write_metric(out, "smollm_requests_running", "gauge", "Conversations being read or answered.", s->requests_running);
    write_metric(out, "smollm_requests_waiting", "gauge", "Requests in the queue.", s->requests_waiting);
    write_metric(out, "smollm_requests_finished_total", "counter", "Requests that have ended.",
                 (double)s->requests_finished);
    begin_metric(out, "smollm_requests_refused_total", "counter", "Requests answered with an error, by HTTP status.");
    const int *shown = refusals_shown();
    for (int status = REFUSAL_MIN; status <= REFUSAL_MAX; status++) {
        const uint64_t count = refusals_get(&api->refusals, status);
        const bool is_shown = status == *shown;
        shown += is_shown;
        if (is_shown || count > 0)
            buffer_printf(out, "smollm_requests_refused_total{status=\"%d\"} %" PRIu64 "\n", status, count);
    }
}

static void write_tokens(const struct smollm_engine_stats *s, struct buffer *out)
{
    write_metric(out, "smollm_prompt_tokens_total", "counter", "Tokens of prompts read.", (double)s->prompt_tokens);
    write_metric(out, "smollm_cached_tokens_total", "counter", "Of these, tokens taken from the prefix cache.",
                 (double)s->cached_tokens);
    write_metric(out, "smollm_generated_tokens_total", "counter", "Tokens generated.", (double)s->generated_tokens);
    write_metric(out, "smollm_drafted_tokens_total", "counter", "Tokens guessed ahead.", (double)s->drafted_tokens);
    write_metric(out, "smollm_accepted_tokens_total", "counter", "Of these, tokens that were right.",
                 (double)s->accepted_tokens);
}

static void write_pages(const struct smollm_engine_stats *s, struct buffer *out)
{
    write_metric(out, "smollm_kv_pages", "gauge", "Pages of the KV cache.", s->kv_pages_total);
    write_metric(out, "smollm_kv_pages_used", "gauge", "Pages of the KV cache in use.", s->kv_pages_used);
    write_metric(out, "smollm_kv_pages_cached", "gauge",
                 "Pages that no conversation uses and that still hold a prompt.", s->kv_pages_cached);
    write_metric(out, "smollm_kv_pages_evicted_total", "counter",
                 "Cached pages given up because their memory was wanted.", (double)s->kv_pages_evicted);
    write_metric(out, "smollm_pauses_total", "counter", "Times that an answer was paused for others.",
                 (double)s->pauses);
    write_metric(out, "smollm_read_ahead_tokens_total", "counter",
                 "Tokens of prompts that may come next, read while nothing else was to do.",
                 (double)s->read_ahead_tokens);
}

/* A value with a label, the model's name; what Prometheus' text cannot hold is escaped. */
static void write_labeled(const struct api *api, struct buffer *out, const char *name, const char *type,
                          const char *help, double value)
{
    begin_metric(out, name, type, help);
    buffer_printf(out, "%s{model_name=\"", name);
    for (const char *c = api->names[0]; *c; c++)
        buffer_printf(out, *c == '\n' ? "\\n" : *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    buffer_printf(out, "\"} %.15g\n", value);
}

/* The names that inference gateways on Kubernetes read. */
static void write_gateway_names(const struct api *api, const struct smollm_engine_stats *s, struct buffer *out)
{
    struct smollm_engine_info info;
    smollm_engine_get_info(api->engine, &info);
    const double used = s->kv_pages_total > 0 ? (double)s->kv_pages_used / s->kv_pages_total : 0;
    write_labeled(api, out, "smollm_model_info", "gauge", "The name of the model.", 1);
    write_labeled(api, out, "vllm:prefix_cache_queries_total", "counter", "As smollm_prompt_tokens_total.",
                  (double)s->prompt_tokens);
    write_labeled(api, out, "vllm:prefix_cache_hits_total", "counter", "As smollm_cached_tokens_total.",
                  (double)s->cached_tokens);
    write_labeled(api, out, "vllm:num_requests_running", "gauge", "As smollm_requests_running.", s->requests_running);
    write_labeled(api, out, "vllm:num_requests_waiting", "gauge", "As smollm_requests_waiting.", s->requests_waiting);
    write_labeled(api, out, "vllm:kv_cache_usage_perc", "gauge", "Share of the KV cache in use, 0 to 1.", used);
    begin_metric(out, "vllm:cache_config_info", "gauge", "Positions of a page and pages of the KV cache.");
    buffer_printf(out, "vllm:cache_config_info{block_size=\"%u\",num_gpu_blocks=\"%u\"} 1\n", info.page_positions,
                  s->kv_pages_total);
}

static double sum_of(const struct api *api, enum smollm_measure measure, uint64_t *count)
{
    struct smollm_histogram h;
    smollm_engine_get_histogram(api->engine, measure, &h);
    *count = 0;
    for (size_t i = 0; i <= h.bound_count; i++)
        *count += h.counts[i];
    return h.sum;
}

/* The names that llama-server has. It counts cached tokens apart, and the first token of an answer to the prompt. */
static void write_llama_server_names(const struct api *api, const struct smollm_engine_stats *s, struct buffer *out)
{
    uint64_t count, passes, guesses;
    const double queue = sum_of(api, SMOLLM_MEASURE_QUEUE_SECONDS, &count);
    const double first = sum_of(api, SMOLLM_MEASURE_FIRST_TOKEN_SECONDS, &count);
    const double between = sum_of(api, SMOLLM_MEASURE_INTER_TOKEN_SECONDS, &count);
    const double reading = first > queue ? first - queue : 0;
    const double processed = (double)(s->prompt_tokens - s->cached_tokens), predicted = (double)s->generated_tokens;
    sum_of(api, SMOLLM_MEASURE_STEP_SECONDS, &passes);
    sum_of(api, SMOLLM_MEASURE_ACCEPTED_TOKENS, &guesses);
    const struct {
        const char *name, *type, *help;
        double value;
    } metrics[] = {
        {"prompt_tokens_total", "counter", "Tokens of prompts computed.", processed},
        {"prompt_tokens_cached_total", "counter", "Tokens of prompts taken from the cache.", (double)s->cached_tokens},
        {"prompt_seconds_total", "counter", "From the end of the queue to the first token.", reading},
        {"tokens_predicted_total", "counter", "Tokens generated.", predicted},
        {"tokens_predicted_seconds_total", "counter", "From the first token to the last.", between},
        {"n_decode_total", "counter", "Passes of the model.", (double)passes},
        {"n_tokens_max", "counter", "Most tokens of a prompt and its answer.",
         (double)atomic_load(&api->longest_tokens)},
        {"spec_decode_num_draft_tokens_total", "counter", "Tokens guessed ahead.", (double)s->drafted_tokens},
        {"spec_decode_num_accepted_tokens_total", "counter", "Of these, right ones.", (double)s->accepted_tokens},
        {"spec_decode_num_drafts_total", "counter", "Guesses.", (double)guesses},
        {"prompt_tokens_seconds", "gauge", "Tokens of prompts per second.", reading > 0 ? processed / reading : 0},
        {"predicted_tokens_seconds", "gauge", "Tokens generated per second.", between > 0 ? predicted / between : 0},
        {"requests_processing", "gauge", "Requests in slots.", s->requests_running},
        {"requests_deferred", "gauge", "Requests in the queue.", s->requests_waiting},
        {"n_busy_slots_per_decode", "gauge", "Answers that get a token, per pass.",
         passes > 0 ? predicted / (double)passes : 0},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        char name[80];
        snprintf(name, sizeof name, "llamacpp:%s", metrics[i].name);
        write_metric(out, name, metrics[i].type, metrics[i].help, metrics[i].value);
    }
}

int llama_server_metrics(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                         struct api_error *error)
{
    (void)call, (void)json;
    struct smollm_engine_stats stats;
    if (!api->options.metrics) {
        api_error_make(error, 501, NULL, "metrics are disabled; start the server with --metrics");
        return -1;
    }
    smollm_engine_get_stats(api->engine, &stats);
    write_requests(api, &stats, out);
    write_tokens(&stats, out);
    write_pages(&stats, out);
    write_histograms(api, out);
    write_gateway_names(api, &stats, out);
    write_llama_server_names(api, &stats, out);
    return 0;
}
