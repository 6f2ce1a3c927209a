/* /v1/messages: reads the request. Messages of several blocks become one message for each role that they stand for:
 * text of the user, results of tools, the assistant's thinking, text and calls. */
#include "api/anthropic/anthropic.h"
#include "api/shared/conversation_builder.h"
#include "api/shared/request_fields.h"

#include <string.h>
#include <strings.h>

static const struct request_field fields[] = {
    REQUEST_SAMPLING(NUMBER, "temperature", temperature), REQUEST_SAMPLING(NUMBER, "top_p", top_p),
    REQUEST_SAMPLING(INTEGER, "top_k", top_k), REQUEST_INTEGER("max_tokens", max_tokens, 0, REQUEST_TOKENS_MAX),
    REQUEST_TRUTH("stream", is_stream),
    /* Not Anthropic's, but the same here as in the other protocols. */
    REQUEST_SAMPLING(NUMBER, "min_p", min_p), REQUEST_INTEGER("seed", seed, REQUEST_SEED_MIN, REQUEST_SEED_MAX),
    REQUEST_INTEGER("priority", priority, -1000, 1000), REQUEST_INTEGER("deadline_ms", deadline_ms, 0, 86400000)};

static const struct named_field named_fields[] = {
    {"model", "string", false},         {"messages", "array", true},        {"system", NULL, false},
    {"tools", "array", false},          {"tool_choice", "object", false},   {"thinking", "object", false},
    {"stop_sequences", "array", false}, {"output_config", "object", false}, {"metadata", "object", false},
};
const struct field_list anthropic_fields = FIELD_LIST(fields, named_fields);

/* ---- Blocks ---- */

static const char *type_of(const json_t *block)
{
    const char *type = json_string_value(json_object_get(block, "type"));
    return type ? type : "";
}

static int refuse_block(struct conversation_builder *b, const json_t *block, const char *place)
{
    const char *type = type_of(block);
    if (!*type)
        return api_refuse(b->error, place, "%s must be an object with a type", place);
    if (strcmp(type, "image") == 0)
        return api_refuse(b->error, place, "%s: image input is not supported; this model reads text only", place);
    return api_refuse(b->error, place, "%s is of type '%s', which is not supported here; this model reads text only",
                      place, type);
}

/* A string, or blocks of text. */
static int read_text(struct conversation_builder *b, const json_t *value, const char *separator, const char *place,
                     struct smollm_text *text)
{
    if (!value || json_is_null(value))
        return 0;
    if (json_input_is_string(value)) {
        *text = json_input_string(value);
        return 0;
    }
    if (!json_is_array(value))
        return api_refuse(b->error, place, "%s is %s; it must be a string or an array of blocks", place,
                          json_input_kind(value));
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *block = json_array_get(value, i), *piece = json_object_get(block, "text");
        const struct json_place at = json_place("%s[%zu]", place, i);
        if (strcmp(type_of(block), "text") != 0 || !json_input_is_string(piece))
            return refuse_block(b, block, at.text);
        if (conversation_append(b, text, separator, json_input_string(piece)) < 0)
            return -1;
    }
    return 0;
}

/* Claude Code begins its system prompt with a block that differs from one request to the next and is meant for
 * Anthropic's accounting: in the prompt it would only keep the rest from being found in the prefix cache. */
static bool is_accounting(struct smollm_text text)
{
    return text_starts_with(text, "x-anthropic-billing-header:");
}

static int read_system(struct conversation_builder *b, const json_t *json)
{
    const json_t *system = json_input_value(json, "system");
    struct smollm_text text = {"", 0};
    if (json_is_array(system)) {
        for (size_t i = 0; i < json_array_size(system); i++) {
            const json_t *block = json_array_get(system, i), *piece = json_object_get(block, "text");
            const struct json_place at = json_place("system[%zu]", i);
            if (strcmp(type_of(block), "text") != 0 || !json_input_is_string(piece))
                return refuse_block(b, block, at.text);
            if (!is_accounting(json_input_string(piece)) &&
                conversation_append(b, &text, "\n\n", json_input_string(piece)) < 0)
                return -1;
        }
    } else if (read_text(b, system, "", "system", &text) < 0) {
        return -1;
    }
    if (text.size == 0)
        return 0;
    struct smollm_message *message = conversation_add(b, "system");
    if (!message)
        return -1;
    message->content = text;
    return 0;
}

/* A result that says of itself that it is an error is left as it is. */
static int mark_error(struct conversation_builder *b, struct smollm_text *content)
{
    if (content->size >= 5 && strncasecmp(content->data, "error", 5) == 0)
        return 0;
    const struct smollm_text text = *content;
    *content = text_of("Error");
    return conversation_append(b, content, ": ", text);
}

