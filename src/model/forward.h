/* The forward pass: a batch of tokens of any sequences and positions through all layers, over the paged KV cache.
 *
 * Prefill chunks and decode tokens mix freely. The result for a token depends on its own sequence alone: not on what
 * else is in the batch, on threads, on how a prompt was split, nor on the kernels' tier (docs/numerics.md). */
#ifndef MODEL_FORWARD_H
#define MODEL_FORWARD_H

#include "model/attention_plan.h"
#include "model/product.h"
#include "model/profile.h"
#include "model/weights.h"

/* Where the outputs of a pass go: of each kind one row for each token that wants it, in the batch's order. */
struct forward_results {
    float *logits; /* [row][vocabulary] */
    float *peaks; /* [row of logits][peak_count(vocabulary)], or NULL: what kernels.peaks finds in the logits while they
                   * are in the cache of the thread that made them */
    float *hidden; /* [row][hidden]; NULL when no token wants it */
};

/* Everything a pass needs besides weights and cache. It is allocated once and does not move. */
struct forward {
    const struct weights *weights;
    const struct kv_cache *cache;
    struct thread_pool *pool;
    struct kernel_table kernels;
    uint32_t max_tokens;
    float *residual;              /* [token][hidden] */
    float *projections;           /* [token][query, key, value] */
    float *cosine, *sine;         /* [token][pairs] */
    struct activations normed;    /* hidden: input of Q, K, V, gate and up */
    struct activations attended;  /* heads * head_dim: input of O */
    struct activations activated; /* ffn: input of down */
    /* The same three for the tokens with an output, in the same memory: the inputs of the last layer's phases after
     * attention. */
    struct activations chosen_normed, chosen_attended, chosen_activated;
    struct activations head_input; /* hidden: of the tokens that want logits */
    unsigned attention_forms, attended_forms, ffn_forms, activated_forms, head_forms;
    struct attention_plan attention;
    float *queries;             /* [thread][row of a tile][head_dim]: rotated */
    uint8_t *attention_scratch; /* [thread][ATTENTION_SCRATCH_BYTES] */
    float *gated;               /* [thread][gate, up][token of a lane][row of a unit] */
    size_t gated_stride;        /* distance between threads, in floats */
    struct forward_plan *plan;  /* forward.c */
    struct profile *profile;    /* borrowed; set by commands that measure; NULL when nothing is timed */
    /* The current pass. */
    const struct batch_token *tokens;
    uint32_t token_count;
    struct lanes lanes;
    uint32_t *wanted; /* [max_tokens]: indices of the tokens with an output */
    uint32_t *places; /* [max_tokens]: for each of these, its row among the outputs of its kind */
    struct forward_results results;
};

/* planes: of the int8 activations, 1 or 2. weights, cache and pool are borrowed until forward_destroy. */
int forward_create(struct forward *forward, const struct weights *weights, const struct kv_cache *cache,
                   struct thread_pool *pool, enum cpu_tier tier, uint32_t planes, uint32_t max_tokens,
                   struct smollm_error *error);
/* About how many bytes forward_create allocates, so that a model can be refused before it is read. */
uint64_t forward_bytes(const struct model_config *config, unsigned threads, uint32_t planes, uint32_t max_tokens);
/* Accepts a zeroed struct. */
void forward_destroy(struct forward *forward);

/* The planes of "off", "on" or "auto" (NULL), which depends on the model alone: two planes below PRECISE_PARAMETERS,
 * where int8 activations change answers and speed matters less (docs/numerics.md). SMOLLM_EINVAL for another name. */
#define PRECISE_PARAMETERS 1000000000
int precise_parse(const char *name, uint64_t parameters, uint32_t *planes, struct smollm_error *error);

/* Runs 1 to max_tokens tokens and writes their outputs. Allocates nothing and cannot fail; an output that is not finite
 * says that the sequence must end. */
void forward_run(struct forward *forward, const struct batch_token *tokens, uint32_t count,
                 struct forward_results results);

#endif
