#include "api/route_table.h"

#include "api/anthropic/anthropic.h"
#include "api/decisions/decisions.h"
#include "api/llama_server/llama_server.h"
#include "api/ollama/ollama.h"
#include "api/openai/openai.h"
#include "api/responses/responses.h"

const struct route_list *const *route_table(void)
{
    static const struct route_list *const lists[] = {&openai_routes,
                                                     &llama_server_routes,
                                                     &anthropic_routes,
                                                     &responses_routes,
                                                     &ollama_routes,
                                                     &decision_routes,
                                                     NULL};
    return lists;
}

const struct protocol *route_table_protocol(struct smollm_text path)
{
    return text_starts_with(path, "/api/")           ? &ollama_protocol
           : text_starts_with(path, "/v1/messages/") ? &anthropic_protocol
                                                     : &openai_protocol;
}
