/* Fields of requests that OpenAI's, llama-server's and vLLM's routes have in common, and tables of fields for all. */
#ifndef API_REQUEST_FIELDS_H
#define API_REQUEST_FIELDS_H

#include "api/core/generation_request.h"

#include <stddef.h>

#define REQUEST_SAMPLING(kind, name, member)                                                                           \
    {                                                                                                                  \
        {name, FIELD_##kind, 0, 0, offsetof(struct generation_request, member)}, SAMPLING_##member                     \
    }
#define REQUEST_INTEGER(name, member, min, max)                                                                        \
    {                                                                                                                  \
        {name, FIELD_INTEGER, min, max, offsetof(struct generation_request, member)}, OWN_RANGE                        \
    }
#define REQUEST_TRUTH(name, member)                                                                                    \
    {                                                                                                                  \
        {name, FIELD_TRUTH, 0, 0, offsetof(struct generation_request, member)}, OWN_RANGE                              \
    }
#define REQUEST_SEED_MIN (-0x1p63)
#define REQUEST_SEED_MAX 0x1p63 /* the table's double for the largest int64_t */
#define REQUEST_TOKENS_MAX (1 << 24)

int request_read_fields(const json_t *json, const struct request_field *fields, size_t count,
                        struct generation_request *request, struct api_error *error);

/* The fields that request_read_common reads. */
extern const struct field_list request_common_fields;
/* Those of a conversation (conversation_fields.h). */
extern const struct field_list request_conversation_fields;

/* Model, sampling, stop strings, biases, form, vLLM's fields about tokens. */
int request_read_common(const struct api *api, const json_t *json, struct generation_request *request,
                        struct api_error *error);

/* Its parts, and what only some routes have. */
void request_take_model(const struct api *api, struct smollm_text name, struct generation_request *request);
int request_read_stops(const json_t *json, const char *name, struct generation_request *request,
                       struct api_error *error);
int request_read_stream_options(const json_t *json, struct generation_request *request, struct api_error *error);
/* The fields that ask for a form of the answer, in all their spellings. */
int request_read_form(const json_t *json, struct generation_request *request, struct api_error *error);
/* A JSON schema, or a string that holds one, as the form of the answer. field: its name in errors. */
int request_read_schema(const json_t *schema, const char *field, struct generation_request *request,
                        struct api_error *error);
/* {"type": "text" | "json_object" | "json_schema" | "regex", ...}, with its parts beside the type or in an object of
 * the type's name; NULL: any text. */
int request_read_format(const json_t *format, const char *field, struct generation_request *request,
                        struct api_error *error);
int request_read_token_fields(const json_t *json, uint32_t vocabulary, struct generation_request *request,
                              struct api_error *error);
/* One or several prompts, up to `max` of them, in the field `name`. */
int request_read_prompts(const struct api *api, const json_t *json, const char *name, size_t max,
                         struct generation_request *request, struct api_error *error);

#endif
