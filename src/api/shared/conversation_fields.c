#include "api/shared/conversation_fields.h"

#include "api/shared/conversation_builder.h"
#include "api/shared/request_fields.h"

#include <stddef.h>

#include <stdio.h>
#include <string.h>

static const struct named_field named_fields[] = {
    {"messages", "array", true},           {"tools", "array", false},
    {"tool_choice", NULL, false},          {"chat_template_kwargs", "object", false},
    {"reasoning_effort", "string", false}, {"continue_final_message", "boolean", false},
};
const struct field_list request_conversation_fields = {.others = named_fields,
                                                       .other_count = sizeof named_fields / sizeof *named_fields};

/* ---- Content ---- */

static int check_part(const json_t *part, size_t message, size_t index, struct api_error *error)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    struct json_place path = json_place("messages[%zu].content[%zu]", message, index);
    if (!type)
        return api_refuse(error, path.text, "%s must be an object with a type", path.text);
    if (strcmp(type, "text") != 0)
        return api_refuse(error, path.text, "%s is of type '%s'; this model reads text only", path.text, type);
    if (!json_input_is_string(json_object_get(part, "text")))
        return api_refuse(error, path.text, "%s has no text", path.text);
    return 0;
}

/* The text of all parts, concatenated. */
static int flatten(const json_t *parts, size_t message, struct arena *arena, struct smollm_text *content,
                   struct api_error *error)
{
    size_t size = 0, i;
    json_t *part;
    json_array_foreach(parts, i, part)
    {
        if (check_part(part, message, i, error) < 0)
            return -1;
        size += json_string_length(json_object_get(part, "text"));
    }
    char *text = arena_allocate(arena, size + 1), *end = text;
    if (!text)
        return api_refuse_memory(error);
    json_array_foreach(parts, i, part)
    {
        struct smollm_text piece = json_input_string(json_object_get(part, "text"));
        memcpy(end, piece.data, piece.size);
        end += piece.size;
    }
    *content = (struct smollm_text){text, size};
    return 0;
}

static int read_content(const json_t *json, size_t index, bool may_be_missing, struct arena *arena,
                        struct smollm_text *content, struct api_error *error)
{
    const json_t *value = json_input_value(json, "content");
    struct json_place path = json_place("messages[%zu].content", index);
    *content = (struct smollm_text){"", 0};
    if (!value)
        return may_be_missing ? 0 : api_refuse(error, path.text, "%s is missing", path.text);
    if (json_is_array(value))
        return flatten(value, index, arena, content, error);
    if (!json_input_is_string(value))
        return api_refuse(error, path.text, "%s is %s; it must be a string or an array of parts", path.text,
                          json_input_kind(value));
    *content = json_input_string(value);
    return 0;
}

/* ---- Tool calls of earlier turns ---- */

static int read_tool_call(const json_t *json, struct json_place path, struct arena *arena,
                          struct smollm_tool_call *call, struct api_error *error)
{
    const json_t *function = json_object_get(json, "function");
    const json_t *name = json_object_get(function, "name"), *arguments = json_object_get(function, "arguments");
    if (!json_input_is_string(name))
        return api_refuse(error, path.text, "%s has no function.name", path.text);
    call->name = json_input_string(name);
    const json_t *id = json_object_get(json, "id");
    if (json_input_is_string(id))
        call->id = json_input_string(id);
    if (json_input_is_string(arguments))
        call->arguments = json_input_string(arguments);
    else if (json_is_object(arguments))
        return json_dump_to_arena(arguments, arena, &call->arguments, error);
    else if (!arguments || json_is_null(arguments))
        call->arguments = text_of("{}");
    else
        return api_refuse(error, path.text, "%s.function.arguments must be a string that holds JSON", path.text);
    return 0;
}

