/* From hidden states to the vector of an embedding. docs/numerics.md, "Embeddings", defines the arithmetic. */
#ifndef ENGINE_EMBEDDING_H
#define ENGINE_EMBEDDING_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Adds the hidden state of the next position; sums [size] are zero before the first one. */
void embedding_add(double *sums, const float *hidden, uint32_t size);

/* Makes the vector of the sums over `count` positions. is_normalized: its length is 1, unless all its values are zero.
 * SMOLLM_ENUMERIC when a value is not finite. Changes the sums. */
int embedding_finish(double *sums, uint32_t size, uint32_t count, bool is_normalized, float *vector,
                     struct smollm_error *error);

#endif
