/* /v1/embeddings */
#include "api/openai/openai.h"
#include "api/shared/embedding_fields.h"

static int read_request(struct api *api, const struct api_call *call, const json_t *json,
                        struct generation_request *request, struct api_error *error)
{
    (void)call;
    return request_read_embedding(api, json, "input", false, request, error);
}

static void whole(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = {out, false};
    const uint64_t tokens = generation_total(generation).prompt;
    json_begin_object(&writer);
    json_key_word(&writer, "object", "list");
    json_key_word(&writer, "model", generation->request.model);
    json_key(&writer, "data");
    json_begin_array(&writer);
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        json_begin_object(&writer);
        json_key_word(&writer, "object", "embedding");
        json_key_number(&writer, "index", i);
        json_key(&writer, "embedding");
        embedding_write(generation, &generation->choices[i], 0, &writer);
        json_end_object(&writer);
    }
    json_end_array(&writer);
    json_key(&writer, "usage");
    json_begin_object(&writer);
    json_key_unsigned(&writer, "prompt_tokens", tokens);
    json_key_unsigned(&writer, "total_tokens", tokens);
    json_end_object(&writer);
    json_end_object(&writer);
}

const struct generation_format openai_embedding_format = {
    .protocol = &openai_protocol, .id_prefix = "embd-", .read = read_request, .whole = whole};
