/* Sequences that wait for a slot: new ones, and paused ones. Internal to engine/; callers hold the mutex.
 *
 * The order: keys share the slots evenly, so that a client with fifty requests does not delay a client with one. Among
 * the sequences of one key the one with the lower request.priority is first, then the older one. A sequence's rank is
 * the number of sequences of its key that are served before it, those in slots included. The lowest rank is next;
 * among equal ranks the lower priority, then the oldest.
 * (Max-min fairness over slots: Bertsekas and Gallager, "Data Networks", 1992, section 6.5.2.) */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include "engine/sequence.h"

struct queue {
    struct engine_sequence *first, *last; /* by priority, then id */
    uint32_t size;
    uint32_t new_ones; /* of these, never in a slot so far */
};

/* How many sequences of a key have slots, or are before others. */
struct share {
    uint64_t key;
    uint32_t count;
};
struct shares {
    struct share *keys; /* [capacity] */
    uint32_t count, capacity;
};
/* The share of this key, which begins at 0. */
uint32_t *shares_of(struct shares *shares, uint64_t key);

void queue_insert(struct queue *queue, struct engine_sequence *sequence);
void queue_remove(struct queue *queue, struct engine_sequence *sequence);
/* Takes out the oldest that was canceled or whose deadline has passed; NULL: none. */
struct engine_sequence *queue_take_over(struct queue *queue, uint64_t now_ns);

/* The next sequence and its rank; NULL when none waits whose reader can take a token. shares holds the sequences in
 * slots, and is changed. */
struct engine_sequence *queue_next(const struct queue *queue, struct shares *shares, uint32_t *rank);

/* Calls `queued` of each client whose place has changed, and returns how many wait for their turn; shares as above.
 * interval: seconds between ends, 0: not measured yet. scratch: [capacity of shares + 1] */
uint32_t queue_tell_places(const struct queue *queue, struct shares *shares, double interval, uint32_t *scratch);

/* The earliest deadline; 0: none. */
uint64_t queue_deadline(const struct queue *queue);

/* Whether size and order are what they should be. For debug builds and tests. */
bool queue_is_valid(const struct queue *queue);

#endif
