#include "api/decisions/decisions.h"

#include "api/shared/request_fields.h"

#include <stdlib.h>

static void free_own(void *own)
{
    const struct decision_request *request = own;
    smollm_decision_free(request->decision);
}

struct decision_request *decision_begin(struct generation_request *request, struct api_error *error)
{
    struct decision_request *own = arena_allocate(&request->arena, sizeof *own);
    if (own) {
        own->questions = arena_array(&request->arena, SMOLLM_QUESTIONS_MAX, sizeof *own->questions);
        own->names = arena_array(&request->arena, SMOLLM_QUESTIONS_MAX, sizeof *own->names);
        own->is_truth = arena_array(&request->arena, SMOLLM_QUESTIONS_MAX, sizeof *own->is_truth);
    }
    if (!own || !own->questions || !own->names || !own->is_truth) {
        api_refuse_memory(error);
        return NULL;
    }
    request->own = own;
    request->free_own = free_own;
    return own;
}

int decision_read_text(struct conversation_builder *b, const json_t *value, const char *place, struct smollm_text *text)
{
    if (!value || json_is_null(value))
        return api_refuse(b->error, place, "%s is missing", place);
    struct smollm_text string = json_input_string(value);
    char *dumped = NULL;
    if (!json_input_is_string(value))
        string.data = dumped = json_input_dump_spaced(value, &string.size);
    const char *copy = string.data ? arena_copy(b->arena, string.data, string.size) : NULL;
    *text = (struct smollm_text){copy, string.size};
    free(dumped);
    return copy ? 0 : api_refuse_memory(b->error);
}

int decision_set_predicate(struct arena *arena, struct smollm_question *question, struct smollm_text if_true,
                           struct smollm_text if_false, struct api_error *error)
{
    struct smollm_option *options = arena_array(arena, 2, sizeof *options);
    if (!options)
        return api_refuse_memory(error);
    options[0] = (struct smollm_option){text_of("yes"), if_true};
    options[1] = (struct smollm_option){text_of("no"), if_false};
    question->kind = SMOLLM_QUESTION_PREDICATE;
    question->options = options;
    question->option_count = 2;
    return 0;
}

/* Prompts of all questions in both orders, and what to score after each. */
static int take_prompts(struct generation_request *request, struct api_error *error)
{
    const struct decision_request *own = request->own;
    const size_t count = own->question_count * SMOLLM_DECISION_ORDERS;
    const int32_t **tokens = arena_array(&request->arena, count, sizeof *tokens);
    size_t *counts = arena_array(&request->arena, count, sizeof *counts);
    request->prompts = arena_array(&request->arena, count, sizeof *request->prompts);
    if (!tokens || !counts || !request->prompts)
        return api_refuse_memory(error);
    for (size_t i = 0; i < count; i++) {
        const struct smollm_decision_prompt prompt =
            smollm_decision_get_prompt(own->decision, i / SMOLLM_DECISION_ORDERS, (int)(i % SMOLLM_DECISION_ORDERS));
        request->prompts[i] = (struct generation_prompt){.tokens = (int32_t *)(uintptr_t)prompt.tokens,
                                                         .token_count = prompt.token_count};
        tokens[i] = prompt.score_tokens;
        counts[i] = prompt.score_token_count;
    }
    request->prompt_count = count;
    request->score_tokens = tokens;
    request->score_token_counts = counts;
    request->max_tokens = 0;
    return 0;
}

int decision_finish(struct api *api, const json_t *json, struct conversation_builder *builder,
                    struct generation_request *request)
{
    struct decision_request *own = request->own;
    struct api_error *error = builder->error;
    struct smollm_text model;
    struct smollm_error cause;
    static const struct json_field temperature = {"temperature", FIELD_NUMBER, 0.01, 100,
                                                  offsetof(struct decision_request, temperature)};
    own->temperature = api->options.decision_temperature > 0 ? api->options.decision_temperature : 1;
    if (json_input_text(json, "model", &model, error) < 0 || json_input_fields(json, &temperature, 1, own, error) < 0 ||
        conversation_finish(builder, &request->conversation) < 0)
        return -1;
    request_take_model(api, model, request);
    request->conversation.size = sizeof request->conversation;
    if (smollm_decision_create(api->model, &request->conversation, own->questions, own->question_count, &own->decision,
                               &cause) < 0)
        return api_refuse_from(error, &cause);
    return take_prompts(request, error);
}

double *decision_probabilities(const struct generation *generation, size_t question)
{
    const struct decision_request *own = generation->request.own;
    const struct choice *choices = &generation->choices[question * SMOLLM_DECISION_ORDERS];
    const float *scores[SMOLLM_DECISION_ORDERS] = {choices[0].values, choices[1].values};
    double *probabilities = calloc(own->questions[question].option_count, sizeof *probabilities);
    if (probabilities && scores[0] && scores[1])
        smollm_decision_read(own->decision, question, scores, own->temperature, probabilities);
    return probabilities;
}

size_t decision_likeliest(const double *probabilities, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        best = probabilities[i] > probabilities[best] ? i : best;
    return best;
}
