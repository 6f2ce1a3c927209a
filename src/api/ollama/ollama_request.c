/* /api/chat and /api/generate: read the requests. Clients send null for what they do not set. */
#include "api/ollama/ollama.h"
#include "api/shared/conversation_builder.h"
#include "api/shared/request_fields.h"

#include <string.h>

/* Members of "options". num_ctx and what concerns memory and hardware are the server's to decide: they are ignored. */
static const struct request_field options[] = {
    REQUEST_SAMPLING(NUMBER, "temperature", temperature),
    REQUEST_SAMPLING(INTEGER, "top_k", top_k),
    REQUEST_SAMPLING(NUMBER, "top_p", top_p),
    REQUEST_SAMPLING(NUMBER, "min_p", min_p),
    REQUEST_SAMPLING(NUMBER, "repeat_penalty", repetition_penalty),
    REQUEST_SAMPLING(INTEGER, "repeat_last_n", repetition_window),
    REQUEST_SAMPLING(NUMBER, "presence_penalty", presence_penalty),
    REQUEST_SAMPLING(NUMBER, "frequency_penalty", frequency_penalty),
    REQUEST_INTEGER("seed", seed, REQUEST_SEED_MIN, REQUEST_SEED_MAX),
    REQUEST_INTEGER("num_predict", max_tokens, -2, REQUEST_TOKENS_MAX),
};

static const struct request_field fields[] = {
    REQUEST_TRUTH("stream", is_stream),
    REQUEST_TRUTH("logprobs", wants_logprobs),
    REQUEST_INTEGER("top_logprobs", logprobs, 0, LOGPROBS_MAX),
    REQUEST_INTEGER("priority", priority, -1000, 1000),
    REQUEST_INTEGER("deadline_ms", deadline_ms, 0, 86400000),
};

static const struct named_field named_fields[] = {
    {"model", "string", true},   {"messages", "array", false}, {"prompt", "string", false},
    {"system", "string", false}, {"tools", "array", false},    {"format", NULL, false},
    {"think", NULL, false},      {"options", "object", false}, {"keep_alive", NULL, false},
    {"raw", "boolean", false},   {"context", "array", false},
};
const struct field_list ollama_fields = FIELD_LIST(fields, named_fields);

static int read_options(const json_t *json, struct generation_request *request, struct api_error *error)
{
    const json_t *given = json_input_value(json, "options");
    if (!given)
        return 0;
    if (!json_is_object(given))
        return api_refuse(error, "options", "options is %s; it must be an object", json_input_kind(given));
    if (request_read_fields(given, options, sizeof options / sizeof *options, request, error) < 0 ||
        request_read_stops(given, "stop", request, error) < 0)
        return -1;
    /* -2: until the context is full, as -1 is. */
    if (request->max_tokens < 0)
        request->max_tokens = -1;
    return 0;
}