static int read_result(struct conversation_builder *b, const json_t *block, const char *place)
{
    struct smollm_message *message = conversation_add(b, "tool");
    if (!message)
        return -1;
    const struct json_place at = json_place("%s.content", place);
    if (read_text(b, json_object_get(block, "content"), "\n", at.text, &message->content) < 0)
        return -1;
    return json_is_true(json_object_get(block, "is_error")) ? mark_error(b, &message->content) : 0;
}

/* Results and text in their order; neighboring blocks of text are one message. */
static int read_user(struct conversation_builder *b, const json_t *blocks, const char *place)
{
    struct smollm_message *text = NULL;
    for (size_t i = 0; i < json_array_size(blocks); i++) {
        const json_t *block = json_array_get(blocks, i), *piece = json_object_get(block, "text");
        const struct json_place at = json_place("%s[%zu]", place, i);
        const char *type = type_of(block);
        if (strcmp(type, "tool_result") == 0) {
            text = NULL;
            if (read_result(b, block, at.text) < 0)
                return -1;
        } else if (strcmp(type, "text") == 0 && json_input_is_string(piece)) {
            if (!text && !(text = conversation_add(b, "user")))
                return -1;
            if (conversation_append(b, &text->content, "\n", json_input_string(piece)) < 0)
                return -1;
        } else {
            return refuse_block(b, block, at.text);
        }
    }
    return json_array_size(blocks) > 0 || conversation_add(b, "user") ? 0 : -1;
}

static int read_call(struct conversation_builder *b, struct smollm_message *message, const json_t *block,
                     const char *place)
{
    const json_t *name = json_object_get(block, "name"), *input = json_object_get(block, "input");
    struct smollm_tool_call call = {.id = json_input_string(json_object_get(block, "id")),
                                    .name = json_input_string(name),
                                    .arguments = text_of("{}")};
    if (!json_input_is_string(name))
        return api_refuse(b->error, place, "%s has no name", place);
    if (json_is_object(input) && json_dump_to_arena(input, b->arena, &call.arguments, b->error) < 0)
        return -1;
    return conversation_add_call(b, message, call);
}

static int read_assistant(struct conversation_builder *b, const json_t *blocks, const char *place)
{
    struct smollm_message *message = conversation_add(b, "assistant");
    if (!message)
        return -1;
    for (size_t i = 0; i < json_array_size(blocks); i++) {
        const json_t *block = json_array_get(blocks, i);
        const struct json_place at = json_place("%s[%zu]", place, i);
        const char *type = type_of(block);
        int status = 0;
        if (strcmp(type, "text") == 0 && json_input_is_string(json_object_get(block, "text")))
            status = conversation_append(b, &message->content, "\n", json_input_string(json_object_get(block, "text")));
        else if (strcmp(type, "thinking") == 0)
            status = conversation_append(b, &message->reasoning, "\n",
                                         json_input_string(json_object_get(block, "thinking")));
        else if (strcmp(type, "tool_use") == 0)
            status = read_call(b, message, block, at.text);
        else if (strcmp(type, "redacted_thinking") != 0) /* nothing of it can be read */
            status = refuse_block(b, block, at.text);
        if (status < 0)
            return -1;
    }
    return 0;
}

static int read_message(struct conversation_builder *b, const json_t *json, size_t index)
{
    const struct json_place place = json_place("messages[%zu]", index), at = json_place("messages[%zu].content", index);
    const struct smollm_text role = json_input_string(json_object_get(json, "role"));
    const json_t *content = json_object_get(json, "content");
    static const char *const roles[] = {"user", "assistant", "system"};
    size_t kind = 0;
    while (kind < 3 && !text_is(role, roles[kind]))
        kind++;
    if (kind == 3)
        return api_refuse(b->error, place.text, "%s.role must be user, assistant or system", place.text);
    if (!content || json_is_null(content))
        return api_refuse(b->error, at.text, "%s is missing", at.text);
    if (json_is_array(content) && kind < 2)
        return kind == 0 ? read_user(b, content, at.text) : read_assistant(b, content, at.text);
    struct smollm_message *message = conversation_add(b, roles[kind]);
    return message ? read_text(b, content, "\n", at.text, &message->content) : -1;
}

static int read_messages(struct conversation_builder *b, const json_t *json)
{
    const json_t *messages = json_input_value(json, "messages");
    if (!messages)
        return api_refuse(b->error, "messages", "messages is missing");
    if (!json_is_array(messages))
        return api_refuse(b->error, "messages", "messages is %s; it must be an array", json_input_kind(messages));
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (read_message(b, json_array_get(messages, i), i) < 0)
            return -1;
    return 0;
}

/* ---- Tools ---- */

