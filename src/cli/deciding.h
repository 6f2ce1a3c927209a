/* Decisions in the terminal: one question, asked in both orders of its options. */
#ifndef CLI_DECIDING_H
#define CLI_DECIDING_H

#include "smollm_decision.h"

/* A question that has been asked. A zeroed struct is empty; deciding_free frees what it holds. */
struct deciding {
    struct smollm_decision *decision;
    float *scores[SMOLLM_DECISION_ORDERS]; /* [option_count] */
    size_t option_count;
};
/* Asks about a text. SMOLLM_ECANCELED after Ctrl-C. */
int deciding_ask(const struct smollm_model *model, struct smollm_engine *engine, struct smollm_text text,
                 const struct smollm_question *question, struct deciding *deciding, struct smollm_error *error);
/* probabilities: [option_count] */
void deciding_read(const struct deciding *deciding, double temperature, double *probabilities);
void deciding_free(struct deciding *deciding);

/* Yes and no. */
extern const struct smollm_option deciding_truths[2];

#endif
