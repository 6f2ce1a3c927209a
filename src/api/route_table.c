#include "api/route_table.h"

#include "api/anthropic/anthropic.h"
#include "api/llama_server/llama_server.h"
#include "api/openai/openai.h"

const struct route_list *const *route_table(void)
{
    static const struct route_list *const lists[] = {&openai_routes, &llama_server_routes, &anthropic_routes, NULL};
    return lists;
}

const struct protocol *route_table_protocol(struct smollm_text path)
{
    (void)path;
    return &openai_protocol;
}
