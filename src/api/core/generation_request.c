#include "api/core/generation_request.h"

#include <string.h>
#include <sys/random.h>

void generation_request_init(struct generation_request *request, const struct api *api)
{
    const struct smollm_sampling *s = &api->options.sampling;
    *request = (struct generation_request){.model = api->names[0],
                                           .temperature = (double)s->temperature,
                                           .top_p = (double)s->top_p,
                                           .min_p = (double)s->min_p,
                                           .repetition_penalty = (double)s->repetition_penalty,
                                           .presence_penalty = (double)s->presence_penalty,
                                           .frequency_penalty = (double)s->frequency_penalty,
                                           .top_k = s->top_k,
                                           .repetition_window = s->repetition_window,
                                           .seed = api->options.has_seed ? (int64_t)s->seed : -1,
                                           .max_tokens = api->options.max_tokens,
                                           .answers = 1,
                                           .logprobs = -1,
                                           .prompt_logprobs = -1,
                                           .pooling = api->options.pooling,
                                           .thinking_budget = -1,
                                           .parallel_tool_calls = true};
}

void generation_request_free(struct generation_request *request)
{
    if (request->free_own)
        request->free_own(request->own);
    arena_free(&request->arena);
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)(uintptr_t)&seed;
    return seed >> 11; /* a number that JSON's readers keep exactly */
}

struct smollm_sampling generation_request_sampling(const struct generation_request *request, uint32_t index)
{
    const uint64_t seed = request->seed != -1 ? (uint64_t)request->seed : random_seed();
    return (struct smollm_sampling){.size = sizeof(struct smollm_sampling),
                                    .temperature = (float)request->temperature,
                                    .top_p = (float)request->top_p,
                                    .min_p = (float)request->min_p,
                                    .repetition_penalty = (float)request->repetition_penalty,
                                    .presence_penalty = (float)request->presence_penalty,
                                    .frequency_penalty = (float)request->frequency_penalty,
                                    .top_k = request->top_k < 0 ? 0 : (int32_t)request->top_k,
                                    .repetition_window = (int32_t)request->repetition_window,
                                    .seed = seed + index,
                                    .logit_bias = request->logit_bias,
                                    .logit_bias_count = request->logit_bias_count};
}

const struct smollm_tokenize_options generation_prompt_options = {
    .size = sizeof generation_prompt_options, .add_special = true, .parse_special = true};

int generation_request_tokenize(struct generation_request *request, const struct api *api, struct api_error *error)
{
    for (size_t i = 0; i < request->prompt_count; i++) {
        struct generation_prompt *prompt = &request->prompts[i];
        struct smollm_error cause;
        int32_t *tokens;
        if (prompt->tokens)
            continue;
        if (smollm_tokenize(api->model, prompt->text, &generation_prompt_options, &tokens, &prompt->token_count,
                            &cause) < 0)
            return api_refuse_from(error, &cause);
        prompt->tokens = arena_array(&request->arena, prompt->token_count + 1, sizeof *tokens);
        if (prompt->tokens && prompt->token_count > 0)
            memcpy(prompt->tokens, tokens, prompt->token_count * sizeof *tokens);
        prompt->text = (struct smollm_text){0};
        smollm_free(tokens);
        if (!prompt->tokens)
            return api_refuse_memory(error);
    }
    return 0;
}

/* The ranges of sampling are the library's. */
static const struct {
    double min, max;
} sampling_ranges[] = {{0, 0},
#define SAMPLING_RANGE(member, min, max) {min, max},
                       SMOLLM_SAMPLING_RANGES(SAMPLING_RANGE)
#undef SAMPLING_RANGE
};

struct json_field request_field_ranged(const struct request_field *field)
{
    struct json_field ranged = field->field;
    if (field->range != OWN_RANGE) {
        ranged.min = sampling_ranges[field->range].min;
        ranged.max = sampling_ranges[field->range].max;
    }
    return ranged;
}
