/* Sequences of tokens in, tokens out: one thread that owns model state and batches all open sequences.
 *
 * A sequence is submitted with its prompt and a set of callbacks. The engine thread admits it to a slot, reads the
 * prompt in chunks, and then draws one token a step; decode tokens of all slots and chunks of prompts share each
 * forward pass. Callbacks must not block and must not call back into the engine; they run on the engine thread.
 *
 * Keys share the slots evenly (engine/queue.h). A sequence gives up its slot for a while when its reader is slow,
 * when another key has none, or when pages run out, the youngest first: its answer pauses. Its pages stay cached until
 * their memory is needed; what was evicted is computed again, to the same bits.
 *
 * Nothing is allocated after engine_create and engine_submit. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/system_limits.h"
#include "engine/account.h"
#include "engine/cache_events.h"
#include "kernel/attention.h"
#include "kernel/cpu.h"
#include "model/weights.h"
#include "smollm.h"

struct engine;
struct engine_sequence;

enum {
    ENGINE_PARALLEL_MAX = 1024,
    ENGINE_QUEUE_MAX = 65536,
    ENGINE_BATCH_MAX = 8192,
    ENGINE_THREADS_MAX = 1024,
    ENGINE_CACHE_EVENTS_MAX = 1 << 20
};

struct engine_options {
    uint32_t context;  /* positions of one sequence */
    uint32_t parallel; /* slots */
    uint32_t queue;    /* sequences that may wait, 1 to ENGINE_QUEUE_MAX */
    uint32_t threads;
    uint32_t batch; /* tokens of prompts in one pass */
    enum cpu_tier tier;
    enum kv_type cache_type;
    uint32_t planes;       /* of int8 activations */
    bool speculates;       /* guesses tokens where a sequence repeats itself */
    bool reads_ahead;      /* engine_read_ahead is used */
    uint32_t cache_events; /* of the prefix cache, kept for engine_read_cache_event; 0: none */
    uint64_t kv_bytes;     /* budget of all pages; 0: enough for `parallel` sequences of `context` positions */
    unsigned stress;       /* for tests: a set of enum engine_stress */
};

enum engine_stress {
    ENGINE_STRESS_PAUSES = 1,  /* pauses a sequence after every step */
    ENGINE_STRESS_EVICTS = 2,  /* evicts all pages without holders after every step */
    ENGINE_STRESS_GUESSES = 4, /* guesses at every step, and wrong */
    ENGINE_STRESS_READERS = 8, /* pauses, after every second step, a sequence whose prompt is still being read */
};

struct engine_logprob {
    int32_t id;
    float logprob;
};
enum { ENGINE_ALTERNATIVES_MAX = 20 };

struct engine_token {
    int32_t id;
    bool is_end;                  /* one of the sequence's end tokens: it ends here whatever the callback returns */
    struct engine_logprob chosen; /* valid with alternatives >= 0 */
    struct engine_logprob top[ENGINE_ALTERNATIVES_MAX];
    int top_count;
};

enum engine_end {
    ENGINE_END_TOKEN,    /* an end token was drawn */
    ENGINE_END_STOPPED,  /* the token callback returned false */
    ENGINE_END_LENGTH,   /* max_tokens, or the context is full */
    ENGINE_END_CANCELED, /* engine_cancel */
    ENGINE_END_ERROR     /* error holds why */
};

/* What a sequence is for. */
enum engine_purpose {
    ENGINE_ANSWER,         /* tokens */
    ENGINE_EMBEDDING_LAST, /* the final hidden state of its last token */
    ENGINE_EMBEDDING_MEAN, /* the mean of the final hidden states of all its tokens */
    ENGINE_SCORES,         /* log-probabilities of certain tokens after its last one */
    ENGINE_EMBEDDING_EACH  /* the final hidden state of each token */
};
static inline bool engine_purpose_is_embedding(enum engine_purpose purpose)
{
    return purpose == ENGINE_EMBEDDING_LAST || purpose == ENGINE_EMBEDDING_MEAN || purpose == ENGINE_EMBEDDING_EACH;
}
enum { ENGINE_SCORES_MAX = 4096 };

struct engine_client {
    void *user;
    /* The place in the queue has changed: `ahead` sequences will be admitted before; seconds: an estimate of the wait,
     * negative before there is one. May be NULL. */
    void (*queued)(void *user, uint32_t ahead, double seconds);
    /* Whether another token, of the answer or of the prompt, or its vector can be taken now; false parks the sequence
     * until engine_wake. It has no side effect: it may be asked any number of times. NULL: always. */
    bool (*ready)(void *user);
    /* After each pass over a part of the prompt. May be NULL. */
    void (*progress)(void *user, const struct engine_account *account);
    /* With wants_prompt, each token of the prompt after the first, in order, before the first token that is drawn;
     * `ready` is asked before each. */
    void (*prompt_token)(void *user, const struct engine_token *token);
    /* The embedding or the scores, once, before `finished`; borrowed for the call. Not called for an answer. With
     * ENGINE_EMBEDDING_EACH once for each token, in order; `ready` is asked before each. */
    void (*values)(void *user, const float *values, uint32_t count);
    /* A token; returns false to end the sequence after it. */
    bool (*token)(void *user, const struct engine_token *token, const struct engine_account *account);
    /* The last call. */
    void (*finished)(void *user, enum engine_end end, const struct engine_account *account,
                     const struct smollm_error *error);
};