/* true, false, or a level, which can only switch thinking on. */
static int read_think(const json_t *json, struct generation_request *request, struct ollama_request *own,
                      struct api_error *error)
{
    const json_t *think = json_input_value(json, "think");
    own->shows_thinking = true;
    if (!think)
        return 0;
    if (json_is_boolean(think)) {
        request->conversation.thinking = json_is_true(think) ? SMOLLM_THINKING_ON : SMOLLM_THINKING_OFF;
        own->shows_thinking = json_is_true(think);
        return 0;
    }
    static const char *const levels[] = {"low", "medium", "high", "max"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (text_is(json_input_string(think), levels[i]))
            request->conversation.thinking = SMOLLM_THINKING_ON;
    if (request->conversation.thinking != SMOLLM_THINKING_ON)
        return api_refuse(error, "think", "think must be true, false, low, medium, high or max");
    return 0;
}

/* "json", or a schema; "" is nothing. */
static int read_format(const json_t *json, struct generation_request *request, struct api_error *error)
{
    const json_t *format = json_input_value(json, "format");
    if (!format || (json_input_is_string(format) && json_string_length(format) == 0))
        return 0;
    if (json_is_object(format))
        return request_read_schema(format, "format", request, error);
    if (!text_is(json_input_string(format), "json"))
        return api_refuse(error, "format", "format must be json or a JSON schema");
    request->has_form = true;
    request->form = (struct smollm_form){.size = sizeof(struct smollm_form), .kind = SMOLLM_FORM_JSON};
    return 0;
}

/* A number of seconds or a text such as "5m"; 0 unloads the model in Ollama. */
static bool is_zero(const json_t *keep_alive)
{
    const struct smollm_text text = json_input_string(keep_alive);
    return json_is_number(keep_alive) ? json_number_value(keep_alive) == 0
                                      : text_is(text, "0") || text_is(text, "0s") || text_is(text, "0m");
}

static int refuse_images(const json_t *json, const char *place, struct api_error *error)
{
    return json_array_size(json_object_get(json, "images")) > 0
               ? api_refuse(error, place, "%s: image input is not supported; this model reads text only", place)
               : 0;
}

static int read_common(struct api *api, const json_t *json, struct generation_request *request, struct api_error *error)
{
    struct ollama_request *own = arena_allocate(&request->arena, sizeof *own);
    struct smollm_text model;
    if (!own)
        return api_refuse_memory(error);
    request->own = own;
    request->is_stream = true;
    if (json_input_text(json, "model", &model, error) < 0)
        return -1;
    if (model.size == 0)
        return api_refuse(error, "model", "model is required");
    const char *copy = arena_copy(&request->arena, model.data, model.size);
    if (!copy)
        return api_refuse_memory(error);
    own->model = (struct smollm_text){copy, model.size};
    request_take_model(api, model, request);
    if (request_read_fields(json, fields, sizeof fields / sizeof *fields, request, error) < 0 ||
        read_options(json, request, error) < 0 || read_think(json, request, own, error) < 0 ||
        read_format(json, request, error) < 0)
        return -1;
    if (!request->wants_logprobs)
        request->logprobs = -1;
    else if (request->logprobs < 0)
        request->logprobs = 0;
    own->is_unload = is_zero(json_input_value(json, "keep_alive"));
    return 0;
}

/* ---- /api/chat ---- */

static int read_call(struct conversation_builder *b, struct smollm_message *message, const json_t *json,
                     const char *place)
{
    const json_t *function = json_object_get(json, "function");
    const json_t *name = json_object_get(function, "name"), *arguments = json_object_get(function, "arguments");
    struct smollm_tool_call call = {.id = json_input_string(json_object_get(json, "id")),
                                    .name = json_input_string(name),
                                    .arguments = text_of("{}")};
    if (!json_input_is_string(name))
        return api_refuse(b->error, place, "%s has no function.name", place);
    if (json_input_is_string(arguments))
        call.arguments = json_input_string(arguments);
    else if (json_is_object(arguments) && json_dump_to_arena(arguments, b->arena, &call.arguments, b->error) < 0)
        return -1;
    return conversation_add_call(b, message, call);
}

static int read_message(struct conversation_builder *b, const json_t *json, size_t index)
{
    static const char *const roles[] = {"user", "assistant", "system", "tool"};
    const struct json_place place = json_place("messages[%zu]", index);
    const struct smollm_text role = json_input_string(json_object_get(json, "role"));
    size_t kind = 0;
    while (kind < 4 && !text_is(role, roles[kind]))
        kind++;
    if (kind == 4)
        return api_refuse(b->error, place.text, "%s.role must be user, assistant, system or tool", place.text);
    struct smollm_message *message = conversation_add(b, roles[kind]);
    struct smollm_text content, thinking;
    if (!message || refuse_images(json, place.text, b->error) < 0 ||
        json_input_text(json, "content", &content, b->error) < 0 ||
        json_input_text(json, "thinking", &thinking, b->error) < 0)
        return -1;
    if (content.data)
        message->content = content;
    if (kind != 1)
        return 0;
    if (thinking.data)
        message->reasoning = thinking;
    const json_t *calls = json_object_get(json, "tool_calls");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const struct json_place at = json_place("%s.tool_calls[%zu]", place.text, i);
        if (read_call(b, message, json_array_get(calls, i), at.text) < 0)
            return -1;
    }
    return 0;
}

static int read_tools(struct conversation_builder *b, const json_t *json)
{
    const json_t *tools = json_input_value(json, "tools");
    if (tools && !json_is_array(tools))
        return api_refuse(b->error, "tools", "tools is %s; it must be an array", json_input_kind(tools));
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        const json_t *name = json_object_get(function, "name"), *schema = json_object_get(function, "parameters");
        const struct json_place place = json_place("tools[%zu]", i);
        if (!json_input_is_string(name))
            return api_refuse(b->error, place.text, "%s has no function with a name", place.text);
        if (conversation_add_tool(b, json_input_string(name),
                                  json_input_string(json_object_get(function, "description")),
                                  json_is_object(schema) ? schema : NULL) < 0)
            return -1;
    }
    return 0;
}