static int read_tool_calls(const json_t *json, size_t index, struct arena *arena, struct smollm_message *message,
                           struct api_error *error)
{
    const json_t *calls = json_input_value(json, "tool_calls");
    struct json_place path = json_place("messages[%zu].tool_calls", index);
    if (!calls)
        return 0;
    if (!json_is_array(calls))
        return api_refuse(error, path.text, "%s is %s; it must be an array", path.text, json_input_kind(calls));
    size_t count = json_array_size(calls);
    struct smollm_tool_call *read = arena_array(arena, count + 1, sizeof *read);
    if (!read)
        return api_refuse_memory(error);
    for (size_t i = 0; i < count; i++)
        if (read_tool_call(json_array_get(calls, i), json_place("messages[%zu].tool_calls[%zu]", index, i), arena,
                           &read[i], error) < 0)
            return -1;
    message->tool_calls = read;
    message->tool_call_count = count;
    return 0;
}

/* ---- Messages ---- */

static int read_role(const json_t *json, size_t index, struct smollm_text *role, struct api_error *error)
{
    static const char *const known[] = {"system", "user", "assistant", "tool"};
    struct json_place path = json_place("messages[%zu].role", index);
    const json_t *value = json_object_get(json, "role");
    if (!json_input_is_string(value))
        return api_refuse(error, path.text, "%s must be a string", path.text);
    *role = json_input_string(value);
    if (text_is(*role, "developer"))
        *role = text_of("system");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (text_is(*role, known[i]))
            return 0;
    return api_refuse(error, path.text, "%s is '%.*s'; it must be system, developer, user, assistant or tool",
                      path.text, (int)(role->size < 40 ? role->size : 40), role->data);
}

/* The names under which clients send back the reasoning of a model. */
static int read_reasoning(const json_t *json, size_t index, struct smollm_text *reasoning, struct api_error *error)
{
    static const char *const names[] = {"reasoning_content", "reasoning", "thinking"};
    for (size_t i = 0; i < sizeof names / sizeof *names && !reasoning->data; i++) {
        if (json_input_text(json, names[i], reasoning, error) == 0)
            continue;
        snprintf(error->param, sizeof error->param, "messages[%zu].%s", index, names[i]);
        return -1;
    }
    return 0;
}

static int read_message(const json_t *json, size_t index, struct arena *arena, struct smollm_message *message,
                        struct api_error *error)
{
    struct json_place path = json_place("messages[%zu]", index);
    if (!json_is_object(json))
        return api_refuse(error, path.text, "%s is %s; it must be an object", path.text, json_input_kind(json));
    if (read_role(json, index, &message->role, error) < 0)
        return -1;
    bool is_assistant = text_is(message->role, "assistant");
    if (read_content(json, index, is_assistant, arena, &message->content, error) < 0)
        return -1;
    if (!is_assistant)
        return 0;
    if (read_reasoning(json, index, &message->reasoning, error) < 0)
        return -1;
    return read_tool_calls(json, index, arena, message, error);
}

static int read_messages(const json_t *json, struct arena *arena, struct smollm_conversation *conversation,
                         struct api_error *error)
{
    const json_t *messages = json_input_value(json, "messages");
    if (!messages)
        return api_refuse(error, "messages", "messages is missing");
    if (!json_is_array(messages))
        return api_refuse(error, "messages", "messages is %s; it must be an array", json_input_kind(messages));
    size_t count = json_array_size(messages);
    if (count == 0 || count > MESSAGES_MAX)
        return api_refuse(error, "messages", "messages has %zu entries; it must have 1 to %d", count, MESSAGES_MAX);
    struct smollm_message *read = arena_array(arena, count, sizeof *read);
    if (!read)
        return api_refuse_memory(error);
    for (size_t i = 0; i < count; i++)
        if (read_message(json_array_get(messages, i), i, arena, &read[i], error) < 0)
            return -1;
    if (count > 1 && text_is(read[count - 1].role, "assistant") && text_is(read[count - 2].role, "assistant"))
        return api_refuse(error, "messages", "messages ends with two messages of the assistant");
    conversation->messages = read;
    conversation->message_count = count;
    return 0;
}

/* ---- Tools ---- */

