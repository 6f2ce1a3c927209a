/* OpenAI's Responses protocol (https://platform.openai.com/docs/api-reference/responses,
 * https://www.openresponses.org). An answer is a response object whose output is a list of items (reasoning, message,
 * function_call); a stream is numbered server-sent events. Responses are kept for previous_response_id, in bounded
 * memory. */
#ifndef API_RESPONSES_H
#define API_RESPONSES_H

#include "api/core/generation.h"
#include "api/core/route.h"
#include "api/shared/conversation_builder.h"

extern const struct protocol responses_protocol;
extern const struct route_list responses_routes;
extern const struct field_list responses_fields;
extern const struct generation_format responses_format;

/* A tool that came inside of a namespace: its calls name it. */
struct responses_namespace {
    struct smollm_text function, name;
};

/* What the answer repeats of its request, in the request's arena; JSON as text, empty where the request had none. */
struct responses_request {
    struct smollm_text instructions, previous; /* texts; data NULL: none */
    struct smollm_text tools, tool_choice, format, metadata, effort, summary, cache_key, user;
    struct smollm_text items;                                /* of the input, without the brackets of the array */
    int64_t max_output_tokens, max_tool_calls, top_logprobs; /* -1: none */
    bool keeps;                                              /* "store" */
    bool is_bare;                                            /* llama-server's path, without /v1 */
    bool has_summary;                                        /* the reasoning is wanted as a summary too */
    struct responses_namespace *namespaces;
    size_t namespace_count;
};

int responses_read(struct api *api, const struct api_call *call, const json_t *json, struct generation_request *request,
                   struct api_error *error);
/* Adds input items to a conversation; param names the field in errors. */
int responses_read_items(struct conversation_builder *builder, const json_t *items, const char *param);
/* Tools and tool_choice. */
int responses_read_tools(struct conversation_builder *builder, const json_t *json, struct generation_request *request,
                         struct responses_request *own);

/* Writes the response object. An answer that is not complete has the items up to `items`. status: "in_progress",
 * "completed", "incomplete", "failed". */
void responses_write_object(const struct generation *generation, size_t items, const char *status,
                            struct json_writer *writer);
/* An item of the output; status as above. */
void responses_write_item(const struct generation *generation, size_t index, const char *status,
                          struct json_writer *writer);
/* "completed", or "incomplete" when the length was reached. */
const char *responses_status(const struct generation *generation);

struct responses_id {
    char text[96];
};
/* Of an item of the output: "msg_...", "rs_...", "fc_...". */
struct responses_id responses_item_id(const struct generation *generation, size_t index);
/* Keeps a response that has ended. */
void responses_keep(const struct generation *generation);

route_function responses_show, responses_delete, responses_list_input, responses_count_tokens;

#endif
