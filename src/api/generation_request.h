/* Requests for a generation: the three kinds (chat, completions, llama-server's native one) are read into the options
 * of the library. */
#ifndef API_GENERATION_REQUEST_H
#define API_GENERATION_REQUEST_H

#include "api/api.h"
#include "api/json_input.h"
#include "base/memory.h"

enum {
    GENERATION_CHOICES_MAX = 16, /* prompts times n */
    GENERATION_ANSWERS_MAX = 8,  /* n */
    STOPS_MAX = 16,
    STOP_BYTES_MAX_API = 1024,
    LOGPROBS_MAX = 20,
    LOGIT_BIASES_MAX = 1024,
};

enum generation_kind { GENERATION_CHAT, GENERATION_COMPLETIONS, GENERATION_NATIVE };

/* One prompt of a completion. */
struct generation_prompt {
    struct smollm_text text; /* data NULL: tokens */
    int32_t *tokens;
    size_t token_count;
};

struct generation_request {
    enum generation_kind kind;
    struct arena arena; /* holds what the request needs beside the JSON */
    const json_t *json; /* borrowed until submitted */

    struct smollm_conversation conversation; /* of GENERATION_CHAT */
    struct generation_prompt *prompts;       /* of the others */
    size_t prompt_count;

    struct smollm_sampling sampling;
    struct smollm_text stops[STOPS_MAX];
    size_t stop_count;
    int64_t max_tokens; /* -1: until the context is full */
    int64_t answers;    /* n */
    int64_t seed;       /* -1: none */
    int64_t logprobs;   /* -1: none */
    bool is_stream;
    bool include_usage;
    bool return_progress;
    int64_t priority;    /* among the requests of its key: lower ones are served first */
    int64_t deadline_ms; /* 0: none */
    bool ignore_eos;
    bool echo;
    bool return_tokens;
    bool one_tool_call; /* parallel_tool_calls is false */
    int64_t min_tokens;
    int64_t max_thinking_tokens; /* 0: no limit */
    const int32_t *allowed_tokens, *stop_tokens;
    size_t allowed_token_count, stop_token_count;
    const struct smollm_text *bad_words;
    size_t bad_word_count;
    bool has_form;
    struct smollm_form form;
};

/* Fills request from the body. request->arena is freed by the caller with arena_free, on failure too. */
int generation_request_read(const struct api_options *defaults, const struct smollm_model *model,
                            enum generation_kind kind, const json_t *json, struct generation_request *request,
                            struct api_error *error);

/* Its parts. */
int generation_read_conversation(const struct smollm_model *model, const json_t *json, struct arena *arena,
                                 struct smollm_conversation *conversation, struct api_error *error);
int generation_read_form(const json_t *json, struct generation_request *request, struct api_error *error);
int generation_read_token_fields(const json_t *json, uint32_t vocabulary, struct generation_request *request,
                                 struct api_error *error);
int generation_read_prompts(const struct smollm_model *model, const json_t *json, struct generation_request *request,
                            struct api_error *error);

#endif
