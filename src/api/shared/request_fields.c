#include "api/shared/request_fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOGIT_BIASES_MAX = 1024 };

/* ---- Numbers ---- */

int request_read_fields(const json_t *json, const struct request_field *fields, size_t count,
                        struct generation_request *request, struct api_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct json_field field = request_field_ranged(&fields[i]);
        if (json_input_fields(json, &field, 1, request, error) < 0)
            return -1;
    }
    return 0;
}

/* If two names mean the same, the later one in this table is used. */
static const struct request_field common_fields[] = {
    REQUEST_SAMPLING(NUMBER, "temperature", temperature),
    REQUEST_SAMPLING(NUMBER, "top_p", top_p),
    REQUEST_SAMPLING(NUMBER, "min_p", min_p),
    REQUEST_SAMPLING(INTEGER, "top_k", top_k),
    REQUEST_SAMPLING(NUMBER, "repetition_penalty", repetition_penalty),
    REQUEST_SAMPLING(NUMBER, "repeat_penalty", repetition_penalty),
    REQUEST_SAMPLING(INTEGER, "repeat_last_n", repetition_window),
    REQUEST_SAMPLING(NUMBER, "presence_penalty", presence_penalty),
    REQUEST_SAMPLING(NUMBER, "frequency_penalty", frequency_penalty),
    REQUEST_INTEGER("seed", seed, REQUEST_SEED_MIN, REQUEST_SEED_MAX),
    REQUEST_TRUTH("stream", is_stream),
    REQUEST_TRUTH("ignore_eos", ignore_eos),
    REQUEST_TRUTH("return_progress", return_progress),
    REQUEST_TRUTH("timings_per_token", timings_per_token),
    REQUEST_TRUTH("continuous_usage_stats", continuous_usage), /* for routers that drop it from stream_options */
    REQUEST_INTEGER("prompt_logprobs", prompt_logprobs, 0, LOGPROBS_MAX),
    REQUEST_INTEGER("priority", priority, -1000, 1000),
    REQUEST_INTEGER("deadline_ms", deadline_ms, 0, 86400000),
};

static const struct named_field common_names[] = {
    {"model", "string", false},
    {"stop", NULL, false},
    {"logit_bias", NULL, false},
    {"response_format", "object", false},
    {"json_schema", NULL, false},
    {"grammar", "string", false},
    {"guided_json", NULL, false},
    {"guided_regex", "string", false},
    {"guided_choice", "array", false},
    {"guided_grammar", "string", false},
    {"structured_outputs", "object", false},
    {"allowed_token_ids", "array", false},
    {"stop_token_ids", "array", false},
    {"bad_words", "array", false},
    {"min_tokens", "integer", false},
    {"continue_from", NULL, false},
};
const struct field_list request_common_fields = FIELD_LIST(common_fields, common_names);

/* ---- Stop strings, biases ---- */

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

int request_read_stops(const json_t *json, const char *name, struct generation_request *request,
                       struct api_error *error)
{
    const json_t *value = json_input_value(json, name);
    if (!value)
        return 0;
    if (!json_is_array(value))
        return read_stop(value, name, request, error);
    if (json_array_size(value) > STOPS_MAX)
        return api_refuse(error, name, "%s has %zu strings; up to %d are allowed", name, json_array_size(value),
                          STOPS_MAX);
    for (size_t i = 0; i < json_array_size(value); i++) {
        char param[48];
        snprintf(param, sizeof param, "%s[%zu]", name, i);
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
    if (smollm_tokenize(list->model, text, NULL, &tokens, &count, &cause) < 0)
        return api_refuse_from(error, &cause);
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
    if (!list.biases)
        return api_refuse_memory(error);
    const char *key;
    size_t i;
    float bias;
    json_object_foreach(value, key, entry) if (read_bias_value(entry, &bias, error) < 0 ||
                                               add_bias_of_key(&list, key, bias, error) < 0) return -1;
    json_array_foreach(value, i, entry) if (read_bias_entry(&list, entry, error) < 0) return -1;
    request->logit_bias = list.biases;
    request->logit_bias_count = list.count;
    return 0;
}

/* ---- All of them ---- */

void request_take_model(const struct api *api, struct smollm_text name, struct generation_request *request)
{
    const char *known = api_find_model(api, name);
    if (known)
        request->model = known;
}

int request_read_stream_options(const json_t *json, struct generation_request *request, struct api_error *error)
{
    static const struct json_field fields[] = {
        {"include_usage", FIELD_TRUTH, 0, 0, offsetof(struct generation_request, include_usage)},
        {"continuous_usage_stats", FIELD_TRUTH, 0, 0, offsetof(struct generation_request, continuous_usage)},
    };
    const json_t *options = json_input_value(json, "stream_options");
    if (!options)
        return 0;
    if (!json_is_object(options))
        return api_refuse(error, "stream_options", "stream_options is %s; it must be an object",
                          json_input_kind(options));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (json_input_fields(options, &fields[i], 1, request, error) < 0) {
            snprintf(error->param, sizeof error->param, "stream_options.%s", fields[i].name);
            return -1;
        }
    return 0;
}

int request_read_common(const struct api *api, const json_t *json, struct generation_request *request,
                        struct api_error *error)
{
    const uint32_t vocabulary = api->info.vocabulary_size;
    struct smollm_text model;
    if (json_input_text(json, "model", &model, error) < 0 ||
        request_read_fields(json, common_fields, sizeof common_fields / sizeof *common_fields, request, error) < 0 ||
        request_read_form(json, request, error) < 0 || request_read_token_fields(json, vocabulary, request, error) < 0)
        return -1;
    request_take_model(api, model, request);
    request->shows_prompt_logprobs = request->prompt_logprobs >= 0;
    return request_read_stops(json, "stop", request, error) < 0
               ? -1
               : read_biases(api->model, json, request, vocabulary, error);
}
