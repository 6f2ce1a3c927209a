/* How the tokens of a pass share the work of attention: neighboring tokens of a sequence go together as a tile, which
 * reads K and V once, and where there are fewer tiles than threads want, a long context is cut into pieces of whole
 * ranges, whose partial results are merged in order. Neither shows in the bits (docs/numerics.md, "Attention"). */
#ifndef MODEL_ATTENTION_PLAN_H
#define MODEL_ATTENTION_PLAN_H

#include "base/thread_pool.h"
#include "model/config.h"
#include "model/kv_cache.h"

#include <stdatomic.h>

struct batch_token {
    int32_t id;            /* in the vocabulary */
    uint32_t position;     /* in its sequence; earlier ones are in the cache or come before in this batch */
    const uint32_t *pages; /* of its sequence: position p lies in pages[p / KV_PAGE_POSITIONS] */
    bool wants_logits;
};

struct attention_tile {
    uint32_t first; /* token in the batch */
    uint32_t tokens;
    uint32_t ranges;        /* of its last token */
    uint32_t pieces;        /* 1: computed as a whole */
    float *partials;        /* of more pieces: [KV head][attention_partial_floats of every range and row] */
    size_t partials_stride; /* floats from one KV head to the next */
};

/* One piece of a tile, for each of the KV heads. */
struct attention_work {
    uint32_t tile;
    uint32_t first_range;
    uint32_t last_range;
};

/* A piece of a tile with one KV head, which a thread does as a whole. */
struct attention_unit {
    const struct attention_work *work; /* NULL: none */
    uint32_t kv_head;
};

struct attention_plan {
    uint32_t kv_heads;
    uint32_t group; /* query heads of a KV head */
    uint32_t head_dim;
    uint32_t threads;
    uint32_t max_tile; /* tokens */
    struct attention_tile *tiles;
    struct attention_work *works; /* short ones first */
    uint32_t tile_count;
    uint32_t work_count;
    uint32_t lane_works[THREAD_POOL_MAX_LANES + 1]; /* works of lane i: [i] to [i + 1] */
    uint32_t max_lane_works;
    uint32_t units;                             /* of each lane: max_lane_works with every KV head */
    uint32_t shares[THREAD_POOL_MAX_LANES + 1]; /* of the units, in one lane: see struct thread_pool_phase */
    _Atomic uint32_t *finished;                 /* [tile][KV head]: pieces, counted through all layers of a pass */
    float *partials;
    size_t partials_bytes;
};

int attention_plan_create(struct attention_plan *plan, const struct model_config *config, unsigned threads,
                          uint32_t max_tokens, struct smollm_error *error);
/* Accepts a zeroed struct. */
void attention_plan_destroy(struct attention_plan *plan);

/* Tiles and works of a batch, whose lanes are of `lane` tokens each, the last may be shorter; a tile is of one lane.
 * Nothing is allocated. */
void attention_plan_make(struct attention_plan *plan, const struct batch_token *tokens, uint32_t count, uint32_t lane);

/* Unit `unit` of units, of all lanes one after the other. Late tokens have the longest way: they go first. Lanes with
 * fewer works have none at the end. */
struct attention_unit attention_plan_unit(const struct attention_plan *plan, uint32_t unit);

/* Says that a piece of a tile and KV head is done; true for the one that was last. */
static inline bool attention_plan_finish(struct attention_plan *plan, uint32_t tile, uint32_t kv_head)
{
    const uint32_t before = atomic_fetch_add(&plan->finished[tile * plan->kv_heads + kv_head], 1);
    return (before + 1) % plan->tiles[tile].pieces == 0;
}

#endif
