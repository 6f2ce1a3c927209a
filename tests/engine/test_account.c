/* Accounting: each token of a prompt counts once, as cached or as computed, however often the sequence is paused while
 * the prompt is read; totals and callbacks equal an account that the test keeps. */
#include "engine/engine_state.h"

#include "../library/tiny_model.h"
#include "cmocka_all.h"
#include "library/handles.h"

#include <pthread.h>

enum { PAGE = KV_PAGE_POSITIONS };

static struct smollm_model *model;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

struct reader {
    struct engine_sequence *sequence;
    struct engine_account last; /* of the last callback */
    uint32_t tokens;
    bool has_ended;
};

static void check(struct reader *reader, const struct engine_account *account)
{
    assert_true(account->cached <= account->counted);
    assert_true(account->counted <= account->prompt_tokens);
    assert_true(account->counted >= reader->last.counted); /* never backwards */
    assert_true(account->cached >= reader->last.cached);
    reader->last = *account;
}

static void on_progress(void *user, const struct engine_account *account)
{
    check(user, account);
}

static bool on_token(void *user, const struct engine_token *token, const struct engine_account *account)
{
    struct reader *reader = user;
    check(reader, account);
    assert_int_equal(account->counted, account->prompt_tokens);
    assert_int_equal(account->generated, ++reader->tokens);
    return true;
}

