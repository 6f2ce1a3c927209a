/* The engine on a tiny model: the same bits however often a sequence is paused, and who gets served when. */
#include "engine/engine_state.h"

#include "../library/tiny_model.h"
#include "cmocka_all.h"
#include "library/handles.h"
#include "model/kv_cache.h"

#include <pthread.h>

enum { TOKENS = 40 };

static struct smollm_model *model;

/* One sequence and what came of it. */
struct reader {
    struct engine_sequence *sequence;
    int32_t ids[TOKENS];
    float logprobs[TOKENS];
    uint32_t count, allowed; /* allowed: tokens it takes before it is slow */
    enum engine_end end;
    int code;
    uint32_t cached;
    int place; /* among those that ended, from 1; 0: it has not */
    bool is_slow;
    unsigned delay_us; /* that the engine spends on each of its tokens */
    uint32_t holds_at; /* after so many tokens the engine stands still until hold(false); 0: never */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int ended;
static bool held; /* the engine waits before it tells of anything */

static void hold(bool on)
{
    pthread_mutex_lock(&mutex);
    held = on;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

/* With the mutex. */
static void wait_while_held(void)
{
    while (held)
        pthread_cond_wait(&changed, &mutex);
}

static bool ready(void *user)
{
    struct reader *reader = user;
    pthread_mutex_lock(&mutex);
    const bool is = !reader->is_slow || reader->count < reader->allowed;
    pthread_mutex_unlock(&mutex);
    return is;
}

static bool token(void *user, const struct engine_token *t, const struct engine_account *account)
{
    struct reader *reader = user;
    usleep(reader->delay_us);
    pthread_mutex_lock(&mutex);
    wait_while_held();
    assert_in_range(reader->count, 0, TOKENS - 1);
    reader->ids[reader->count] = t->id;
    reader->logprobs[reader->count++] = t->chosen.logprob;
    held |= reader->count == reader->holds_at;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return true;
}

static void finished(void *user, enum engine_end end, const struct engine_account *account,
                     const struct smollm_error *error)
{
    struct reader *reader = user;
    pthread_mutex_lock(&mutex);
    wait_while_held();
    reader->end = end;
    reader->code = error ? error->code : 0;
    reader->cached = account->cached;
    reader->place = ++ended;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_for_tokens(const struct reader *reader, uint32_t count)
{
    pthread_mutex_lock(&mutex);
    while (reader->count < count && reader->place == 0)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void wait_for_end(struct reader *reader)
{
    pthread_mutex_lock(&mutex);
    while (reader->place == 0)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    engine_release(reader->sequence);
}

static struct engine *start(const struct engine_options *changes)
{
    struct engine_options options = *changes;
    options.context = options.context ? options.context : 256;
    options.queue = 64;
    options.threads = 2;
    options.batch = options.batch ? options.batch : 64;
    options.tier = model->tier;
    options.planes = 1;
    struct engine *engine;
    struct smollm_error error;
    if (engine_create(&model->weights, &options, &engine, &error) < 0)
        fail_msg("%s", error.message);
    ended = 0;
    return engine;
}

struct wish {
    uint64_t key;
    int32_t priority;
    uint32_t deadline_ms, prompt, max;
};

/* A prompt that depends on its seed; equal seeds begin equally. */
static void write_prompt(int32_t *prompt, uint32_t count, uint32_t seed)
{
    for (uint32_t i = 0; i < count; i++)
        prompt[i] = (int32_t)((seed * 31 + i * 7 + i * i * (seed + 1)) % 250);
}

static void submit(struct engine *engine, struct reader *reader, uint32_t seed, const struct wish *wish)
{
    int32_t prompt[256];
    write_prompt(prompt, wish->prompt, seed);
    struct engine_request request = {.key = wish->key,
                                     .priority = wish->priority,
                                     .deadline_ms = wish->deadline_ms,
                                     .prompt = prompt,
                                     .prompt_count = wish->prompt,
                                     .max_tokens = wish->max,
                                     .sampling = smollm_sampling_default(),
                                     .alternatives = 0,
                                     .client = {.user = reader, .ready = ready, .token = token, .finished = finished}};
    request.sampling.seed = seed;
    request.sampling.temperature = 1.0f;
    request.sampling.frequency_penalty = 0.5f;
    request.sampling.repetition_penalty = 1.1f;
    uint64_t id;
    struct smollm_error error;
    if (engine_submit(engine, &request, &id, &reader->sequence, &error) < 0)
        fail_msg("%s", error.message);
}

/* The engine stands still, with nothing in its slots but a sequence that is about to end: what is submitted before
 * let_go() is looked at together. */
static void stand_still(struct engine *engine, struct reader *blocker)
{
    *blocker = (struct reader){.holds_at = 1};
    submit(engine, blocker, 99, &(struct wish){.prompt = 1, .max = 1});
    wait_for_tokens(blocker, 1);
}

static void let_go(struct reader *blocker)
{
    hold(false);
    wait_for_end(blocker);
}

static struct smollm_engine_stats stats_of(struct engine *engine)
{
    struct smollm_engine_stats stats;
    engine_get_stats(engine, &stats);
    return stats;
}

static uint64_t page_bytes(void)
{
    return (uint64_t)KV_PAGE_POSITIONS * kv_cache_bytes_per_position(&model->weights.config, KV_F16);
}

/* Six sequences in every kind of trouble give the tokens and log-probabilities that they give alone and undisturbed. */
static void pauses_change_nothing(void **state)
{
    enum { COUNT = 6 };
    static struct reader want[COUNT];
    const unsigned all = ENGINE_STRESS_PAUSES | ENGINE_STRESS_EVICTS | ENGINE_STRESS_GUESSES;
    const struct engine_options ways[] = {
        {.parallel = 1},
        {.parallel = 4, .stress = ENGINE_STRESS_PAUSES},
        {.parallel = 3, .stress = ENGINE_STRESS_PAUSES | ENGINE_STRESS_EVICTS},
        {.parallel = 3, .stress = ENGINE_STRESS_PAUSES, .batch = 7},
        {.parallel = 2, .stress = ENGINE_STRESS_GUESSES, .speculates = true},
        {.parallel = 2, .stress = ENGINE_STRESS_PAUSES | ENGINE_STRESS_GUESSES, .speculates = true, .batch = 1},
        {.parallel = 1, .stress = all, .speculates = true},
        {.parallel = 6, .kv_bytes = 8 * page_bytes()},
        {.parallel = 6, .kv_bytes = 9 * page_bytes(), .stress = ENGINE_STRESS_EVICTS, .speculates = true},
    };
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        struct engine *engine = start(&ways[way]);
        static struct reader readers[COUNT];
        memset(readers, 0, sizeof readers);
        struct reader blocker;
        stand_still(engine, &blocker);
        for (uint32_t i = 0; i < COUNT; i++)
            submit(engine, &readers[i], i / 2, &(struct wish){.key = i % 2, .prompt = 70 + 5 * i, .max = TOKENS});
        let_go(&blocker);
        for (int i = 0; i < COUNT; i++)
            wait_for_end(&readers[i]);
        const struct smollm_engine_stats stats = stats_of(engine);
        assert_int_equal(stats.kv_pages_used, 0);
        assert_int_equal(stats.requests_waiting, 0);
        if (ways[way].kv_bytes > 0 || (ways[way].stress & ENGINE_STRESS_PAUSES))
            assert_true(stats.pauses > 0);
        engine_destroy(engine);
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(readers[i].end, ENGINE_END_LENGTH);
            assert_int_equal(readers[i].count, TOKENS);
            if (way == 0)
                continue;
            assert_memory_equal(readers[i].ids, want[i].ids, sizeof want[i].ids);
            assert_memory_equal(readers[i].logprobs, want[i].logprobs, sizeof want[i].logprobs);
        }
        if (way == 0)
            memcpy(want, readers, sizeof want);
    }
}

/* Of two that do not fit together the older goes on, and ends first. */
static void the_youngest_gives_up_its_pages(void **state)
{
    struct engine *engine = start(&(struct engine_options){.parallel = 2, .kv_bytes = 8 * page_bytes()});
    static struct reader older, younger;
    memset(&older, 0, sizeof older);
    memset(&younger, 0, sizeof younger);
    struct reader blocker;
    stand_still(engine, &blocker);
    submit(engine, &older, 1, &(struct wish){.prompt = 110, .max = TOKENS});
    submit(engine, &younger, 2, &(struct wish){.prompt = 110, .max = TOKENS - 5});
    let_go(&blocker);
    wait_for_end(&older);
    wait_for_end(&younger);
    assert_true(stats_of(engine).pauses > 0);
    assert_true(older.place < younger.place);
    engine_destroy(engine);
}

static void a_budget_holds_one_conversation_at_least(void **state)
{
    struct engine_options options = {.context = 256,
                                     .parallel = 2,
                                     .queue = 4,
                                     .threads = 1,
                                     .batch = 8,
                                     .planes = 1,
                                     .tier = model->tier,
                                     .kv_bytes = 8 * page_bytes() - 1};
    struct engine *engine;
    struct smollm_error error;
    assert_int_equal(engine_create(&model->weights, &options, &engine, &error), SMOLLM_ENOMEM);
    assert_non_null(strstr(error.message, "are allowed"));
    options.kv_bytes++;
    assert_int_equal(engine_create(&model->weights, &options, &engine, &error), 0);
    assert_int_equal(stats_of(engine).kv_pages_total, 8);
    engine_destroy(engine);
}

/* A prompt that begins as another one, which is answered already, is read at once. */
static void the_same_beginning_is_no_reason_to_wait(void **state)
{
    struct engine *engine = start(&(struct engine_options){.parallel = 2});
    static struct reader first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    first.holds_at = 1;
    submit(engine, &first, 1, &(struct wish){.prompt = 110, .max = TOKENS});
    wait_for_tokens(&first, 1);
    submit(engine, &second, 1, &(struct wish){.prompt = 110, .max = 3});
    hold(false);
    wait_for_end(&second);
    wait_for_end(&first);
    assert_int_equal(second.place, 1);
    assert_int_equal(second.cached, 96); /* the whole pages */
    assert_memory_equal(first.ids, second.ids, 3 * sizeof *first.ids);
    engine_destroy(engine);
}

/* One who asks for much beside one who asks for little. */
static void owners_are_served_evenly(void **state)
{
    struct engine *engine = start(&(struct engine_options){.parallel = 2});
    static struct reader many[8], single;
    memset(many, 0, sizeof many);
    memset(&single, 0, sizeof single);
    many[1].holds_at = 5;
    for (uint32_t i = 0; i < 8; i++) {
        many[i].delay_us = 1000;
        submit(engine, &many[i], i, &(struct wish){.key = 1, .prompt = 20, .max = TOKENS});
    }
    wait_for_tokens(&many[1], 5);
    const int before = ended;
    submit(engine, &single, 99, &(struct wish){.key = 2, .prompt = 20, .max = 10});
    hold(false);
    wait_for_end(&single);
    for (int i = 0; i < 8; i++)
        wait_for_end(&many[i]);
    /* It took the place of the younger of two, and ended before either; one may just have ended when it came. */
    assert_in_range(single.place, before + 1, before + 2);
    assert_true(before > 0 || stats_of(engine).pauses == 1);
    assert_int_equal(many[0].count, TOKENS);
    assert_int_equal(many[1].count, TOKENS);
    engine_destroy(engine);
}

static void the_urgent_do_not_wait_for_the_rest(void **state)
{
    struct engine *engine = start(&(struct engine_options){.parallel = 1});
    static struct reader first, later, urgent;
    memset(&first, 0, sizeof first);
    memset(&later, 0, sizeof later);
    memset(&urgent, 0, sizeof urgent);
    first.holds_at = 1;
    submit(engine, &first, 1, &(struct wish){.prompt = 20, .max = TOKENS});
    wait_for_tokens(&first, 1);
    submit(engine, &later, 2, &(struct wish){.prompt = 20, .max = 3});
    submit(engine, &urgent, 3, &(struct wish){.prompt = 20, .max = 3, .priority = -1});
    hold(false);
    wait_for_end(&later);
    wait_for_end(&urgent);
    wait_for_end(&first);
    assert_true(first.place == 1 && urgent.place == 2 && later.place == 3);
    engine_destroy(engine);
}

static void deadlines_end_sequences(void **state)
{
    struct engine *engine = start(&(struct engine_options){.parallel = 1});
    static struct reader slow, waiting;
    memset(&slow, 0, sizeof slow);
    memset(&waiting, 0, sizeof waiting);
    slow.is_slow = true;
    slow.allowed = 2;
    submit(engine, &slow, 1, &(struct wish){.prompt = 20, .max = TOKENS, .deadline_ms = 60});
    wait_for_end(&slow);
    assert_int_equal(slow.code, SMOLLM_ETIMEDOUT);
    assert_in_range(slow.count, 0, 2); /* fewer where the machine itself was slow */
    submit(engine, &waiting, 2, &(struct wish){.prompt = 20, .max = 3, .deadline_ms = 60000});
    wait_for_end(&waiting);
    assert_int_equal(waiting.code, 0);
    engine_destroy(engine);
}

/* A slow reader gives its slot to others, and goes on where it was. */
static void slow_readers_hold_up_nobody(void **state)
{
    struct engine *engine = start(&(struct engine_options){.parallel = 1, .kv_bytes = 8 * page_bytes()});
    static struct reader slow, again, others[3];
    memset(&slow, 0, sizeof slow);
    memset(&again, 0, sizeof again);
    memset(others, 0, sizeof others);
    slow.is_slow = true;
    slow.allowed = 10; /* of TOKENS */
    submit(engine, &slow, 1, &(struct wish){.prompt = 90, .max = TOKENS});
    wait_for_tokens(&slow, 10);
    for (uint32_t i = 0; i < 3; i++)
        submit(engine, &others[i], 10 + i, &(struct wish){.prompt = 190, .max = TOKENS});
    for (int i = 0; i < 3; i++)
        wait_for_end(&others[i]);
    assert_int_equal(slow.count, 10);
    assert_int_equal(slow.place, 0);
    pthread_mutex_lock(&mutex);
    slow.is_slow = false;
    pthread_mutex_unlock(&mutex);
    engine_wake(engine);
    wait_for_end(&slow);
    submit(engine, &again, 1, &(struct wish){.prompt = 90, .max = TOKENS});
    wait_for_end(&again);
    assert_int_equal(slow.count, TOKENS);
    assert_memory_equal(slow.ids, again.ids, sizeof slow.ids);
    assert_memory_equal(slow.logprobs, again.logprobs, sizeof slow.logprobs);
    engine_destroy(engine);
}

static void wait_for_reading(struct engine *engine, uint64_t tokens)
{
    for (int i = 0; i < 5000 && stats_of(engine).read_ahead_tokens < tokens; i++)
        usleep(1000);
    for (int i = 0; i < 5000 && stats_of(engine).kv_pages_used > 0; i++)
        usleep(1000);
    assert_int_equal(stats_of(engine).read_ahead_tokens, tokens);
}

/* What was read ahead is known, to its owner, to the last token; and costs nothing while there is work. */
static void reading_ahead_makes_known(void **state)
{
    struct engine *engine = start(&(struct engine_options){.parallel = 2});
    static struct reader busy, mine, other;
    memset(&busy, 0, sizeof busy);
    memset(&mine, 0, sizeof mine);
    memset(&other, 0, sizeof other);
    const uint32_t ahead = 3 * AHEAD_TOKENS + 1; /* one token in a pass of its own */
    int32_t prompt[256];
    write_prompt(prompt, 110, 5);
    busy.is_slow = true;
    busy.allowed = 3;
    submit(engine, &busy, 1, &(struct wish){.key = 1, .prompt = 20, .max = TOKENS});
    wait_for_tokens(&busy, 3);
    engine_read_ahead(engine, 1, prompt, ahead);
    usleep(30000);
    assert_int_equal(stats_of(engine).read_ahead_tokens, 0);
    engine_cancel(engine, busy.sequence);
    wait_for_end(&busy);
    wait_for_reading(engine, ahead);
    submit(engine, &mine, 5, &(struct wish){.key = 1, .prompt = 110, .max = 4});
    wait_for_end(&mine);
    assert_int_equal(mine.cached, ahead);
    submit(engine, &other, 5, &(struct wish){.key = 2, .prompt = 110, .max = 4});
    wait_for_end(&other);
    assert_int_equal(other.cached, 0);
    assert_memory_equal(mine.ids, other.ids, 4 * sizeof *mine.ids);
    assert_memory_equal(mine.logprobs, other.logprobs, 4 * sizeof *mine.logprobs);
    assert_int_equal(stats_of(engine).requests_finished, 3);
    /* Known already: nothing is computed. Too long, or nothing: nobody complains. */
    engine_read_ahead(engine, 1, prompt, ahead);
    engine_read_ahead(engine, 1, prompt, 256);
    engine_read_ahead(engine, 1, prompt, 0);
    usleep(30000);
    assert_int_equal(stats_of(engine).read_ahead_tokens, ahead);
    engine_drain(engine);
    engine_read_ahead(engine, 1, prompt + 1, ahead);
    usleep(30000);
    assert_int_equal(stats_of(engine).read_ahead_tokens, ahead);
    engine_destroy(engine);
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
        cmocka_unit_test(pauses_change_nothing),
        cmocka_unit_test(the_youngest_gives_up_its_pages),
        cmocka_unit_test(a_budget_holds_one_conversation_at_least),
        cmocka_unit_test(the_same_beginning_is_no_reason_to_wait),
        cmocka_unit_test(owners_are_served_evenly),
        cmocka_unit_test(the_urgent_do_not_wait_for_the_rest),
        cmocka_unit_test(deadlines_end_sequences),
        cmocka_unit_test(slow_readers_hold_up_nobody),
        cmocka_unit_test(reading_ahead_makes_known),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
