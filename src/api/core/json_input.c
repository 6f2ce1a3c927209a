#include "api/core/json_input.h"

#include "api/core/json_prepare.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Counts brackets and commas outside strings, so that the parser never builds more than the limits allow. The parser
 * finds invalid JSON. */
static int check_size(struct smollm_text body, struct api_error *error)
{
    size_t depth = 0, nests = 0, values = 0;
    bool in_string = false;
    for (size_t i = 0; i < body.size; i++) {
        char c = body.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            nests++;
            if (++depth > JSON_DEPTH_MAX)
                return api_refuse(error, NULL, "the body is JSON nested deeper than %d levels", JSON_DEPTH_MAX);
        } else if (c == ']' || c == '}') {
            depth -= depth > 0;
        } else if (c == ',') {
            values++;
        }
        if (nests > JSON_NESTS_MAX || values > JSON_VALUES_MAX)
            return api_refuse(error, NULL, "the body has more than %d JSON values or %d arrays and objects",
                              JSON_VALUES_MAX, JSON_NESTS_MAX);
    }
    return 0;
}

/* The fields of bodies and messages that the API reads: a duplicate of one is refused. */
static bool is_read(struct smollm_text name)
{
    static const char *const names[] = {
        "messages",
        "conversation_ids",
        "role",
        "content",
        "tool_calls",
        "tool_call_id",
        "reasoning_content",
        "reasoning",
        "thinking",
        "name",
        "prompt",
        "model",
        "stop",
        "tools",
        "tool_choice",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "stream",
        "stream_options",
        "seed",
        "n",
        "max_tokens",
        "max_completion_tokens",
        "n_predict",
        "n_probs",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repeat_penalty",
        "repetition_penalty",
        "repeat_last_n",
        "presence_penalty",
        "frequency_penalty",
        "best_of",
        "priority",
        "deadline_ms",
        "echo",
        "ignore_eos",
        "return_progress",
        "return_tokens",
        "continue_from",
        "continuous_usage_stats",
        "verbose",
        "post_sampling_probs",
        "parallel_tool_calls",
        "chat_template_kwargs",
        "reasoning_effort",
        "continue_final_message",
        "response_format",
        "suffix",
        "tokens",
        "add_special",
        "parse_special",
        "with_pieces",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_is(name, names[i]))
            return true;
    return false;
}

int json_input_parse(struct smollm_text body, json_t **object, struct api_error *error)
{
    *object = NULL;
    struct buffer copy = {0};
    struct smollm_text text;
    json_t *parsed = NULL;
    json_error_t cause;
    int status = check_size(body, error);
    if (status == 0)
        status = json_prepare(body, is_read, &copy, &text, error);
    if (status == 0) {
        parsed = json_loadb(text.data ? text.data : "", text.size, JSON_ALLOW_NUL, &cause);
        if (!parsed && json_error_code(&cause) == json_error_out_of_memory) {
            api_error_make(error, 503, "out_of_memory", "out of memory for the request");
            status = -1;
        } else if (!parsed) {
            api_refuse(error, NULL, "the body is not valid JSON: line %d, column %d: %s", cause.line, cause.column,
                       cause.text);
            status = -1;
        }
    }
    buffer_free(&copy);
    if (status == 0 && !json_is_object(parsed))
        status = api_refuse(error, NULL, "the body is %s; it must be a JSON object", json_input_kind(parsed));
    if (status < 0)
        json_decref(parsed);
    else
        *object = parsed;
    return status;
}

static bool is_marked(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) > sizeof NUMBER_MARK - 1 &&
           memcmp(json_string_value(value), NUMBER_MARK, sizeof NUMBER_MARK - 1) == 0;
}

bool json_input_is_string(const json_t *value)
{
    return json_is_string(value) && !is_marked(value);
}