/* "auto", "none", "required" or "any", or {"type": "function", "function": {"name": ...}}. */
static int read_tool_choice(const json_t *json, struct smollm_conversation *conversation, bool *offered,
                            struct api_error *error)
{
    const json_t *choice = json_input_value(json, "tool_choice");
    *offered = true;
    if (!choice)
        return 0;
    const json_t *function = json_object_get(choice, "function");
    const json_t *name = json_object_get(json_is_object(function) ? function : choice, "name");
    if (json_is_object(choice) && json_input_is_string(name)) {
        conversation->tool_choice = SMOLLM_TOOL_NAMED;
        conversation->tool_name = json_input_string(name);
        return 0;
    }
    const struct smollm_text text =
        json_input_string(json_is_object(choice) ? json_object_get(choice, "type") : choice);
    if (text_is(text, "none"))
        *offered = false;
    else if (text_is(text, "required") || text_is(text, "any"))
        conversation->tool_choice = SMOLLM_TOOL_REQUIRED;
    else if (!text_is(text, "auto"))
        return api_refuse(error, "tool_choice",
                          "tool_choice must be auto, none, required, any, or an object with the name of a function");
    return 0;
}

/* The model was trained on the function's own object, without OpenAI's envelope around it. */
static const json_t *tool_function(const json_t *tool)
{
    const json_t *function = json_object_get(tool, "function");
    return json_is_object(function) ? function : tool;
}

static int read_tool_list(const json_t *list, const char *param, bool may_be_text, struct arena *arena,
                          const struct smollm_text **tools, size_t *tool_count, struct api_error *error)
{
    if (!json_is_array(list))
        return api_refuse(error, param, "%s is %s; it must be an array", param, json_input_kind(list));
    size_t count = json_array_size(list);
    if (count > TOOLS_MAX)
        return api_refuse(error, param, "%s has %zu tools; up to %d are allowed", param, count, TOOLS_MAX);
    struct smollm_text *read = arena_array(arena, count + 1, sizeof *read);
    if (!read)
        return api_refuse_memory(error);
    for (size_t i = 0; i < count; i++) {
        const json_t *tool = json_array_get(list, i);
        struct json_place path = json_place("%s[%zu]", param, i);
        if (may_be_text && json_input_is_string(tool)) {
            read[i] = json_input_string(tool);
            continue;
        }
        if (!json_is_object(tool))
            return api_refuse(error, path.text, "%s is %s; it must be an object", path.text, json_input_kind(tool));
        if (!may_be_text && !json_input_is_string(json_object_get(tool_function(tool), "name")))
            return api_refuse(error, path.text, "%s has no function with a name", path.text);
        if (json_dump_to_arena(may_be_text ? tool : tool_function(tool), arena, &read[i], error) < 0)
            return -1;
    }
    *tools = read;
    *tool_count = count;
    return 0;
}

static int read_tools(const struct smollm_model_info *info, const json_t *json, struct arena *arena,
                      struct smollm_conversation *conversation, struct api_error *error)
{
    const json_t *tools = json_input_value(json, "tools"), *functions = json_input_value(json, "functions");
    bool offered;
    if (functions && json_array_size(functions) > 0)
        return api_refuse(error, "functions", "functions is not supported: use tools");
    if (read_tool_choice(json, conversation, &offered, error) < 0)
        return -1;
    if (!tools || !offered)
        return 0;
    if (read_tool_list(tools, "tools", false, arena, &conversation->tools, &conversation->tool_count, error) < 0)
        return -1;
    if (conversation->tool_count > 0 && !info->chat_format_has_tools)
        return api_refuse(error, "tools", "the chat format of this model (%s) has no tools",
                          info->chat_format ? info->chat_format : "none");
    return 0;
}

