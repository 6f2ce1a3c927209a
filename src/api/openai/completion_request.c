/* /v1/completions: reads the request. */
#include "api/openai/openai.h"
#include "api/shared/request_fields.h"

static const struct request_field fields[] = {
    REQUEST_INTEGER("max_tokens", max_tokens, -1, REQUEST_TOKENS_MAX),
    REQUEST_INTEGER("n", answers, 1, GENERATION_ANSWERS_MAX),
    REQUEST_INTEGER("logprobs", logprobs, 0, LOGPROBS_MAX),
    REQUEST_TRUTH("echo", echo),
};

static const struct named_field named_fields[] = {
    {"prompt", NULL, true},
    {"suffix", "string", false},
    {"best_of", "integer", false},
    {"stream_options", "object", false},
};
const struct field_list openai_completion_fields = FIELD_LIST(fields, named_fields);

static int refuse_fields(const json_t *json, const struct generation_request *request, struct api_error *error)
{
    struct {
        int64_t best_of;
    } read = {0};
    static const struct json_field best_of = {"best_of", FIELD_INTEGER, 1, GENERATION_ANSWERS_MAX, 0};
    struct smollm_text suffix;
    if (json_input_fields(json, &best_of, 1, &read, error) < 0 || json_input_text(json, "suffix", &suffix, error) < 0)
        return -1;
    if (suffix.size > 0)
        return api_refuse(error, "suffix", "suffix is not supported: text is only continued at its end");
    if (read.best_of > 0 && read.best_of != request->answers)
        return api_refuse(error, "best_of", "best_of is %d and n is %d; only equal values are supported",
                          (int)read.best_of, (int)request->answers);
    return 0;
}

int openai_read_completion(struct api *api, const struct api_call *call, const json_t *json,
                           struct generation_request *request, struct api_error *error)
{
    (void)call;
    if (request_read_common(api, json, request, error) < 0 ||
        request_read_fields(json, fields, sizeof fields / sizeof *fields, request, error) < 0 ||
        request_read_stream_options(json, request, error) < 0 || refuse_fields(json, request, error) < 0)
        return -1;
    if (request_read_prompts(api, json, "prompt", GENERATION_CHOICES_MAX / (size_t)request->answers, request, error) <
        0)
        return -1;
    /* The answer shows the prompt token by token. */
    if (request->echo && request->logprobs >= 0) {
        if (request->prompt_logprobs < request->logprobs)
            request->prompt_logprobs = request->logprobs;
        return generation_request_tokenize(request, api, error);
    }
    return 0;
}
