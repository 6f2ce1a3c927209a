/* smollm perplexity: how well a model predicts a text, token by token. */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "kernel/arithmetic.h"
#include "model/reference.h"
#include "sampling/sampler.h"
#include "tokenizer/tokenizer_gguf.h"
#include "tools/pass.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct command_help help = {COMMAND_PERPLEXITY,
                                         "perplexity",
                                         "MODEL [FILE]",
                                         "Measure how well a model predicts a text: its perplexity.",
                                         "The whole text is one sequence. --per-token --json prints one line "
                                         "{\"position\", \"id\", \"logprob\"} for each token after the first "
                                         "(natural logarithm), then {\"perplexity\", \"tokens\"}.",
                                         1,
                                         2};

struct scoring {
    const struct options *options;
    struct kernel_table kernels;
    struct token_buffer ids;
    struct progress progress;
    double sum;
};

static void score(struct scoring *s, uint32_t position, const struct logits *logits)
{
    int32_t id = s->ids.data[position];
    double logprob = logits_logprob(logits, id, logits_log_sum(&s->kernels, logits));
    s->sum += logprob;
    if (!s->options->per_token)
        return;
    if (s->options->json)
        printf("{\"position\":%u,\"id\":%d,\"logprob\":%.9g}\n", position, id, logprob);
    else
        printf("%u\t%d\t%.6f\n", position, id, logprob);
}

static int score_reference(struct scoring *s, const struct gguf_file *file, const struct model_config *config,
                           struct smollm_error *error)
{
    struct reference *reference;
    uint32_t count = (uint32_t)s->ids.count;
    int status = reference_create(file, config, count, &reference, error);
    float *logits = array_allocate(config->vocabulary, sizeof *logits);
    float *peaks = array_allocate(peak_count(config->vocabulary), sizeof *peaks);
    if (status == 0 && (!logits || !peaks))
        status = error_set(error, SMOLLM_ENOMEM, "out of memory for logits");
    for (uint32_t i = 0; i + 1 < count && status == 0 && !output_is_lost(); i++) {
        status = reference_step(reference, s->ids.data[i], NULL, logits, error);
        if (status == 0) {
            const struct logits seen = logits_look_at(&s->kernels, logits, config->vocabulary, peaks);
            score(s, i + 1, &seen);
        }
        progress_update(&s->progress, i + 1, count);
    }
    free(logits);
    free(peaks);
    reference_destroy(reference);
    return status;
}

static int score_pass(struct scoring *s, const struct gguf_file *file, const struct model_config *config,
                      struct smollm_error *error)
{
    struct pass p = {0};
    uint32_t count = (uint32_t)s->ids.count, chunk = s->options->ubatch_size;
    int status = pass_create(&p, file, config, s->options, count, chunk, error);
    for (uint32_t first = 0; first + 1 < count && status == 0 && !output_is_lost(); first += chunk) {
        uint32_t size = count - 1 - first < chunk ? count - 1 - first : chunk;
        for (uint32_t i = 0; i < size; i++)
            p.tokens[i] = (struct batch_token){s->ids.data[first + i], first + i, p.pages, ROW_LOGITS};
        forward_run(&p.forward, p.tokens, size, (struct forward_results){.logits = p.logits, .peaks = p.peaks});
        for (uint32_t i = 0; i < size; i++) {
            const struct logits logits = {.values = p.logits + (size_t)i * config->vocabulary,
                                          .peaks = p.peaks + (size_t)i * peak_count(config->vocabulary),
                                          .count = config->vocabulary};
            score(s, first + i + 1, &logits);
        }
        progress_update(&s->progress, first + size, count);
    }
    pass_destroy(&p);
    return status;
}

