/* The matrices of a layer that read one input, as units of panels for the threads of a pass.
 *
 * In one lane each thread has a share of neighboring panels, since what it reads next is being fetched while it works
 * (docs/performance.md, "Reading memory"); its units become smaller towards the end, where others take some when they
 * are through. Where there are several lanes, threads help each other out with units of one size
 * (model/forward_plan.h). */
#ifndef MODEL_PRODUCT_H
#define MODEL_PRODUCT_H

#include "base/error.h"
#include "base/thread_pool.h"
#include "kernel/activations.h"

#include <stdatomic.h>

enum {
    PRODUCT_MAX_MATRICES = 3,
    /* Results that a unit of a pair makes before it goes on with them: what stays in the second-level cache. */
    PRODUCT_MAX_CACHED_RESULTS = 65536,
    PRODUCT_MAX_WHOLE = 8,      /* panels: blocks of 256 columns of what a pair makes */
    PRODUCT_PANELS_BY_TURNS = 2 /* units of one lane are multiples of it: see kernel/wide/streams.h */
};

/* How tokens are cut into lanes: of `tokens` each, the last may be shorter. */
struct lanes {
    uint32_t count;
    uint32_t tokens;
};

struct product {
    const struct kernel_table *kernels;
    const struct packed_matrix *matrices[PRODUCT_MAX_MATRICES];
    float *out[PRODUCT_MAX_MATRICES];
    size_t out_stride[PRODUCT_MAX_MATRICES];
    int first, count; /* matrices [first, count) are wanted */
    bool is_pair;     /* a unit is the same panels of both matrices; where results go is its own affair */
    uint32_t whole;   /* panels that stay together: units begin at multiples of it */
    const struct activations *input;
    bool add;
    struct lanes lanes;
    uint32_t units;   /* of each lane */
    uint32_t *begins; /* [units + 1]: panels of the wanted matrices, one after the other; of a pair, of one of them */
    int begins_first; /* what they were made for, with the lanes */
    uint32_t shares[THREAD_POOL_MAX_LANES + 1]; /* of the units, in one lane: see struct thread_pool_phase */
    /* What whoever finishes last goes on with, token by token; only in one lane. 0 units: nothing. */
    struct thread_pool_phase then;
    _Atomic uint32_t finished;
};

/* A unit's panels of one matrix. */
struct piece {
    int matrix;
    uint32_t first_panel, last_panel;
};

/* Fills in what the fields above leave open. whole: at least 1. */
int product_create(struct product *product, struct smollm_error *error);
/* Accepts a zeroed struct. */
void product_destroy(struct product *product);

/* Units for a pass of these lanes. */
void product_plan(struct product *product, struct lanes lanes, unsigned threads);

/* The pieces of a unit (of lane 0), one after the other: *piece is zeroed before the first; false after the last. */
bool product_next_piece(const struct product *product, uint32_t unit, struct piece *piece);

/* The product of a piece for the tokens of a lane, to the matrix's own results or to `out`. */
void product_multiply(const struct product *product, const struct piece *piece, uint32_t lane);
/* then: what the thread multiplies next, or NULL for what is behind the piece (struct matmul_args). */
void product_multiply_to(const struct product *product, const struct piece *piece, const struct piece *then,
                         uint32_t lane, float *out, size_t out_stride);

static inline uint32_t lane_begin(const struct lanes *lanes, uint32_t lane)
{
    return lane * lanes->tokens;
}

static inline uint32_t lane_end(const struct lanes *lanes, uint32_t lane, uint32_t tokens)
{
    return lane + 1 < lanes->count ? (lane + 1) * lanes->tokens : tokens;
}

#endif
