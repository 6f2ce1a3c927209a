/* Whose work is next, what is canceled, and what comes back. */
#include "cmocka_all.h"
#include "server/workers.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum { WORKS_MAX = 64 };

/* Works of this test note when they run, and wait at a gate. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t open; /* so many may pass */
    uint32_t passed, begun, woken;
    uint64_t order[WORKS_MAX]; /* keys, as they began */
};
static struct gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void run(struct work *work)
{
    pthread_mutex_lock(&gate.mutex);
    gate.order[gate.begun++] = work->key;
    pthread_cond_broadcast(&gate.changed);
    while (gate.passed >= gate.open && !atomic_load(&work->is_canceled)) {
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 2000000;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&gate.changed, &gate.mutex, &soon);
    }
    gate.passed++;
    pthread_mutex_unlock(&gate.mutex);
}

static void on_wake(void *user)
{
    (void)user;
    pthread_mutex_lock(&gate.mutex);
    gate.woken++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

static void let_pass(uint32_t count)
{
    pthread_mutex_lock(&gate.mutex);
    gate.open += count;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

static void wait_for(const uint32_t *count, uint32_t value)
{
    pthread_mutex_lock(&gate.mutex);
    while (*count < value)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
}

static struct workers *start(uint32_t threads)
{
    struct workers *workers;
    gate.open = gate.passed = gate.begun = gate.woken = 0;
    assert_int_equal(workers_create(threads, on_wake, NULL, &workers, NULL), 0);
    return workers;
}

static uint32_t take_all(struct workers *workers)
{
    uint32_t count = 0;
    while (workers_take(workers))
        count++;
    return count;
}

/* A client with twenty requests does not delay a client with two. */
static void keys_take_turns(void **state)
{
    (void)state;
    static struct work works[22];
    struct workers *workers = start(1);
    for (uint32_t i = 0; i < 22; i++) {
        works[i] = (struct work){.key = i < 20 ? 1 : 2, .run = run};
        workers_submit(workers, &works[i]);
        if (i == 0)
            wait_for(&gate.begun, 1);
    }
    let_pass(22);
    wait_for(&gate.woken, 22);
    const uint64_t first[] = {1, 2, 1, 2, 1, 1};
    assert_memory_equal(gate.order, first, sizeof first);
    assert_int_equal(take_all(workers), 22);
    workers_destroy(workers);
}

/* Of three threads a key gets more than one only where no other key waits. */
static void keys_share_threads(void **state)
{
    (void)state;
    static struct work works[9];
    struct workers *workers = start(3);
    for (uint32_t i = 0; i < 6; i++) {
        works[i] = (struct work){.key = 1, .run = run};
        workers_submit(workers, &works[i]);
    }
    wait_for(&gate.begun, 3); /* key 1 has all */
    for (uint32_t i = 6; i < 9; i++) {
        works[i] = (struct work){.key = 2, .run = run};
        workers_submit(workers, &works[i]);
    }
    let_pass(2);
    wait_for(&gate.begun, 5);
    assert_int_equal(gate.order[3], 2);
    let_pass(7);
    wait_for(&gate.woken, 9);
    assert_int_equal(take_all(workers), 9);
    workers_destroy(workers);
}

static void works_are_canceled(void **state)
{
    (void)state;
    static struct work runs, waits, later;
    struct workers *workers = start(1);
    runs = waits = later = (struct work){.key = 1, .run = run};
    workers_submit(workers, &runs);
    wait_for(&gate.begun, 1);
    workers_submit(workers, &waits);
    workers_submit(workers, &later);
    assert_true(workers_cancel(workers, &waits));
    assert_null(workers_take(workers));
    assert_false(workers_cancel(workers, &runs)); /* it sees that, and ends */
    wait_for(&gate.begun, 2);
    assert_ptr_equal(workers_take(workers), &runs);
    let_pass(2);
    wait_for(&gate.woken, 2);
    assert_false(workers_cancel(workers, &later)); /* done already */
    assert_ptr_equal(workers_take(workers), &later);
    assert_null(workers_take(workers));
    assert_int_equal(gate.begun, 2);
    workers_destroy(workers);
}

/* What waits never runs; what runs is canceled. */
static void the_end_waits_for_none(void **state)
{
    (void)state;
    static struct work works[8];
    struct workers *workers = start(2);
    for (uint32_t i = 0; i < 8; i++) {
        works[i] = (struct work){.key = i, .run = run};
        workers_submit(workers, &works[i]);
    }
    wait_for(&gate.begun, 2);
    workers_destroy(workers);
    assert_int_equal(gate.begun, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_take_turns), cmocka_unit_test(keys_share_threads),
                                       cmocka_unit_test(works_are_canceled), cmocka_unit_test(the_end_waits_for_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
