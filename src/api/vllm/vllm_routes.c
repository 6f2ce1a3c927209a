#include "api/core/json_writer.h"
#include "api/openai/openai.h"
#include "api/shared/request_fields.h"
#include "api/vllm/vllm.h"

static int show_version(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                        struct api_error *error)
{
    (void)api, (void)call, (void)json, (void)error;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "version", smollm_version());
    json_end_object(&writer);
    return 0;
}

/* 503 while the model loads or the server drains, as /health. */
static int answer_ping(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                       struct api_error *error)
{
    (void)call, (void)json, (void)error;
    buffer_append_string(out, "{}");
    return atomic_load(&api->is_attached) && !atomic_load(&api->is_draining) ? 0 : 503;
}

/* Requests that are computed or wait. */
static int show_load(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                     struct api_error *error)
{
    (void)call, (void)json, (void)error;
    struct smollm_engine_stats stats;
    smollm_engine_get_stats(api->engine, &stats);
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_unsigned(&writer, "server_load", (uint64_t)stats.requests_running + stats.requests_waiting);
    json_end_object(&writer);
    return 0;
}

/* What routers ask before they send: vLLM's and SGLang's names for the same. */
static int show_server(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                       struct api_error *error)
{
    (void)call, (void)json, (void)error;
    struct smollm_engine_info engine;
    smollm_engine_get_info(api->engine, &engine);
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "version", smollm_version());
    json_key_word(&writer, "model_path", api->names[0]);
    json_key_word(&writer, "served_model_name", api->names[0]);
    json_key_word(&writer, "tokenizer_path", api->names[0]);
    json_key_truth(&writer, "is_generation", true);
    json_key_unsigned(&writer, "max_model_len", engine.context);
    json_key_unsigned(&writer, "context_length", engine.context);
    json_key_unsigned(&writer, "max_num_seqs", engine.parallel);
    json_key_unsigned(&writer, "max_running_requests", engine.parallel);
    json_key_unsigned(&writer, "block_size", engine.page_positions);
    json_key_unsigned(&writer, "page_size", engine.page_positions);
    json_key_number(&writer, "tp_size", 1);
    json_key_number(&writer, "dp_size", 1);
    json_end_object(&writer);
    return 0;
}

static const struct route routes[] = {
    {"/version", API_GET, ROUTE_WHILE_LOADING, &openai_protocol, .answer = show_version,
     .summary = "The program's version"},
    {"/ping", API_GET, ROUTE_PUBLIC | ROUTE_WHILE_LOADING, &openai_protocol, .answer = answer_ping,
     .summary = "Whether requests are answered"},
    {"/ping", API_POST, ROUTE_PUBLIC | ROUTE_WHILE_LOADING | ROUTE_MAY_BE_EMPTY, &openai_protocol,
     .answer = answer_ping, .summary = "Whether requests are answered"},
    {"/load", API_GET, 0, &openai_protocol, .answer = show_load, .summary = "Requests that are computed or wait"},
    {"/server_info", API_GET, 0, &openai_protocol, .answer = show_server, .summary = "What routers ask"},
    {"/get_server_info", API_GET, 0, &openai_protocol, .answer = show_server, .summary = "What routers ask"},
    {"/model_info", API_GET, 0, &openai_protocol, .answer = show_server, .summary = "What routers ask"},
    {"/get_model_info", API_GET, 0, &openai_protocol, .answer = show_server, .summary = "What routers ask"},
    {"/tokenizer_info", API_GET, 0, &openai_protocol, .answer = vllm_tokenizer_info,
     .summary = "Special tokens and the chat template"},
    {"/v1/chat/completions/render", API_POST, 0, &openai_protocol, .answer = vllm_render_chat,
     .summary = "The tokens of a conversation", .fields = ROUTE_FIELDS(&request_conversation_fields)},
    {"/v1/completions/render", API_POST, 0, &openai_protocol, .answer = vllm_render_completion,
     .summary = "The tokens of prompts", .fields = ROUTE_FIELDS(&openai_completion_fields)},
};

const struct route_list vllm_routes = ROUTE_LIST(routes);
