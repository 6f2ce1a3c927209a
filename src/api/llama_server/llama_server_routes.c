#include "api/llama_server/llama_server.h"
#include "api/openai/openai.h"

static const struct route routes[] = {
    {"/chat/completions", API_POST, 0, &openai_bare_protocol, .format = &openai_bare_chat_format},
    {"/completion", API_POST, 0, &openai_bare_protocol, .format = &llama_server_completion_format},
    {"/health", API_GET, ROUTE_PUBLIC | ROUTE_WHILE_LOADING, &openai_protocol, .answer = llama_server_health},
    {"/props", API_GET, 0, &openai_protocol, .answer = llama_server_props},
    {"/slots", API_GET, 0, &openai_protocol, .answer = llama_server_slots},
    {"/metrics", API_GET, ROUTE_TELLS_START, &openai_protocol, .answer = llama_server_metrics,
     .content_type = "text/plain; version=0.0.4; charset=utf-8"},
    {"/tokenize", API_POST, 0, &openai_protocol, .answer = llama_server_tokenize},
    {"/detokenize", API_POST, 0, &openai_protocol, .answer = llama_server_detokenize},
    {"/apply-template", API_POST, 0, &openai_protocol, .answer = llama_server_apply_template},
    {"/lora-adapters", API_GET, 0, &openai_protocol, .answer = llama_server_list_adapters},
    {"/embedding", API_POST, 0, &openai_bare_protocol, .format = &llama_server_embedding_format},
    {"/embeddings", API_POST, 0, &openai_bare_protocol, .format = &llama_server_embedding_format},
    {"/infill", API_POST, 0, &openai_bare_protocol, .format = &llama_server_infill_format},
    {"/end-thinking", API_POST, 0, &openai_protocol, .answer = llama_server_end_thinking},
};

const struct route_list llama_server_routes = ROUTE_LIST(routes);
