#include "api/generation_request.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Numbers as JSON has them, before they go into the library's types. */
struct numbers {
    double temperature, top_p, min_p, repeat_penalty, presence_penalty, frequency_penalty;
    int64_t top_k, repeat_last_n, seed, max_tokens, max_completion_tokens, n_predict, n, top_logprobs, n_probs, best_of,
        priority, deadline_ms, reasoning_budget;
    bool stream, echo, ignore_eos, return_progress, return_tokens, parallel_tool_calls;
};

enum { CHAT = 1 << GENERATION_CHAT, TEXT = 1 << GENERATION_COMPLETIONS, NATIVE = 1 << GENERATION_NATIVE };
enum { ALL = CHAT | TEXT | NATIVE };

#define NUMBER(name, member, min, max)                                                                                 \
    {                                                                                                                  \
        name, FIELD_NUMBER, min, max, offsetof(struct numbers, member)                                                 \
    }
#define INTEGER(name, member, min, max)                                                                                \
    {                                                                                                                  \
        name, FIELD_INTEGER, min, max, offsetof(struct numbers, member)                                                \
    }
#define TRUTH(name, member)                                                                                            \
    {                                                                                                                  \
        name, FIELD_TRUTH, 0, 0, offsetof(struct numbers, member)                                                      \
    }
#define SEED_MIN (-0x1p63)
#define SEED_MAX 0x1p63 /* the table's double for the largest int64_t */

/* The ranges of sampling are the library's; 0 is for fields that have their own. */
enum {
    OWN_RANGE,
#define SAMPLING_INDEX(member, min, max) SAMPLING_##member,
    SMOLLM_SAMPLING_RANGES(SAMPLING_INDEX)
#undef SAMPLING_INDEX
};
static const struct {
    double min, max;
} sampling_ranges[] = {{0, 0},
#define SAMPLING_RANGE(member, min, max) {min, max},
                       SMOLLM_SAMPLING_RANGES(SAMPLING_RANGE)
#undef SAMPLING_RANGE
};

/* Every field that is a number or a truth value, its range, and the kinds of request that have it. If two names mean
 * the same, the later one in this table is used. */
static const struct {
    unsigned kinds;
    struct json_field field;
    int range; /* SAMPLING_… or OWN_RANGE */
} numbers_table[] = {
    {ALL, NUMBER("temperature", temperature, 0, 0), SAMPLING_temperature},
    {ALL, NUMBER("top_p", top_p, 0, 0), SAMPLING_top_p},
    {ALL, NUMBER("min_p", min_p, 0, 0), SAMPLING_min_p},
    {ALL, INTEGER("top_k", top_k, 0, 0), SAMPLING_top_k},
    {ALL, NUMBER("repetition_penalty", repeat_penalty, 0, 0), SAMPLING_repetition_penalty},
    {ALL, NUMBER("repeat_penalty", repeat_penalty, 0, 0), SAMPLING_repetition_penalty},
    {ALL, INTEGER("repeat_last_n", repeat_last_n, 0, 0), SAMPLING_repetition_window},
    {ALL, NUMBER("presence_penalty", presence_penalty, 0, 0), SAMPLING_presence_penalty},
    {ALL, NUMBER("frequency_penalty", frequency_penalty, 0, 0), SAMPLING_frequency_penalty},
    {ALL, INTEGER("seed", seed, SEED_MIN, SEED_MAX), OWN_RANGE},
    {ALL, TRUTH("stream", stream), OWN_RANGE},
    {ALL, TRUTH("ignore_eos", ignore_eos), OWN_RANGE},
    {ALL, TRUTH("return_progress", return_progress), OWN_RANGE},
    {ALL, INTEGER("priority", priority, -1000, 1000), OWN_RANGE},
    {ALL, INTEGER("deadline_ms", deadline_ms, 0, 86400000), OWN_RANGE},
    {CHAT | TEXT, INTEGER("max_tokens", max_tokens, -1, 1 << 24), OWN_RANGE},
    {CHAT, INTEGER("max_completion_tokens", max_completion_tokens, -1, 1 << 24), OWN_RANGE},
    {NATIVE, INTEGER("max_tokens", n_predict, -1, 1 << 24), OWN_RANGE},
    {NATIVE, INTEGER("n_predict", n_predict, -1, 1 << 24), OWN_RANGE},
    {CHAT | TEXT, INTEGER("n", n, 1, GENERATION_ANSWERS_MAX), OWN_RANGE},
    {CHAT, INTEGER("top_logprobs", top_logprobs, 0, LOGPROBS_MAX), OWN_RANGE},
    {TEXT, INTEGER("logprobs", n_probs, 0, LOGPROBS_MAX), OWN_RANGE},
    {TEXT, INTEGER("best_of", best_of, 1, GENERATION_ANSWERS_MAX), OWN_RANGE},
    {TEXT, TRUTH("echo", echo), OWN_RANGE},
    {NATIVE, INTEGER("n_probs", n_probs, 0, LOGPROBS_MAX), OWN_RANGE},
    {NATIVE, TRUTH("return_tokens", return_tokens), OWN_RANGE},
    {CHAT, INTEGER("thinking_budget", reasoning_budget, -1, 1 << 24), OWN_RANGE},
    {CHAT, INTEGER("reasoning_budget", reasoning_budget, -1, 1 << 24), OWN_RANGE},
    {CHAT, TRUTH("parallel_tool_calls", parallel_tool_calls), OWN_RANGE},
};

