/* The fields that ask for an answer of a form: OpenAI's, llama-server's, vLLM's and Hugging Face's names for it. */
#include "api/shared/conversation_builder.h"
#include "api/shared/request_fields.h"

#include <stdio.h>
#include <string.h>

enum { CHOICES_MAX = 4096 };

struct form_reader {
    struct generation_request *request;
    struct api_error *error;
    const char *field; /* that has set the form; NULL: none */
};

/* Two fields that ask for forms contradict each other. */
static int begin(struct form_reader *r, const char *field, enum smollm_form_kind kind)
{
    if (r->field)
        return api_refuse(r->error, field, "%s and %s both ask for a form of the answer; give one of them", r->field,
                          field);
    r->field = field;
    r->request->has_form = true;
    r->request->form = (struct smollm_form){.size = sizeof(struct smollm_form), .kind = kind};
    return 0;
}

static bool is_given(const json_t *value)
{
    return value && !json_is_null(value) && !(json_input_is_string(value) && json_string_length(value) == 0);
}

/* A schema as JSON, or as a string that holds JSON. */
static int read_schema(struct form_reader *r, const char *field, const json_t *value)
{
    if (!json_is_object(value) && !json_is_boolean(value) && !json_input_is_string(value))
        return api_refuse(r->error, field, "%s is %s; it must be a JSON schema", field, json_input_kind(value));
    if (begin(r, field, SMOLLM_FORM_SCHEMA) < 0)
        return -1;
    if (json_input_is_string(value)) {
        r->request->form.text = json_input_string(value);
        return 0;
    }
    return json_dump_to_arena(value, &r->request->arena, &r->request->form.text, r->error);
}

static int read_text(struct form_reader *r, const char *field, const json_t *value, enum smollm_form_kind kind)
{
    if (!json_input_is_string(value))
        return api_refuse(r->error, field, "%s is %s; it must be a string", field, json_input_kind(value));
    if (begin(r, field, kind) < 0)
        return -1;
    r->request->form.text = json_input_string(value);
    return 0;
}

static int read_choices(struct form_reader *r, const char *field, const json_t *value)
{
    const size_t count = json_array_size(value);
    if (!json_is_array(value) || count == 0 || count > CHOICES_MAX)
        return api_refuse(r->error, field, "%s must be an array of 1 to %d strings", field, CHOICES_MAX);
    struct smollm_text *choices = arena_array(&r->request->arena, count, sizeof *choices);
    if (!choices)
        return api_refuse_memory(r->error);
    for (size_t i = 0; i < count; i++) {
        const json_t *choice = json_array_get(value, i);
        if (!json_input_is_string(choice) || json_string_length(choice) == 0)
            return api_refuse(r->error, field, "%s[%zu] must be a string that is not empty", field, i);
        choices[i] = json_input_string(choice);
    }
    if (begin(r, field, SMOLLM_FORM_CHOICE) < 0)
        return -1;
    r->request->form.choices = choices;
    r->request->form.choice_count = count;
    return 0;
}

/* {"type": "json_schema", "json_schema": {"name", "schema", "strict"}}, or the schema beside the type. */
static int read_json_schema(struct form_reader *r, const char *field, const json_t *format)
{
    const json_t *wrapped = json_object_get(format, "json_schema");
    const json_t *schema = json_object_get(json_is_object(wrapped) ? wrapped : format, "schema");
    if (!is_given(schema))
        return api_refuse(r->error, field, "%s has no json_schema.schema", field);
    return read_schema(r, field, schema);
}

