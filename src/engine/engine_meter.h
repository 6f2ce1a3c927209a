/* What the engine measures of itself, for monitoring: enum smollm_measure of smollm.h says what each is.
 * Recorded by the engine's thread, read by any; nothing waits and nothing is allocated. Internal to engine/. */
#ifndef ENGINE_ENGINE_METER_H
#define ENGINE_ENGINE_METER_H

#include "engine/histogram.h"
#include "engine/page_cache.h"

struct engine_meter {
    struct histogram histograms[SMOLLM_MEASURES];
    uint32_t drawn; /* tokens of the stream that draws at the moment; the engine's thread alone */
    _Atomic uint32_t pages_cached;
    _Atomic uint64_t pages_evicted;
};

void engine_meter_begin(struct engine_meter *meter);

/* A sequence leaves the queue, for a slot or for good. */
void engine_meter_left_queue(struct engine_meter *meter, uint64_t submitted_ns);
/* A sequence has its first token; `cached` tokens of its prompt were not computed. */
void engine_meter_first_token(struct engine_meter *meter, uint64_t submitted_ns, uint32_t cached);
/* A token was drawn. */
void engine_meter_token(struct engine_meter *meter);
/* A stream has its tokens of this pass, in which it had guessed `drafted`. *last_ns: when it had tokens before, 0: it
 * had none, or its reader held it up since; set to now. */
void engine_meter_drawn(struct engine_meter *meter, uint64_t *last_ns, uint32_t drafted);
/* A pass over `tokens` tokens is over, and its callbacks have been called. */
void engine_meter_step(struct engine_meter *meter, uint32_t tokens, uint64_t begin_ns);
/* A sequence has ended. */
void engine_meter_finished(struct engine_meter *meter, uint64_t submitted_ns);
void engine_meter_pages(struct engine_meter *meter, const struct page_cache *cache);

#endif
