/* A sequence between its submission and its end. Internal to engine/. */
#ifndef ENGINE_SEQUENCE_H
#define ENGINE_SEQUENCE_H

#include "engine/drafter.h"
#include "engine/engine.h"
#include "engine/page_cache.h"
#include "sampling/sampler.h"

#include <stdatomic.h>

struct engine_sequence {
    struct engine_sequence *next; /* in the queue */
    uint64_t id;
    _Atomic int holders; /* the engine and the client; the last one frees */
    _Atomic bool canceled;
    struct engine_request request; /* prompt and logit_bias are copies behind this struct */
    uint64_t submitted_ns;
};

/* One block with copies of all that the request borrows. */
struct engine_sequence *sequence_create(const struct engine_request *request);
void sequence_release(struct engine_sequence *sequence);

/* A place in the batch. Arrays are allocated once, for the longest sequence. */
struct slot {
    struct engine_sequence *sequence; /* NULL: free */
    int32_t *tokens;                  /* [context]: prompt and answer so far */
    uint32_t *pages;                  /* [pages of a context] */
    uint32_t page_count;
    uint32_t known_pages; /* of these, from the first on: full and known to the page cache */
    uint32_t token_count;
    uint32_t prompt_count;
    uint32_t computed;  /* tokens whose keys and values are in the cache */
    uint32_t cached;    /* of these, taken from the page cache */
    uint32_t planned;   /* tokens of this slot in the pass under way */
    uint32_t drafted;   /* of these, guesses: they stand in tokens behind token_count */
    uint32_t first_row; /* of its logits in the pass under way */
    struct drafter drafter;
    uint32_t drafted_all, accepted_all; /* guesses so far, and those that were right */
    bool parked;
    struct sampler sampler;
    uint64_t started_ns, prompt_done_ns;
    /* Copies for other threads. */
    _Atomic int state; /* enum smollm_slot_state */
    _Atomic uint64_t shown_id;
    _Atomic uint32_t shown_prompt, shown_processed, shown_generated;
};

int slot_create(struct slot *slot, uint32_t context, uint32_t vocabulary, struct smollm_error *error);
void slot_destroy(struct slot *slot);
void slot_begin(struct slot *slot, struct engine_sequence *sequence);
/* Gives up the pages; what they hold stays known. */
void slot_clear(struct slot *slot, struct page_cache *cache);
/* Makes sure that pages exist for the first `positions` positions; false when all pages are held. */
bool slot_reserve(struct slot *slot, struct page_cache *cache, uint32_t positions);

/* Takes what is known of the rest of the prompt but its last token, whose logits are wanted: whole pages are shared,
 * the beginning of one is copied. */
void slot_adopt(struct slot *slot, struct page_cache *cache, const struct kv_cache *kv);
/* Makes pages known that have become full. */
void slot_learn(struct slot *slot, struct page_cache *cache);
/* Whether another slot, in the pass under way, computes a page that this one needs next. */
bool slot_should_wait(const struct slot *slot, const struct slot *other);
void slot_publish(struct slot *slot);

#endif
