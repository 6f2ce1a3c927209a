#include "api/anthropic/anthropic.h"
#include "api/core/json_writer.h"

int anthropic_count_tokens(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                           struct api_error *error)
{
    struct generation_request request;
    struct smollm_error cause;
    int32_t *tokens = NULL;
    size_t count = 0;
    generation_request_init(&request, api);
    int status = anthropic_read(api, call, json, &request, error);
    if (status == 0 && smollm_render(api->model, &request.conversation, &tokens, &count, &cause) < 0)
        status = api_refuse_from(error, &cause);
    arena_free(&request.arena);
    smollm_free(tokens);
    if (status < 0)
        return status;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_unsigned(&writer, "input_tokens", count);
    json_end_object(&writer);
    return 0;
}

static const struct route routes[] = {
    {"/v1/messages", API_POST, 0, &anthropic_protocol, .format = &anthropic_format},
    {"/v1/messages/count_tokens", API_POST, 0, &anthropic_protocol, .answer = anthropic_count_tokens},
};

const struct route_list anthropic_routes = ROUTE_LIST(routes);
