/* llama-server's own routes: native completions, the tokenizer, what the server says of itself
 * (https://github.com/ggml-org/llama.cpp/tree/master/tools/server). Errors are OpenAI's. */
#ifndef API_LLAMA_SERVER_H
#define API_LLAMA_SERVER_H

#include "api/core/generation.h"
#include "api/core/route.h"

extern const struct route_list llama_server_routes;
extern const struct field_list llama_server_completion_fields;
extern const struct generation_format llama_server_completion_format, llama_server_infill_format;
extern const struct generation_format llama_server_embedding_format;

/* What an answer needs of its request; in the request's arena. */
struct native_request {
    const char *const *fields; /* "response_fields": the members that are wanted; none: all */
    size_t field_count;
};
int llama_server_read_completion(struct api *api, const struct api_call *call, const json_t *json,
                                 struct generation_request *request, struct api_error *error);
/* 501 where the vocabulary has no tokens for it. */
int llama_server_read_infill(struct api *api, const struct api_call *call, const json_t *json,
                             struct generation_request *request, struct api_error *error);

/* info_routes.c */
route_function llama_server_health, llama_server_props, llama_server_slots, llama_server_list_adapters;
/* metrics_route.c */
route_function llama_server_metrics;
/* text_routes.c */
route_function llama_server_tokenize, llama_server_detokenize, llama_server_apply_template;
/* end_thinking_route.c: 404 when no answer with the id in the body is under way for the call's key. */
route_function llama_server_end_thinking;
/* stream_routes.c: streams that outlived their connections (core/kept_streams.h). */
route_reader llama_server_read_stream;
route_function llama_server_delete_stream, llama_server_lookup_streams;

#endif
