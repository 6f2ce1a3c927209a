#include "api/openai/openai.h"
#include "api/shared/embedding_fields.h"
#include "api/shared/request_fields.h"

static const struct route routes[] = {
    {"/v1/chat/completions", API_POST, 0, &openai_protocol, .format = &openai_chat_format, .summary = "A conversation",
     .fields = ROUTE_FIELDS(&request_common_fields, &request_conversation_fields, &openai_chat_fields)},
    {"/v1/chat/completions/input_tokens", API_POST, 0, &openai_protocol, .answer = openai_count_tokens,
     .summary = "How many tokens a conversation has", .fields = ROUTE_FIELDS(&request_conversation_fields)},
    {"/v1/completions", API_POST, 0, &openai_protocol, .format = &openai_completion_format, .summary = "Raw prompts",
     .fields = ROUTE_FIELDS(&request_common_fields, &openai_completion_fields)},
    {"/v1/embeddings", API_POST, 0, &openai_protocol, .format = &openai_embedding_format, .summary = "Texts as vectors",
     .fields = ROUTE_FIELDS(&embedding_fields)},
    {"/v1/models", API_GET, 0, &openai_protocol, .answer = openai_list_models, .summary = "The model that is served"},
    {"/v1/models/{model}", API_GET, 0, &openai_protocol, .answer = openai_show_model,
     .summary = "The model with a name"},
};

const struct route_list openai_routes = ROUTE_LIST(routes);
