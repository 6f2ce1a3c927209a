/* Embeddings, scores and log-probabilities of prompts: those of a plain pass, to the bit, whatever happens to the
 * sequence. */
#include "engine/embedding.h"
#include "engine/engine_state.h"

#include "../library/tiny_model.h"
#include "cmocka_all.h"
#include "library/handles.h"

#include <pthread.h>

enum { PROMPT_MAX = 200, TOKENS = 12, ALTERNATIVES = 4, SCORES = 40 };

static struct smollm_model *model;

/* One sequence and what came of it. */
struct reader {
    struct engine_sequence *sequence;
    uint32_t prompt_count, ids_count;
    struct engine_token prompt[PROMPT_MAX];
    struct engine_token drawn[TOKENS];
    float values[TINY_HIDDEN + SCORES];
    uint32_t value_count;
    bool takes_vectors; /* one for each token */
    float vectors[PROMPT_MAX][TINY_HIDDEN];
    uint32_t vector_count;
    uint32_t allowed; /* tokens that it takes before it is slow; 0: it never is */
    enum engine_end end;
    int code;
    uint32_t cached;
    bool has_ended;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static bool ready(void *user)
{
    struct reader *reader = user;
    pthread_mutex_lock(&mutex);
    const bool is =
        reader->allowed == 0 || reader->prompt_count + reader->vector_count + reader->ids_count < reader->allowed;
    pthread_mutex_unlock(&mutex);
    return is;
}

static void prompt_token(void *user, const struct engine_token *token)
{
    struct reader *reader = user;
    pthread_mutex_lock(&mutex);
    assert_true(reader->allowed == 0 || reader->prompt_count < reader->allowed);
    assert_int_equal(reader->ids_count, 0);
    assert_in_range(reader->prompt_count, 0, PROMPT_MAX - 1);
    reader->prompt[reader->prompt_count++] = *token;
    pthread_mutex_unlock(&mutex);
}

static bool token(void *user, const struct engine_token *t, const struct engine_account *account)
{
    struct reader *reader = user;
    pthread_mutex_lock(&mutex);
    assert_true(reader->allowed == 0 || reader->prompt_count + reader->ids_count < reader->allowed);
    assert_in_range(reader->ids_count, 0, TOKENS - 1);
    reader->drawn[reader->ids_count++] = *t;
    pthread_mutex_unlock(&mutex);
    return true;
}

static void values(void *user, const float *values, uint32_t count)
{
    struct reader *reader = user;
    if (reader->takes_vectors) {
        pthread_mutex_lock(&mutex);
        assert_true(reader->allowed == 0 || reader->vector_count < reader->allowed);
        assert_in_range(reader->vector_count, 0, PROMPT_MAX - 1);
        assert_int_equal(count, TINY_HIDDEN);
        memcpy(reader->vectors[reader->vector_count++], values, count * sizeof *values);
        pthread_mutex_unlock(&mutex);
        return;
    }
    assert_int_equal(reader->value_count, 0);
    memcpy(reader->values, values, count * sizeof *values);
    reader->value_count = count;
}

static void finished(void *user, enum engine_end end, const struct engine_account *account,
                     const struct smollm_error *error)
{
    struct reader *reader = user;
    pthread_mutex_lock(&mutex);
    reader->end = end;
    reader->code = error ? error->code : 0;
    reader->cached = account->cached;
    reader->has_ended = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

/* A slow reader takes a few more tokens every millisecond. */
static void wait_for_end(struct engine *engine, struct reader *reader)
{
    pthread_mutex_lock(&mutex);
    while (!reader->has_ended && reader->allowed > 0) {
        reader->allowed += 5;
        pthread_mutex_unlock(&mutex);
        engine_wake(engine);
        usleep(1000);
        pthread_mutex_lock(&mutex);
    }
    while (!reader->has_ended)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    engine_release(reader->sequence);
}

static struct engine *start(const struct engine_options *changes)
{
    struct engine_options options = *changes;
    options.context = 256;
    options.queue = 64;
    options.threads = 2;
    options.batch = options.batch ? options.batch : 64;
    options.tier = model->tier;
    options.planes = 1;
    struct engine *engine;
    struct smollm_error error;
    if (engine_create(&model->weights, &options, &engine, &error) < 0)
        fail_msg("%s", error.message);
    return engine;
}

/* ---- What must come of it ---- */

/* Equal seeds begin equally. */
static void write_prompt(int32_t *prompt, uint32_t count, uint32_t seed)
{
    for (uint32_t i = 0; i < count; i++)
        prompt[i] = (int32_t)((seed * 31 + i * 7 + i * i * (seed + 1)) % 250);
}

static const int32_t *score_tokens(void)
{
    static int32_t tokens[SCORES];
    for (int i = 0; i < SCORES; i++)
        tokens[i] = i * 37 % TINY_VOCABULARY;
    tokens[SCORES - 1] = tokens[0];
    return tokens;
}

struct expected {
    float logits[PROMPT_MAX][TINY_VOCABULARY], hidden[PROMPT_MAX][TINY_HIDDEN];
};

/* A prompt through the pass, without an engine. */
static void run_pass(const int32_t *prompt, uint32_t count, struct expected *expected)
{
    struct thread_pool *pool;
    struct kv_cache cache;
    struct forward forward;
    struct smollm_error error;
    static struct batch_token tokens[PROMPT_MAX];
    uint32_t pages[PROMPT_MAX / KV_PAGE_POSITIONS + 1];
    assert_int_equal(thread_pool_create(1, &pool, &error), 0);
    assert_int_equal(kv_cache_create(&cache, &model->weights.config, KV_F16, sizeof pages / sizeof *pages, &error), 0);
    assert_int_equal(forward_create(&forward, &model->weights, &cache, pool, model->tier, 1, count, &error), 0);
    for (uint32_t i = 0; i < sizeof pages / sizeof *pages; i++)
        pages[i] = i;
    for (int way = 0; way < 2; way++) {
        for (uint32_t i = 0; i < count; i++)
            tokens[i] = (struct batch_token){prompt[i], i, pages, way ? ROW_HIDDEN : ROW_LOGITS};
        forward_run(&forward, tokens, count,
                    (struct forward_results){.logits = expected->logits[0], .hidden = expected->hidden[0]});
    }
    forward_destroy(&forward);
    kv_cache_destroy(&cache);
    thread_pool_destroy(pool);
}

/* The log-probability of a token, as smollm perplexity computes it, and how many tokens are better. */
static float logprob(const float *values, int32_t id, uint32_t *better)
{
    struct kernel_table kernels;
    float peaks[TINY_VOCABULARY];
    kernel_table_fill(&kernels, model->tier);
    const struct logits logits = logits_look_at(&kernels, values, TINY_VOCABULARY, peaks);
    *better = 0;
    for (int i = 0; i < TINY_VOCABULARY; i++)
        *better += values[i] > values[id] || (values[i] == values[id] && i < id);
    return (float)((double)values[id] - logits_log_sum(&kernels, &logits));
}

static void check_prompt(const struct reader *reader, const int32_t *prompt, uint32_t count,
                         const struct expected *expected)
{
    uint32_t better;
    assert_int_equal(reader->prompt_count, count - 1);
    for (uint32_t i = 0; i + 1 < count; i++) {
        const struct engine_token *t = &reader->prompt[i];
        const float want = logprob(expected->logits[i], prompt[i + 1], &better);
        assert_int_equal(t->id, prompt[i + 1]);
        assert_int_equal(t->chosen.id, prompt[i + 1]);
        assert_memory_equal(&t->chosen.logprob, &want, sizeof want);
        assert_int_equal(t->top_count, ALTERNATIVES);
        for (int k = 0; k < ALTERNATIVES; k++) {
            const float top = logprob(expected->logits[i], t->top[k].id, &better);
            assert_int_equal(better, k);
            assert_memory_equal(&t->top[k].logprob, &top, sizeof top);
        }
    }
}

static void check_scores(const struct reader *reader, uint32_t count, const struct expected *expected)
{
    uint32_t better;
    assert_int_equal(reader->value_count, SCORES);
    for (int i = 0; i < SCORES; i++) {
        const float want = logprob(expected->logits[count - 1], score_tokens()[i], &better);
        assert_memory_equal(&reader->values[i], &want, sizeof want);
    }
}

static void check_embedding(const struct reader *reader, uint32_t first, uint32_t count, bool is_normalized,
                            const struct expected *expected)
{
    double mean[TINY_HIDDEN] = {0}, squares = 0;
    assert_int_equal(reader->value_count, TINY_HIDDEN);
    for (int k = 0; k < TINY_HIDDEN; k++) {
        for (uint32_t i = first; i < count; i++)
            mean[k] += (double)expected->hidden[i][k];
        mean[k] /= (double)(count - first);
        squares += mean[k] * mean[k];
    }
    assert_true(squares > 0);
    for (int k = 0; k < TINY_HIDDEN; k++) {
        const float want = (float)(mean[k] / (is_normalized ? sqrt(squares) : 1));
        assert_memory_equal(&reader->values[k], &want, sizeof want);
    }
}

/* ---- Sequences of all kinds ---- */

enum kind { SCORED_PROMPT, SCORED_PROMPT_AND_ANSWER, MEAN, RAW_MEAN, LAST, EACH, SCORED_TOKENS, ANSWER, KINDS };

static struct engine_request request_of(enum kind kind, const int32_t *prompt, uint32_t count, struct reader *reader)
{
    struct engine_request request = {.prompt = prompt,
                                     .prompt_count = count,
                                     .sampling = smollm_sampling_default(),
                                     .alternatives = 2,
                                     .client = {.user = reader,
                                                .ready = ready,
                                                .prompt_token = prompt_token,
                                                .values = values,
                                                .token = token,
                                                .finished = finished}};
    request.sampling.seed = count;
    request.sampling.temperature = 1.0f;
    request.max_tokens = kind == ANSWER || kind == SCORED_PROMPT_AND_ANSWER ? TOKENS : 0;
    request.wants_prompt = kind == SCORED_PROMPT || kind == SCORED_PROMPT_AND_ANSWER;
    request.prompt_alternatives = ALTERNATIVES;
    request.purpose = kind == MEAN || kind == RAW_MEAN ? ENGINE_EMBEDDING_MEAN
                      : kind == LAST                   ? ENGINE_EMBEDDING_LAST
                      : kind == EACH                   ? ENGINE_EMBEDDING_EACH
                      : kind == SCORED_TOKENS          ? ENGINE_SCORES
                                                       : ENGINE_ANSWER;
    request.is_normalized = kind != RAW_MEAN && kind != EACH;
    reader->takes_vectors = kind == EACH;
    request.score_tokens = score_tokens();
    request.score_count = SCORES;
    return request;
}

static void submit(struct engine *engine, enum kind kind, const int32_t *prompt, uint32_t count, struct reader *reader)
{
    const struct engine_request request = request_of(kind, prompt, count, reader);
    uint64_t id;
    struct smollm_error error;
    if (engine_submit(engine, &request, &id, &reader->sequence, &error) < 0)
        fail_msg("%s", error.message);
}

static void check(enum kind kind, const struct reader *reader, const int32_t *prompt, uint32_t count,
                  const struct expected *expected)
{
    const bool is_answer = kind == ANSWER || kind == SCORED_PROMPT_AND_ANSWER;
    assert_int_equal(reader->code, 0);
    assert_int_equal(reader->end, is_answer || kind == SCORED_PROMPT ? ENGINE_END_LENGTH : ENGINE_END_STOPPED);
    assert_int_equal(reader->ids_count, is_answer ? TOKENS : 0);
    if (kind == SCORED_PROMPT || kind == SCORED_PROMPT_AND_ANSWER)
        check_prompt(reader, prompt, count, expected);
    else
        assert_int_equal(reader->prompt_count, 0);
    if (kind == MEAN || kind == RAW_MEAN)
        check_embedding(reader, 0, count, kind == MEAN, expected);
    else if (kind == LAST)
        check_embedding(reader, count - 1, count, true, expected);
    else if (kind == SCORED_TOKENS)
        check_scores(reader, count, expected);
    else
        assert_int_equal(reader->value_count, 0);
    assert_int_equal(reader->vector_count, kind == EACH ? count : 0);
    for (uint32_t i = 0; i < reader->vector_count; i++)
        assert_memory_equal(reader->vectors[i], expected->hidden[i], sizeof expected->hidden[i]);
    if (kind != LAST && kind != SCORED_TOKENS && kind != ANSWER)
        assert_int_equal(reader->cached, 0);
}

/* Sequences of all kinds at once, which begin equally: alone, in company, in small passes, with pauses in the middle of
 * a prompt, with little memory, with slow readers. */
static void nothing_changes_the_outputs(void **state)
{
    enum { COUNT = 2 * KINDS };
    static struct reader readers[COUNT], answers[COUNT];
    static struct expected expected[COUNT];
    static int32_t prompts[COUNT][PROMPT_MAX];
    uint32_t counts[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        counts[i] = i == 0 ? PROMPT_MAX : i == 1 ? 1 : 60 + 9 * i;
        write_prompt(prompts[i], counts[i], i / 5);
        run_pass(prompts[i], counts[i], &expected[i]);
    }
    const uint64_t page_bytes =
        (uint64_t)KV_PAGE_POSITIONS * kv_cache_bytes_per_position(&model->weights.config, KV_F16);
    const struct {
        struct engine_options options;
        bool is_slow;
    } ways[] = {
        {{.parallel = 1}, false},
        {{.parallel = 8}, false},
        {{.parallel = 8, .batch = 1}, false},
        {{.parallel = 5, .batch = 7, .speculates = true}, false},
        {{.parallel = 14, .batch = 256}, false},
        {{.parallel = 4, .batch = 16, .stress = ENGINE_STRESS_READERS}, false},
        {{.parallel = 4, .stress = ENGINE_STRESS_PAUSES | ENGINE_STRESS_EVICTS}, false},
        {{.parallel = 3, .stress = ENGINE_STRESS_GUESSES, .speculates = true}, false},
        {{.parallel = 8, .kv_bytes = 9 * page_bytes}, false},
        {{.parallel = 8, .kv_bytes = 20 * page_bytes, .stress = ENGINE_STRESS_EVICTS}, false},
        {{.parallel = 1}, true},
        {{.parallel = 3, .batch = 16, .stress = ENGINE_STRESS_READERS}, true},
    };
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        struct engine *engine = start(&ways[way].options);
        memset(readers, 0, sizeof readers);
        for (uint32_t i = 0; i < COUNT; i++) {
            readers[i].allowed = ways[way].is_slow ? 3 + i % 3 : 0;
            submit(engine, (enum kind)(i % KINDS), prompts[i], counts[i], &readers[i]);
        }
        for (uint32_t i = 0; i < COUNT; i++)
            wait_for_end(engine, &readers[i]);
        struct smollm_engine_stats stats;
        engine_get_stats(engine, &stats);
        assert_int_equal(stats.kv_pages_used, 0);
        if (ways[way].options.stress & ENGINE_STRESS_READERS)
            assert_true(stats.pauses > 0);
        engine_destroy(engine);
        for (uint32_t i = 0; i < COUNT; i++) {
            check((enum kind)(i % KINDS), &readers[i], prompts[i], counts[i], &expected[i]);
            if (way > 0)
                assert_memory_equal(readers[i].drawn, answers[i].drawn, sizeof answers[i].drawn);
        }
        if (way == 0)
            memcpy(answers, readers, sizeof answers);
    }
}

/* What is needed of every position is computed; what is needed of the last one alone takes what is cached. Either is
 * cached for others afterwards. */
static void the_cache_is_used_where_it_can_be(void **state)
{
    static struct expected expected;
    static const enum kind first[] = {SCORED_PROMPT, MEAN, LAST, EACH, SCORED_TOKENS};
    int32_t prompt[PROMPT_MAX];
    const uint32_t count = 110;
    write_prompt(prompt, count, 3);
    run_pass(prompt, count, &expected);
    for (size_t f = 0; f < sizeof first / sizeof *first; f++) {
        struct engine *engine = start(&(struct engine_options){.parallel = 2});
        for (int k = KINDS; k >= 0; k--) { /* the first one fills the cache */
            static struct reader reader;
            const enum kind kind = k == KINDS ? first[f] : (enum kind)k;
            const bool uses_cache = k < KINDS && (kind == LAST || kind == SCORED_TOKENS || kind == ANSWER);
            memset(&reader, 0, sizeof reader);
            submit(engine, kind, prompt, count, &reader);
            wait_for_end(engine, &reader);
            check(kind, &reader, prompt, count, &expected);
            assert_int_equal(reader.cached, uses_cache ? count - 1 : 0);
        }
        engine_destroy(engine);
    }
}

/* A reader that takes nothing of its prompt does not hold up others, and can be canceled. */
static void slow_readers_of_prompts_hold_up_nobody(void **state)
{
    static struct reader slow, other;
    int32_t prompt[PROMPT_MAX];
    struct engine *engine = start(&(struct engine_options){.parallel = 1});
    memset(&slow, 0, sizeof slow);
    memset(&other, 0, sizeof other);
    slow.allowed = 9;
    write_prompt(prompt, PROMPT_MAX, 3);
    submit(engine, SCORED_PROMPT, prompt, PROMPT_MAX, &slow);
    for (uint32_t count = 0; count < 9; usleep(1000)) {
        pthread_mutex_lock(&mutex);
        count = slow.prompt_count;
        pthread_mutex_unlock(&mutex);
    }
    submit(engine, ANSWER, prompt, PROMPT_MAX, &other);
    wait_for_end(engine, &other);
    assert_int_equal(other.ids_count, TOKENS);
    pthread_mutex_lock(&mutex);
    assert_true(!slow.has_ended);
    assert_int_equal(slow.prompt_count, 9);
    pthread_mutex_unlock(&mutex);
    engine_cancel(engine, slow.sequence);
    pthread_mutex_lock(&mutex);
    while (!slow.has_ended)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    assert_int_equal(slow.end, ENGINE_END_CANCELED);
    assert_int_equal(slow.prompt_count, 9);
    engine_release(slow.sequence);
    engine_destroy(engine);
}

static uint64_t count_steps(const struct engine *engine)
{
    struct smollm_histogram steps;
    uint64_t count = 0;
    engine_get_histogram(engine, SMOLLM_MEASURE_STEP_SECONDS, &steps);
    for (size_t i = 0; i <= steps.bound_count; i++)
        count += steps.counts[i];
    return count;
}

/* A reader that is full in the middle of its prompt, or at its end, before the first token of the answer, costs
 * nothing.
 */
static void full_readers_are_waited_for(void **state)
{
    static struct reader reader;
    static struct expected expected;
    int32_t prompt[PROMPT_MAX];
    const uint32_t count = 150;
    write_prompt(prompt, count, 4);
    run_pass(prompt, count, &expected);
    for (uint32_t full = count - 3; full < count + 2; full++) {
        struct engine *engine = start(&(struct engine_options){.parallel = 1});
        memset(&reader, 0, sizeof reader);
        reader.allowed = full;
        submit(engine, SCORED_PROMPT_AND_ANSWER, prompt, count, &reader);
        for (uint32_t told = 0; told < full; usleep(1000)) {
            pthread_mutex_lock(&mutex);
            told = reader.prompt_count + reader.ids_count;
            pthread_mutex_unlock(&mutex);
        }
        usleep(20000); /* for the end of the step */
        const uint64_t steps = count_steps(engine);
        usleep(20000);
        assert_int_equal(count_steps(engine), steps);
        pthread_mutex_lock(&mutex);
        assert_int_equal(reader.prompt_count + reader.ids_count, full);
        pthread_mutex_unlock(&mutex);
        wait_for_end(engine, &reader);
        check(SCORED_PROMPT_AND_ANSWER, &reader, prompt, count, &expected);
        engine_destroy(engine);
    }
}

static void wrong_tokens_are_refused(void **state)
{
    struct engine *engine = start(&(struct engine_options){.parallel = 1});
    static const int32_t prompt[] = {1, 2, 3};
    static const int32_t wrong[] = {5, -1, 5, TINY_VOCABULARY};
    struct reader reader = {0};
    struct smollm_error error;
    uint64_t id;
    struct engine_request request = request_of(SCORED_TOKENS, prompt, 3, &reader);
    for (int i = 0; i < 4; i += 2) {
        request.score_tokens = wrong + i;
        request.score_count = 2;
        assert_int_equal(engine_submit(engine, &request, &id, &reader.sequence, &error), SMOLLM_EINVAL);
        assert_non_null(strstr(error.message, "score"));
    }
    request.score_count = 0;
    assert_int_equal(engine_submit(engine, &request, &id, &reader.sequence, &error), SMOLLM_EINVAL);
    request.score_count = ENGINE_SCORES_MAX + 1;
    assert_int_equal(engine_submit(engine, &request, &id, &reader.sequence, &error), SMOLLM_EINVAL);
    request = request_of(SCORED_PROMPT, prompt, 3, &reader);
    request.prompt_alternatives = ENGINE_ALTERNATIVES_MAX + 1;
    assert_int_equal(engine_submit(engine, &request, &id, &reader.sequence, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "alternatives"));
    engine_destroy(engine);
}

static void a_vector_has_length_one_or_is_zero(void **state)
{
    double sums[3] = {3, 0, -4};
    float vector[3];
    assert_int_equal(embedding_finish(sums, 3, 5, true, vector, NULL), 0);
    assert_true(vector[0] == 0.6f && vector[1] == 0 && vector[2] == -0.8f);
    double again[3] = {3, 0, -4}, zero[3] = {0}, nan[3] = {1, NAN, 2}, infinite[3] = {1, INFINITY, 2};
    assert_int_equal(embedding_finish(again, 3, 5, false, vector, NULL), 0);
    assert_true(vector[0] == 0.6f && vector[2] == -0.8f);
    assert_int_equal(embedding_finish(zero, 3, 5, true, vector, NULL), 0);
    assert_true(vector[0] == 0 && vector[1] == 0 && vector[2] == 0);
    assert_int_equal(embedding_finish(nan, 3, 1, true, vector, NULL), SMOLLM_ENUMERIC);
    assert_int_equal(embedding_finish(infinite, 3, 1, false, vector, NULL), SMOLLM_ENUMERIC);
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
        cmocka_unit_test(nothing_changes_the_outputs),
        cmocka_unit_test(the_cache_is_used_where_it_can_be),
        cmocka_unit_test(slow_readers_of_prompts_hold_up_nobody),
        cmocka_unit_test(full_readers_are_waited_for),
        cmocka_unit_test(wrong_tokens_are_refused),
        cmocka_unit_test(a_vector_has_length_one_or_is_zero),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
