#include "engine/history.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>

enum { GAP = -1 /* between answers: not a token */ };

int history_create(struct history *history, struct smollm_error *error)
{
    *history = (struct history){.tokens = array_allocate(HISTORY_TOKENS, sizeof *history->tokens),
                                .places = array_allocate(HISTORY_TOKENS, sizeof *history->places)};
    if (!history->tokens || !history->places) {
        history_destroy(history);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for recent answers");
    }
    return 0;
}

void history_destroy(struct history *history)
{
    free(history->tokens);
    free(history->places);
    *history = (struct history){0};
}

static int32_t *token_at(const struct history *history, uint64_t at)
{
    return &history->tokens[at % HISTORY_TOKENS];
}

/* The place for HISTORY_MATCH tokens of this key. */
static struct history_place *place_of(const struct history *history, uint64_t key, const int32_t *tokens)
{
    uint64_t hash = hash_mix(key + 1);
    for (int i = 0; i < HISTORY_MATCH; i++)
        hash = hash_mix(hash ^ (uint32_t)tokens[i]);
    return &history->places[hash % HISTORY_TOKENS];
}

void history_add(struct history *history, uint64_t key, const int32_t *tokens, uint32_t count)
{
    if (count <= HISTORY_MATCH)
        return;
    if (count >= HISTORY_TOKENS) {
        tokens += count - HISTORY_TOKENS + 1;
        count = HISTORY_TOKENS - 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        *token_at(history, history->added++) = tokens[i];
        if (i + 1 >= HISTORY_MATCH)
            *place_of(history, key, tokens + i + 1 - HISTORY_MATCH) = (struct history_place){key, history->added};
    }
    *token_at(history, history->added++) = GAP;
}

uint32_t history_find(const struct history *history, uint64_t key, const int32_t last[HISTORY_MATCH], uint32_t max,
                      int32_t *guesses)
{
    const struct history_place *place = place_of(history, key, last);
    if (place->key != key || place->end < HISTORY_MATCH || place->end - HISTORY_MATCH + HISTORY_TOKENS < history->added)
        return 0;
    for (uint32_t i = 0; i < HISTORY_MATCH; i++)
        if (*token_at(history, place->end - HISTORY_MATCH + i) != last[i])
            return 0;
    uint32_t count = 0;
    while (count < max && place->end + count < history->added && *token_at(history, place->end + count) != GAP) {
        guesses[count] = *token_at(history, place->end + count);
        count++;
    }
    return count;
}
