/* From logits to the next token.
 *
 * Order: mask; logit bias; repetition penalty (over recent tokens, prompt included), presence and frequency penalty
 * (over generated tokens); temperature; top-k; top-p; min-p; draw. Candidates are ordered by probability, ties by the
 * lower id, so that equal logits give the same token everywhere. The n-th draw depends on the seed and n alone. */
#ifndef SAMPLING_SAMPLER_H
#define SAMPLING_SAMPLER_H

#include "base/error.h"
#include "kernel/kernel.h"
#include "smollm.h"

struct candidate {
    float weight; /* probability relative to the most likely token */
    int32_t id;
};

/* The logits of one token, and what kernels.peaks found in them: a search for the maximum need not look at all logits.
 */
struct logits {
    const float *values; /* [count] */
    const float *peaks;  /* [peak_count(count)] */
    uint32_t count;
};

/* Looks for the peaks. */
struct logits logits_look_at(const struct kernel_table *kernels, const float *values, uint32_t count, float *peaks);

/* Scratch of one thread that samples, and the memory of one sequence; both sized for a vocabulary at start. */
struct sampler_scratch {
    uint32_t vocabulary;
    const struct kernel_table *kernels;
    float *logits;
    float *weights; /* of all tokens, or of those in `ids` */
    int32_t *ids;   /* of few tokens, when only these may be drawn */
    uint32_t weight_count;
    bool has_ids;
    float *peaks;
    struct candidate *candidates;
    struct candidate *sorted; /* changes places with candidates */
    /* What the last token was drawn from: the first candidates. */
    uint32_t kept;
    bool has_all_kept; /* otherwise it was drawn from all weights, of which these are the greatest */
    double mass;       /* sum of the weights that it was drawn from */
    float drawn;       /* its weight */
};
int sampler_scratch_create(struct sampler_scratch *scratch, uint32_t vocabulary, const struct kernel_table *kernels,
                           struct smollm_error *error);
void sampler_scratch_destroy(struct sampler_scratch *scratch); /* accepts a zeroed struct */

struct sampler {
    struct smollm_sampling options; /* logit_bias is borrowed */
    uint32_t vocabulary;
    uint32_t *generated; /* [vocabulary]: how often each token was generated */
    uint32_t *mark;      /* [vocabulary]: pass in which a token was seen, for the repetition penalty */
    uint32_t pass;
    uint64_t draws;
};
int sampler_create(struct sampler *sampler, uint32_t vocabulary, struct smollm_error *error);
void sampler_destroy(struct sampler *sampler); /* accepts a zeroed struct */

/* What smollm_submit promises to check: every number in its range. SMOLLM_EINVAL names the option. */
int sampling_check(const struct smollm_sampling *options, uint32_t vocabulary, struct smollm_error *error);

/* Begins a sequence. */
void sampler_begin(struct sampler *sampler, const struct smollm_sampling *options);
/* After sampler_begin: goes on with a sequence that has generated these tokens already. */
void sampler_resume(struct sampler *sampler, const int32_t *generated, uint32_t count);

/* Draws the next token; history is the sequence so far, prompt included. allowed: the tokens to draw from, as bits of
 * 32-bit words, or NULL: all. SMOLLM_ENUMERIC when a logit is NaN or none is finite. Allocates nothing. */
int sampler_next(struct sampler *sampler, struct sampler_scratch *scratch, const struct logits *logits,
                 const uint32_t *allowed, const int32_t *history, uint32_t history_count, int32_t *token);

/* After sampler_next with the same scratch: the tokens that could be drawn, most likely first, up to `count` of them in
 * ids, and in probabilities that of each; *drawn: the probability of the token that was drawn. They are after masks,
 * biases, penalties, temperature and filters, and add up to 1 over all tokens that could be drawn. Returns the number
 * of ids. Allocates nothing. */
uint32_t sampler_probabilities(struct sampler_scratch *scratch, uint32_t count, int32_t *ids, double *probabilities,
                               double *drawn);

/* The token that greedy decoding takes: the largest logit, the lowest id among equals; -1 when a logit is NaN or none
 * is above minus infinity. */
int32_t logits_greatest(const struct logits *logits);

/* Log of the sum of exp(logits): log-probability of a token is its logit minus this. */
double logits_log_sum(const struct kernel_table *kernels, const struct logits *logits);

static inline double logits_logprob(const struct logits *logits, int32_t id, double log_sum)
{
    return (double)logits->values[id] - log_sum;
}

/* The `count` most likely tokens in order; -1 where there are no more. */
void logits_top(const struct logits *logits, int32_t *ids, uint32_t count);

/* The n-th number of the stream of a seed, uniform in [0, 1): Steele, Lea and Flood, "Fast splittable pseudorandom
 * number generators", 2014. */
double random_uniform(uint64_t seed, uint64_t n);

#endif