static int read_response_format(struct form_reader *r, const char *field, const json_t *format)
{
    const char *type = json_string_value(json_object_get(format, "type"));
    if (!type)
        return api_refuse(r->error, field, "%s must be an object with a type", field);
    if (strcmp(type, "text") == 0)
        return 0;
    if (strcmp(type, "json_schema") == 0)
        return read_json_schema(r, field, format);
    const json_t *schema = json_object_get(format, "schema"), *value = json_object_get(format, "value");
    if (strcmp(type, "regex") == 0)
        return read_text(r, field, value ? value : json_object_get(format, "pattern"), SMOLLM_FORM_REGEX);
    if (strcmp(type, "json_object") != 0 && strcmp(type, "json") != 0)
        return api_refuse(r->error, field, "%s %s is not supported; it must be text, json_object, json_schema or regex",
                          field, type);
    if (is_given(schema) || is_given(value))
        return read_schema(r, field, is_given(schema) ? schema : value);
    return begin(r, field, SMOLLM_FORM_JSON);
}

/* vLLM's {"json" | "regex" | "choice" | "grammar" | "json_object": ...} */
static int read_structured(struct form_reader *r, const json_t *value)
{
    const json_t *part;
    if (!json_is_object(value))
        return api_refuse(r->error, "structured_outputs", "structured_outputs is %s; it must be an object",
                          json_input_kind(value));
    if (is_given(part = json_object_get(value, "json")) && read_schema(r, "structured_outputs.json", part) < 0)
        return -1;
    if (is_given(part = json_object_get(value, "regex")) &&
        read_text(r, "structured_outputs.regex", part, SMOLLM_FORM_REGEX) < 0)
        return -1;
    if (is_given(part = json_object_get(value, "choice")) && read_choices(r, "structured_outputs.choice", part) < 0)
        return -1;
    if (is_given(part = json_object_get(value, "grammar")) &&
        read_text(r, "structured_outputs.grammar", part, SMOLLM_FORM_GRAMMAR) < 0)
        return -1;
    if (json_is_true(json_object_get(value, "json_object")) &&
        begin(r, "structured_outputs.json_object", SMOLLM_FORM_JSON) < 0)
        return -1;
    if (!r->field)
        return api_refuse(r->error, "structured_outputs",
                          "structured_outputs has none of json, regex, choice, grammar and json_object");
    return 0;
}

int request_read_form(const json_t *json, struct generation_request *request, struct api_error *error)
{
    struct form_reader r = {.request = request, .error = error};
    const json_t *value;
    if (is_given(value = json_input_value(json, "response_format")) &&
        read_response_format(&r, "response_format", value) < 0)
        return -1;
    if (is_given(value = json_input_value(json, "json_schema")) &&
        !(json_is_object(value) && json_object_size(value) == 0 && r.field) &&
        read_schema(&r, "json_schema", value) < 0)
        return -1;
    if (is_given(value = json_input_value(json, "guided_json")) && read_schema(&r, "guided_json", value) < 0)
        return -1;
    if (is_given(value = json_input_value(json, "grammar")) && read_text(&r, "grammar", value, SMOLLM_FORM_GRAMMAR) < 0)
        return -1;
    if (is_given(value = json_input_value(json, "guided_grammar")) &&
        read_text(&r, "guided_grammar", value, SMOLLM_FORM_GRAMMAR) < 0)
        return -1;
    if (is_given(value = json_input_value(json, "guided_regex")) &&
        read_text(&r, "guided_regex", value, SMOLLM_FORM_REGEX) < 0)
        return -1;
    if (is_given(value = json_input_value(json, "guided_choice")) && read_choices(&r, "guided_choice", value) < 0)
        return -1;
    if (is_given(value = json_input_value(json, "structured_outputs")) && read_structured(&r, value) < 0)
        return -1;
    return 0;
}

int request_read_schema(const json_t *schema, const char *field, struct generation_request *request,
                        struct api_error *error)
{
    struct form_reader r = {.request = request, .error = error};
    return read_schema(&r, field, schema);
}

int request_read_format(const json_t *format, const char *field, struct generation_request *request,
                        struct api_error *error)
{
    struct form_reader r = {.request = request, .error = error};
    return is_given(format) ? read_response_format(&r, field, format) : 0;
}
