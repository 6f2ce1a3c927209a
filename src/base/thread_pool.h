/* A fixed set of threads that run one job at a time, in units handed out one after the other.
 *
 * The calling thread works too. Workers spin for some tens of microseconds after a job and then sleep on a futex, so
 * that jobs in close succession cost a few hundred nanoseconds each and an idle pool costs nothing. Which thread runs
 * which unit is not determined: jobs write results that do not depend on it. */
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

/* Calls run(argument, unit, thread) for each unit in [0, units), thread in [0, size); returns when all have returned.
 * One caller at a time. What a unit wrote is visible to the caller afterwards and to every unit of the next job. */
typedef void thread_pool_function(void *argument, uint32_t unit, unsigned thread);
void thread_pool_run(struct thread_pool *pool, thread_pool_function *run, void *argument, uint32_t units);

/* Processors that this process may use: affinity mask and cgroup CPU quota (v1 and v2) respected; at least 1. */
unsigned processors_available(void);

#endif
