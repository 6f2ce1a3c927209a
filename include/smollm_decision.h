/* Decisions: questions about a text whose answers are probabilities, read from any model.
 *
 * Each question is put to the model twice, with its options in both orders, because models favor places; what it would
 * say next, one label for each option, is the answer (SMOLLM_EVENT_SCORES). Nothing is generated. All prompts of one
 * decision begin with the same tokens, which the engine reads once:
 *
 *     smollm_decision_create(model, &conversation, questions, count, &decision, &error);
 *     for each question and order: smollm_decision_get_prompt, smollm_submit, wait for the scores
 *     for each question: smollm_decision_read
 *     smollm_decision_free(decision);
 *
 * The same bits come out on every processor, whoever else is served. What the probabilities are worth depends on the
 * model; docs/decisions.md has measurements. Functions may be called from any thread; the struct by one at a time. */
#ifndef SMOLLM_DECISION_H
#define SMOLLM_DECISION_H

#include "smollm.h"

#ifdef __cplusplus
extern "C" {
#endif

enum smollm_question_kind {
    SMOLLM_QUESTION_PREDICATE, /* true or false: two options, the first of them true */
    SMOLLM_QUESTION_CHOICE,    /* one of the options */
    SMOLLM_QUESTION_SCORE      /* options are levels, the lowest first */
};

enum {
    SMOLLM_OPTIONS_MAX = 255, /* of a question; fewer where the vocabulary has fewer short words */
    SMOLLM_QUESTIONS_MAX = 400,
    SMOLLM_DECISION_ORDERS = 2
};

struct smollm_option {
    struct smollm_text text;
    struct smollm_text description; /* empty: none */
};

struct smollm_question {
    enum smollm_question_kind kind;
    struct smollm_text instructions;
    const struct smollm_option *options;
    size_t option_count; /* 2 to SMOLLM_OPTIONS_MAX */
};

struct smollm_decision;

/* The prompts for questions about a conversation, which may be one system message that holds the text. Its tools and
 * its thinking are not used. Everything is copied. SMOLLM_EINVAL: no question, too many, too few or too many options.
 */
SMOLLM_API int smollm_decision_create(const struct smollm_model *model, const struct smollm_conversation *about,
                                      const struct smollm_question *questions, size_t count,
                                      struct smollm_decision **decision, struct smollm_error *error);
SMOLLM_API void smollm_decision_free(struct smollm_decision *decision); /* accepts NULL */

/* What to submit: as smollm_request_options.tokens and score_tokens, with max_tokens 0. Borrowed until the decision is
 * freed. */
struct smollm_decision_prompt {
    const int32_t *tokens;
    size_t token_count;
    const int32_t *score_tokens; /* one for each option, as the prompt names them */
    size_t score_token_count;
};
/* order: 0 as the question has its options, 1 reversed. */
SMOLLM_API struct smollm_decision_prompt smollm_decision_get_prompt(const struct smollm_decision *decision,
                                                                    size_t question, int order);

/* The probability of each option, in the question's order; they sum to 1. scores: the values of the events for both
 * orders. Scores become probabilities within each order, softmax(score / temperature), and the mean of both is taken.
 * temperature: above 0; 1: as the model has it. */
SMOLLM_API void smollm_decision_read(const struct smollm_decision *decision, size_t question,
                                     const float *const scores[SMOLLM_DECISION_ORDERS], double temperature,
                                     double *probabilities);

/* How clear an answer is: 0 for equal probabilities, 1 for certainty. For a choice how far the largest probability is
 * above equality; for a score how near the levels lie to the likeliest one. */
SMOLLM_API double smollm_decision_confidence(enum smollm_question_kind kind, const double *probabilities, size_t count);

#ifdef __cplusplus
}
#endif

#endif