int ollama_read_chat(struct api *api, const struct api_call *call, const json_t *json,
                     struct generation_request *request, struct api_error *error)
{
    (void)call;
    struct conversation_builder builder = {.arena = &request->arena, .error = error};
    const json_t *messages = json_input_value(json, "messages");
    request->is_chat = true;
    request->conversation = (struct smollm_conversation){.size = sizeof(struct smollm_conversation)};
    if (read_common(api, json, request, error) < 0)
        return -1;
    if (messages && !json_is_array(messages))
        return api_refuse(error, "messages", "messages is %s; it must be an array", json_input_kind(messages));
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (read_message(&builder, json_array_get(messages, i), i) < 0)
            return -1;
    if (read_tools(&builder, json) < 0)
        return -1;
    struct ollama_request *own = request->own;
    own->is_load = json_array_size(messages) == 0;
    if (own->is_load)
        request->max_tokens = 0;
    return conversation_finish(&builder, &request->conversation);
}

/* ---- /api/generate ---- */

static int add_text(struct conversation_builder *builder, const char *role, struct smollm_text text)
{
    struct smollm_message *message = text.size > 0 ? conversation_add(builder, role) : NULL;
    if (message)
        message->content = text;
    return message || text.size == 0 ? 0 : -1;
}

/* The prompt as tokens, because the answer's "context" is all tokens so far; after those of an earlier answer. */
static int read_context(struct api *api, const json_t *context, struct generation_request *request,
                        struct api_error *error)
{
    struct ollama_request *own = request->own;
    struct smollm_error cause;
    int32_t *tokens;
    size_t count, before = json_array_size(context);
    if (context && !json_is_array(context))
        return api_refuse(error, "context", "context is %s; it must be an array of token ids",
                          json_input_kind(context));
    if (smollm_render(api->model, &request->conversation, &tokens, &count, &cause) < 0)
        return api_refuse_from(error, &cause);
    int32_t *all = arena_array(&request->arena, before + count + 1, sizeof *all);
    int status = 0;
    if (!all) {
        smollm_free(tokens);
        return api_refuse_memory(error);
    }
    for (size_t i = 0; status == 0 && i < before; i++) {
        int64_t token = 0;
        status = json_input_integer(json_array_get(context, i), "context", 0, (int64_t)api->info.vocabulary_size - 1,
                                    &token, error);
        all[i] = (int32_t)token;
    }
    if (status == 0) {
        memcpy(all + before, tokens, count * sizeof *all);
        own->prompt = all;
        own->prompt_count = before + count;
        request->return_tokens = true;
    }
    smollm_free(tokens);
    return status;
}

/* A conversation is submitted as its tokens when others go before them. */
static int take_tokens(struct generation_request *request, struct api_error *error)
{
    const struct ollama_request *own = request->own;
    struct generation_prompt *prompt = arena_array(&request->arena, 1, sizeof *prompt);
    if (!prompt)
        return api_refuse_memory(error);
    *prompt = (struct generation_prompt){.tokens = (int32_t *)(uintptr_t)own->prompt, .token_count = own->prompt_count};
    request->prompts = prompt;
    request->prompt_count = 1;
    request->is_chat = false;
    return 0;
}

int ollama_read_generate(struct api *api, const struct api_call *call, const json_t *json,
                         struct generation_request *request, struct api_error *error)
{
    (void)call;
    struct conversation_builder builder = {.arena = &request->arena, .error = error};
    struct smollm_text prompt, system, suffix, template;
    request->conversation = (struct smollm_conversation){.size = sizeof(struct smollm_conversation)};
    if (read_common(api, json, request, error) < 0 || json_input_text(json, "prompt", &prompt, error) < 0 ||
        json_input_text(json, "system", &system, error) < 0 || json_input_text(json, "suffix", &suffix, error) < 0 ||
        json_input_text(json, "template", &template, error) < 0 || refuse_images(json, "images", error) < 0)
        return -1;
    if (suffix.size > 0)
        return api_refuse(error, "suffix", "suffix: this model does not support insert");
    if (template.size > 0)
        return api_refuse(error, "template", "template is not supported: the model's own is used, or none with raw");
    struct ollama_request *own = request->own;
    own->is_load = prompt.size == 0;
    if (own->is_load)
        request->max_tokens = 0;
    request->is_chat = !json_is_true(json_input_value(json, "raw")) && api->info.chat_format;
    if (request->is_chat) {
        if (add_text(&builder, "system", system) < 0 || add_text(&builder, "user", prompt) < 0 ||
            conversation_finish(&builder, &request->conversation) < 0)
            return -1;
        const json_t *context = json_input_value(json, "context");
        if (own->is_load || read_context(api, context, request, error) < 0)
            return own->is_load ? 0 : -1;
        return json_array_size(context) > 0 ? take_tokens(request, error) : 0;
    }
    struct generation_prompt *raw = arena_array(&request->arena, 1, sizeof *raw);
    if (!raw)
        return api_refuse_memory(error);
    raw->text = prompt.size > 0 ? prompt : text_of(" ");
    request->prompts = raw;
    request->prompt_count = 1;
    return 0;
}
