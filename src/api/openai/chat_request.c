/* /v1/chat/completions: reads the request. */
#include "api/openai/openai.h"
#include "api/shared/conversation_fields.h"
#include "api/shared/request_fields.h"

static const struct request_field fields[] = {
    REQUEST_INTEGER("max_tokens", max_tokens, -1, REQUEST_TOKENS_MAX),
    REQUEST_INTEGER("max_completion_tokens", max_tokens, -1, REQUEST_TOKENS_MAX),
    REQUEST_INTEGER("n", answers, 1, GENERATION_ANSWERS_MAX),
    REQUEST_INTEGER("top_logprobs", logprobs, 0, LOGPROBS_MAX),
    REQUEST_INTEGER("thinking_budget", thinking_budget, -1, REQUEST_TOKENS_MAX),
    REQUEST_INTEGER("reasoning_budget", thinking_budget, -1, REQUEST_TOKENS_MAX),
    REQUEST_TRUTH("parallel_tool_calls", parallel_tool_calls),
    REQUEST_TRUTH("post_sampling_probs", sampled_logprobs),
    REQUEST_TRUTH("verbose", verbose),
};

static const struct named_field named_fields[] = {
    {"logprobs", "boolean", false},
    {"stream_options", "object", false},
};
const struct field_list openai_chat_fields = FIELD_LIST(fields, named_fields);

/* A boolean beside top_logprobs. */
static int read_logprobs(const json_t *json, struct generation_request *request, struct api_error *error)
{
    const json_t *value = json_input_value(json, "logprobs");
    if (value && !json_is_boolean(value))
        return api_refuse(error, "logprobs", "logprobs is %s; it must be true or false", json_input_kind(value));
    const bool wanted = value && json_is_true(value);
    if (request->logprobs > 0 && !wanted)
        return api_refuse(error, "top_logprobs", "top_logprobs needs logprobs to be true");
    request->logprobs = !wanted ? -1 : request->logprobs > 0 ? request->logprobs : 0;
    return 0;
}

int openai_read_chat(struct api *api, const struct api_call *call, const json_t *json,
                     struct generation_request *request, struct api_error *error)
{
    (void)call;
    request->is_chat = true;
    if (request_read_common(api, json, request, error) < 0 ||
        request_read_fields(json, fields, sizeof fields / sizeof *fields, request, error) < 0 ||
        read_logprobs(json, request, error) < 0 || request_read_stream_options(json, request, error) < 0 ||
        request_read_conversation(api->model, json, &request->arena, &request->conversation, error) < 0)
        return -1;
    request->keep_prompt = request->verbose;
    request->conversation.one_tool_call = !request->parallel_tool_calls;
    if (request->thinking_budget == 0)
        request->conversation.thinking = SMOLLM_THINKING_OFF;
    return 0;
}

int openai_count_tokens(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                        struct api_error *error)
{
    return generation_write_count(api, &openai_chat_format, "response.input_tokens", call, json, out, error);
}
