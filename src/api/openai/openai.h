/* OpenAI's protocol: chat completions, completions, models (https://platform.openai.com/docs/api-reference). Errors are
 * {"error": {"message", "type", "param", "code"}}, streams are server-sent events that end with [DONE]. llama-server's
 * and vLLM's own routes have the same errors. */
#ifndef API_OPENAI_H
#define API_OPENAI_H

#include "api/core/generation.h"
#include "api/core/route.h"

extern const struct protocol openai_protocol;
/* Without /v1 before it, a path is llama-server's, whose chat differs in two details that its clients check: the type
 * of an overflow error, and null for the content of a stream's first chunk. */
extern const struct protocol openai_bare_protocol;
extern const struct route_list openai_routes;
extern const struct field_list openai_chat_fields, openai_completion_fields;

extern const struct generation_format openai_chat_format, openai_bare_chat_format;
extern const struct generation_format openai_completion_format;
extern const struct generation_format openai_embedding_format;

/* "id", "object", "created", "model", "system_fingerprint" */
void openai_write_envelope(const struct generation *generation, const char *object, struct json_writer *writer);
/* "usage": {...} over all choices. */
void openai_write_usage(const struct generation *generation, struct json_writer *writer);
/* A chunk's "usage", if the request asks for usage: null, or the choice's so far with stream_options'
 * continuous_usage_stats. */
void openai_write_chunk_usage(const struct generation *generation, const struct choice *choice,
                              struct json_writer *writer);
/* "stop", "length", "tool_calls" */
const char *openai_finish_reason(const struct choice *choice);

int openai_read_chat(struct api *api, const struct api_call *call, const json_t *json,
                     struct generation_request *request, struct api_error *error);
int openai_read_completion(struct api *api, const struct api_call *call, const json_t *json,
                           struct generation_request *request, struct api_error *error);

route_function openai_list_models, openai_show_model;
/* /v1/chat/completions/input_tokens */
route_function openai_count_tokens;

#endif
