/* Sequences that wait for a slot: new ones, and ones that were paused. Internal to engine/; callers hold the mutex.
 *
 * Whose turn it is: owners share the slots evenly, so that who asks for much cannot keep others waiting. Of one owner's
 * sequences the more urgent is first (request.priority, the lower the sooner), then the older. A sequence's rank is how
 * many of its owner are served before it, those in slots included; the lowest rank is next, and among equals the
 * more urgent, then the oldest.
 * (Max-min fairness over slots: Bertsekas and Gallager, "Data Networks", 1992, section 6.5.2.) */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include "engine/sequence.h"

struct queue {
    struct engine_sequence *first, *last; /* by priority, then id */
    uint32_t size;
    uint32_t new_ones; /* of these, never in a slot so far */
};

/* How many of an owner's sequences have slots, or stand before others. */
struct share {
    uint64_t key;
    uint32_t count;
};
struct shares {
    struct share *keys; /* [capacity] */
    uint32_t count, capacity;
};
/* The owner's share, which begins at 0. */
uint32_t *shares_of(struct shares *shares, uint64_t key);

void queue_insert(struct queue *queue, struct engine_sequence *sequence);
void queue_remove(struct queue *queue, struct engine_sequence *sequence);
/* The oldest that was cancelled or whose deadline is over, taken out; NULL: none. */
struct engine_sequence *queue_take_over(struct queue *queue, uint64_t now_ns);

/* Whose turn it is, and its rank; NULL when nobody waits whose reader can take a token. shares holds those in slots,
 * and is used up. */
struct engine_sequence *queue_next(const struct queue *queue, struct shares *shares, uint32_t *rank);

/* Calls each client's `queued` whose place has changed, and returns how many wait for their turn; shares as above.
 * interval: seconds between ends, 0: not known. scratch: [capacity of shares + 1] */
uint32_t queue_tell_places(const struct queue *queue, struct shares *shares, double interval, uint32_t *scratch);

/* The earliest deadline; 0: none. */
uint64_t queue_deadline(const struct queue *queue);

/* Whether size and order are what they should be. For debug builds and tests. */
bool queue_is_valid(const struct queue *queue);

#endif
