/* The pool runs each unit once, whatever the numbers of threads and units, and a job sees what the one before it wrote.
 */
#include "base/system_limits.h"
#include "base/thread_pool.h"

#include "base/clock.h"

#include "cmocka_all.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_UNITS = 3000 };

struct job {
    _Atomic int runs[MAX_UNITS];
    int value[MAX_UNITS]; /* written by one job, read by the next */
    _Atomic int wrong;
    int round;
    unsigned threads;
};

static void count(void *user, uint32_t unit, unsigned thread)
{
    struct job *job = user;
    atomic_fetch_add(&job->runs[unit], 1);
    if (thread >= job->threads || job->value[unit] != job->round)
        atomic_fetch_add(&job->wrong, 1);
    job->value[unit]++;
}

static void every_unit_runs_once(void **state)
{
    static struct job job;
    for (unsigned threads = 1; threads <= 8; threads++) {
        struct thread_pool *pool;
        assert_int_equal(thread_pool_create(threads, &pool, NULL), 0);
        assert_int_equal(thread_pool_size(pool), threads);
        static const uint32_t units[] = {0, 1, 2, 3, 17, 1000, MAX_UNITS};
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            memset(&job, 0, sizeof job);
            job.threads = threads;
            int rounds = units[i] > 100 ? 20 : 200;
            for (job.round = 0; job.round < rounds; job.round++) {
                if (job.round % 50 == 49)
                    usleep(200); /* long enough to fall asleep */
                thread_pool_run(pool, count, &job, units[i]);
            }
            for (uint32_t u = 0; u < MAX_UNITS; u++)
                assert_int_equal(job.runs[u], u < units[i] ? rounds : 0);
            assert_int_equal(job.wrong, 0);
        }
        thread_pool_destroy(pool);
    }
}

enum { PHASES = 7, LANES = 6 };

struct phase_job {
    _Atomic uint32_t finished[LANES];
    const struct thread_pool_phase *phase, *before; /* before: NULL for the first */
    uint32_t shares[THREAD_POOL_MAX_LANES + 1];
};

static bool is_finished(const struct thread_pool_phase *phase, uint32_t lane)
{
    const struct phase_job *job = phase->argument;
    return atomic_load(&job->finished[lane]) == phase->units;
}

/* A unit sees that all it waits for has returned. */
static void count_phase(void *user, uint32_t unit, unsigned thread)
{
    struct phase_job *job = user;
    const uint32_t lane = unit / job->phase->units;
    const struct thread_pool_phase *before = job->before;
    for (uint32_t i = 0; before && i < before->lanes; i++)
        if (before->lanes != job->phase->lanes || i == lane || (job->phase->ordered && i < lane))
            assert_true(is_finished(before, i));
    if (unit % 3 == 0)
        sched_yield();
    atomic_fetch_add(&job->finished[lane], 1);
}

static void make_phases(struct thread_pool_phase phases[PHASES], struct phase_job jobs[PHASES], uint32_t count,
                        uint32_t shares)
{
    static const uint32_t units[PHASES] = {1, 40, 2, 1, 300, 3, 7}, lanes[PHASES] = {1, 5, 5, 5, 1, 2, LANES};
    memset(jobs, 0, PHASES * sizeof *jobs);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t k = (i + PHASES - count) % PHASES; /* jobs of different lengths differ in their phases */
        jobs[i].phase = &phases[i];
        jobs[i].before = i > 0 ? &phases[i - 1] : NULL;
        phases[i] = (struct thread_pool_phase){
            .run = count_phase, .argument = &jobs[i], .units = units[k], .lanes = lanes[k], .ordered = k == 3};
        if (lanes[k] == 1 && i % 2 == 0) {
            for (uint32_t share = 0; share <= shares; share++)
                jobs[i].shares[share] = units[k] * share / shares;
            phases[i].shares = jobs[i].shares;
        }
    }
}

static void phases_come_one_after_the_other(void **state)
{
    for (unsigned threads = 1; threads <= 5; threads++) {
        struct thread_pool *pool;
        assert_int_equal(thread_pool_create(threads, &pool, NULL), 0);
        for (uint32_t round = 0; round < 400; round++) {
            struct phase_job jobs[PHASES];
            struct thread_pool_phase phases[PHASES];
            const uint32_t count = PHASES - round % PHASES;
            make_phases(phases, jobs, count, thread_pool_shares(threads));
            thread_pool_run_phases(pool, phases, count);
            for (uint32_t i = 0; i < count; i++)
                for (uint32_t lane = 0; lane < phases[i].lanes; lane++)
                    assert_true(is_finished(&phases[i], lane));
        }
        thread_pool_destroy(pool);
    }
}

struct held {
    _Atomic uint32_t *arrived; /* lanes that have come to their second phase */
    uint32_t lanes;
    bool is_second;
};

