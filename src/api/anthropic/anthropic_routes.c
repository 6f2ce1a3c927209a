#include "api/anthropic/anthropic.h"
#include "api/core/json_writer.h"

int anthropic_count_tokens(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                           struct api_error *error)
{
    size_t count = 0;
    if (generation_count_tokens(api, &anthropic_format, call, json, &count, error) < 0)
        return -1;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_unsigned(&writer, "input_tokens", count);
    json_end_object(&writer);
    return 0;
}

static const struct route routes[] = {
    {"/v1/messages", API_POST, 0, &anthropic_protocol, .format = &anthropic_format,
     .summary = "A conversation (Anthropic)", .fields = ROUTE_FIELDS(&anthropic_fields)},
    {"/v1/messages/count_tokens", API_POST, 0, &anthropic_protocol, .answer = anthropic_count_tokens,
     .summary = "How many tokens a conversation has (Anthropic)", .fields = ROUTE_FIELDS(&anthropic_fields)},
};

const struct route_list anthropic_routes = ROUTE_LIST(routes);
