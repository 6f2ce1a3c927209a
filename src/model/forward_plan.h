/* The forward pass as a job of the thread pool, and the structures that the forward*.c files share.
 *
 * A batch of many tokens goes through the layers in lanes of up to FORWARD_LANE_ROWS rows of activations. A lane waits
 * for other lanes only where its tokens attend to theirs, and a thread mostly reads what it has written itself. Small
 * batches are one lane, in which all threads share every phase. */
#ifndef MODEL_FORWARD_PLAN_H
#define MODEL_FORWARD_PLAN_H

#include "model/forward.h"

#include <stdatomic.h>

enum {
    FORWARD_PHASES_PER_LAYER = 9,
    FORWARD_OTHER_PHASES = 2,
    FORWARD_GATED_PAD = 16,  /* padding between the rows of `gated`, in floats */
    FORWARD_LANE_ROWS = 128, /* the number of rows whose sums the kernels keep at a time */
    FORWARD_UNIT_TOKENS = 16 /* tokens in a unit with little work for each: its results are whole cache lines, and lanes
                                are multiples of it */
};

/* One layer of the current pass. */
struct layer_pass {
    struct forward *forward;
    uint32_t layer;
    bool stores_in_attention;    /* attention units store keys and values, since no two tokens share a sequence */
    bool attends_in_projections; /* a thread that completes the projections of a head goes on with its attention */
    bool drops_unwanted;         /* in the last layer: after attention, only the tokens with an output go on */
    _Atomic uint32_t *projected; /* [KV head]: finished rows of its query, key and value, with attends_in_projections */
    /* The lanes and inputs of all phases after attention: of all tokens, or of those with an output. */
    struct lanes lanes_after_attention;
    struct activations *attended, *normed, *activated;
    struct product projections, output, gate_up, down;
};

/* What the profile records about a phase. */
struct phase_info {
    enum operation operation;
    const struct product *product;    /* the product that the phase computes, or NULL */
    const struct layer_pass *attends; /* the layer whose attention it computes, or NULL */
};

/* All phases of a pass, which run as one job. */
struct forward_plan {
    struct layer_pass *layers;
    struct product head;
    struct thread_pool_phase *phases;
    struct phase_info *phase_infos;
    uint32_t phase_count;
    _Atomic uint32_t *projected; /* [layer][KV head] */
    _Atomic uint64_t *times;     /* of each phase, in nanoseconds, when profiled */
};

/* Runs the plan and adds to f->profile. */
void forward_run_profiled(struct forward *f);

static inline uint32_t query_size(const struct model_config *c)
{
    return c->heads * c->head_dim;
}

static inline uint32_t kv_size(const struct model_config *c)
{
    return c->kv_heads * c->head_dim;
}

#endif
