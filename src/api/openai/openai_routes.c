#include "api/openai/openai.h"

static const struct route routes[] = {
    {"/v1/chat/completions", API_POST, 0, &openai_protocol, .format = &openai_chat_format},
    {"/v1/chat/completions/input_tokens", API_POST, 0, &openai_protocol, .answer = openai_count_tokens},
    {"/v1/completions", API_POST, 0, &openai_protocol, .format = &openai_completion_format},
    {"/v1/embeddings", API_POST, 0, &openai_protocol, .format = &openai_embedding_format},
    {"/v1/models", API_GET, 0, &openai_protocol, .answer = openai_list_models},
    {"/v1/models/{model}", API_GET, 0, &openai_protocol, .answer = openai_show_model},
};

const struct route_list openai_routes = ROUTE_LIST(routes);
