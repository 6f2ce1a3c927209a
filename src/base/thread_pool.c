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

enum { SPIN_NANOSECONDS = 30000, SPINS_PER_CLOCK = 64, MOST_THREADS = 1024 };

/* What a lane waits for before it enters a phase: the phase before, in ... */
enum wait { WAIT_LANE, WAIT_LANES_BEFORE, WAIT_FIRST_LANE, WAIT_ALL };

struct worker {
    struct thread_pool *pool;
    pthread_t thread;
    unsigned index;
};

/* A phase of a lane, or a share of a phase. Both words begin with the number of the job: a worker that comes late sees
 * at once that its job is over, whatever the caller is preparing. */
struct slot {
    _Atomic uint64_t claim; /* job, whether it is a share, enum wait, [first, end) of the units not handed out yet */
    _Atomic uint64_t left;  /* job, units that have not returned; of a phase with shares all of them, in lane 0 */
};
enum { UNIT_BITS = 20, WAIT_BITS = 2, SHARE_SHIFT = 2 * UNIT_BITS + WAIT_BITS, JOB_SHIFT = SHARE_SHIFT + 1 };
_Static_assert(1 << UNIT_BITS == THREAD_POOL_MOST_UNITS, "units fit their bits");

struct thread_pool {
    unsigned size;
    unsigned started; /* workers that run, size - 1 at most */
    struct worker *workers;
    struct slot *slots; /* [lane or share][phase] */
    /* The job: written by the caller while no unit is held, read by those who hold one. */
    const struct thread_pool_phase *phases;
    _Atomic uint64_t *times;                /* of the phases, or NULL */
    _Alignas(64) _Atomic uint64_t job;      /* its number, its phases (24 bits), its lanes or shares (16 bits) */
    _Alignas(64) _Atomic uint32_t progress; /* futex: phases of lanes that are done, of all jobs */
    _Atomic uint32_t waiters;
    _Alignas(64) _Atomic uint32_t generation; /* futex: workers wait for it to change */
    _Atomic uint32_t sleepers;
    _Atomic bool stop;
};

/* A thread's way through a job. */
struct walk {
    struct thread_pool *pool;
    unsigned thread;
    uint64_t job;                          /* number */
    uint32_t phases, lanes;                /* lanes: or shares, whatever any phase has more of */
    uint32_t next[THREAD_POOL_MOST_LANES]; /* the first phase of a lane that may have units to hand out */
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
    return &pool->slots[(size_t)lane * THREAD_POOL_MOST_PHASES + phase];
}

static uint32_t claim_first(uint64_t claim)
{
    return (uint32_t)claim & (THREAD_POOL_MOST_UNITS - 1);
}

static uint32_t claim_end(uint64_t claim)
{
    return (uint32_t)(claim >> UNIT_BITS) & (THREAD_POOL_MOST_UNITS - 1);
}

static enum wait claim_wait(uint64_t claim)
{
    return (enum wait)(claim >> 2 * UNIT_BITS & ((1 << WAIT_BITS) - 1));
}

static bool claim_is_share(uint64_t claim)
{
    return claim >> SHARE_SHIFT & 1;
}

/* All units of a lane's phase have returned. false too when the job is over. */
static bool is_done(const struct walk *w, uint32_t lane, uint32_t phase)
{
    return atomic_load_explicit(&slot_of(w->pool, lane, phase)->left, memory_order_acquire) == w->job << JOB_SHIFT;
}

/* A lane may enter a phase. */
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

/* Lanes are dealt to and fro, so that the first and the last, whose work may differ most, come together. */
static bool is_home(const struct walk *w, uint32_t lane)
{
    const uint32_t threads = w->pool->size, at = lane % (2 * threads);
    return w->lanes < threads ? w->thread % w->lanes == lane : w->thread == (at < threads ? at : 2 * threads - 1 - at);
}

enum found { FOUND_UNIT, FOUND_NONE_READY, FOUND_NONE };

/* Unit `unit` of a lane's phase; of shares the lane is 0. */
struct taken {
    uint32_t lane, phase, unit;
};

