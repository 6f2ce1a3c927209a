/* The input of a response: items become messages. What the assistant thought, said and called in a row is one message.
 */
#include "api/responses/responses.h"

#include <string.h>

/* Of tools that OpenAI runs itself: nothing in them is for another model. */
static const char *const skipped[] = {"web_search_call",       "file_search_call", "code_interpreter_call",
                                      "image_generation_call", "computer_call",    "computer_call_output",
                                      "mcp_list_tools",        "mcp_call",         "mcp_approval_request",
                                      "mcp_approval_response", "tool_search_call", "tool_search_output"};

struct item_reader {
    struct conversation_builder *builder;
    size_t assistant; /* the message that the assistant's items go to, from 1; 0: none is open */
};

static const char *type_of(const json_t *item)
{
    const char *type = json_string_value(json_object_get(item, "type"));
    return type ? type : "";
}

static bool is_text_part(const char *type)
{
    static const char *const types[] = {"input_text", "output_text", "text", "summary_text", "reasoning_text"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

/* A string, or parts of text, concatenated. */
static int read_parts(struct conversation_builder *b, const json_t *value, const char *place, struct smollm_text *text)
{
    if (!value || json_is_null(value))
        return 0;
    if (json_input_is_string(value))
        return conversation_append(b, text, "", json_input_string(value));
    if (!json_is_array(value))
        return api_refuse(b->error, place, "%s is %s; it must be a string or an array of parts", place,
                          json_input_kind(value));
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *part = json_array_get(value, i), *piece = json_object_get(part, "text");
        const struct json_place at = json_place("%s[%zu]", place, i);
        const char *type = type_of(part);
        if (strcmp(type, "refusal") == 0)
            piece = json_object_get(part, "refusal");
        else if (strcmp(type, "input_image") == 0)
            return api_refuse(b->error, at.text, "%s: image input is not supported; this model reads text only",
                              at.text);
        else if (strcmp(type, "input_json") == 0) { /* of decisions */
            struct smollm_text dumped = {0};
            if (json_dump_to_arena(json_object_get(part, "data"), b->arena, &dumped, b->error) < 0 ||
                conversation_append(b, text, "", dumped) < 0)
                return -1;
            continue;
        } else if (!is_text_part(type))
            return api_refuse(b->error, at.text, "%s is of type '%s', which is not supported here", at.text, type);
        if (!json_input_is_string(piece))
            return api_refuse(b->error, at.text, "%s has no text", at.text);
        if (conversation_append(b, text, "", json_input_string(piece)) < 0)
            return -1;
    }
    return 0;
}

static struct smollm_message *assistant(struct item_reader *r)
{
    if (r->assistant == 0) {
        if (!conversation_add(r->builder, "assistant"))
            return NULL;
        r->assistant = r->builder->count;
    }
    return &r->builder->messages[r->assistant - 1];
}

static int read_message(struct item_reader *r, const json_t *item, const char *place)
{
    static const struct {
        const char *sent, *role;
    } roles[] = {{"user", "user"}, {"assistant", "assistant"}, {"system", "system"}, {"developer", "system"}};
    const struct json_place at = json_place("%s.content", place);
    const struct smollm_text role = json_input_string(json_object_get(item, "role"));
    size_t kind = 0;
    while (kind < 4 && !text_is(role, roles[kind].sent))
        kind++;
    if (kind == 4)
        return api_refuse(r->builder->error, place, "%s.role must be user, assistant, system or developer", place);
    if (kind != 1)
        r->assistant = 0;
    struct smollm_message *message = kind == 1 ? assistant(r) : conversation_add(r->builder, roles[kind].role);
    struct smollm_text text = {"", 0};
    if (!message || read_parts(r->builder, json_object_get(item, "content"), at.text, &text) < 0)
        return -1;
    return conversation_append(r->builder, &message->content, "\n", text);
}

static int read_call(struct item_reader *r, const json_t *item, const char *place)
{
    const json_t *name = json_object_get(item, "name"), *arguments = json_object_get(item, "arguments");
    struct smollm_message *message = assistant(r);
    if (!message)
        return -1;
    if (!json_input_is_string(name))
        return api_refuse(r->builder->error, place, "%s has no name", place);
    if (arguments && !json_input_is_string(arguments))
        return api_refuse(r->builder->error, place, "%s.arguments must be a string that holds JSON", place);
    return conversation_add_call(r->builder, message,
                                 (struct smollm_tool_call){.id = json_input_string(json_object_get(item, "call_id")),
                                                           .name = json_input_string(name),
                                                           .arguments = arguments && json_string_length(arguments) > 0
                                                                            ? json_input_string(arguments)
                                                                            : text_of("{}")});
}

static int read_output(struct item_reader *r, const json_t *item, const char *place)
{
    const struct json_place at = json_place("%s.output", place);
    r->assistant = 0;
    struct smollm_message *message = conversation_add(r->builder, "tool");
    return message ? read_parts(r->builder, json_object_get(item, "output"), at.text, &message->content) : -1;
}

/* The content, or where there is none the summary. */
static int read_reasoning(struct item_reader *r, const json_t *item, const char *place)
{
    const json_t *content = json_object_get(item, "content"), *summary = json_object_get(item, "summary");
    struct smollm_message *message = assistant(r);
    struct smollm_text text = {"", 0};
    if (!message || read_parts(r->builder, json_array_size(content) > 0 ? content : summary, place, &text) < 0)
        return -1;
    return conversation_append(r->builder, &message->reasoning, "\n", text);
}

static int read_item(struct item_reader *r, const json_t *item, const char *place)
{
    const char *type = type_of(item);
    if (!json_is_object(item))
        return api_refuse(r->builder->error, place, "%s is %s; it must be an object", place, json_input_kind(item));
    if (!*type || strcmp(type, "message") == 0)
        return read_message(r, item, place);
    if (strcmp(type, "function_call") == 0)
        return read_call(r, item, place);
    if (strcmp(type, "function_call_output") == 0)
        return read_output(r, item, place);
    if (strcmp(type, "reasoning") == 0)
        return read_reasoning(r, item, place);
    for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
        if (strcmp(type, skipped[i]) == 0)
            return 0;
    return api_refuse(r->builder->error, place, "%s is of type '%s', which is not supported here", place, type);
}

int responses_read_items(struct conversation_builder *builder, const json_t *items, const char *param)
{
    struct item_reader reader = {.builder = builder};
    for (size_t i = 0; i < json_array_size(items); i++) {
        const struct json_place place = json_place("%s[%zu]", param, i);
        if (read_item(&reader, json_array_get(items, i), place.text) < 0)
            return -1;
    }
    return 0;
}