static int read_numbers(unsigned kind, const json_t *json, struct numbers *numbers, struct api_error *error)
{
    for (size_t i = 0; i < sizeof numbers_table / sizeof *numbers_table; i++) {
        struct json_field field = numbers_table[i].field;
        const int range = numbers_table[i].range;
        if (range != OWN_RANGE) {
            field.min = sampling_ranges[range].min;
            field.max = sampling_ranges[range].max;
        }
        if ((numbers_table[i].kinds & kind) && json_input_fields(json, &field, 1, numbers, error) < 0)
            return -1;
    }
    return 0;
}

/* ---- Fields that are refused ---- */

static int refuse_completion_fields(const json_t *json, const struct numbers *numbers, struct api_error *error)
{
    struct smollm_text suffix;
    if (json_input_text(json, "suffix", &suffix, error) < 0)
        return -1;
    if (suffix.size > 0)
        return api_refuse(error, "suffix", "suffix is not supported: text is only continued at its end");
    if (numbers->best_of > 0 && numbers->best_of != numbers->n)
        return api_refuse(error, "best_of", "best_of is %d and n is %d; only equal values are supported",
                          (int)numbers->best_of, (int)numbers->n);
    if (numbers->echo && numbers->n_probs >= 0)
        return api_refuse(error, "echo", "echo with logprobs is not supported: prompts get no log-probabilities");
    return 0;
}

/* ---- Stop strings, biases, log-probabilities ---- */

static int read_stop(const json_t *value, const char *param, struct generation_request *request,
                     struct api_error *error)
{
    if (!json_input_is_string(value))
        return api_refuse(error, param, "%s is %s; it must be a string", param, json_input_kind(value));
    struct smollm_text stop = json_input_string(value);
    if (stop.size > STOP_BYTES_MAX_API)
        return api_refuse(error, param, "%s has %zu bytes; up to %d are allowed", param, stop.size, STOP_BYTES_MAX_API);
    /* Clients send an empty string for "no stop string". */
    if (stop.size > 0)
        request->stops[request->stop_count++] = stop;
    return 0;
}

static int read_stops(const json_t *json, struct generation_request *request, struct api_error *error)
{
    const json_t *value = json_input_value(json, "stop");
    if (!value)
        return 0;
    if (!json_is_array(value))
        return read_stop(value, "stop", request, error);
    if (json_array_size(value) > STOPS_MAX)
        return api_refuse(error, "stop", "stop has %zu strings; up to %d are allowed", json_array_size(value),
                          STOPS_MAX);
    for (size_t i = 0; i < json_array_size(value); i++) {
        char param[32];
        snprintf(param, sizeof param, "stop[%zu]", i);
        const json_t *entry = json_array_get(value, i);
        if (!json_is_null(entry) && read_stop(entry, param, request, error) < 0)
            return -1;
    }
    return 0;
}

/* Biases while they are read: {"15043": 1.5}, [[15043, 1.5], [15043, false]], or text in place of an id, which stands
 * for each of its tokens. */
struct bias_list {
    struct generation_request *request;
    const struct smollm_model *model;
    uint32_t vocabulary;
    struct smollm_logit_bias *biases; /* [LOGIT_BIASES_MAX] */
    size_t count;
};

static int read_bias_value(const json_t *value, float *bias, struct api_error *error)
{
    const double number = json_number_value(value);
    *bias = -INFINITY;
    if (json_is_false(value))
        return 0;
    if (!json_is_number(value) || !(number >= -1000 && number <= 1000))
        return api_refuse(error, "logit_bias",
                          "a value in logit_bias is %s; it must be a number from -1000 to 1000, or false",
                          json_is_number(value) ? "out of range" : json_input_kind(value));
    *bias = (float)number;
    return 0;
}

