/* A place in the batch, and the pages of the sequence in it. Internal to engine/. */
#ifndef ENGINE_SLOT_H
#define ENGINE_SLOT_H

#include "engine/page_cache.h"
#include "engine/sequence.h"
#include "sampling/sampler.h"

struct slot {
    struct engine_sequence *sequence; /* NULL: free */
    uint32_t *pages;                  /* [pages of a context] */
    uint32_t page_count;
    uint32_t cached_pages; /* of these, from the first on: full and in the page cache */
    uint32_t computed;     /* tokens whose keys and values are in the cache */
    uint32_t planned;      /* tokens of this slot in the pass under way */
    uint32_t drafted;      /* of these, guesses: in `tokens`, after token_count */
    bool guessed_form;     /* they come from the sequence's form */
    uint32_t first_row;    /* of its logits or hidden states in the pass under way: the first that was not used yet */
    uint32_t turn;         /* how many older sequences of the same key have slots */
    bool parked;           /* its reader can take no token */
    struct sampler sampler;
    /* Copies for other threads. */
    _Atomic int state; /* enum smollm_slot_state */
    _Atomic uint64_t shown_id;
    _Atomic uint32_t shown_prompt, shown_processed, shown_generated;
};

int slot_create(struct slot *slot, uint32_t context, uint32_t vocabulary, struct smollm_error *error);
void slot_destroy(struct slot *slot);
/* Takes the engine's hold of a sequence, new or paused. */
void slot_begin(struct slot *slot, struct engine_sequence *sequence);
/* Releases the pages, which stay cached; returns the sequence. */
struct engine_sequence *slot_clear(struct slot *slot, struct page_cache *cache);
/* Makes sure that pages exist for the first `positions` positions; false when all pages are held. */
bool slot_reserve(struct slot *slot, struct page_cache *cache, uint32_t positions);

/* Whether its reader can take another token now; notes it in `parked`. */
bool slot_is_ready(struct slot *slot);

/* Takes what the page cache has of the tokens before the next one whose output is needed: full pages are shared, a part
 * of a page is copied. */
void slot_adopt(struct slot *slot, struct page_cache *cache, const struct kv_cache *kv);
/* Inserts pages that have become full into the page cache. */
void slot_insert_pages(struct slot *slot, struct page_cache *cache);
/* Whether another slot computes, in the pass under way, a page that this one needs next. */
bool slot_should_wait(const struct slot *slot, const struct slot *other);
void slot_publish(struct slot *slot);

/* Whether all tokens but the last are computed, and the last was drawn: the next pass gives the next token. */
static inline bool slot_is_stream(const struct slot *slot)
{
    const struct engine_sequence *s = slot->sequence;
    return s && s->token_count > s->request.prompt_count && slot->computed + 1 == s->token_count;
}

/* Whether tokens must be read before the next one can be drawn: of a prompt, or those lost in a pause. */
static inline bool slot_is_reading(const struct slot *slot)
{
    return slot->sequence && !slot_is_stream(slot);
}

#endif
