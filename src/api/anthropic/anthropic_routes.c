#include "api/anthropic/anthropic.h"
#include "api/core/json_writer.h"

int anthropic_count_tokens(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                           struct api_error *error)
{
    return generation_write_count(api, &anthropic_format, NULL, call, json, out, error);
}

static const struct route routes[] = {
    {"/v1/messages", API_POST, 0, &anthropic_protocol, .format = &anthropic_format,
     .summary = "A conversation (Anthropic)", .fields = ROUTE_FIELDS(&anthropic_fields)},
    {"/v1/messages/count_tokens", API_POST, 0, &anthropic_protocol, .answer = anthropic_count_tokens,
     .summary = "How many tokens a conversation has (Anthropic)", .fields = ROUTE_FIELDS(&anthropic_fields)},
};

const struct route_list anthropic_routes = ROUTE_LIST(routes);
