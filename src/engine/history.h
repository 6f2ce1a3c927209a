/* Recent answers, for guesses: for each key, where three tokens occurred last and what followed them.
 *
 * A ring of tokens, and a table from hashes of a key and three tokens to places in it; both are allocated once. Old
 * answers are overwritten. Guesses for one key never use answers for another. */
#ifndef ENGINE_HISTORY_H
#define ENGINE_HISTORY_H

#include "base/error.h"

#include <stdint.h>

enum { HISTORY_MATCH = 3, HISTORY_TOKENS = 1 << 16 };

struct history_place {
    uint64_t key;
    uint64_t end; /* of the three tokens, counted from the first token ever added; 0: none */
};
struct history {
    int32_t *tokens;              /* [HISTORY_TOKENS] */
    struct history_place *places; /* [HISTORY_TOKENS] */
    uint64_t added;               /* tokens so far, gaps included */
};

int history_create(struct history *history, struct smollm_error *error);
void history_destroy(struct history *history); /* accepts a zeroed struct */

/* Adds an answer. */
void history_add(struct history *history, uint64_t key, const int32_t *tokens, uint32_t count);

/* Copies up to `max` tokens that followed last[0, HISTORY_MATCH) where they last occurred in an answer for this key;
 * returns how many. */
uint32_t history_find(const struct history *history, uint64_t key, const int32_t last[HISTORY_MATCH], uint32_t max,
                      int32_t *guesses);

#endif
