/* Histograms: every value in its range, and a reader beside the writer sees counts that only grow. */
#include "engine/histogram.h"

#include "cmocka_all.h"
#include "engine/engine_meter.h"

#include <pthread.h>

static const double bounds[] = {1, 2.5, 10};

static void values_fall_into_their_range(void **state)
{
    struct histogram histogram;
    struct smollm_histogram read;
    histogram_begin(&histogram, bounds, 3);
    const double values[] = {0, 0.5, 1, 1.0001, 2.5, 9, 10, 10.5, 1e9};
    double sum = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        histogram_record(&histogram, values[i], 1);
        sum += values[i];
    }
    histogram_record(&histogram, 2, 5);
    histogram_record(&histogram, 3, 0);
    histogram_read(&histogram, &read);
    assert_int_equal(read.bound_count, 3);
    assert_memory_equal(read.bounds, bounds, sizeof bounds);
    const uint64_t want[] = {3, 7, 2, 2};
    assert_memory_equal(read.counts, want, sizeof want);
    assert_true(read.sum == sum + 10);
}

static void *record_many(void *user)
{
    for (int i = 0; i < 300000; i++)
        histogram_record(user, i % 12, 1);
    return NULL;
}

static void readers_see_counts_grow(void **state)
{
    struct histogram histogram;
    struct smollm_histogram before = {0}, read = {0};
    pthread_t writer;
    uint64_t all = 0;
    histogram_begin(&histogram, bounds, 3);
    assert_int_equal(pthread_create(&writer, NULL, record_many, &histogram), 0);
    while (all < 300000) {
        histogram_read(&histogram, &read);
        all = 0;
        for (size_t i = 0; i <= 3; i++) {
            assert_true(read.counts[i] >= before.counts[i]);
            all += read.counts[i];
        }
        assert_true(read.sum >= before.sum);
        before = read;
    }
    pthread_join(writer, NULL);
    const uint64_t want[] = {50000, 25000, 200000, 25000};
    histogram_read(&histogram, &read);
    assert_memory_equal(read.counts, want, sizeof want);
    assert_true(read.sum == 300000 / 12 * 66.0);
}

static uint64_t count_of(const struct engine_meter *meter, enum smollm_measure measure, double *sum)
{
    struct smollm_histogram read;
    uint64_t count = 0;
    histogram_read(&meter->histograms[measure], &read);
    for (size_t i = 0; i <= read.bound_count; i++) {
        count += read.counts[i];
        assert_true(i == 0 || i == read.bound_count || read.bounds[i] > read.bounds[i - 1]);
    }
    *sum = read.sum;
    return count;
}

/* A pass that brings three tokens has two right guesses, and its tokens share the time since the pass before. */
static void tokens_of_a_pass_share_its_time(void **state)
{
    struct engine_meter meter;
    uint64_t last = 0;
    double sum;
    engine_meter_begin(&meter);
    for (int measure = 0; measure < SMOLLM_MEASURES; measure++)
        assert_int_equal(count_of(&meter, measure, &sum), 0);
    engine_meter_token(&meter);
    engine_meter_drawn(&meter, &last, 0); /* the first token: there is none before it */
    assert_true(last > 0);
    assert_int_equal(count_of(&meter, SMOLLM_MEASURE_INTER_TOKEN_SECONDS, &sum), 0);
    last -= 3000000000;
    for (int i = 0; i < 3; i++)
        engine_meter_token(&meter);
    engine_meter_drawn(&meter, &last, 5);
    assert_int_equal(count_of(&meter, SMOLLM_MEASURE_INTER_TOKEN_SECONDS, &sum), 3);
    assert_true(sum >= 3 && sum < 4);
    assert_int_equal(count_of(&meter, SMOLLM_MEASURE_ACCEPTED_TOKENS, &sum), 1);
    assert_true(sum == 2);
    last = 0; /* a reader held it up */
    engine_meter_token(&meter);
    engine_meter_drawn(&meter, &last, 0);
    assert_int_equal(count_of(&meter, SMOLLM_MEASURE_INTER_TOKEN_SECONDS, &sum), 3);
    assert_int_equal(count_of(&meter, SMOLLM_MEASURE_ACCEPTED_TOKENS, &sum), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_fall_into_their_range),
        cmocka_unit_test(readers_see_counts_grow),
        cmocka_unit_test(tokens_of_a_pass_share_its_time),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