/* In the first phase the first lane waits until all others have gone on. */
static void hold_first_lane(void *user, uint32_t unit, unsigned thread)
{
    const struct held *held = user;
    if (held->is_second)
        atomic_fetch_add(held->arrived, 1);
    const uint64_t end = clock_nanoseconds() + 10000000000u;
    while (!held->is_second && unit == 0 && atomic_load(held->arrived) < held->lanes - 1)
        assert_true(clock_nanoseconds() < end);
}

static void a_lane_waits_for_no_other(void **state)
{
    struct thread_pool *pool;
    _Atomic uint32_t arrived = 0;
    struct held held[2] = {{&arrived, LANES, false}, {&arrived, LANES, true}};
    const struct thread_pool_phase phases[2] = {
        {.run = hold_first_lane, .argument = &held[0], .units = 1, .lanes = LANES},
        {.run = hold_first_lane, .argument = &held[1], .units = 1, .lanes = LANES}};
    assert_int_equal(thread_pool_create(2, &pool, NULL), 0);
    for (int round = 0; round < 5000; round++) {
        arrived = 0;
        thread_pool_run_phases(pool, phases, 2);
        assert_int_equal(arrived, LANES);
    }
    thread_pool_destroy(pool);
}

struct shared {
    _Atomic uint32_t ran;
    uint32_t order[40]; /* units, as they were begun */
    unsigned thread[40];
};

/* Unit 0 takes until all others have run. */
static void record(void *user, uint32_t unit, unsigned thread)
{
    struct shared *shared = user;
    const uint64_t end = clock_nanoseconds() + 10000000000u;
    while (unit == 0 && atomic_load(&shared->ran) < 39)
        assert_true(clock_nanoseconds() < end);
    const uint32_t at = atomic_fetch_add(&shared->ran, 1);
    shared->order[at] = unit;
    shared->thread[at] = thread;
}

/* A thread goes through its own share, then takes the last units of the other's, whose first one is still running. */
static void shares_are_taken_in_order_and_from_behind(void **state)
{
    struct thread_pool *pool;
    assert_int_equal(thread_pool_create(2, &pool, NULL), 0);
    for (int round = 0; round < 200; round++) {
        struct shared shared = {0};
        static const uint32_t shares[] = {0, 15, 40};
        const struct thread_pool_phase phase = {
            .run = record, .argument = &shared, .units = 40, .lanes = 1, .shares = shares};
        thread_pool_run_phases(pool, &phase, 1);
        assert_int_equal(shared.ran, 40);
        for (uint32_t i = 0; i < 40; i++) {
            assert_int_equal(shared.order[i], i < 25 ? 15 + i : 39 - i);
            assert_true(i == 39 || shared.thread[i] == 1);
        }
    }
    thread_pool_destroy(pool);
}

/* Times of the phases are of their units, and end with the job that they were wanted for. */
static void phases_are_timed(void **state)
{
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct thread_pool *pool;
        assert_int_equal(thread_pool_create(threads, &pool, NULL), 0);
        _Atomic uint64_t times[PHASES] = {0};
        struct phase_job jobs[PHASES];
        struct thread_pool_phase phases[PHASES];
        make_phases(phases, jobs, PHASES, thread_pool_shares(threads));
        const uint64_t begin = clock_nanoseconds();
        thread_pool_time_phases(pool, times);
        thread_pool_run_phases(pool, phases, PHASES);
        thread_pool_time_phases(pool, NULL);
        const uint64_t took = clock_nanoseconds() - begin;
        uint64_t sum = 0;
        for (int i = 0; i < PHASES; i++) {
            assert_true(times[i] > 0);
            sum += times[i];
        }
        assert_true(sum <= took * threads);
        const uint64_t first = times[0];
        make_phases(phases, jobs, PHASES, thread_pool_shares(threads));
        thread_pool_run_phases(pool, phases, PHASES);
        assert_true(times[0] == first);
        thread_pool_destroy(pool);
    }
}

static void limits(void **state)
{
    struct thread_pool *pool;
    struct smollm_error error;
    assert_int_equal(thread_pool_create(0, &pool, &error), SMOLLM_EINVAL);
    assert_int_equal(thread_pool_create(100000, &pool, &error), SMOLLM_EINVAL);
    assert_null(pool);
    thread_pool_destroy(NULL);
    assert_in_range(system_processors_available(""), 1, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_runs_once),      cmocka_unit_test(phases_come_one_after_the_other),
        cmocka_unit_test(a_lane_waits_for_no_other), cmocka_unit_test(shares_are_taken_in_order_and_from_behind),
        cmocka_unit_test(phases_are_timed),          cmocka_unit_test(limits)};
    return cmocka_run_group_tests_name("thread_pool", tests, NULL, NULL);
}