/* What holds an answer to a form. Called on the engine's thread, for each token that is drawn, in order. */
struct engine_form {
    void *user;
    /* The tokens that may come next, as bits of 32-bit words, valid until the next call; *allowed NULL: all. 0; 1 when
     * the answer is complete and nothing may follow; or a negative code with its message. NULL: no form. */
    int (*mask)(void *user, const uint32_t **allowed, struct smollm_error *error);
    /* The token that was drawn from these. */
    void (*advance)(void *user, int32_t token);
    /* Up to max tokens that are likely to come next; how many. */
    uint32_t (*guess)(void *user, int32_t *tokens, uint32_t max);
};

/* Of max_tokens: until the context is full. */
#define ENGINE_UNLIMITED UINT32_MAX

struct engine_request {
    uint64_t key;                    /* of its API key: pages and answers are shared within one key only */
    int32_t priority;                /* among the requests of its key: the lower, the sooner */
    uint32_t deadline_ms;            /* after that it ends with SMOLLM_ETIMEDOUT; 0: never */
    const int32_t *prompt;           /* copied */
    uint32_t prompt_count;           /* 1 to context - 1 */
    uint32_t max_tokens;             /* 0: the prompt is read and nothing is drawn; ENGINE_UNLIMITED */
    struct smollm_sampling sampling; /* copied with its logit_bias */
    int alternatives;                /* -1: no log-probabilities; otherwise how many beside the chosen one */
    bool sampled_logprobs;           /* of what the tokens are drawn from, after all filters */
    const bool *end_token;           /* [vocabulary], borrowed until finished; NULL: none */
    /* Tokens that the answer begins with: it goes on where an earlier one was cut off. They are read with the prompt
     * and count as generated; the client is told of those after them. Copied. */
    const int32_t *answer;
    uint32_t answer_count; /* together with the prompt at most the context */
    const int32_t *replay; /* for benches: tokens that count as drawn whatever the logits say; borrowed */
    uint32_t replay_count; /* what follows them is drawn */
    struct engine_form form;
    /* Embeddings and scores end when the prompt is read, without any token: max_tokens and what is about drawing has no
     * effect on them. */
    enum engine_purpose purpose;
    bool is_normalized;          /* of an embedding: its length is 1 */
    const int32_t *score_tokens; /* copied; with ENGINE_SCORES */
    uint32_t score_count;        /* 1 to ENGINE_SCORES_MAX */
    /* Of an answer: log-probabilities of the prompt's tokens, with so many alternatives. */
    bool wants_prompt;
    uint32_t prompt_alternatives;
    struct engine_client client;
};

/* Whether every number is in its range: SMOLLM_EINVAL names the one that is not. engine_create checks too. */
int engine_options_check(const struct engine_options *options, const struct model_config *config,
                         struct smollm_error *error);

/* What engine_create will take, weights left out; options are complete and in range. */
struct memory_need engine_need(const struct model_config *config, const struct engine_options *options);

/* weights are borrowed until engine_destroy. SMOLLM_ENOMEM names the sizes when memory is too small. */
int engine_create(const struct weights *weights, const struct engine_options *options, struct engine **engine,
                  struct smollm_error *error);
/* Ends every sequence with SMOLLM_ECLOSED, joins the thread, and frees all but what engine_wake and engine_cancel need:
 * that goes with the last sequence that is released, so other threads may be in these two meanwhile. Accepts NULL. */
void engine_destroy(struct engine *engine);

/* SMOLLM_EBUSY when the queue is full, SMOLLM_ECLOSED after engine_drain, SMOLLM_EINVAL for values out of range,
 * SMOLLM_ECONTEXT for a prompt that leaves no room. The sequence must be released once. id (from 1) and sequence are
 * written before the first callback. */
int engine_submit(struct engine *engine, const struct engine_request *request, uint64_t *id,
                  struct engine_sequence **sequence, struct smollm_error *error);
/* Ends the sequence before the next pass. */
void engine_cancel(struct engine *engine, struct engine_sequence *sequence);
/* A parked sequence may be ready again. */
void engine_wake(struct engine *engine);
/* Gives up the caller's hold; callbacks go on until `finished`. */
void engine_release(struct engine_sequence *sequence);

/* Reads the prompt when the engine is idle, so that a request of this key with the same beginning finds it cached. Best
 * effort: dropped when there is no room for it, or newer ones come. */
void engine_read_ahead(struct engine *engine, uint64_t key, const int32_t *tokens, uint32_t count);

/* Whether events of the prefix cache are kept (engine/cache_events.h). */
bool engine_keeps_cache_events(const struct engine *engine);
/* Waits for the next one; false: none came. By one thread at a time, before engine_destroy. */
bool engine_read_cache_event(struct engine *engine, int timeout_ms, struct cache_event *event);

void engine_drain(struct engine *engine);

void engine_get_info(const struct engine *engine, struct smollm_engine_info *info);
void engine_get_stats(const struct engine *engine, struct smollm_engine_stats *stats);
void engine_get_histogram(const struct engine *engine, enum smollm_measure measure, struct smollm_histogram *histogram);
/* index: below the number of slots. */
void engine_get_slot(const struct engine *engine, size_t index, struct smollm_slot *slot);

#endif
