/* Ollama's protocol, under /api (https://github.com/ollama/ollama/blob/main/docs/api.md). Streams are lines of JSON,
 * and an answer is a stream unless "stream" is false; errors are {"error": "text"}, also in the middle of a stream. */
#ifndef API_OLLAMA_H
#define API_OLLAMA_H

#include "api/core/generation.h"
#include "api/core/route.h"

extern const struct protocol ollama_protocol;
extern const struct route_list ollama_routes;
extern const struct field_list ollama_fields;
extern const struct generation_format ollama_chat_format;
extern const struct generation_format ollama_generate_format;
extern const struct generation_format ollama_embed_format, ollama_embeddings_format;

/* What an answer needs of its request; in the request's arena. */
struct ollama_request {
    struct smollm_text model; /* as it was asked for */
    bool shows_thinking;      /* "think" is not false */
    bool is_load;             /* nothing is asked: the model is only loaded, or unloaded */
    bool is_unload;           /* keep_alive is 0 */
    const int32_t *prompt;    /* tokens of the prompt of /api/generate, which the answer's "context" begins with */
    size_t prompt_count;
};

int ollama_read_chat(struct api *api, const struct api_call *call, const json_t *json,
                     struct generation_request *request, struct api_error *error);
int ollama_read_generate(struct api *api, const struct api_call *call, const json_t *json,
                         struct generation_request *request, struct api_error *error);

/* The version of Ollama whose API this is; Codex asks for at least 0.13.4. */
#define OLLAMA_VERSION "0.13.5"

route_function ollama_version, ollama_tags, ollama_show, ollama_ps, ollama_pull, ollama_refuse_change;

#endif