static int add_bias(struct bias_list *list, int64_t token, float bias, struct api_error *error)
{
    if (token < 0 || token >= list->vocabulary)
        return api_refuse(error, "logit_bias", "logit_bias names token %lld; it must be from 0 to %u", (long long)token,
                          list->vocabulary - 1);
    if (list->count == LOGIT_BIASES_MAX)
        return api_refuse(error, "logit_bias", "logit_bias has more than %d tokens", LOGIT_BIASES_MAX);
    list->biases[list->count++] = (struct smollm_logit_bias){(int32_t)token, bias};
    return 0;
}

static int add_bias_of_text(struct bias_list *list, struct smollm_text text, float bias, struct api_error *error)
{
    struct smollm_error cause;
    int32_t *tokens;
    size_t count;
    if (smollm_tokenize(list->model, text, NULL, &tokens, &count, &cause) < 0) {
        api_error_from(error, &cause);
        return -1;
    }
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++)
        status = add_bias(list, tokens[i], bias, error);
    smollm_free(tokens);
    return status;
}

static int add_bias_of_key(struct bias_list *list, const char *key, float bias, struct api_error *error)
{
    char *end;
    const long long token = strtoll(key, &end, 10);
    return end > key && !*end ? add_bias(list, token, bias, error) : add_bias_of_text(list, text_of(key), bias, error);
}

static int read_bias_entry(struct bias_list *list, const json_t *entry, struct api_error *error)
{
    const json_t *token = json_array_get(entry, 0);
    float bias;
    if (json_array_size(entry) != 2 || (!json_is_integer(token) && !json_input_is_string(token)))
        return api_refuse(error, "logit_bias", "an entry of logit_bias must be [token id or text, bias]");
    if (read_bias_value(json_array_get(entry, 1), &bias, error) < 0)
        return -1;
    return json_is_integer(token) ? add_bias(list, json_integer_value(token), bias, error)
                                  : add_bias_of_text(list, json_input_string(token), bias, error);
}

static int read_biases(const struct smollm_model *model, const json_t *json, struct generation_request *request,
                       uint32_t vocabulary, struct api_error *error)
{
    json_t *value = json_input_value(json, "logit_bias"), *entry;
    if (!value)
        return 0;
    if (!json_is_object(value) && !json_is_array(value))
        return api_refuse(error, "logit_bias", "logit_bias is %s; it must be an object or an array",
                          json_input_kind(value));
    struct bias_list list = {.request = request, .model = model, .vocabulary = vocabulary};
    list.biases = arena_array(&request->arena, LOGIT_BIASES_MAX, sizeof *list.biases);
    if (!list.biases) {
        api_error_make(error, 503, "out_of_memory", "out of memory for the request");
        return -1;
    }
    const char *key;
    size_t i;
    float bias;
    json_object_foreach(value, key, entry) if (read_bias_value(entry, &bias, error) < 0 ||
                                               add_bias_of_key(&list, key, bias, error) < 0) return -1;
    json_array_foreach(value, i, entry) if (read_bias_entry(&list, entry, error) < 0) return -1;
    request->sampling.logit_bias = list.biases;
    request->sampling.logit_bias_count = list.count;
    return 0;
}

/* Chat has a boolean and a number; the others only a number. */
static int read_logprobs(const json_t *json, const struct numbers *numbers, struct generation_request *request,
                         struct api_error *error)
{
    request->logprobs = numbers->n_probs;
    if (request->kind == GENERATION_NATIVE && numbers->n_probs == 0)
        request->logprobs = -1;
    if (request->kind != GENERATION_CHAT)
        return 0;
    const json_t *value = json_input_value(json, "logprobs");
    if (value && !json_is_boolean(value))
        return api_refuse(error, "logprobs", "logprobs is %s; it must be true or false", json_input_kind(value));
    bool wanted = value && json_is_true(value);
    if (numbers->top_logprobs > 0 && !wanted)
        return api_refuse(error, "top_logprobs", "top_logprobs needs logprobs to be true");
    request->logprobs = !wanted ? -1 : numbers->top_logprobs > 0 ? numbers->top_logprobs : 0;
    return 0;
}

