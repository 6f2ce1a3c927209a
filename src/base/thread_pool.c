/* The protocol of the pool.
 *
 * The caller runs one job at a time: it fills in the slots, publishes the job, works like every other thread, and
 * returns when the last phase is done. No thread ever waits for a particular other thread, only for units to return.
 *
 * A phase of a lane goes through these states, which its slot holds:
 *
 *   state      slot->claim               slot->left          what happens
 *   stale      number of an older job    of an older job     the caller prepares the slot
 *   open       first < end               > 0                 threads claim units by compare-and-swap
 *   handed out first == end              > 0                 the claimed units are still running
 *   done       first == end              0                   lanes that waited for this phase may enter the next
 *
 * Who writes which word, and in which memory order:
 *
 *   word           written by            when                          order            read by, order
 *   phases, times  caller                before job is published       plain            holders of a unit, plain
 *   slot->claim    caller                in prepare()                  relaxed          all, relaxed: a hint, which the
 *                  any thread            to claim a unit               seq_cst (CAS)    CAS then checks
 *   slot->left     caller                in prepare()                  relaxed
 *                  holder of a unit      when the unit has returned    seq_cst          all, acquire
 *   job            caller                after prepare()               seq_cst          work(), seq_cst
 *   progress       holder of a unit      after it brought left to 0    seq_cst          all, acquire
 *   waiters        a thread that sleeps  around its futex_wait         seq_cst          whoever raised progress,
 * seq_cst generation     caller                after job; when stopping      seq_cst          workers, acquire sleepers
 * a worker that sleeps  around its futex_wait         seq_cst          caller, seq_cst stop           caller before the
 * last generation    seq_cst          workers, seq_cst
 *
 * What makes this safe:
 *
 *   - claim and left begin with the number of their job. A worker that comes late compares that number with its own,
 *     or fails its compare-and-swap, and leaves; it never takes a unit of a job that it has not read.
 *   - A job cannot end while a unit is claimed, because left counts it. So the holder of a unit may read the plain
 *     fields of the job, and the caller may rewrite them only after the last unit has returned.
 *   - A unit's results are visible to whoever waited for it: the decrement of left releases them, is_done() acquires.
 *   - No wake-up is lost: a sleeper raises its counter before it looks at the word again, the waker changes the word
 *     before it looks at the counter, and both use the total order of seq_cst. */
#include "base/thread_pool.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
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

enum { SPIN_NANOSECONDS = 30000, SPINS_PER_CLOCK = 64, MAX_THREADS = 1024 };

/* The lanes that must have finished the phase before when a lane enters a phase. */
enum wait {
    WAIT_LANE,         /* the lane itself */
    WAIT_LANES_BEFORE, /* the lane itself and all lanes with lower numbers */
    WAIT_FIRST_LANE,   /* lane 0, the only one that the phase before has */
    WAIT_ALL,
};

struct worker {
    struct thread_pool *pool;
    pthread_t thread;
    unsigned index;
};

/* One phase of one lane, or one share of a phase. Both words begin with the number of the job. */
struct slot {
    /* From the lowest bit: the first unit that is not handed out, the end of the units, enum wait, whether the units
     * are a share, and the number of the job. */
    _Atomic uint64_t claim;
    /* From the lowest bit: the number of units that have not returned, and the number of the job. A phase with shares
     * counts the units of all of them in lane 0. */
    _Atomic uint64_t left;
};
enum { UNIT_BITS = 20, WAIT_BITS = 2, SHARE_SHIFT = 2 * UNIT_BITS + WAIT_BITS, JOB_SHIFT = SHARE_SHIFT + 1 };
_Static_assert(1 << UNIT_BITS == THREAD_POOL_MAX_UNITS, "units fit their bits");

struct thread_pool {
    /* The number of threads, the caller among them. */
    unsigned size;
    /* The number of workers that pthread_create started: size - 1, or fewer when it failed. */
    unsigned started;
    struct worker *workers;
    /* The slots are indexed by [lane or share][phase]. The pool of one thread has none. */
    struct slot *slots;
    /* The phases of the job, borrowed from the caller. */
    const struct thread_pool_phase *phases;
    /* The time of each phase is added here, unless this is NULL. */
    _Atomic uint64_t *times;
    /* From the lowest bit: the number of lanes or shares (16 bits), the number of phases (24 bits), and the number of
     * the job. */
    _Alignas(64) _Atomic uint64_t job;
    /* This futex counts the phases of lanes that are done, over all jobs. */
    _Alignas(64) _Atomic uint32_t progress;
    /* The number of threads that sleep until progress changes. */
    _Atomic uint32_t waiters;
    /* This futex changes when there is a new job and when the workers are to stop. */
    _Alignas(64) _Atomic uint32_t generation;
    /* The number of workers that sleep until generation changes. */
    _Atomic uint32_t sleepers;
    /* Workers return when this is true. */
    _Atomic bool stop;
};

