/* Guesses at the next tokens of a sequence, from its own text ("prompt lookup") or from recent answers for its key:
 * where the last tokens have occurred before, the tokens that followed them then may follow now. Guesses are computed
 * in the pass of the token before them and kept as far as the sampler draws the same tokens, so they change the speed
 * of an answer, never its text. A sequence whose guesses fail stops guessing for a while. */
#ifndef ENGINE_DRAFTER_H
#define ENGINE_DRAFTER_H

#include "engine/history.h"

enum { DRAFT_MAX = 16, DRAFT_MATCH = HISTORY_MATCH /* tokens that must have occurred before */ };

struct drafter {
    uint32_t length;  /* of the next guess */
    uint32_t pause;   /* steps without guesses to come */
    uint32_t penalty; /* the next pause */
};

void drafter_begin(struct drafter *drafter);

/* Up to `max` guesses for what follows tokens[0, count); returns how many. history may be NULL. */
uint32_t drafter_guess(struct drafter *drafter, const struct history *history, uint64_t key, const int32_t *tokens,
                       uint32_t count, uint32_t max, int32_t guesses[DRAFT_MAX]);

/* How many of the guesses were right. */
void drafter_note(struct drafter *drafter, uint32_t guessed, uint32_t right);

#endif
