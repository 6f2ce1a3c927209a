/* Anthropic's protocol: messages (https://docs.anthropic.com/en/api/messages). Streams are named server-sent events,
 * one content block after another; errors are {"type": "error", "error": {"type", "message"}, "request_id"}. */
#ifndef API_ANTHROPIC_H
#define API_ANTHROPIC_H

#include "api/core/generation.h"
#include "api/core/route.h"

extern const struct protocol anthropic_protocol;
extern const struct route_list anthropic_routes;
extern const struct field_list anthropic_fields;
extern const struct generation_format anthropic_format;

int anthropic_read(struct api *api, const struct api_call *call, const json_t *json, struct generation_request *request,
                   struct api_error *error);
/* /v1/messages/count_tokens */
route_function anthropic_count_tokens;

#endif
