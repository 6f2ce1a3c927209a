#include "base/thread_pool.h"

#include "base/clock.h"
#include "base/memory.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPIN_NANOSECONDS = 30000, SPINS_PER_CLOCK = 64, MOST_THREADS = 1024 };

struct worker {
    struct thread_pool *pool;
    pthread_t thread;
    unsigned index;
};

struct thread_pool {
    unsigned size;
    unsigned started; /* workers that run, size - 1 at most */
    struct worker *workers;
    /* The job: written by the caller while no unit is held, read by those who hold one. */
    const struct thread_pool_phase *phases;
    uint64_t job;           /* counts up */
    _Atomic uint64_t *ends; /* of the phases, or NULL */
    /* Units of the job in the upper half, the next one in the lower: a worker that comes late and adds to an old
     * ticket sees at once that nothing is left of it, whatever the caller is preparing. */
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic uint32_t finished; /* futex: units of the job that have returned */
    _Atomic uint32_t waiters;
    _Alignas(64) _Atomic uint32_t generation; /* futex: workers wait for it to change */
    _Atomic uint32_t sleepers;
    _Atomic bool stop;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* Waits until *word differs from value: spinning first, then asleep with *sleepers raised. */
static void wait_for_change(_Atomic uint32_t *word, uint32_t value, _Atomic uint32_t *sleepers)
{
    uint64_t end = clock_nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value)
                return;
            relax();
        }
    } while (clock_nanoseconds() < end);
    atomic_fetch_add(sleepers, 1);
    while (atomic_load(word) == value)
        futex_wait(word, value);
    atomic_fetch_sub(sleepers, 1);
}

/* Returns when at least `units` have finished. */
static void wait_until_finished(struct thread_pool *pool, uint32_t units)
{
    for (uint32_t finished; (finished = atomic_load_explicit(&pool->finished, memory_order_acquire)) < units;)
        wait_for_change(&pool->finished, finished, &pool->waiters);
}

static void work(struct thread_pool *pool, unsigned thread)
{
    uint64_t job = 0;
    uint32_t phase = 0, begin = 0; /* the phase under way and its first unit */
    for (;;) {
        uint64_t ticket = atomic_fetch_add_explicit(&pool->ticket, 1, memory_order_acq_rel);
        uint32_t unit = (uint32_t)ticket;
        if (unit >= (uint32_t)(ticket >> 32))
            return;
        /* The unit in hand keeps the job from ending, so its fields may be read; it may be another job than the last.
         */
        if (job != pool->job) {
            job = pool->job;
            phase = begin = 0;
        }
        while (unit - begin >= pool->phases[phase].units)
            begin += pool->phases[phase++].units;
        wait_until_finished(pool, begin);
        pool->phases[phase].run(pool->phases[phase].argument, unit - begin, thread);
        /* Every unit writes, as none can know before it has returned that it is the last. */
        if (pool->ends)
            atomic_store_explicit(&pool->ends[phase], clock_nanoseconds(), memory_order_relaxed);
        atomic_fetch_add(&pool->finished, 1);
        if (atomic_load(&pool->waiters) > 0)
            futex_wake(&pool->finished, MOST_THREADS);
    }
}

static void *worker_main(void *user)
{
    struct worker *worker = user;
    struct thread_pool *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        wait_for_change(&pool->generation, seen, &pool->sleepers);
        seen = atomic_load(&pool->generation);
        if (atomic_load(&pool->stop))
            return NULL;
        work(pool, worker->index);
    }
}

int thread_pool_create(unsigned threads, struct thread_pool **result, struct smollm_error *error)
{
    *result = NULL;
    RETURN_ERROR_IF(threads < 1 || threads > MOST_THREADS, error, SMOLLM_EINVAL, "%u threads wanted (1 to %d)", threads,
                    MOST_THREADS);
    struct thread_pool *pool = array_allocate(1, sizeof *pool);
    RETURN_ERROR_IF(!pool, error, SMOLLM_ENOMEM, "out of memory for a thread pool");
    pool->size = threads;
    pool->workers = array_allocate(threads, sizeof *pool->workers);
    if (!pool->workers) {
        thread_pool_destroy(pool);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for %u threads", threads);
    }
    for (unsigned i = 0; i + 1 < threads; i++) {
        pool->workers[i] = (struct worker){.pool = pool, .index = i + 1};
        int status = pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]);
        if (status != 0) {
            thread_pool_destroy(pool);
            return error_set(error, SMOLLM_ENOMEM, "cannot start thread %u of %u: %s", i + 2, threads,
                             strerror(status));
        }
        pool->started++;
    }
    *result = pool;
    return 0;
}

void thread_pool_destroy(struct thread_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    atomic_fetch_add(&pool->generation, 1);
    futex_wake(&pool->generation, MOST_THREADS);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    free(pool->workers);
    free(pool);
}

unsigned thread_pool_size(const struct thread_pool *pool)
{
    return pool->size;
}

void thread_pool_run_phases(struct thread_pool *pool, const struct thread_pool_phase *phases, uint32_t count)
{
    uint32_t units = 0;
    for (uint32_t i = 0; i < count; i++)
        units += phases[i].units;
    if (units <= 1 || pool->size == 1) {
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t unit = 0; unit < phases[i].units; unit++)
                phases[i].run(phases[i].argument, unit, 0);
            if (pool->ends && phases[i].units > 0)
                atomic_store_explicit(&pool->ends[i], clock_nanoseconds(), memory_order_relaxed);
        }
        return;
    }
    pool->phases = phases;
    pool->job++;
    atomic_store_explicit(&pool->finished, 0, memory_order_relaxed);
    atomic_store(&pool->ticket, (uint64_t)units << 32);
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) > 0)
        futex_wake(&pool->generation, MOST_THREADS);
    work(pool, 0);
    wait_until_finished(pool, units);
}

void thread_pool_time_phases(struct thread_pool *pool, _Atomic uint64_t *ends)
{
    pool->ends = ends;
}

void thread_pool_run(struct thread_pool *pool, thread_pool_function *run, void *argument, uint32_t units)
{
    const struct thread_pool_phase phase = {run, argument, units};
    thread_pool_run_phases(pool, &phase, 1);
}

/* The first number in a file; false when there is none ("max"). */
static bool read_number(const char *path, long long *number)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    int count = fscanf(file, "%lld", number);
    fclose(file);
    return count == 1;
}

/* Quota and period of the cgroup in microseconds, version 2 or 1; false without a quota. */
static bool read_quota(long long *quota, long long *period)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        int count = fscanf(file, "%lld %lld", quota, period);
        fclose(file);
        return count == 2;
    }
    return read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota) &&
           read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period);
}

unsigned processors_available(void)
{
    unsigned count = 1;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = (unsigned)CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
        count = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    long long quota, period;
    if (read_quota(&quota, &period) && quota > 0 && period > 0) {
        unsigned limit = (unsigned)((quota + period - 1) / period);
        if (limit < count)
            count = limit;
    }
    return count > 0 ? count : 1;
}
