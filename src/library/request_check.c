#include "library/request_check.h"

#include "base/error.h"
#include "engine/engine.h"
#include "library/sized.h"

/* Whether the conversation says that the answer calls tools. */
static bool requires_tools(const struct smollm_conversation *given)
{
    struct smollm_conversation conversation;
    return given && sized_read(&conversation, sizeof conversation, given, given->size, "", NULL) == 0 &&
           conversation.tool_count > 0 && conversation.tool_choice != SMOLLM_TOOL_AUTO;
}

/* Refuses what is about an answer where there is none. */
static int check_no_answer(const struct smollm_request_options *o, struct smollm_error *error)
{
    const struct {
        const char *name;
        bool is_set;
    } members[] = {{"form", o->form != NULL},
                   {"stop", o->stop_count > 0},
                   {"stop_tokens", o->stop_token_count > 0},
                   {"allowed_tokens", o->allowed_token_count > 0},
                   {"bad_words", o->bad_word_count > 0},
                   {"min_tokens", o->min_tokens > 0},
                   {"max_tokens", o->max_tokens > 0},
                   {"max_thinking_tokens", o->max_thinking_tokens > 0},
                   {"answer_tokens", o->answer_token_count > 0},
                   {"silent_tokens", o->silent_tokens > 0},
                   {"want_logprobs", o->want_logprobs},
                   {"want_prompt_logprobs", o->want_prompt_logprobs},
                   {"tool_choice", requires_tools(o->conversation)}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        RETURN_ERROR_IF(members[i].is_set, error, SMOLLM_EINVAL,
                        "%s is set, but a request for %s has no answer; leave it unset", members[i].name,
                        o->output == SMOLLM_OUTPUT_EMBEDDING ? "an embedding" : "scores");
    return 0;
}

static int check_output(const struct smollm_request_options *o, struct smollm_error *error)
{
    RETURN_ERROR_IF(o->output != SMOLLM_OUTPUT_TEXT && o->output != SMOLLM_OUTPUT_EMBEDDING, error, SMOLLM_EINVAL,
                    "output is %d; it must be SMOLLM_OUTPUT_TEXT or SMOLLM_OUTPUT_EMBEDDING", (int)o->output);
    RETURN_ERROR_IF(
        (int)o->pooling < SMOLLM_POOLING_LAST || (int)o->pooling > SMOLLM_POOLING_NONE, error, SMOLLM_EINVAL,
        "pooling is %d; it must be SMOLLM_POOLING_LAST, SMOLLM_POOLING_MEAN or SMOLLM_POOLING_NONE", (int)o->pooling);
    RETURN_ERROR_IF(o->output == SMOLLM_OUTPUT_TEXT && (o->pooling != SMOLLM_POOLING_LAST || o->no_normalization),
                    error, SMOLLM_EINVAL, "%s is set, but output is not SMOLLM_OUTPUT_EMBEDDING",
                    o->no_normalization ? "no_normalization" : "pooling");
    RETURN_ERROR_IF(o->score_token_count > ENGINE_SCORES_MAX, error, SMOLLM_EINVAL,
                    "score_token_count is %zu; it must be from 1 to %d, or 0 for none", o->score_token_count,
                    ENGINE_SCORES_MAX);
    RETURN_ERROR_IF(o->score_token_count > 0 && !o->score_tokens, error, SMOLLM_EINVAL,
                    "score_token_count is %zu, but score_tokens is NULL", o->score_token_count);
    RETURN_ERROR_IF(o->score_token_count > 0 && o->output == SMOLLM_OUTPUT_EMBEDDING, error, SMOLLM_EINVAL,
                    "a request gives either an embedding or scores; both output and score_tokens are set");
    return request_has_no_answer(o) ? check_no_answer(o, error) : 0;
}

int request_check(const struct smollm_request_options *options, struct smollm_error *error)
{
    const int prompts = (options->conversation != NULL) + (options->prompt.data != NULL) + (options->tokens != NULL);
    RETURN_ERROR_IF(prompts != 1, error, SMOLLM_EINVAL,
                    "the request has %d prompts; set exactly one of conversation, prompt and tokens", prompts);
    RETURN_ERROR_IF(options->want_logprobs && (options->logprobs < 0 || options->logprobs > ENGINE_ALTERNATIVES_MAX),
                    error, SMOLLM_EINVAL, "logprobs is %d; it must be from 0 to %d", options->logprobs,
                    ENGINE_ALTERNATIVES_MAX);
    RETURN_ERROR_IF(options->want_prompt_logprobs &&
                        (options->prompt_logprobs < 0 || options->prompt_logprobs > ENGINE_ALTERNATIVES_MAX),
                    error, SMOLLM_EINVAL, "prompt_logprobs is %d; it must be from 0 to %d", options->prompt_logprobs,
                    ENGINE_ALTERNATIVES_MAX);
    RETURN_ERROR_IF(options->answer_token_count > 0 && !options->answer_tokens, error, SMOLLM_EINVAL,
                    "answer_token_count is %zu, but answer_tokens is NULL", options->answer_token_count);
    RETURN_ERROR_IF(options->answer_token_count > 0 && options->silent_tokens > 0, error, SMOLLM_EINVAL,
                    "both answer_tokens and silent_tokens are set; an answer goes on after one of them");
    RETURN_ERROR_IF(options->max_tokens < -1, error, SMOLLM_EINVAL,
                    "max_tokens is %d; it must be at least 0, or -1 for no limit", options->max_tokens);
    return check_output(options, error);
}