static void on_finished(void *user, enum engine_end end, const struct engine_account *account,
                        const struct smollm_error *error)
{
    struct reader *reader = user;
    pthread_mutex_lock(&mutex);
    check(reader, account);
    reader->has_ended = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void submit(struct engine *engine, struct reader *reader, uint64_t key, const int32_t *prompt, uint32_t count,
                   uint32_t max_tokens)
{
    const struct engine_request request = {
        .key = key,
        .prompt = prompt,
        .prompt_count = count,
        .max_tokens = max_tokens,
        .sampling = SMOLLM_SAMPLING_INIT,
        .alternatives = -1,
        .client = {.user = reader, .progress = on_progress, .token = on_token, .finished = on_finished}};
    uint64_t id;
    struct smollm_error error;
    *reader = (struct reader){0};
    if (engine_submit(engine, &request, &id, &reader->sequence, &error) < 0)
        fail_msg("%s", error.message);
}

static void wait_for_end(struct reader *reader)
{
    pthread_mutex_lock(&mutex);
    while (!reader->has_ended)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    engine_release(reader->sequence);
}

static struct engine *start(unsigned stress, uint32_t pages)
{
    const uint64_t page_bytes = PAGE * kv_cache_bytes_per_position(&model->weights.config, KV_F16);
    const struct engine_options options = {.context = 256,
                                           .parallel = 2,
                                           .queue = 16,
                                           .threads = 2,
                                           .batch = 16,
                                           .tier = model->tier,
                                           .planes = 1,
                                           .kv_bytes = pages * page_bytes,
                                           .stress = stress};
    struct engine *engine;
    struct smollm_error error;
    if (engine_create(&model->weights, &options, &engine, &error) < 0)
        fail_msg("%s", error.message);
    return engine;
}

/* No two of these begin alike, so nothing of one is ever cached for another. */
static void write_prompt(int32_t *prompt, uint32_t count, uint32_t number)
{
    for (uint32_t i = 0; i < count; i++)
        prompt[i] = (int32_t)((number + i * 7 + i * i * (number % 13)) % 250);
    prompt[0] = (int32_t)(number % 250);
    prompt[1] = (int32_t)(number / 250);
}

/* Two keys, memory for little more than one conversation, and a pause in every second step of a prompt. */
static void tokens_count_once_over_400_pauses(void **state)
{
    struct engine *engine = start(ENGINE_STRESS_READERS, 12);
    struct smollm_engine_stats stats;
    uint64_t prompt_tokens = 0, generated = 0, ended = 0;
    uint32_t number = 0;
    do {
        struct reader readers[6];
        int32_t prompt[256];
        for (uint32_t i = 0; i < 6; i++, number++) {
            const uint32_t count = 40 + number * 37 % 180;
            write_prompt(prompt, count, number);
            submit(engine, &readers[i], i % 2, prompt, count, 1 + number % 3);
            prompt_tokens += count;
            generated += 1 + number % 3;
        }
        for (uint32_t i = 0; i < 6; i++) {
            wait_for_end(&readers[i]);
            assert_int_equal(readers[i].last.cached, 0);
            assert_int_equal(readers[i].last.counted, readers[i].last.prompt_tokens);
            assert_int_equal(readers[i].last.generated, readers[i].tokens);
            ended++;
        }
        engine_get_stats(engine, &stats);
        assert_int_equal(stats.prompt_tokens, prompt_tokens);
        assert_int_equal(stats.cached_tokens, 0);
        assert_int_equal(stats.generated_tokens, generated);
        assert_int_equal(stats.requests_finished, ended);
    } while (stats.pauses < 400);
    struct smollm_histogram cached;
    engine_get_histogram(engine, SMOLLM_MEASURE_CACHED_TOKENS, &cached);
    assert_float_equal(cached.sum, 0, 0);
    engine_destroy(engine);
}

/* What the cache holds when a prompt is first read counts as cached, and no more when pauses interrupt it. */
static void a_known_prefix_counts_once(void **state)
{
    struct engine *engine = start(ENGINE_STRESS_READERS, 64);
    struct reader reader;
    int32_t prompt[256];
    write_prompt(prompt, 200, 7);
    submit(engine, &reader, 1, prompt, 100, 1);
    wait_for_end(&reader);
    assert_int_equal(reader.last.cached, 0);
    submit(engine, &reader, 1, prompt, 200, 1);
    wait_for_end(&reader);
    assert_int_equal(reader.last.cached, 100);
    submit(engine, &reader, 2, prompt, 200, 1); /* another key's */
    wait_for_end(&reader);
    assert_int_equal(reader.last.cached, 0);
    engine_destroy(engine);
}

/* max_tokens 0: the prompt is read and cached, and nothing is drawn. */
static void an_answer_of_no_tokens_warms_the_cache(void **state)
{
    struct engine *engine = start(0, 64);
    struct reader reader;
    int32_t prompt[256];
    write_prompt(prompt, 200, 9);
    for (int again = 0; again < 2; again++) {
        submit(engine, &reader, 1, prompt, 200, 0);
        wait_for_end(&reader);
        assert_int_equal(reader.tokens, 0);
        assert_int_equal(reader.last.generated, 0);
        assert_int_equal(reader.last.counted, 200);
        assert_int_equal(reader.last.cached, again ? 199 : 0);
        assert_true(reader.last.prompt_done_ns > 0);
    }
    submit(engine, &reader, 1, prompt, 200, 1);
    wait_for_end(&reader);
    assert_int_equal(reader.last.cached, 199);
    engine_destroy(engine);
}

static void times_follow_each_other(void **state)
{
    struct engine_account account;
    struct engine_totals totals = {0};
    account_open(&account, 10, 1000000);
    assert_float_equal(account_queue_ms(&account, 3000000), 2, 1e-9);
    assert_float_equal(account_prompt_ms(&account, 3000000), 0, 0);
    account_admit(&account, 5000000);
    account_admit(&account, 50000000); /* after a pause */
    account_finish_prompt(&account, &totals, 8000000);
    account_finish_prompt(&account, &totals, 80000000);
    assert_float_equal(account_queue_ms(&account, 99000000), 4, 1e-9);
    assert_float_equal(account_prompt_ms(&account, 99000000), 3, 1e-9);
    assert_float_equal(account_predict_ms(&account, 10000000), 2, 1e-9);
    account_close(&account, &totals, 11000000);
    assert_float_equal(account_predict_ms(&account, 99000000), 3, 1e-9);
    /* One that ends in the queue has waited until then, and nothing else. */
    account_open(&account, 10, 1000000);
    account_close(&account, &totals, 2000000);
    assert_float_equal(account_queue_ms(&account, 99000000), 1, 1e-9);
    assert_float_equal(account_prompt_ms(&account, 99000000) + account_predict_ms(&account, 99000000), 0, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_count_once_over_400_pauses),
        cmocka_unit_test(a_known_prefix_counts_once),
        cmocka_unit_test(an_answer_of_no_tokens_warms_the_cache),
        cmocka_unit_test(times_follow_each_other),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
