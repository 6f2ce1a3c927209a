/* A fixed set of threads that run one job at a time. A job consists of phases, which run in order; each phase consists
 * of units, which are handed out in order.
 *
 * A phase may have several lanes: parts of the data that go through the phases independently. A lane enters a phase as
 * soon as it has finished the one before, wherever the other lanes are. Threads stay with their own lanes, whose data
 * is in their caches, while those have units to run; then they help with others.
 *
 * A phase of one lane may have shares: ranges of units. Each thread runs the units of its own share in order; then it
 * takes the last units of the share that has the most left.
 *
 * The calling thread works too. Threads wait for units, not for each other, so a worker that gets no processor delays
 * nobody. Workers spin for some tens of microseconds and then sleep on a futex, so that a phase costs a few hundred
 * nanoseconds and an idle pool costs nothing. Which thread runs which unit is not determined: units write results that
 * do not depend on it. */
#ifndef BASE_THREAD_POOL_H
#define BASE_THREAD_POOL_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct thread_pool;

/* threads is at least 1 and includes the caller. */
int thread_pool_create(unsigned threads, struct thread_pool **pool, struct smollm_error *error);
/* Accepts NULL. */
void thread_pool_destroy(struct thread_pool *pool);
unsigned thread_pool_size(const struct thread_pool *pool);
/* The number of shares of a phase with shares: one for each thread, at most THREAD_POOL_MAX_LANES. */
uint32_t thread_pool_shares(unsigned threads);

enum { THREAD_POOL_MAX_LANES = 16, THREAD_POOL_MAX_PHASES = 10000, THREAD_POOL_MAX_UNITS = 1 << 20 };

/* unit in [0, lanes * units), thread in [0, size) */
typedef void thread_pool_function(void *argument, uint32_t unit, unsigned thread);

struct thread_pool_phase {
    thread_pool_function *run;
    void *argument;
    uint32_t units; /* in each lane, numbered lane after lane; 1 to THREAD_POOL_MAX_UNITS - 1 */
    uint32_t lanes; /* 1 to THREAD_POOL_MAX_LANES */
    bool ordered;   /* a lane also waits for the lanes before it to leave the phase before */
    /* With one lane: share i is units [shares[i], shares[i + 1]); there are thread_pool_shares of them. NULL for no
     * shares. */
    const uint32_t *shares;
};

/* Runs all phases; returns when all units have returned. A lane enters a phase when the phase before is done: in this
 * lane, if both phases have as many lanes, otherwise in all. One caller at a time; phases are borrowed meanwhile, at
 * most THREAD_POOL_MAX_PHASES. What a unit writes is visible to every unit that waits for it, and to the caller
 * afterwards. */
void thread_pool_run_phases(struct thread_pool *pool, const struct thread_pool_phase *phases, uint32_t count);

/* From now on, the nanoseconds that units of phase i take, summed over all threads, are added to times[i]; NULL turns
 * this off. Must not be called while a job runs; times is borrowed. */
void thread_pool_time_phases(struct thread_pool *pool, _Atomic uint64_t *times);

/* Runs one phase of one lane; units may be 0. */
void thread_pool_run(struct thread_pool *pool, thread_pool_function *run, void *argument, uint32_t units);

#endif
