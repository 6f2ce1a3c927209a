/* The pool runs each unit once, whatever the numbers of threads and units, and a job sees what the one before it wrote.
 */
#include "base/thread_pool.h"

#include "base/clock.h"

#include "cmocka_all.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_UNITS = 3000 };

struct job {
    _Atomic int runs[MOST_UNITS];
    int value[MOST_UNITS]; /* written by one job, read by the next */
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
        static const uint32_t units[] = {0, 1, 2, 3, 17, 1000, MOST_UNITS};
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            memset(&job, 0, sizeof job);
            job.threads = threads;
            int rounds = units[i] > 100 ? 20 : 200;
            for (job.round = 0; job.round < rounds; job.round++) {
                if (job.round % 50 == 49)
                    usleep(200); /* long enough to fall asleep */
                thread_pool_run(pool, count, &job, units[i]);
            }
            for (uint32_t u = 0; u < MOST_UNITS; u++)
                assert_int_equal(job.runs[u], u < units[i] ? rounds : 0);
            assert_int_equal(job.wrong, 0);
        }
        thread_pool_destroy(pool);
    }
}

enum { PHASES = 7 };
struct phase_job {
    _Atomic uint32_t *finished; /* units of the whole job */
    uint32_t before;            /* units of earlier phases */
};

/* A unit of a phase sees that all units of the phases before have returned. */
static void count_phase(void *user, uint32_t unit, unsigned thread)
{
    const struct phase_job *job = user;
    assert_true(atomic_load(job->finished) >= job->before);
    if (unit % 3 == 0)
        sched_yield();
    atomic_fetch_add(job->finished, 1);
}

static void phases_come_one_after_the_other(void **state)
{
    static const uint32_t units[PHASES] = {1, 40, 0, 2, 1, 300, 3};
    for (unsigned threads = 1; threads <= 5; threads++) {
        struct thread_pool *pool;
        assert_int_equal(thread_pool_create(threads, &pool, NULL), 0);
        for (int round = 0; round < 300; round++) {
            _Atomic uint32_t finished = 0;
            struct phase_job jobs[PHASES];
            struct thread_pool_phase phases[PHASES];
            uint32_t before = 0, first = (uint32_t)round % PHASES; /* jobs of different lengths in turn */
            for (uint32_t i = first; i < PHASES; before += units[i++]) {
                jobs[i].finished = &finished;
                jobs[i].before = before;
                phases[i] = (struct thread_pool_phase){count_phase, &jobs[i], units[i]};
            }
            thread_pool_run_phases(pool, phases + first, PHASES - first);
            assert_int_equal(finished, before);
        }
        thread_pool_destroy(pool);
    }
}

/* The ends of phases ascend, lie within the job, and those of empty phases are left alone. */
static void phases_are_timed(void **state)
{
    static const uint32_t units[PHASES] = {2, 30, 0, 1, 1, 100, 3};
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct thread_pool *pool;
        assert_int_equal(thread_pool_create(threads, &pool, NULL), 0);
        _Atomic uint64_t ends[PHASES] = {0};
        _Atomic uint32_t finished = 0;
        struct phase_job job = {&finished, 0};
        struct thread_pool_phase phases[PHASES];
        for (int i = 0; i < PHASES; i++)
            phases[i] = (struct thread_pool_phase){count_phase, &job, units[i]};
        uint64_t last = clock_nanoseconds();
        thread_pool_time_phases(pool, ends);
        thread_pool_run_phases(pool, phases, PHASES);
        thread_pool_time_phases(pool, NULL);
        for (int i = 0; i < PHASES; i++) {
            assert_true(units[i] == 0 ? ends[i] == 0 : ends[i] >= last);
            last = units[i] == 0 ? last : ends[i];
        }
        assert_true(last <= clock_nanoseconds());
        last = ends[0];
        thread_pool_run_phases(pool, phases, PHASES);
        assert_true(ends[0] == last);
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
    assert_in_range(processors_available(), 1, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_unit_runs_once),
                                       cmocka_unit_test(phases_come_one_after_the_other),
                                       cmocka_unit_test(phases_are_timed), cmocka_unit_test(limits)};
    return cmocka_run_group_tests_name("thread_pool", tests, NULL, NULL);
}
