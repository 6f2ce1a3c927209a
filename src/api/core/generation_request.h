/* A request for a generation, without the dialect that it came in. */
#ifndef API_GENERATION_REQUEST_H
#define API_GENERATION_REQUEST_H

#include "api/core/context.h"
#include "api/core/json_input.h"
#include "base/memory.h"

enum {
    GENERATION_CHOICES_MAX = 256, /* prompts times answers */
    GENERATION_INPUTS_MAX = 2048, /* of a request for embeddings */
    GENERATION_ANSWERS_MAX = 8,
    STOPS_MAX = 16,
    STOP_BYTES_MAX_API = 1024,
    LOGPROBS_MAX = 20,
};

/* One prompt without a conversation. */
struct generation_prompt {
    struct smollm_text text; /* data NULL: tokens */
    int32_t *tokens;
    size_t token_count;
};

/* Numbers have the types of struct json_field, whose tables fill them; their ranges are checked there and by the
 * library. Texts and arrays are borrowed from the JSON or in the arena. */
struct generation_request {
    struct arena arena; /* holds what the request needs beside the JSON */
    const char *model;  /* its name in the answer; borrowed from the api */

    bool is_chat;
    struct smollm_conversation conversation; /* of a chat */
    struct generation_prompt *prompts;       /* otherwise */
    size_t prompt_count;

    double temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
    int64_t top_k, repetition_window;
    int64_t seed; /* -1: a random one, or the server's; other negative numbers stand for their 64 bits */
    const struct smollm_logit_bias *logit_bias;
    size_t logit_bias_count;

    struct smollm_text stops[STOPS_MAX];
    size_t stop_count;
    int64_t max_tokens; /* -1: until the context is full */
    int64_t min_tokens;
    int64_t answers;         /* to each prompt */
    int64_t logprobs;        /* alternatives to each token; -1: no log-probabilities */
    int64_t thinking_budget; /* tokens; 0: no thinking; -1: no limit */
    int64_t priority;        /* among the requests of its key: lower ones are served first */
    int64_t deadline_ms;     /* 0: none */
    const int32_t *allowed_tokens, *stop_tokens;
    size_t allowed_token_count, stop_token_count;
    /* Where the answer goes on, as struct smollm_request_options has it. */
    const int32_t *answer_tokens;
    size_t answer_token_count;
    int64_t silent_tokens;
    const struct smollm_text *bad_words;
    size_t bad_word_count;
    /* What is asked for instead of an answer, as struct smollm_request_options has it. */
    enum smollm_output output;
    enum smollm_pooling pooling;
    bool no_normalization;
    const int32_t *const *score_tokens; /* [prompts]: the tokens to score after each prompt; NULL: none */
    const size_t *score_token_counts;
    int64_t prompt_logprobs;    /* alternatives to each token of the prompt; -1: none */
    bool shows_prompt_logprobs; /* in a list of their own */
    bool has_form;
    struct smollm_form form;
    bool is_stream;
    bool include_usage;
    bool continuous_usage; /* with each chunk of a stream */
    bool return_progress;
    bool ignore_eos;
    bool echo;        /* the prompt stands before its answer */
    bool keep_prompt; /* its text is kept for the answer */
    bool verbose;     /* the answer repeats its settings and its prompt, for those who look for a fault */
    bool return_tokens;
    bool sampled_logprobs; /* as struct smollm_request_options has it */
    bool timings_per_token;
    bool wants_logprobs; /* where a protocol has a truth value beside the number */
    bool parallel_tool_calls;
    void *own;                   /* what the protocol keeps of its request for its answer; in the arena */
    void (*free_own)(void *own); /* what it holds beside the arena; NULL: nothing */
};

/* Where the range of a number comes from: the library's table, or the field itself. */
enum request_range {
    OWN_RANGE,
#define SAMPLING_INDEX(member, min, max) SAMPLING_##member,
    SMOLLM_SAMPLING_RANGES(SAMPLING_INDEX)
#undef SAMPLING_INDEX
};

/* A number or a truth value that goes into a member of struct generation_request. */
struct request_field {
    struct json_field field;
    enum request_range range;
};
/* The field with its range. */
struct json_field request_field_ranged(const struct request_field *field);

/* The fields of a route, of which its description is made: tables that read them, and names of others. */
struct field_list {
    const struct request_field *fields;
    size_t field_count;
    const struct named_field *others;
    size_t other_count;
};
#define FIELD_LIST(fields, others)                                                                                     \
    {                                                                                                                  \
        fields, sizeof(fields) / sizeof *(fields), others, sizeof(others) / sizeof *(others)                           \
    }

/* Everything at the server's defaults. */
void generation_request_init(struct generation_request *request, const struct api *api);
/* How prompts that are text become tokens; and the same done at once. */
extern const struct smollm_tokenize_options generation_prompt_options;
int generation_request_tokenize(struct generation_request *request, const struct api *api, struct api_error *error);
void generation_request_free(struct generation_request *request);
/* The sampling of answer number `index` to one prompt. */
struct smollm_sampling generation_request_sampling(const struct generation_request *request, uint32_t index);

#endif