/* Of all lanes that have something ready, the one to take a unit of. */
struct choice {
    uint32_t lane; /* THREAD_POOL_MOST_LANES: none */
    uint32_t rank; /* its phase; of others' lanes behind those of the thread's own */
    uint64_t claim;
};

static bool is_better(const struct choice *choice, uint32_t rank, uint64_t claim)
{
    if (rank != choice->rank)
        return rank < choice->rank;
    return claim_is_share(claim) &&
           claim_end(claim) - claim_first(claim) > claim_end(choice->claim) - claim_first(choice->claim);
}

/* Chooses the earliest phase among the thread's own lanes, otherwise among the others; of shares the own one, otherwise
 * that with most left. */
static enum found choose(struct walk *w, struct choice *choice)
{
    bool is_over = true;
    *choice = (struct choice){.lane = THREAD_POOL_MOST_LANES, .rank = UINT32_MAX};
    for (uint32_t i = 0, lane = w->thread % w->lanes; i < w->lanes; i++, lane = lane + 1 < w->lanes ? lane + 1 : 0) {
        while (w->next[lane] < w->phases) {
            const uint64_t claim =
                atomic_load_explicit(&slot_of(w->pool, lane, w->next[lane])->claim, memory_order_relaxed);
            if (claim >> JOB_SHIFT != w->job)
                return FOUND_NONE;
            if (claim_first(claim) < claim_end(claim)) {
                const uint32_t rank = (is_home(w, lane) ? 0 : THREAD_POOL_MOST_PHASES) + w->next[lane];
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
    return choice->lane < THREAD_POOL_MOST_LANES ? FOUND_UNIT : is_over ? FOUND_NONE : FOUND_NONE_READY;
}

/* Takes a unit: the next one, or the last of another thread's share. */
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

/* The caller's own wait: for every unit of the last phase. */
static bool job_is_done(const struct walk *w)
{
    return is_ready(w, 0, w->phases, WAIT_ALL);
}

/* Works until nothing is left to hand out; the caller, until all have returned. */
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
        /* The unit in hand keeps the job from ending, so its fields may be read. */
        const struct thread_pool_phase *p = &pool->phases[taken.phase];
        const uint64_t begin = pool->times ? clock_nanoseconds() : 0;
        p->run(p->argument, taken.lane * p->units + taken.unit, thread);
        if (pool->times)
            atomic_fetch_add_explicit(&pool->times[taken.phase], clock_nanoseconds() - begin, memory_order_relaxed);
        if (atomic_fetch_sub(&slot_of(pool, taken.lane, taken.phase)->left, 1) - 1 != w.job << JOB_SHIFT)
            continue;
        atomic_fetch_add(&pool->progress, 1);
        if (atomic_load(&pool->waiters) > 0)
            futex_wake(&pool->progress, MOST_THREADS);
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
    if (threads > 1)
        /* Of these few megabytes a page becomes real when it is first written. */
        pool->slots = calloc((size_t)THREAD_POOL_MOST_LANES * THREAD_POOL_MOST_PHASES, sizeof *pool->slots);
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
    futex_wake(&pool->generation, MOST_THREADS);
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
    return threads < THREAD_POOL_MOST_LANES ? threads : THREAD_POOL_MOST_LANES;
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

/* A lane that a phase does not have gets no units of it there. lanes: or shares. */
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
    uint32_t lanes = 1, most_units = 0;
    bool has_shares = false;
    assert(count <= THREAD_POOL_MOST_PHASES);
    for (uint32_t i = 0; i < count; i++) {
        assert(phases[i].units > 0 && phases[i].units < THREAD_POOL_MOST_UNITS);
        lanes = phases[i].lanes > lanes ? phases[i].lanes : lanes;
        most_units = phases[i].units > most_units ? phases[i].units : most_units;
        has_shares |= phases[i].shares != NULL;
    }
    if (pool->size == 1 || (lanes == 1 && most_units <= 1)) {
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
        futex_wake(&pool->generation, MOST_THREADS);
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