static char *dump(const json_t *value, size_t flags, size_t *size)
{
    *size = json_dumpb(value, NULL, 0, flags);
    char *text = *size > 0 ? malloc(*size + 1) : NULL;
    if (!text || json_dumpb(value, text, *size, flags) != *size) {
        free(text);
        return NULL;
    }
    *size = json_restore_numbers(text, *size);
    text[*size] = '\0';
    return text;
}

char *json_input_dump(const json_t *value, size_t *size)
{
    return dump(value, JSON_COMPACT | JSON_ENCODE_ANY, size);
}

char *json_input_dump_spaced(const json_t *value, size_t *size)
{
    return dump(value, JSON_ENCODE_ANY, size);
}

const char *json_input_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return is_marked(value) ? "a number beyond all ranges" : "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "a truth value";
    }
}

json_t *json_input_value(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return value && !json_is_null(value) ? value : NULL;
}

struct smollm_text json_input_string(const json_t *string)
{
    return (struct smollm_text){json_string_value(string), json_string_length(string)};
}

int json_input_text(const json_t *object, const char *key, struct smollm_text *text, struct api_error *error)
{
    const json_t *value = json_input_value(object, key);
    *text = (struct smollm_text){0};
    if (!value)
        return 0;
    if (!json_input_is_string(value))
        return api_refuse(error, key, "%s is %s; it must be a string", key, json_input_kind(value));
    *text = json_input_string(value);
    return 0;
}

/* From 2^53 on every double is. */
static bool is_whole(double number)
{
    return !(number > -0x1p53 && number < 0x1p53) || number == (double)(int64_t)number;
}

/* Integers beyond 2^53 go through double here only to be compared with a range; their value is taken exactly. */
static int check_range(const json_t *value, const char *param, bool whole, double min, double max,
                       struct api_error *error)
{
    double number = json_number_value(value);
    const char *kind = whole ? "a whole number" : "a number";
    if (is_marked(value))
        return api_refuse(error, param, "%s is %.40s; it must be %s from %.10g to %.10g", param,
                          json_string_value(value) + sizeof NUMBER_MARK - 1, kind, min, max);
    if (!json_is_number(value))
        return api_refuse(error, param, "%s is %s; it must be %s from %.10g to %.10g", param, json_input_kind(value),
                          kind, min, max);
    if (!(number >= min && number <= max) || (whole && !is_whole(number)))
        return api_refuse(error, param, "%s is %.10g; it must be %s from %.10g to %.10g", param, number, kind, min,
                          max);
    return 0;
}

int json_input_integer(const json_t *value, const char *param, int64_t min, int64_t max, int64_t *result,
                       struct api_error *error)
{
    if (check_range(value, param, true, (double)min, (double)max, error) < 0)
        return -1;
    if (json_is_integer(value)) {
        *result = json_integer_value(value);
    } else {
        /* The upper end of int64_t is no double: what rounds up to it would overflow. */
        double number = json_real_value(value);
        *result = number >= 0x1p63 ? INT64_MAX : (int64_t)number;
    }
    if (*result < min || *result > max)
        return api_refuse(error, param, "%s is out of range", param);
    return 0;
}

int json_input_fields(const json_t *object, const struct json_field *fields, size_t count, void *target,
                      struct api_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct json_field *field = &fields[i];
        void *place = (char *)target + field->offset;
        const json_t *value = json_input_value(object, field->name);
        if (!value)
            continue;
        if (field->kind == FIELD_TRUTH) {
            if (!json_is_boolean(value))
                return api_refuse(error, field->name, "%s is %s; it must be true or false", field->name,
                                  json_input_kind(value));
            *(bool *)place = json_is_true(value);
        } else if (field->kind == FIELD_INTEGER) {
            int64_t max = field->max >= 0x1p63 ? INT64_MAX : (int64_t)field->max;
            if (json_input_integer(value, field->name, (int64_t)field->min, max, place, error) < 0)
                return -1;
        } else {
            if (check_range(value, field->name, false, field->min, field->max, error) < 0)
                return -1;
            *(double *)place = json_number_value(value);
        }
    }
    return 0;
}
