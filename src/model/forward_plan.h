/* The forward pass as a job of the thread pool; what the parts of model/forward.c share.
 *
 * A batch of many tokens goes through the layers in lanes of up to FORWARD_LANE_ROWS rows of activations: a lane waits
 * for other lanes only where its tokens attend to theirs, and what one thread has written it reads again. Batches of
 * few tokens are one lane, in which all threads share every phase. */
#ifndef MODEL_FORWARD_PLAN_H
#define MODEL_FORWARD_PLAN_H

#include "model/forward.h"

#include <stdatomic.h>

enum {
    FORWARD_PHASES_PER_LAYER = 9,
    FORWARD_OTHER_PHASES = 2,
    FORWARD_GATED_PAD = 16,  /* floats between rows of gated */
    FORWARD_LANE_ROWS = 128, /* what the kernels keep sums of at a time */
    FORWARD_UNIT_TOKENS =
        16 /* of a unit of little work; its results are whole cache lines, and lanes are multiples of it */
};

/* One layer as the phases see it. */
struct layer_pass {
    struct forward *forward;
    uint32_t layer;
    bool stores;                 /* attention units store keys and values: no two tokens are of one sequence */
    bool joined;                 /* attention of a head follows its projections without a wait */
    bool chooses;                /* the last layer: behind attention go only the tokens that want logits */
    _Atomic uint32_t *projected; /* [KV head]: rows of its query, key and value that are done, when joined */
    /* Behind attention: lanes and inputs, of all tokens or of the chosen ones. */
    struct lanes behind;
    struct activations *attended, *normed, *activated;
    struct product projections, output, gate_up, down;
};

/* What the profile tells of a phase. */
struct planned {
    enum operation operation;
    const struct product *product;    /* NULL: none */
    const struct layer_pass *attends; /* NULL: it does not */
};

/* All phases of a pass, run as one job. */
struct forward_plan {
    struct layer_pass *layers;
    struct product head;
    struct thread_pool_phase *phases;
    struct planned *planned; /* of the phases */
    uint32_t phase_count;
    _Atomic uint32_t *projected; /* [layer][KV head] */
    _Atomic uint64_t *times;     /* of the phases, when profiled */
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
