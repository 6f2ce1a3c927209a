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
    /* Results that a unit of a pair computes before it uses them: as many as stay in the second-level cache. */
    PRODUCT_MAX_CACHED_RESULTS = 65536,
    PRODUCT_MAX_WHOLE = 8,      /* in panels: a block of 256 columns of a pair's results */
    PRODUCT_PANELS_BY_TURNS = 2 /* with one lane, units are multiples of this: see kernel/wide/streams.h */
};

/* How tokens are divided into lanes: `tokens` in each; the last may have fewer. */
struct lanes {
    uint32_t count;
    uint32_t tokens;
};

struct product {
    const struct kernel_table *kernels;
    const struct packed_matrix *matrices[PRODUCT_MAX_MATRICES];
    float *out[PRODUCT_MAX_MATRICES];
    size_t out_stride[PRODUCT_MAX_MATRICES];
    int first, count; /* matrices [first, count) are multiplied */
    bool is_pair;     /* a unit is the same panels of both matrices, and decides itself where its results go */
    uint32_t whole;   /* units begin at multiples of this many panels */
    const struct activations *input;
    bool add;
    struct lanes lanes;
    uint32_t units;   /* number of units in each lane */
    uint32_t *begins; /* [units + 1]: first panels, counted through all multiplied matrices; in a pair, through one */
    int begins_first; /* the `first` that begins were computed for, with these lanes */
    uint32_t shares[THREAD_POOL_MAX_LANES + 1]; /* of the units, with one lane: see struct thread_pool_phase */
    /* The thread that finishes the product runs the units of this phase, one for each token. It has 0 units when there
     * is nothing to do. Only with one lane. */
    struct thread_pool_phase follow_up;
    _Atomic uint32_t finished;
};

/* The panels of one matrix that a unit multiplies. */
struct piece {
    int matrix;
    uint32_t first_panel, last_panel;
};

/* Allocates; the caller has filled in the kernels, matrices, results and input. whole is at least 1. */
int product_create(struct product *product, struct smollm_error *error);
/* Accepts a zeroed struct. */
void product_destroy(struct product *product);

/* Divides the panels into units for a pass with these lanes. */
void product_plan(struct product *product, struct lanes lanes, unsigned threads);

/* Advances to the next piece of a unit (of lane 0): *piece is zeroed before the first one; false after the last one. */
bool product_next_piece(const struct product *product, uint32_t unit, struct piece *piece);

/* Multiplies a piece for the tokens of a lane, to the results of its matrix or to `out`. */
void product_multiply(const struct product *product, const struct piece *piece, uint32_t lane);
/* next: the piece that the thread multiplies next, or NULL when that is what follows in memory (struct matmul_args). */
void product_multiply_to(const struct product *product, const struct piece *piece, const struct piece *next,
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
