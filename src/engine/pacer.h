/* How many tokens of prompts go into a pass beside streams that generate, so that these keep their rhythm.
 *
 * A pass that carries prompts may take PACER_STRETCH times as long as one that only generates; what both take is
 * measured, and the number of prompt tokens follows. Without streams a pass takes as many as it can. The number decides
 * when tokens are computed, never what comes out (docs/numerics.md). */
#ifndef ENGINE_PACER_H
#define ENGINE_PACER_H

#include <stdint.h>

#define PACER_STRETCH 2.0
enum { PACER_FIRST = 16 /* tokens, before anything was measured */ };

struct pacer {
    double quiet; /* seconds of a pass that only generates, smoothed; 0: not measured yet */
    double room;  /* prompt tokens beside streams */
};

void pacer_begin(struct pacer *pacer);

/* Prompt tokens for the next pass, 1 to max; streams: how many generate in it. */
uint32_t pacer_room(const struct pacer *pacer, uint32_t streams, uint32_t max);

/* A pass with these took `seconds`. */
void pacer_note(struct pacer *pacer, uint32_t streams, uint32_t prompt_tokens, double seconds);

#endif
