/* /embedding and /embeddings: arrays of vectors for each input: of one, or with "pooling" none of each of its tokens.
 */
#include "api/llama_server/llama_server.h"
#include "api/openai/openai.h"
#include "api/shared/embedding_fields.h"

static int read_request(struct api *api, const struct api_call *call, const json_t *json,
                        struct generation_request *request, struct api_error *error)
{
    (void)call;
    return request_read_embedding(api, json, json_input_value(json, "content") ? "content" : "input", true, request,
                                  error);
}

static void whole(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = {out, false};
    json_begin_array(&writer);
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        json_begin_object(&writer);
        json_key_number(&writer, "index", i);
        json_key(&writer, "embedding");
        json_begin_array(&writer);
        for (size_t vector = 0; vector < generation->choices[i].vector_count; vector++)
            embedding_write(generation, &generation->choices[i], vector, &writer);
        json_end_array(&writer);
        json_end_object(&writer);
    }
    json_end_array(&writer);
}

const struct generation_format llama_server_embedding_format = {
    .protocol = &openai_bare_protocol, .id_prefix = "embd-", .read = read_request, .whole = whole};
