/* A fixed set of threads that run one job at a time: phases one after the other, each in units handed out one after the
 * other.
 *
 * The calling thread works too. Between phases threads wait for units, not for each other: a worker that got no
 * processor holds nobody up. Workers spin for some tens of microseconds and then sleep on a futex, so that a phase
 * costs a few hundred nanoseconds and an idle pool costs nothing. Which thread runs which unit is not determined: units
 * write results that do not depend on it. */
#ifndef BASE_THREAD_POOL_H
#define BASE_THREAD_POOL_H

#include "base/error.h"

#include <stdint.h>

struct thread_pool;

/* threads >= 1 counts the caller. */
int thread_pool_create(unsigned threads, struct thread_pool **pool, struct smollm_error *error);
/* Accepts NULL. */
void thread_pool_destroy(struct thread_pool *pool);
unsigned thread_pool_size(const struct thread_pool *pool);

/* unit in [0, units), thread in [0, size) */
typedef void thread_pool_function(void *argument, uint32_t unit, unsigned thread);

struct thread_pool_phase {
    thread_pool_function *run;
    void *argument;
    uint32_t units; /* 0: nothing to do */
};

/* Runs all units of a phase before any of the next; returns when all have returned. One caller at a time; phases are
 * borrowed meanwhile, fewer than 2^32 units in all. What a unit wrote is visible to every unit of later phases and to
 * the caller afterwards. */
void thread_pool_run_phases(struct thread_pool *pool, const struct thread_pool_phase *phases, uint32_t count);

/* From now on ends[i] is when phase i of a job ended (clock_nanoseconds); phases without units leave theirs alone.
 * NULL: no more. Not while a job runs; borrowed. */
void thread_pool_time_phases(struct thread_pool *pool, _Atomic uint64_t *ends);

/* One phase. */
void thread_pool_run(struct thread_pool *pool, thread_pool_function *run, void *argument, uint32_t units);

/* Processors that this process may use: affinity mask and cgroup CPU quota (v1 and v2) respected; at least 1. */
unsigned processors_available(void);

#endif