static int read_ids(const char *path, struct token_buffer *ids, struct smollm_error *error)
{
    json_error_t json_error;
    json_t *array = json_load_file(path, 0, &json_error);
    RETURN_ERROR_IF(!array, error, SMOLLM_EFORMAT, "%s: %s", path, json_error.text);
    int status = json_is_array(array) ? 0 : error_set(error, SMOLLM_EFORMAT, "%s is not a JSON array", path);
    for (size_t i = 0; i < json_array_size(array) && status == 0; i++) {
        json_t *item = json_array_get(array, i);
        if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) > INT32_MAX)
            status = error_set(error, SMOLLM_EFORMAT, "%s: item %zu is not a token id", path, i);
        else
            status = token_buffer_append(ids, (int32_t)json_integer_value(item));
    }
    json_decref(array);
    return status;
}

static int read_text(const char *path, const struct gguf_file *file, struct token_buffer *ids,
                     struct smollm_error *error)
{
    struct buffer text = {0};
    struct tokenizer *tokenizer = NULL;
    int status = file_read(path, &text, error);
    if (status == 0)
        status = tokenizer_from_gguf(file, &tokenizer, error);
    if (status == 0 && tokenizer_adds_bos(tokenizer))
        status = token_buffer_append(ids, tokenizer_bos(tokenizer));
    if (status == 0)
        status = tokenizer_encode_text(tokenizer, buffer_text(&text), false, ids, error);
    tokenizer_free(tokenizer);
    buffer_free(&text);
    return status;
}

static int check_ids(const struct token_buffer *ids, const struct model_config *config, struct smollm_error *error)
{
    RETURN_ERROR_IF(ids->count < 2, error, SMOLLM_EINVAL, "the text has %zu tokens; at least 2 are needed", ids->count);
    RETURN_ERROR_IF(ids->count > config->context, error, SMOLLM_ECONTEXT,
                    "the text has %zu tokens, more than the model's context of %u", ids->count, config->context);
    for (size_t i = 0; i < ids->count; i++)
        RETURN_ERROR_IF(ids->data[i] < 0 || (uint32_t)ids->data[i] >= config->vocabulary, error, SMOLLM_EINVAL,
                        "token %d is not in the vocabulary of %u", ids->data[i], config->vocabulary);
    return 0;
}

static int run(struct scoring *s, const char *path, struct smollm_error *error)
{
    const struct options *options = s->options;
    struct gguf_file *file;
    int status = gguf_open(path, &file, error);
    if (status < 0)
        return status;
    struct model_config config;
    const struct model_config_options changes = {options->rope_scaling, options->rope_scale, options->yarn_orig_ctx};
    status = model_config_read(&config, file, &changes, error);
    if (status == 0)
        status = options->ids ? read_ids(options->ids, &s->ids, error)
                              : read_text(options->arguments[1], file, &s->ids, error);
    if (status == 0)
        status = check_ids(&s->ids, &config, error);
    progress_begin(&s->progress, "scoring");
    if (status == 0)
        status = options->reference ? score_reference(s, file, &config, error) : score_pass(s, file, &config, error);
    progress_end(&s->progress);
    gguf_close(file);
    return status;
}

int command_perplexity(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    if ((options.argument_count == 2) == (options.ids != NULL))
        return print_usage_error("perplexity", "needs a FILE or --ids FILE");
    struct smollm_error error = {0};
    char *path;
    if (model_path_find(options.arguments[0], &path, &error) < 0)
        return print_error(&error);
    struct scoring scoring = {.options = &options};
    kernel_table_fill(&scoring.kernels, cpu_detect());
    int status = run(&scoring, path, &error);
    if (status == 0) {
        size_t scored = scoring.ids.count - 1;
        double perplexity = double_exp(-scoring.sum / (double)scored);
        if (options.json)
            printf("{\"perplexity\":%.9g,\"tokens\":%zu}\n", perplexity, scored);
        else
            printf("perplexity %.4f over %zu tokens\n", perplexity, scored);
    } else {
        error_prefix(&error, "%s", path);
    }
    token_buffer_free(&scoring.ids);
    free(path);
    return status == 0 ? EXIT_DONE : print_error(&error);
}
