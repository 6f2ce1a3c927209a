/* /v1/responses: reads the request. */
#include "api/core/kept_answers.h"
#include "api/responses/responses.h"
#include "api/shared/conversation_fields.h"
#include "api/shared/request_fields.h"

#include <string.h>

static const struct request_field fields[] = {
    REQUEST_SAMPLING(NUMBER, "temperature", temperature),
    REQUEST_SAMPLING(NUMBER, "top_p", top_p),
    REQUEST_SAMPLING(NUMBER, "presence_penalty", presence_penalty),
    REQUEST_SAMPLING(NUMBER, "frequency_penalty", frequency_penalty),
    REQUEST_INTEGER("max_output_tokens", max_tokens, 0, REQUEST_TOKENS_MAX),
    REQUEST_TRUTH("stream", is_stream),
    REQUEST_TRUTH("parallel_tool_calls", parallel_tool_calls),
    /* Not OpenAI's, but the same here as in the other protocols. */
    REQUEST_SAMPLING(INTEGER, "top_k", top_k),
    REQUEST_SAMPLING(NUMBER, "min_p", min_p),
    REQUEST_INTEGER("seed", seed, REQUEST_SEED_MIN, REQUEST_SEED_MAX),
    REQUEST_INTEGER("priority", priority, -1000, 1000),
    REQUEST_INTEGER("deadline_ms", deadline_ms, 0, 86400000),
    REQUEST_TRUTH("return_progress", return_progress),
    REQUEST_TRUTH("timings_per_token", timings_per_token),
};

static const struct json_field own_fields[] = {
    {"max_output_tokens", FIELD_INTEGER, 0, REQUEST_TOKENS_MAX, offsetof(struct responses_request, max_output_tokens)},
    {"max_tool_calls", FIELD_INTEGER, 0, REQUEST_TOKENS_MAX, offsetof(struct responses_request, max_tool_calls)},
    {"top_logprobs", FIELD_INTEGER, 0, LOGPROBS_MAX, offsetof(struct responses_request, top_logprobs)},
    {"store", FIELD_TRUTH, 0, 0, offsetof(struct responses_request, keeps)},
};

static const struct named_field named_fields[] = {
    {"model", "string", true},          {"input", NULL, true},
    {"instructions", "string", false},  {"tools", "array", false},
    {"tool_choice", NULL, false},       {"text", "object", false},
    {"reasoning", "object", false},     {"previous_response_id", "string", false},
    {"include", "array", false},        {"max_tool_calls", "integer", false},
    {"top_logprobs", "integer", false}, {"store", "boolean", false},
    {"metadata", "object", false},      {"stop", NULL, false},
};
const struct field_list responses_fields = FIELD_LIST(fields, named_fields);

/* Fields that would change what is done, and are not supported. */
static int refuse_fields(const json_t *json, const struct api_call *call, struct api_error *error)
{
    if (json_is_true(json_input_value(json, "background")))
        return api_refuse(error, "background", "background is not supported");
    if (json_input_value(json, "conversation"))
        return api_refuse(error, "conversation", "conversation is not supported: use previous_response_id");
    if (json_input_value(json, "prompt"))
        return api_refuse(error, "prompt", "prompt templates are not supported: use instructions and input");
    /* OpenAI's path demands a model; llama-server's, without /v1, does not. */
    if (text_starts_with(call->path, "/v1/") && !json_input_value(json, "model"))
        return api_refuse(error, "model", "model is missing");
    return 0;
}

/* Functions with the members that clients expect in an answer even where the request had none. */
static int copy_tools(const json_t *tools, struct arena *arena, struct smollm_text *copy, struct api_error *error)
{
    if (!json_is_array(tools))
        return 0;
    json_t *filled = json_deep_copy(tools), *tool;
    size_t i;
    json_array_foreach(filled, i, tool)
    {
        const char *type = json_string_value(json_object_get(tool, "type"));
        static const char *const names[] = {"description", "parameters", "strict"};
        for (size_t j = 0; type && strcmp(type, "function") == 0 && j < 3; j++)
            if (!json_object_get(tool, names[j]))
                json_object_set_new(tool, names[j], json_null());
    }
    const int status = filled ? json_dump_to_arena(filled, arena, copy, error) : api_refuse_memory(error);
    json_decref(filled);
    return status;
}

