/* How the attention of a pass is divided into units. Consecutive tokens of a sequence form a tile, which reads K and V
 * once. When there are too few tiles for the threads, a long context is divided into pieces of whole ranges, whose
 * partial results are merged in order. Neither changes a bit of the result (docs/numerics.md, "Attention"). */
#ifndef MODEL_ATTENTION_PLAN_H
#define MODEL_ATTENTION_PLAN_H

#include "base/thread_pool.h"
#include "model/config.h"
#include "model/kv_cache.h"

#include <stdatomic.h>

/* What a pass gives for a token. */
enum row_output {
    ROW_NOTHING, /* its keys and values, which the tokens after it need */
    ROW_LOGITS,
    ROW_HIDDEN /* the final hidden state: after the last norm, before the matrix that makes logits of it */
};

struct batch_token {
    int32_t id;            /* in the vocabulary */
    uint32_t position;     /* in its sequence; earlier positions are in the cache or earlier in this batch */
    const uint32_t *pages; /* of its sequence: position p is in pages[p / KV_PAGE_POSITIONS] */
    enum row_output output;
};

struct attention_tile {
    uint32_t first; /* index in the batch of its first token */
    uint32_t tokens;
    uint32_t ranges;        /* ranges that its last token attends to */
    uint32_t pieces;        /* 1 when it is computed as a whole */
    float *partials;        /* with more pieces: [KV head][attention_partial_floats of every range and row] */
    size_t partials_stride; /* distance between KV heads, in floats */
};

/* One piece of a tile, of which every KV head makes a unit. */
struct attention_work {
    uint32_t tile;
    uint32_t first_range;
    uint32_t last_range;
};

/* A piece of a tile with one KV head: what one thread computes at a time. */
struct attention_unit {
    const struct attention_work *work; /* NULL when the unit is empty */
    uint32_t kv_head;
};

struct attention_plan {
    uint32_t kv_heads;
    uint32_t group; /* query heads that share a KV head */
    uint32_t head_dim;
    uint32_t threads;
    uint32_t max_tile; /* in tokens */
    struct attention_tile *tiles;
    struct attention_work *works; /* short ones first */
    uint32_t tile_count;
    uint32_t work_count;
    uint32_t lane_works[THREAD_POOL_MAX_LANES + 1]; /* lane i has works [lane_works[i], lane_works[i + 1]) */
    uint32_t max_lane_works;
    uint32_t units;                             /* number of units in each lane: max_lane_works * kv_heads */
    uint32_t shares[THREAD_POOL_MAX_LANES + 1]; /* of the units, with one lane: see struct thread_pool_phase */
    _Atomic uint32_t *finished;                 /* [tile][KV head]: finished pieces, over all layers of a pass */
    float *partials;
    size_t partials_bytes;
};

int attention_plan_create(struct attention_plan *plan, const struct model_config *config, unsigned threads,
                          uint32_t max_tokens, struct smollm_error *error);
/* Accepts a zeroed struct. */
void attention_plan_destroy(struct attention_plan *plan);

/* Divides a batch, whose lanes have `lane` tokens each (the last may have fewer), into tiles and works. A tile stays
 * within a lane. Nothing is allocated. */
void attention_plan_make(struct attention_plan *plan, const struct batch_token *tokens, uint32_t count, uint32_t lane);

/* Unit `unit`, counted through all lanes. Late tokens, which attend to the most positions, come first. In lanes with
 * fewer works than others, the last units are empty. */
struct attention_unit attention_plan_unit(const struct attention_plan *plan, uint32_t unit);

/* Counts a finished piece of a tile for a KV head; true when it was the last one. */
static inline bool attention_plan_finish(struct attention_plan *plan, uint32_t tile, uint32_t kv_head)
{
    const uint32_t before = atomic_fetch_add(&plan->finished[tile * plan->kv_heads + kv_head], 1);
    return (before + 1) % plan->tiles[tile].pieces == 0;
}

#endif
