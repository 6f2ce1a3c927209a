/* What the files of engine/ share: queue and slots (admission.c), the pass (step.c), create and destroy (engine.c).
 * Internal to engine/. */
#ifndef ENGINE_ENGINE_STATE_H
#define ENGINE_ENGINE_STATE_H

#include "engine/engine.h"
#include "engine/engine_meter.h"
#include "engine/history.h"
#include "engine/pacer.h"
#include "engine/page_cache.h"
#include "engine/queue.h"
#include "engine/slot.h"
#include "model/forward.h"

#include <pthread.h>

enum {
    DRAFTING_STREAMS = 2, /* with more, passes are full without guesses */
    DRAFT_ROWS = DRAFTING_STREAMS * DRAFT_MAX,
    PAUSED_MAX = 1024, /* no new sequence gets a slot while this many are paused */
    AHEAD_TOKENS = 32, /* read ahead in one pass: the longest wait of a request that arrives meanwhile */
};

struct engine {
    struct engine_options options;
    const struct weights *weights;
    struct thread_pool *pool;
    struct kv_cache cache;
    struct forward forward;
    struct page_cache pages;
    struct cache_events cache_events;
    struct pacer pacer;
    struct engine_meter meter;
    struct history history;
    struct sampler_scratch scratch;
    struct slot *slots;  /* [parallel + 1]: the last one reads ahead */
    struct slot **order; /* [parallel]: slots with sequences, oldest first; of one step */
    uint32_t active;     /* how many there are */
    struct batch_token *batch;
    float *logits; /* [engine_logits_rows][vocabulary] */
    float *peaks;  /* of the logits */
    float *hidden; /* [batch][hidden] */
    struct shares shares;
    uint32_t *places;    /* scratch of queue_tell_places */
    _Atomic int holders; /* the creator, and each sequence of a client */
    pthread_t thread;
    bool thread_started;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    struct queue queue;
    struct queue ahead; /* sequences to read ahead */
    uint64_t next_id;
    bool draining;
    bool closing;
    bool queue_changed;   /* clients must learn their new places */
    uint64_t last_end_ns; /* when a sequence last ended while others waited; 0: none has, or the queue is empty */
    uint64_t wakes;       /* counts submissions, cancellations and wakes: after a change the loop looks again */

    _Atomic uint32_t running, waiting, pages_used;
    _Atomic uint64_t end_interval_ns; /* between ends while others wait, smoothed: how fast the queue drains */
    struct engine_totals totals;
    _Atomic uint64_t pauses, ahead_tokens;
};

/* Rows of logits in a pass: one for each slot, and one for each guess. Rows that slots and guesses leave are for the
 * prompts whose log-probabilities are wanted, which are read in parts that fit. */
static inline uint32_t engine_logits_rows(const struct engine_options *options)
{
    return options->parallel + DRAFT_ROWS;
}

static inline struct slot *ahead_slot(struct engine *engine)
{
    return &engine->slots[engine->options.parallel];
}

/* ---- admission.c ---- */

/* Ends canceled and expired sequences, fills slots, pauses sequences to make room, reports places in the queue. */
void admission_run(struct engine *engine);
/* Ends all open sequences. */
void admission_end_all(struct engine *engine, const struct smollm_error *error);
/* Takes the slot from its sequence, which then waits. */
void slot_pause(struct engine *engine, struct slot *slot);
/* Ends the sequence of a slot. */
void slot_finish(struct engine *engine, struct slot *slot, enum engine_end end, const struct smollm_error *error);
/* When to look again without a call, or 0. */
uint64_t admission_deadline(struct engine *engine);

/* ---- outputs.c ---- */

/* What a pass must give for a position. */
enum row_output sequence_output_at(const struct engine_sequence *sequence, uint32_t position);
struct logits engine_logits(const struct engine *engine, size_t row);
/* Log-probabilities of token->id and of the best alternatives. */
void engine_fill_logprobs(const struct engine *engine, const struct logits *logits, int alternatives,
                          struct engine_token *token);
/* The same of what the token has just been drawn from. */
void engine_fill_sampled(struct engine *engine, int alternatives, struct engine_token *token);
/* Passes on what the pass gave for positions of the prompt, before they count as computed. When the reader can take no
 * more, the rest of them counts as not planned and is computed again. False: the sequence has ended. */
bool give_outputs(struct engine *engine, struct slot *slot);
/* The prompt is read: passes on the embedding or the scores, and ends the sequence. */
void give_values(struct engine *engine, struct slot *slot);

/* ---- step.c ---- */

/* One forward pass and what follows from it; false when there was nothing to compute. */
bool step_run(struct engine *engine);

/* Whether slots, pages and queues agree. Slow: for debug builds and tests. */
bool engine_is_valid(struct engine *engine);

#endif
