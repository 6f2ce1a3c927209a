#include "engine/drafter.h"

#include <string.h>

enum { FIRST_LENGTH = 3, FIRST_PAUSE = 8, PAUSE_MAX = 256 };

void drafter_begin(struct drafter *drafter)
{
    *drafter = (struct drafter){.length = FIRST_LENGTH, .penalty = FIRST_PAUSE};
}

/* What followed the last tokens where they occurred in the sequence before. */
static uint32_t find_before(const int32_t *tokens, uint32_t count, uint32_t max, int32_t *guesses)
{
    const int32_t *last = tokens + count - DRAFT_MATCH;
    for (uint32_t at = count - DRAFT_MATCH; at-- > 0;) {
        if (tokens[at] != last[0] || memcmp(tokens + at, last, DRAFT_MATCH * sizeof *last) != 0)
            continue;
        uint32_t length = count - DRAFT_MATCH - at;
        length = length < max ? length : max;
        memcpy(guesses, tokens + at + DRAFT_MATCH, length * sizeof *guesses);
        return length;
    }
    return 0;
}

uint32_t drafter_guess(struct drafter *drafter, const struct history *history, uint64_t key, const int32_t *tokens,
                       uint32_t count, uint32_t max, int32_t guesses[DRAFT_MAX])
{
    if (drafter->pause > 0) {
        drafter->pause--;
        return 0;
    }
    if (count <= DRAFT_MATCH)
        return 0;
    max = drafter->length < max ? drafter->length : max;
    const uint32_t found = find_before(tokens, count, max, guesses);
    if (found > 0 || !history)
        return found;
    return history_find(history, key, tokens + count - DRAFT_MATCH, max, guesses);
}

void drafter_note(struct drafter *drafter, uint32_t guessed, uint32_t right)
{
    if (guessed == 0)
        return;
    if (right == guessed) {
        drafter->length = drafter->length * 2 < DRAFT_MAX ? drafter->length * 2 : DRAFT_MAX;
        drafter->penalty = FIRST_PAUSE;
    } else if (right > 0) {
        drafter->length = right + 1;
    } else {
        drafter->length = drafter->length > 1 ? drafter->length / 2 : 1;
        drafter->pause = drafter->penalty;
        drafter->penalty = drafter->penalty * 2 < PAUSE_MAX ? drafter->penalty * 2 : PAUSE_MAX;
    }
}
