/* The model, written down as plainly as possible: the definition that the fast pass is held against.
 *
 * Float32 throughout, one token at a time, one sequence, weights decoded row by row from the file as they are needed.
 * Slow on purpose; read forward.h for the pass that serves. */
#ifndef MODEL_REFERENCE_H
#define MODEL_REFERENCE_H

#include "model/config.h"

struct reference;

/* file is borrowed until reference_destroy. context: how many positions can be run. */
int reference_create(const struct gguf_file *file, const struct model_config *config, uint32_t context,
                     struct reference **reference, struct smollm_error *error);
/* Accepts NULL. */
void reference_destroy(struct reference *reference);

/* Runs the next token. hidden [hidden]: the final hidden state, after the last norm; logits [vocabulary]; either may be
 * NULL. SMOLLM_ECONTEXT after `context` tokens, SMOLLM_EIO when the file cannot be read any more. */
int reference_step(struct reference *reference, int32_t token, float *hidden, float *logits,
                   struct smollm_error *error);

#endif
