/* A sequence between its submission and its end, in a slot or waiting for one. Internal to engine/. */
#ifndef ENGINE_SEQUENCE_H
#define ENGINE_SEQUENCE_H

#include "engine/drafter.h"
#include "engine/engine.h"

#include <stdatomic.h>

struct engine_sequence {
    struct engine_sequence *next; /* in a queue */
    uint64_t id;                  /* in the order of submission */
    _Atomic int holders;          /* the engine and the client; the last one frees */
    struct engine *engine;        /* which it holds; NULL: none, of one that reads ahead */
    _Atomic bool canceled;
    struct engine_request request; /* prompt, logit_bias and score_tokens are copies behind this struct */
    uint64_t deadline_ns;          /* 0: none */
    bool reads_ahead;              /* it has no client: only its prompt is computed */

    /* Of the engine's thread. All that a sequence needs to go on after a pause is here. */
    int32_t *tokens; /* prompt and answer so far, with room for all that may come and for guesses */
    uint32_t token_count;
    struct engine_account account;
    /* Positions of the prompt, from the first on, that have an output each: their hidden states, or the
     * log-probabilities of the tokens after them. A position that has not been given is computed, whatever the page
     * cache has of it. */
    uint32_t outputs;
    uint32_t given;
    double *sums;  /* of an embedding: of the hidden states so far, [hidden] */
    float *values; /* of an embedding or of scores, [value_count] */
    uint32_t value_count;
    uint64_t last_token_ns; /* 0: no token yet, or its reader has held it up since */
    struct drafter drafter;
    struct drafter form_drafter; /* of guesses from the form */
    bool has_told_start;         /* its client knows that its prompt is being read */
    bool waits;                  /* in the queue for its turn, not for its reader */
    uint32_t rank;               /* of that turn (engine/queue.h) */
    uint32_t shown_ahead;        /* the last place in the queue given to `queued`, UINT32_MAX: none yet */
};

/* One block with copies of all that the request borrows, but for what lives until it has finished; context bounds what
 * it can grow to, hidden is the size of a hidden state. NULL without memory. */
struct engine_sequence *sequence_create(const struct engine_request *request, uint32_t context, uint32_t hidden);
void sequence_release(struct engine_sequence *sequence);

static inline uint32_t sequence_generated(const struct engine_sequence *sequence)
{
    return sequence->token_count - sequence->request.prompt_count;
}

/* The first position whose output is needed. Keys and values of those before it may come from the page cache. */
static inline uint32_t sequence_next_output(const struct engine_sequence *s)
{
    return s->given < s->outputs ? s->given : s->token_count - (s->reads_ahead ? 0 : 1);
}

/* Gives up a hold of the engine (engine.c). */
void engine_let_go(struct engine *engine);

/* Whether its reader can take another token now. */
bool sequence_is_ready(const struct engine_sequence *sequence);

/* Whether it was canceled, or its deadline has passed. */
bool sequence_is_over(const struct engine_sequence *sequence, uint64_t now_ns);

#endif