static int read_template_arguments(const struct smollm_model_info *info, const json_t *json, struct arena *arena,
                                   struct smollm_conversation *conversation, struct api_error *error)
{
    const json_t *arguments = json_input_value(json, "chat_template_kwargs");
    if (!arguments)
        return 0;
    if (!json_is_object(arguments))
        return api_refuse(error, "chat_template_kwargs", "chat_template_kwargs is %s; it must be an object",
                          json_input_kind(arguments));
    const json_t *thinking = json_input_value(arguments, "enable_thinking");
    if (thinking && !json_is_boolean(thinking))
        return api_refuse(error, "chat_template_kwargs.enable_thinking",
                          "chat_template_kwargs.enable_thinking is %s; it must be true or false",
                          json_input_kind(thinking));
    if (thinking)
        conversation->thinking = json_is_true(thinking) ? SMOLLM_THINKING_ON : SMOLLM_THINKING_OFF;
    const json_t *marks = json_input_value(arguments, "mark_tool_results");
    if (marks && !json_is_boolean(marks))
        return api_refuse(error, "chat_template_kwargs.mark_tool_results",
                          "chat_template_kwargs.mark_tool_results is %s; it must be true or false",
                          json_input_kind(marks));
    conversation->marks_tool_results = json_is_true(marks);
    const json_t *xml = json_input_value(arguments, "xml_tools"), *python = json_input_value(arguments, "python_tools");
    if (xml && read_tool_list(xml, "chat_template_kwargs.xml_tools", false, arena, &conversation->tools,
                              &conversation->tool_count, error) < 0)
        return -1;
    if (python && read_tool_list(python, "chat_template_kwargs.python_tools", true, arena, &conversation->python_tools,
                                 &conversation->python_tool_count, error) < 0)
        return -1;
    if (conversation->tool_count + conversation->python_tool_count > 0 && !info->chat_format_has_tools)
        return api_refuse(error, "chat_template_kwargs", "the chat format of this model (%s) has no tools",
                          info->chat_format ? info->chat_format : "none");
    return 0;
}

int request_take_effort(struct smollm_text effort, const char *field, struct smollm_conversation *conversation,
                        struct api_error *error)
{
    static const char *const known[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    if (!effort.data)
        return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!text_is(effort, known[i]))
            continue;
        if (conversation->thinking == SMOLLM_THINKING_DEFAULT)
            conversation->thinking = i == 0 ? SMOLLM_THINKING_OFF : SMOLLM_THINKING_ON;
        return 0;
    }
    return api_refuse(error, field, "%s must be none, minimal, low, medium, high, xhigh or max", field);
}

static int read_effort(const json_t *json, struct smollm_conversation *conversation, struct api_error *error)
{
    struct smollm_text effort;
    return json_input_text(json, "reasoning_effort", &effort, error) < 0
               ? -1
               : request_take_effort(effort, "reasoning_effort", conversation, error);
}

static int read_continuation(const json_t *json, struct smollm_conversation *conversation, struct api_error *error)
{
    static const struct json_field field = {"continue_final_message", FIELD_TRUTH, 0, 0,
                                            offsetof(struct smollm_conversation, continue_last)};
    if (json_input_fields(json, &field, 1, conversation, error) < 0)
        return -1;
    const struct smollm_message *last = &conversation->messages[conversation->message_count - 1];
    if (conversation->continue_last && !text_is(last->role, "assistant"))
        return api_refuse(error, "continue_final_message", "the last message is not of the assistant");
    if (conversation->continue_last && json_is_true(json_input_value(json, "add_generation_prompt")))
        return api_refuse(error, "continue_final_message",
                          "continue_final_message and add_generation_prompt contradict each other");
    return 0;
}

int request_read_conversation(const struct smollm_model *model, const json_t *json, struct arena *arena,
                              struct smollm_conversation *conversation, struct api_error *error)
{
    struct smollm_model_info info;
    smollm_model_get_info(model, &info);
    *conversation = (struct smollm_conversation){.size = sizeof(struct smollm_conversation)};
    if (read_messages(json, arena, conversation, error) < 0 || read_tools(&info, json, arena, conversation, error) < 0)
        return -1;
    if (read_template_arguments(&info, json, arena, conversation, error) < 0 ||
        read_effort(json, conversation, error) < 0 ||
        (conversation->tool_count > 0 && conversation_check_choice(conversation, error) < 0))
        return -1;
    return read_continuation(json, conversation, error);
}
