/* Embeddings: what requests for them have in common, and their vectors in answers. */
#ifndef API_EMBEDDING_FIELDS_H
#define API_EMBEDDING_FIELDS_H

#include "api/core/generation.h"

struct embedding_request {
    size_t dimensions; /* 0: all */
    bool is_base64;
};

extern const struct field_list embedding_fields;
/* The inputs in the field `name` (texts, token ids, or a list of these), "dimensions", "encoding_format", and beyond
 * OpenAI: "pooling" (last, mean, none), and "normalize" or llama-server's "embd_normalize" (2, or -1 for the vector as
 * it is). Fills request->own with a struct embedding_request. "pooling" none is refused unless the answer has a place
 * for a vector of each token; these are as they are unless a length is asked for. */
int request_read_embedding(struct api *api, const json_t *json, const char *name, bool has_place_for_each,
                           struct generation_request *request, struct api_error *error);
/* One of the vectors as an array of numbers, or as base64 of little-endian floats. */
void embedding_write(const struct generation *generation, const struct choice *choice, size_t vector,
                     struct json_writer *writer);

#endif
