#include "api/shared/embedding_fields.h"

#include "api/shared/request_fields.h"

#include <math.h>
#include <string.h>

enum { VALUES_MAX = 1 << 22 }; /* numbers in the vectors of all tokens of a request */

static const struct named_field named_fields[] = {
    {"input", NULL, true},
    {"model", "string", false},
    {"pooling", "string", false},
    {"dimensions", "integer", false},
    {"encoding_format", "string", false},
    {"normalize", "boolean", false},
    {"embd_normalize", "integer", false},
};
const struct field_list embedding_fields = {.others = named_fields,
                                            .other_count = sizeof named_fields / sizeof *named_fields};

static int read_pooling(const json_t *json, struct generation_request *request, struct api_error *error)
{
    struct smollm_text pooling;
    if (json_input_text(json, "pooling", &pooling, error) < 0)
        return -1;
    if (!pooling.data)
        return 0;
    if (!text_is(pooling, "last") && !text_is(pooling, "mean") && !text_is(pooling, "none"))
        return api_refuse(error, "pooling", "pooling must be last, mean or none");
    request->pooling = text_is(pooling, "mean")   ? SMOLLM_POOLING_MEAN
                       : text_is(pooling, "none") ? SMOLLM_POOLING_NONE
                                                  : SMOLLM_POOLING_LAST;
    return 0;
}

static int read_form(const json_t *json, struct generation_request *request, struct embedding_request *own,
                     struct api_error *error)
{
    const bool is_each = request->pooling == SMOLLM_POOLING_NONE;
    struct numbers {
        int64_t dimensions, norm;
        bool normalize;
    } numbers = {.norm = is_each ? -1 : 2, .normalize = !is_each};
    static const struct json_field fields[] = {
        {"dimensions", FIELD_INTEGER, 1, 1 << 20, offsetof(struct numbers, dimensions)},
        {"embd_normalize", FIELD_INTEGER, -1, 2, offsetof(struct numbers, norm)},
        {"normalize", FIELD_TRUTH, 0, 0, offsetof(struct numbers, normalize)}};
    struct smollm_text encoding;
    if (json_input_fields(json, fields, sizeof fields / sizeof *fields, &numbers, error) < 0 ||
        json_input_text(json, "encoding_format", &encoding, error) < 0)
        return -1;
    if (numbers.norm != 2 && numbers.norm != -1)
        return api_refuse(error, "embd_normalize", "embd_normalize must be 2 (length 1) or -1 (the vector as it is)");
    if (encoding.data && !text_is(encoding, "float") && !text_is(encoding, "base64"))
        return api_refuse(error, "encoding_format", "encoding_format must be float or base64");
    own->is_base64 = text_is(encoding, "base64");
    own->dimensions = (size_t)numbers.dimensions;
    request->no_normalization =
        is_each ? !numbers.normalize && numbers.norm < 0 : !numbers.normalize || numbers.norm < 0;
    return 0;
}

/* The vectors of all tokens are kept until the answer is written: this bounds their memory. Tokenizes the prompts. */
static int check_vectors(struct api *api, const char *name, struct generation_request *request, struct api_error *error)
{
    size_t tokens = 0;
    if (generation_request_tokenize(request, api, error) < 0)
        return -1;
    for (size_t i = 0; i < request->prompt_count; i++)
        tokens += request->prompts[i].token_count;
    if (tokens > VALUES_MAX / api->info.embedding_length)
        return api_refuse(error, name,
                          "%s has %zu tokens; a vector for each (pooling none) is answered for up to %u tokens of this "
                          "model: send fewer at a time",
                          name, tokens, VALUES_MAX / api->info.embedding_length);
    return 0;
}

int request_read_embedding(struct api *api, const json_t *json, const char *name, bool has_place_for_each,
                           struct generation_request *request, struct api_error *error)
{
    struct embedding_request *own = arena_allocate(&request->arena, sizeof *own);
    struct smollm_text model;
    if (!own)
        return api_refuse_memory(error);
    request->own = own;
    request->output = SMOLLM_OUTPUT_EMBEDDING;
    request->max_tokens = 0;
    if (json_input_text(json, "model", &model, error) < 0 || read_pooling(json, request, error) < 0 ||
        read_form(json, request, own, error) < 0)
        return -1;
    if (request->pooling == SMOLLM_POOLING_NONE && !has_place_for_each) /* llama-server's words */
        return api_refuse(error, "pooling",
                          "Pooling type 'none' is not OAI compatible. Please use a different pooling type");
    if (own->dimensions > api->info.embedding_length)
        return api_refuse(error, "dimensions", "dimensions is %zu; this model's embeddings have %u", own->dimensions,
                          api->info.embedding_length);
    request_take_model(api, model, request);
    if (request_read_prompts(api, json, name, GENERATION_INPUTS_MAX, request, error) < 0)
        return -1;
    return request->pooling == SMOLLM_POOLING_NONE ? check_vectors(api, name, request, error) : 0;
}

/* RFC 4648, section 4. */
static void write_base64(const unsigned char *data, size_t size, struct json_writer *writer)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buffer text = {0};
    for (size_t i = 0; i < size; i += 3) {
        const uint32_t three = (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) |
                               (i + 2 < size ? (uint32_t)data[i + 2] : 0);
        buffer_append_char(&text, digits[three >> 18]);
        buffer_append_char(&text, digits[three >> 12 & 63]);
        buffer_append_char(&text, i + 1 < size ? digits[three >> 6 & 63] : '=');
        buffer_append_char(&text, i + 2 < size ? digits[three & 63] : '=');
    }
    json_text(writer, buffer_text(&text));
    writer->out->failed |= text.failed;
    buffer_free(&text);
}

/* What makes the first numbers of a vector a vector of length 1 again. */
static double scale_of(const struct generation *generation, const struct choice *choice, const float *values,
                       size_t count)
{
    double sum = 0;
    if (generation->request.no_normalization || count == choice->value_count)
        return 1;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sum > 0 ? 1 / sqrt(sum) : 1;
}

void embedding_write(const struct generation *generation, const struct choice *choice, size_t vector,
                     struct json_writer *writer)
{
    const struct embedding_request *own = generation->request.own;
    const size_t count = own->dimensions > 0 ? own->dimensions : choice->value_count;
    float *values = choice->values + vector * choice->value_count; /* scaled in place: written once */
    const double scale = scale_of(generation, choice, values, count);
    for (size_t i = 0; i < count && scale != 1; i++)
        values[i] = (float)((double)values[i] * scale);
    if (own->is_base64) {
        write_base64((const unsigned char *)values, count * sizeof *values, writer);
        return;
    }
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        json_decimal(writer, (double)values[i]);
    json_end_array(writer);
}
