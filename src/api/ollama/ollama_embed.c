/* /api/embed, and the older /api/embeddings for one prompt. */
#include "api/ollama/ollama.h"
#include "api/shared/embedding_fields.h"

#include <time.h>

static int read_request(struct api *api, const struct api_call *call, const json_t *json,
                        struct generation_request *request, struct api_error *error)
{
    (void)call;
    struct smollm_text model;
    if (json_input_text(json, "model", &model, error) < 0)
        return -1;
    if (model.size == 0)
        return api_refuse(error, "model", "model is required");
    return request_read_embedding(api, json, json_input_value(json, "input") ? "input" : "prompt", false, request,
                                  error);
}

static uint64_t nanoseconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)(now.tv_sec - start->tv_sec) * 1000000000U + (uint64_t)now.tv_nsec - (uint64_t)start->tv_nsec;
}

static void whole(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "model", generation->request.model);
    json_key(&writer, "embeddings");
    json_begin_array(&writer);
    for (uint32_t i = 0; i < generation->choice_count; i++)
        embedding_write(generation, &generation->choices[i], 0, &writer);
    json_end_array(&writer);
    json_key_unsigned(&writer, "total_duration", nanoseconds_since(&generation->started));
    json_key_unsigned(&writer, "load_duration", 0);
    json_key_unsigned(&writer, "prompt_eval_count", generation_total(generation).prompt);
    json_end_object(&writer);
}

static void whole_of_one(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key(&writer, "embedding");
    embedding_write(generation, &generation->choices[0], 0, &writer);
    json_end_object(&writer);
}

const struct generation_format ollama_embed_format = {
    .protocol = &ollama_protocol, .id_prefix = "embed_", .read = read_request, .whole = whole};
const struct generation_format ollama_embeddings_format = {
    .protocol = &ollama_protocol, .id_prefix = "embed_", .read = read_request, .whole = whole_of_one};
