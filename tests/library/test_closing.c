/* The header's promise: one thread may be in smollm_next_event, smollm_cancel or smollm_request_close while another
 * closes the engine. usage: test_closing [ROUNDS]; thousands of rounds with ThreadSanitizer run on demand
 * (make storms-tsan). */
#include "../library/tiny_model.h"
#include "cmocka_all.h"
#include "library/handles.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { READERS = 3 };

static struct smollm_model *model;
static unsigned rounds = 100;

struct reader {
    struct smollm_request *request;
    pthread_t thread;
    int way;
};

static atomic_uint ready;

static void *read_events(void *user)
{
    struct reader *reader = user;
    struct smollm_event event;
    atomic_fetch_add(&ready, 1);
    if (reader->way == 0) /* takes the ring from full to empty, which wakes the engine */
        while (smollm_next_event(reader->request, -1, &event) == 0) {
        }
    else if (reader->way == 1)
        smollm_cancel(reader->request);
    smollm_request_close(reader->request);
    return NULL;
}

static void one_round(unsigned number)
{
    struct smollm_engine_options small = SMOLLM_ENGINE_OPTIONS_INIT;
    small.context = 256;
    small.parallel = READERS;
    small.threads = 1;
    small.no_read_ahead = true;
    struct smollm_engine *engine;
    struct smollm_error error;
    if (smollm_engine_start(model, &small, &engine, &error) < 0)
        fail_msg("%s", error.message);
    struct reader readers[READERS];
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.prompt = (struct smollm_text){"once", 4};
    options.ignore_eos = true;
    options.want_logprobs = true;
    options.logprobs = 20;
    atomic_store(&ready, 0);
    for (int i = 0; i < READERS; i++) {
        readers[i].way = i;
        assert_int_equal(smollm_submit(engine, &options, &readers[i].request, &error), 0);
    }
    if (number % 4 == 0)
        usleep(20000); /* the rings are full */
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_events, &readers[i]), 0);
    while (atomic_load(&ready) < READERS)
        sched_yield();
    if (number % 3 == 0)
        usleep(number % 7 * 100);
    smollm_engine_close(engine);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i].thread, NULL);
}

static void readers_outlive_the_engine(void **state)
{
    for (unsigned i = 0; i < rounds; i++)
        one_round(i);
}

/* What has no threads to race: every function on a request whose engine is gone. */
static void requests_of_a_closed_engine_can_be_used(void **state)
{
    struct smollm_engine *engine;
    struct smollm_request *request;
    struct smollm_error error;
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.prompt = (struct smollm_text){"once", 4};
    assert_int_equal(smollm_engine_start(model, NULL, &engine, &error), 0);
    assert_int_equal(smollm_submit(engine, &options, &request, &error), 0);
    smollm_engine_close(engine);
    struct smollm_usage usage;
    smollm_request_get_usage(request, &usage);
    assert_int_equal(usage.prompt_tokens, 4);
    assert_int_equal(smollm_request_prompt_tokens(request), 4);
    assert_true(smollm_request_id(request) > 0);
    smollm_cancel(request);
    struct smollm_event event = {.type = SMOLLM_EVENT_TEXT};
    while (smollm_next_event(request, -1, &event) == 0) {
    }
    assert_true(event.type == SMOLLM_EVENT_ERROR || event.type == SMOLLM_EVENT_FINISH);
    smollm_request_close(request);
}

static int open_model(void **state)
{
    return tiny_model_open(&model);
}

static int close_model(void **state)
{
    smollm_model_close(model);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_outlive_the_engine),
        cmocka_unit_test(requests_of_a_closed_engine_can_be_used),
    };
    if (argc > 1)
        rounds = (unsigned)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, open_model, close_model);
}