/* What the answer repeats. */
static int read_repeated(const json_t *json, struct arena *arena, struct responses_request *own,
                         struct api_error *error)
{
    const json_t *reasoning = json_input_value(json, "reasoning"), *text = json_input_value(json, "text");
    const struct {
        const json_t *value;
        struct smollm_text *copy;
    } parts[] = {{json_input_value(json, "tool_choice"), &own->tool_choice},
                 {json_input_value(text, "format"), &own->format},
                 {json_input_value(json, "metadata"), &own->metadata},
                 {json_input_value(reasoning, "effort"), &own->effort},
                 {json_input_value(reasoning, "summary"), &own->summary},
                 {json_input_value(json, "prompt_cache_key"), &own->cache_key},
                 {json_input_value(json, "safety_identifier"), &own->user}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].value && json_dump_to_arena(parts[i].value, arena, parts[i].copy, error) < 0)
            return -1;
    if (copy_tools(json_input_value(json, "tools"), arena, &own->tools, error) < 0)
        return -1;
    own->has_summary = json_input_is_string(json_input_value(reasoning, "summary"));
    return 0;
}

static int copy_text(const json_t *json, const char *name, struct arena *arena, struct smollm_text *copy,
                     struct api_error *error)
{
    struct smollm_text text;
    if (json_input_text(json, name, &text, error) < 0)
        return -1;
    if (!text.data)
        return 0;
    const char *copied = arena_copy(arena, text.data, text.size);
    *copy = (struct smollm_text){copied, text.size};
    return copied ? 0 : api_refuse_memory(error);
}

/* ---- Conversation ---- */

static int add_text(struct conversation_builder *builder, const char *role, struct smollm_text text)
{
    struct smollm_message *message = conversation_add(builder, role);
    if (message)
        message->content = text;
    return message ? 0 : -1;
}

static int copy_in(struct conversation_builder *builder, struct smollm_text *text)
{
    if (text->size == 0)
        return 0;
    text->data = arena_copy(builder->arena, text->data, text->size);
    return text->data ? 0 : api_refuse_memory(builder->error);
}

/* The texts of messages point into JSON that is about to be freed. */
static int copy_messages(struct conversation_builder *builder)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < builder->count; i++) {
        struct smollm_message *message = &builder->messages[i];
        struct smollm_tool_call *calls = (struct smollm_tool_call *)(uintptr_t)message->tool_calls;
        status = copy_in(builder, &message->content);
        if (status == 0)
            status = copy_in(builder, &message->reasoning);
        for (size_t j = 0; status == 0 && j < message->tool_call_count; j++)
            if (copy_in(builder, &calls[j].id) < 0 || copy_in(builder, &calls[j].name) < 0 ||
                copy_in(builder, &calls[j].arguments) < 0)
                status = -1;
    }
    return status;
}

static int refuse_previous(struct api_error *error, struct smollm_text id)
{
    api_refuse(error, "previous_response_id",
               "previous response '%.*s' was not found; it may have been dropped to make room. Send its items in input "
               "instead",
               (int)(id.size < 100 ? id.size : 100), id.data);
    error->status = 404;
    error->code = "previous_response_not_found";
    return -1;
}

/* The items of an earlier response and of those before it. */
static int read_previous(struct api *api, uint64_t key, struct smollm_text id, struct conversation_builder *builder)
{
    enum { DEPTH_MAX = 1024 };
    json_t **chain = arena_array(builder->arena, DEPTH_MAX, sizeof *chain);
    size_t depth = 0;
    int status = 0;
    if (!chain)
        return api_refuse_memory(builder->error);
    while (status == 0 && id.size > 0) {
        struct buffer text = {0};
        if (depth < DEPTH_MAX && kept_answers_get(&api->kept, key, id, &text) && !text.failed) {
            chain[depth] = json_loadb(text.data, text.size, JSON_ALLOW_NUL, NULL);
            id = json_input_string(json_object_get(chain[depth++], "previous"));
        } else {
            status = refuse_previous(builder->error, id);
        }
        buffer_free(&text);
    }
    for (size_t i = depth; status == 0 && i-- > 0;)
        status = responses_read_items(builder, json_object_get(chain[i], "items"), "previous_response_id");
    if (status == 0)
        status = copy_messages(builder);
    for (size_t i = 0; i < depth; i++)
        json_decref(chain[i]);
    return status;
}

