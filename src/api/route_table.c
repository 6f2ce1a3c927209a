#include "api/route_table.h"

#include "api/anthropic/anthropic.h"
#include "api/decisions/decisions.h"
#include "api/llama_server/llama_server.h"
#include "api/ollama/ollama.h"
#include "api/openai/openai.h"
#include "api/responses/responses.h"
#include "api/vllm/vllm.h"

static const struct route own_routes[] = {
    {"/openapi.json", API_GET, ROUTE_PUBLIC | ROUTE_WHILE_LOADING, &openai_protocol, .answer = openapi_describe,
     .summary = "This description"},
};
static const struct route_list own_list = ROUTE_LIST(own_routes);

const struct route_list *const *route_table(void)
{
    static const struct route_list *const lists[] = {&openai_routes,
                                                     &llama_server_routes,
                                                     &anthropic_routes,
                                                     &responses_routes,
                                                     &ollama_routes,
                                                     &decision_routes,
                                                     &vllm_routes,
                                                     &own_list,
                                                     NULL};
    return lists;
}

const struct protocol *route_table_protocol(struct smollm_text path)
{
    return text_starts_with(path, "/api/")           ? &ollama_protocol
           : text_starts_with(path, "/v1/messages/") ? &anthropic_protocol
                                                     : &openai_protocol;
}
