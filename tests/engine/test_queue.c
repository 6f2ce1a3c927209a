/* Whose turn it is: owners in equal parts, of one owner the urgent before the old. */
#include "engine/queue.h"

#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

static uint64_t next_id;
static bool reader_is_slow;

static bool is_ready(void *user)
{
    return !reader_is_slow;
}

static struct engine_sequence *submit(struct queue *queue, uint64_t key, int32_t priority)
{
    const int32_t prompt = 1;
    const struct engine_request request = {
        .key = key, .priority = priority, .prompt = &prompt, .prompt_count = 1, .client.ready = is_ready};
    struct engine_sequence *sequence = sequence_create(&request, 64, 0);
    sequence->id = ++next_id;
    queue_insert(queue, sequence);
    assert_true(queue_is_valid(queue));
    return sequence;
}

static struct shares *in_slots(const uint64_t *keys, int count)
{
    static struct share places[64];
    static struct shares shares;
    shares = (struct shares){.keys = places, .capacity = 64};
    for (int i = 0; i < count; i++)
        ++*shares_of(&shares, keys[i]);
    return &shares;
}

/* Takes the next one out; its owner. */
static uint64_t take(struct queue *queue, const uint64_t *slots, int count, uint32_t *rank)
{
    struct engine_sequence *next = queue_next(queue, in_slots(slots, count), rank);
    assert_non_null(next);
    queue_remove(queue, next);
    assert_true(queue_is_valid(queue));
    const uint64_t key = next->request.key;
    atomic_store(&next->holders, 1);
    sequence_release(next);
    return key;
}

static void empty(struct queue *queue)
{
    uint32_t rank;
    while (queue->size > 0)
        take(queue, NULL, 0, &rank);
    assert_null(queue->first);
    assert_null(queue->last);
    assert_int_equal(queue->new_ones, 0);
}

static void first_come_first_served(void **state)
{
    struct queue queue = {0};
    struct engine_sequence *all[5];
    uint32_t rank;
    for (int i = 0; i < 5; i++)
        all[i] = submit(&queue, 7, 0);
    queue_remove(&queue, all[4]);
    assert_ptr_equal(queue.last, all[3]);
    queue_insert(&queue, all[4]);
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(queue_next(&queue, in_slots(NULL, 0), &rank), all[i]);
        assert_int_equal(rank, 0);
        queue_remove(&queue, all[i]);
        free(all[i]);
    }
    assert_null(queue_next(&queue, in_slots(NULL, 0), &rank));
}

static void the_urgent_are_first_among_their_own(void **state)
{
    struct queue queue = {0};
    uint32_t rank;
    submit(&queue, 1, 5);
    struct engine_sequence *urgent = submit(&queue, 1, -1), *plain = submit(&queue, 1, 0);
    assert_ptr_equal(queue.first, urgent);
    assert_ptr_equal(urgent->next, plain);
    /* An owner's urgency does not push others back: owner 2 has nothing yet. */
    submit(&queue, 2, 9);
    const uint64_t slots[] = {1};
    assert_int_equal(take(&queue, slots, 1, &rank), 2);
    assert_int_equal(rank, 0);
    empty(&queue);
}

static void owners_share(void **state)
{
    struct queue queue = {0};
    uint64_t slots[4] = {1, 1, 1};
    uint32_t rank;
    for (int i = 0; i < 4; i++)
        submit(&queue, 1, 0);
    submit(&queue, 2, 0);
    submit(&queue, 3, 0);
    assert_int_equal(take(&queue, slots, 3, &rank), 2);
    assert_int_equal(rank, 0);
    slots[3] = 2;
    assert_int_equal(take(&queue, slots, 4, &rank), 3);
    submit(&queue, 2, 0);
    assert_int_equal(take(&queue, slots, 4, &rank), 2);
    assert_int_equal(rank, 1);
    assert_int_equal(take(&queue, slots, 4, &rank), 1);
    assert_int_equal(rank, 3);
    empty(&queue);
}

static void slow_readers_are_passed_over(void **state)
{
    struct queue queue = {0};
    uint32_t rank;
    struct engine_sequence *paused = submit(&queue, 1, 0), *fresh = submit(&queue, 1, 0);
    queue_remove(&queue, paused);
    paused->account.admitted_ns = 1;
    queue_insert(&queue, paused);
    assert_int_equal(queue.new_ones, 1);
    assert_ptr_equal(queue_next(&queue, in_slots(NULL, 0), &rank), paused);
    reader_is_slow = true;
    assert_ptr_equal(queue_next(&queue, in_slots(NULL, 0), &rank), fresh);
    reader_is_slow = false;
    empty(&queue);
}

static void what_is_over_is_taken_out(void **state)
{
    struct queue queue = {0};
    struct engine_sequence *a = submit(&queue, 1, 0), *b = submit(&queue, 1, 0), *c = submit(&queue, 1, 0);
    assert_int_equal(queue_deadline(&queue), 0);
    c->deadline_ns = 1000;
    b->deadline_ns = 500;
    assert_int_equal(queue_deadline(&queue), 500);
    assert_null(queue_take_over(&queue, 499));
    assert_ptr_equal(queue_take_over(&queue, 500), b);
    assert_null(queue_take_over(&queue, 500));
    atomic_store(&a->canceled, true);
    assert_ptr_equal(queue_take_over(&queue, 500), a);
    assert_ptr_equal(queue_take_over(&queue, 1500), c);
    assert_int_equal(queue.size, 0);
    free(a);
    free(b);
    free(c);
}

static uint32_t told_ahead[8];
static double told_seconds[8];
static int told;

static void queued(void *user, uint32_t ahead, double seconds)
{
    const int *number = user;
    told_ahead[*number] = ahead;
    told_seconds[*number] = seconds;
    told++;
}

static void places_are_told_when_they_change(void **state)
{
    struct queue queue = {0};
    uint32_t scratch[65], rank;
    static int numbers[] = {0, 1, 2, 3};
    const uint64_t keys[] = {1, 1, 1, 2}, slots[] = {1, 1};
    for (int i = 0; i < 4; i++) {
        struct engine_sequence *s = submit(&queue, keys[i], 0);
        s->request.client.queued = queued;
        s->request.client.user = &numbers[i];
    }
    queue_tell_places(&queue, in_slots(slots, 2), 0, scratch);
    const uint32_t places[] = {1, 2, 3, 0};
    assert_memory_equal(told_ahead, places, sizeof places);
    assert_true(told == 4 && told_seconds[0] < 0);
    queue_tell_places(&queue, in_slots(slots, 2), 1.5, scratch);
    assert_int_equal(told, 4);
    assert_int_equal(take(&queue, slots, 2, &rank), 2);
    queue_tell_places(&queue, in_slots(slots, 2), 1.5, scratch);
    const uint32_t later[] = {0, 1, 2, 0};
    assert_memory_equal(told_ahead, later, sizeof later);
    assert_true(told == 7 && told_seconds[2] == 4.5);
    empty(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(the_urgent_are_first_among_their_own),
        cmocka_unit_test(owners_share),
        cmocka_unit_test(slow_readers_are_passed_over),
        cmocka_unit_test(what_is_over_is_taken_out),
        cmocka_unit_test(places_are_told_when_they_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