/* Tools that Anthropic runs itself (web_search_20250305, ...) have a type and no schema; they are left out. */
static int read_tools(struct conversation_builder *b, const json_t *json)
{
    const json_t *tools = json_input_value(json, "tools");
    if (tools && !json_is_array(tools))
        return api_refuse(b->error, "tools", "tools is %s; it must be an array", json_input_kind(tools));
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i), *schema = json_object_get(tool, "input_schema");
        const json_t *name = json_object_get(tool, "name");
        const struct json_place place = json_place("tools[%zu]", i);
        const char *type = type_of(tool);
        if (!schema && *type && strcmp(type, "custom") != 0)
            continue;
        if (!json_input_is_string(name))
            return api_refuse(b->error, place.text, "%s has no name", place.text);
        if (schema && !json_is_object(schema))
            return api_refuse(b->error, place.text, "%s.input_schema is %s; it must be a JSON schema", place.text,
                              json_input_kind(schema));
        if (conversation_add_tool(b, json_input_string(name), json_input_string(json_object_get(tool, "description")),
                                  schema) < 0)
            return -1;
    }
    return 0;
}

static int read_tool_choice(struct conversation_builder *b, const json_t *json, struct generation_request *request)
{
    const json_t *choice = json_input_value(json, "tool_choice");
    if (!choice)
        return 0;
    const char *type = type_of(choice);
    struct smollm_conversation *conversation = &request->conversation;
    request->parallel_tool_calls = !json_is_true(json_object_get(choice, "disable_parallel_tool_use"));
    if (strcmp(type, "none") == 0) {
        b->tool_count = 0;
    } else if (strcmp(type, "any") == 0) {
        conversation->tool_choice = SMOLLM_TOOL_REQUIRED;
    } else if (strcmp(type, "tool") == 0) {
        conversation->tool_choice = SMOLLM_TOOL_NAMED;
        conversation->tool_name = json_input_string(json_object_get(choice, "name"));
    } else if (strcmp(type, "auto") != 0) {
        return api_refuse(b->error, "tool_choice", "tool_choice.type must be auto, any, tool or none");
    }
    return 0;
}

/* ---- Thinking and the form of the answer ---- */

/* Without the field Anthropic's models do not think. */
static int read_thinking(const json_t *json, struct generation_request *request, struct api_error *error)
{
    const json_t *thinking = json_input_value(json, "thinking");
    const char *type = thinking ? type_of(thinking) : "disabled";
    static const struct json_field budget = {"budget_tokens", FIELD_INTEGER, 1, REQUEST_TOKENS_MAX,
                                             offsetof(struct generation_request, thinking_budget)};
    request->conversation.thinking = SMOLLM_THINKING_OFF;
    if (strcmp(type, "disabled") == 0)
        return 0;
    if (strcmp(type, "enabled") != 0 && strcmp(type, "adaptive") != 0)
        return api_refuse(error, "thinking", "thinking.type must be enabled, adaptive or disabled");
    request->conversation.thinking = SMOLLM_THINKING_ON;
    return json_input_fields(thinking, &budget, 1, request, error);
}

/* {"type": "json_schema", "schema": {...}} */
static int read_format(const json_t *json, struct generation_request *request, struct api_error *error)
{
    const json_t *config = json_input_value(json, "output_config");
    const json_t *inner = json_object_get(config, "format");
    const json_t *format = inner && !json_is_null(inner) ? inner : json_input_value(json, "output_format");
    if (!format)
        return 0;
    if (strcmp(type_of(format), "json_schema") != 0 || !json_object_get(format, "schema"))
        return api_refuse(error, "output_config.format",
                          "output_config.format must have the type json_schema and a schema");
    return request_read_schema(json_object_get(format, "schema"), "output_config.format.schema", request, error);
}

int anthropic_read(struct api *api, const struct api_call *call, const json_t *json, struct generation_request *request,
                   struct api_error *error)
{
    (void)call;
    struct conversation_builder builder = {.arena = &request->arena, .error = error};
    struct smollm_text model;
    request->is_chat = true;
    request->conversation = (struct smollm_conversation){.size = sizeof(struct smollm_conversation)};
    if (json_input_text(json, "model", &model, error) < 0 ||
        request_read_fields(json, fields, sizeof fields / sizeof *fields, request, error) < 0 ||
        request_read_stops(json, "stop_sequences", request, error) < 0 || read_thinking(json, request, error) < 0 ||
        read_format(json, request, error) < 0 || read_system(&builder, json) < 0 || read_messages(&builder, json) < 0 ||
        read_tools(&builder, json) < 0 || read_tool_choice(&builder, json, request) < 0 ||
        conversation_finish(&builder, &request->conversation) < 0)
        return -1;
    request_take_model(api, model, request);
    request->conversation.one_tool_call = !request->parallel_tool_calls;
    return 0;
}