static int read_stream_options(const json_t *json, struct generation_request *request, struct api_error *error)
{
    static const struct json_field field = {"include_usage", FIELD_TRUTH, 0, 0,
                                            offsetof(struct generation_request, include_usage)};
    const json_t *options = json_input_value(json, "stream_options");
    if (!options)
        return 0;
    if (!json_is_object(options))
        return api_refuse(error, "stream_options", "stream_options is %s; it must be an object",
                          json_input_kind(options));
    if (json_input_fields(options, &field, 1, request, error) == 0)
        return 0;
    snprintf(error->param, sizeof error->param, "stream_options.include_usage");
    return -1;
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)(uintptr_t)&seed;
    return seed >> 11;
}

static void take_numbers(const struct api_options *defaults, const struct numbers *n,
                         struct generation_request *request)
{
    struct smollm_sampling *s = &request->sampling;
    s->temperature = (float)n->temperature;
    s->top_p = (float)n->top_p;
    s->min_p = (float)n->min_p;
    s->top_k = n->top_k < 0 ? 0 : (int32_t)n->top_k;
    s->repetition_penalty = (float)n->repeat_penalty;
    s->repetition_window = (int32_t)n->repeat_last_n;
    s->presence_penalty = (float)n->presence_penalty;
    s->frequency_penalty = (float)n->frequency_penalty;
    /* Any other negative number is a seed too: its 64 bits. */
    if (n->seed != -1)
        s->seed = (uint64_t)n->seed;
    else if (!defaults->has_seed)
        s->seed = random_seed();
    request->is_stream = n->stream;
    request->ignore_eos = n->ignore_eos;
    request->return_progress = n->return_progress;
    request->priority = n->priority;
    request->deadline_ms = n->deadline_ms;
    request->return_tokens = n->return_tokens;
    request->echo = n->echo;
    request->answers = n->n;
    request->one_tool_call = !n->parallel_tool_calls;
}

static void take_max_tokens(const struct numbers *n, struct generation_request *request)
{
    enum { UNSET = -2 };
    const int64_t value = request->kind == GENERATION_NATIVE  ? n->n_predict
                          : n->max_completion_tokens != UNSET ? n->max_completion_tokens
                                                              : n->max_tokens;
    if (value != UNSET)
        request->max_tokens = value;
}

int generation_request_read(const struct api_options *defaults, const struct smollm_model *model,
                            enum generation_kind kind, const json_t *json, struct generation_request *request,
                            struct api_error *error)
{
    const struct smollm_sampling *d = &defaults->sampling;
    struct smollm_model_info info;
    smollm_model_get_info(model, &info);
    *request =
        (struct generation_request){.kind = kind, .json = json, .sampling = *d, .max_tokens = defaults->max_tokens};
    struct numbers numbers = {.temperature = (double)d->temperature,
                              .top_p = (double)d->top_p,
                              .min_p = (double)d->min_p,
                              .top_k = d->top_k,
                              .repeat_penalty = (double)d->repetition_penalty,
                              .repeat_last_n = d->repetition_window,
                              .presence_penalty = (double)d->presence_penalty,
                              .frequency_penalty = (double)d->frequency_penalty,
                              .seed = -1,
                              .max_tokens = -2,
                              .max_completion_tokens = -2,
                              .n_predict = -2,
                              .n = 1,
                              .top_logprobs = -1,
                              .n_probs = -1,
                              .reasoning_budget = -1,
                              .parallel_tool_calls = true};
    struct smollm_text ignored;
    if (json_input_text(json, "model", &ignored, error) < 0 || read_numbers(1u << kind, json, &numbers, error) < 0 ||
        generation_read_form(json, request, error) < 0 ||
        generation_read_token_fields(json, info.vocabulary_size, request, error) < 0)
        return -1;
    take_numbers(defaults, &numbers, request);
    take_max_tokens(&numbers, request);
    if (read_stops(json, request, error) < 0 || read_biases(model, json, request, info.vocabulary_size, error) < 0 ||
        read_logprobs(json, &numbers, request, error) < 0 || read_stream_options(json, request, error) < 0)
        return -1;
    if (kind == GENERATION_COMPLETIONS && refuse_completion_fields(json, &numbers, error) < 0)
        return -1;
    if (kind == GENERATION_CHAT) {
        int status = generation_read_conversation(model, json, &request->arena, &request->conversation, error);
        request->conversation.one_tool_call = request->one_tool_call;
        if (numbers.reasoning_budget == 0)
            request->conversation.thinking = SMOLLM_THINKING_OFF;
        request->max_thinking_tokens = numbers.reasoning_budget > 0 ? numbers.reasoning_budget : 0;
        return status;
    }
    return generation_read_prompts(model, json, request, error);
}