/* The input's items as JSON, for those that refer to this response. */
static int keep_items(const json_t *input, struct arena *arena, struct responses_request *own, struct api_error *error)
{
    json_t *list = NULL;
    if (json_input_is_string(input))
        list = json_pack("[{s:s,s:s,s:O}]", "type", "message", "role", "user", "content", input);
    struct smollm_text dumped = {"[]", 2};
    const json_t *items = list ? list : input;
    const int status = items ? json_dump_to_arena(items, arena, &dumped, error) : 0;
    json_decref(list);
    own->items = (struct smollm_text){dumped.data + 1, dumped.size - 2};
    return status;
}

static int read_conversation(struct api *api, const struct api_call *call, const json_t *json,
                             struct generation_request *request, struct responses_request *own, struct api_error *error)
{
    struct conversation_builder builder = {.arena = &request->arena, .error = error};
    const json_t *input = json_input_value(json, "input");
    /* Instructions stand before everything, also before what an earlier response had. */
    if (own->instructions.size > 0 && add_text(&builder, "system", own->instructions) < 0)
        return -1;
    if (own->previous.size > 0 && read_previous(api, call->key, own->previous, &builder) < 0)
        return -1;
    if (json_input_is_string(input)) {
        if (add_text(&builder, "user", json_input_string(input)) < 0)
            return -1;
    } else if (json_is_array(input)) {
        if (responses_read_items(&builder, input, "input") < 0)
            return -1;
    } else if (input || own->previous.size == 0) {
        return api_refuse(error, "input", "input is %s; it must be a string or an array of items",
                          input ? json_input_kind(input) : "missing");
    }
    if (keep_items(input, &request->arena, own, error) < 0 || responses_read_tools(&builder, json, request, own) < 0)
        return -1;
    return conversation_finish(&builder, &request->conversation);
}

static bool includes(const json_t *json, const char *name)
{
    const json_t *list = json_input_value(json, "include");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (text_is(json_input_string(json_array_get(list, i)), name))
            return true;
    return false;
}

static int read_reasoning(const json_t *json, struct generation_request *request, struct api_error *error)
{
    const json_t *reasoning = json_input_value(json, "reasoning");
    struct smollm_text effort = {0};
    if (reasoning && !json_is_object(reasoning))
        return api_refuse(error, "reasoning", "reasoning is %s; it must be an object", json_input_kind(reasoning));
    if (reasoning && json_input_text(reasoning, "effort", &effort, error) < 0)
        return -1;
    return request_take_effort(effort, "reasoning.effort", &request->conversation, error);
}

int responses_read(struct api *api, const struct api_call *call, const json_t *json, struct generation_request *request,
                   struct api_error *error)
{
    struct responses_request *own = arena_allocate(&request->arena, sizeof *own);
    struct smollm_text model;
    if (!own)
        return api_refuse_memory(error);
    *own = (struct responses_request){.max_output_tokens = -1, .max_tool_calls = -1, .top_logprobs = -1, .keeps = true};
    own->is_bare = !text_starts_with(call->path, "/v1/");
    request->own = own;
    request->is_chat = true;
    request->conversation = (struct smollm_conversation){.size = sizeof(struct smollm_conversation)};
    if (refuse_fields(json, call, error) < 0 || json_input_text(json, "model", &model, error) < 0 ||
        request_read_fields(json, fields, sizeof fields / sizeof *fields, request, error) < 0 ||
        json_input_fields(json, own_fields, sizeof own_fields / sizeof *own_fields, own, error) < 0 ||
        request_read_stops(json, "stop", request, error) < 0 ||
        request_read_format(json_input_value(json_input_value(json, "text"), "format"), "text.format", request, error) <
            0 ||
        read_reasoning(json, request, error) < 0 || read_repeated(json, &request->arena, own, error) < 0 ||
        copy_text(json, "instructions", &request->arena, &own->instructions, error) < 0 ||
        copy_text(json, "previous_response_id", &request->arena, &own->previous, error) < 0 ||
        read_conversation(api, call, json, request, own, error) < 0)
        return -1;
    request_take_model(api, model, request);
    request->conversation.one_tool_call = !request->parallel_tool_calls;
    if (own->top_logprobs >= 0 || includes(json, "message.output_text.logprobs"))
        request->logprobs = own->top_logprobs > 0 ? own->top_logprobs : 0;
    return 0;
}