/* How far a thread has come in a job. */
struct walk {
    struct thread_pool *pool;
    unsigned thread;
    /* The number of the job. */
    uint64_t job;
    uint32_t phases;
    /* The number of lanes or of shares, whichever is larger in any phase. */
    uint32_t lanes;
    /* For each lane, the first phase that may still have units to hand out. */
    uint32_t next[THREAD_POOL_MAX_LANES];
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

static struct slot *slot_of(const struct thread_pool *pool, uint32_t lane, uint32_t phase)
{
    return &pool->slots[(size_t)lane * THREAD_POOL_MAX_PHASES + phase];
}

static uint32_t claim_first(uint64_t claim)
{
    return (uint32_t)claim & (THREAD_POOL_MAX_UNITS - 1);
}

static uint32_t claim_end(uint64_t claim)
{
    return (uint32_t)(claim >> UNIT_BITS) & (THREAD_POOL_MAX_UNITS - 1);
}

static enum wait claim_wait(uint64_t claim)
{
    return (enum wait)(claim >> 2 * UNIT_BITS & ((1 << WAIT_BITS) - 1));
}

static bool claim_is_share(uint64_t claim)
{
    return claim >> SHARE_SHIFT & 1;
}

/* Whether all units of a lane's phase have returned. False also when the job is over. */
static bool is_done(const struct walk *w, uint32_t lane, uint32_t phase)
{
    return atomic_load_explicit(&slot_of(w->pool, lane, phase)->left, memory_order_acquire) == w->job << JOB_SHIFT;
}

/* Whether a lane may enter a phase. */
static bool is_ready(const struct walk *w, uint32_t lane, uint32_t phase, enum wait wait)
{
    if (phase == 0)
        return true;
    const uint32_t first = wait == WAIT_LANE ? lane : 0;
    const uint32_t last = wait == WAIT_ALL ? w->lanes - 1 : wait == WAIT_FIRST_LANE ? 0 : lane;
    for (uint32_t i = first; i <= last; i++)
        if (!is_done(w, i, phase - 1))
            return false;
    return true;
}

/* Whether a lane belongs to this thread. Lanes are dealt out forwards and then backwards, so that the first and the
 * last lane, whose work may differ most, go to the same thread. */
static bool is_home(const struct walk *w, uint32_t lane)
{
    const uint32_t threads = w->pool->size, at = lane % (2 * threads);
    return w->lanes < threads ? w->thread % w->lanes == lane : w->thread == (at < threads ? at : 2 * threads - 1 - at);
}

enum found { FOUND_UNIT, FOUND_NONE_READY, FOUND_NONE };

/* A unit that this thread has claimed. The lane of a share's unit is 0. */
struct taken {
    uint32_t lane, phase, unit;
};

/* The lane that choose() found to take a unit of. */
struct choice {
    /* THREAD_POOL_MAX_LANES when no lane has a unit ready. */
    uint32_t lane;
    /* The lane's phase; lanes of other threads rank after all of the thread's own. The lowest rank is chosen. */
    uint32_t rank;
    /* The slot's claim when it was chosen. */
    uint64_t claim;
};

static bool is_better(const struct choice *choice, uint32_t rank, uint64_t claim)
{
    if (rank != choice->rank)
        return rank < choice->rank;
    return claim_is_share(claim) &&
           claim_end(claim) - claim_first(claim) > claim_end(choice->claim) - claim_first(choice->claim);
}

/* Chooses the lane with the earliest phase among the thread's own lanes; when none of those is ready, among the others.
 * Among shares it chooses the thread's own, and when that is used up, the one with the most units left. */
static enum found choose(struct walk *w, struct choice *choice)
{
    bool is_over = true;
    *choice = (struct choice){.lane = THREAD_POOL_MAX_LANES, .rank = UINT32_MAX};
    for (uint32_t i = 0, lane = w->thread % w->lanes; i < w->lanes; i++, lane = lane + 1 < w->lanes ? lane + 1 : 0) {
        while (w->next[lane] < w->phases) {
            const uint64_t claim =
                atomic_load_explicit(&slot_of(w->pool, lane, w->next[lane])->claim, memory_order_relaxed);
            if (claim >> JOB_SHIFT != w->job)
                return FOUND_NONE;
            if (claim_first(claim) < claim_end(claim)) {
                const uint32_t rank = (is_home(w, lane) ? 0 : THREAD_POOL_MAX_PHASES) + w->next[lane];
                is_over = false;
                if (is_better(choice, rank, claim) && is_ready(w, lane, w->next[lane], claim_wait(claim)))
                    *choice = (struct choice){lane, rank, claim};
                break;
            }
            w->next[lane]++;
        }
        /* With one lane of its own a thread need not look at the others. */
        if (i == 0 && choice->lane == lane && w->lanes <= w->pool->size)
            break;
    }
    return choice->lane < THREAD_POOL_MAX_LANES ? FOUND_UNIT : is_over ? FOUND_NONE : FOUND_NONE_READY;
}

/* Claims a unit: the next one of a lane or of the thread's own share, or the last one of another thread's share. */
static enum found take_unit(struct walk *w, struct taken *taken)
{
    for (;;) {
        struct choice choice;
        const enum found found = choose(w, &choice);
        if (found != FOUND_UNIT)
            return found;
        const uint32_t phase = w->next[choice.lane];
        const bool is_share = claim_is_share(choice.claim), takes_last = is_share && !is_home(w, choice.lane);
        const uint64_t rest = takes_last ? choice.claim - ((uint64_t)1 << UNIT_BITS) : choice.claim + 1;
        if (!atomic_compare_exchange_strong(&slot_of(w->pool, choice.lane, phase)->claim, &choice.claim, rest))
            continue;
        *taken = (struct taken){.lane = is_share ? 0 : choice.lane,
                                .phase = phase,
                                .unit = takes_last ? claim_end(rest) : claim_first(choice.claim)};
        return FOUND_UNIT;
    }
}

/* Whether every unit of the last phase has returned, which ends the caller's own wait. */
static bool job_is_done(const struct walk *w)
{
    return is_ready(w, 0, w->phases, WAIT_ALL);
}

/* Runs units. A worker returns when no units are left to claim, the caller when all units have returned. */
static void work(struct thread_pool *pool, unsigned thread)
{
    const uint64_t job = atomic_load(&pool->job);
    struct walk w = {.pool = pool,
                     .thread = thread,
                     .job = job >> JOB_SHIFT,
                     .phases = (uint32_t)(job >> 16) & 0xffffff,
                     .lanes = (uint32_t)job & 0xffff};
    for (;;) {
        const uint32_t seen = atomic_load(&pool->progress);
        struct taken taken;
        const enum found found = take_unit(&w, &taken);
        if (found == FOUND_NONE && (thread != 0 || job_is_done(&w)))
            return;
        if (found != FOUND_UNIT) {
            wait_for_change(&pool->progress, seen, &pool->waiters);
            continue;
        }
        /* The job cannot end before this unit returns, so its fields may be read. */
        const struct thread_pool_phase *p = &pool->phases[taken.phase];
        const uint64_t begin = pool->times ? clock_nanoseconds() : 0;
        p->run(p->argument, taken.lane * p->units + taken.unit, thread);
        if (pool->times)
            atomic_fetch_add_explicit(&pool->times[taken.phase], clock_nanoseconds() - begin, memory_order_relaxed);
        if (atomic_fetch_sub(&slot_of(pool, taken.lane, taken.phase)->left, 1) - 1 != w.job << JOB_SHIFT)
            continue;
        atomic_fetch_add(&pool->progress, 1);
        if (atomic_load(&pool->waiters) > 0)
            futex_wake(&pool->progress, MAX_THREADS);
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
    RETURN_ERROR_IF(threads < 1 || threads > MAX_THREADS, error, SMOLLM_EINVAL,
                    "%u threads were requested; 1 to %d are possible", threads, MAX_THREADS);
    struct thread_pool *pool = array_allocate(1, sizeof *pool);
    RETURN_ERROR_IF(!pool, error, SMOLLM_ENOMEM, "out of memory for a thread pool");
    pool->size = threads;
    pool->workers = array_allocate(threads, sizeof *pool->workers);
    if (threads > 1)
        /* calloc: memory pages of these few megabytes are taken only when they are first written. */
        pool->slots = calloc((size_t)THREAD_POOL_MAX_LANES * THREAD_POOL_MAX_PHASES, sizeof *pool->slots);
    if (!pool->workers || (threads > 1 && !pool->slots)) {
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
    futex_wake(&pool->generation, MAX_THREADS);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    free(pool->workers);
    free(pool->slots);
    free(pool);
}

unsigned thread_pool_size(const struct thread_pool *pool)
{
    return pool->size;
}

uint32_t thread_pool_shares(unsigned threads)
{
    return threads < THREAD_POOL_MAX_LANES ? threads : THREAD_POOL_MAX_LANES;
}

static void run_alone(struct thread_pool *pool, const struct thread_pool_phase *phases, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t begin = pool->times ? clock_nanoseconds() : 0;
        for (uint32_t unit = 0; unit < phases[i].units * phases[i].lanes; unit++)
            phases[i].run(phases[i].argument, unit, 0);
        if (pool->times)
            atomic_fetch_add_explicit(&pool->times[i], clock_nanoseconds() - begin, memory_order_relaxed);
    }
}

/* Fills in the slots of `lanes` lanes or shares. Lanes beyond those of a phase get no units in that phase. */
static void prepare(struct thread_pool *pool, uint64_t job, const struct thread_pool_phase *phases, uint32_t count,
                    uint32_t lanes)
{
    const uint32_t shares = thread_pool_shares(pool->size);
    for (uint32_t lane = 0; lane < lanes; lane++)
        for (uint32_t i = 0; i < count; i++) {
            const struct thread_pool_phase *p = &phases[i];
            const uint64_t wait = i == 0 || phases[i - 1].lanes == 1 ? WAIT_FIRST_LANE
                                  : phases[i - 1].lanes != p->lanes  ? WAIT_ALL
                                  : p->ordered                       ? WAIT_LANES_BEFORE
                                                                     : WAIT_LANE;
            const uint64_t units = lane < p->lanes ? p->units : 0;
            const bool is_share = p->shares && lane < shares;
            const uint64_t first = is_share ? p->shares[lane] : 0, end = is_share ? p->shares[lane + 1] : units;
            struct slot *slot = slot_of(pool, lane, i);
            atomic_store_explicit(&slot->left, job << JOB_SHIFT | units, memory_order_relaxed);
            atomic_store_explicit(&slot->claim,
                                  job << JOB_SHIFT | (uint64_t)is_share << SHARE_SHIFT | wait << 2 * UNIT_BITS |
                                      end << UNIT_BITS | first,
                                  memory_order_relaxed);
        }
}

void thread_pool_run_phases(struct thread_pool *pool, const struct thread_pool_phase *phases, uint32_t count)
{
    uint32_t lanes = 1, max_units = 0;
    bool has_shares = false;
    assert(count <= THREAD_POOL_MAX_PHASES);
    for (uint32_t i = 0; i < count; i++) {
        assert(phases[i].units > 0 && phases[i].units < THREAD_POOL_MAX_UNITS);
        lanes = phases[i].lanes > lanes ? phases[i].lanes : lanes;
        max_units = phases[i].units > max_units ? phases[i].units : max_units;
        has_shares |= phases[i].shares != NULL;
    }
    if (pool->size == 1 || (lanes == 1 && max_units <= 1)) {
        run_alone(pool, phases, count);
        return;
    }
    if (has_shares && lanes < thread_pool_shares(pool->size))
        lanes = thread_pool_shares(pool->size);
    const uint64_t job = (atomic_load(&pool->job) >> JOB_SHIFT) + 1;
    prepare(pool, job, phases, count, lanes);
    pool->phases = phases;
    atomic_store(&pool->job, job << JOB_SHIFT | (uint64_t)count << 16 | lanes);
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) > 0)
        futex_wake(&pool->generation, MAX_THREADS);
    work(pool, 0);
}

void thread_pool_time_phases(struct thread_pool *pool, _Atomic uint64_t *times)
{
    pool->times = times;
}

void thread_pool_run(struct thread_pool *pool, thread_pool_function *run, void *argument, uint32_t units)
{
    const struct thread_pool_phase phase = {.run = run, .argument = argument, .units = units, .lanes = 1};
    if (units > 0)
        thread_pool_run_phases(pool, &phase, 1);
}
