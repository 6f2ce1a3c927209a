/* Sampling against a naive version that sorts everything, and what each option promises. */
#include "sampling/sampler.h"

#include "cmocka_all.h"
#include "kernel/arithmetic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VOCABULARY = 500 };
static struct kernel_table kernels;
static struct sampler_scratch scratch;
static struct sampler sampler;
static float peaks[(1000 + PEAK_VALUES - 1) / PEAK_VALUES];
static uint64_t random_state = 99;

static float uniform(void)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (float)(random_state >> 40) * 0x1p-24f;
}

struct pair {
    double weight;
    int id;
};

static int compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return x->weight != y->weight ? (x->weight < y->weight ? 1 : -1) : (x->id > y->id) - (x->id < y->id);
}

/* The documented order without cleverness: sorts all tokens into pairs and returns how many could be drawn; *mass: the
 * sum of their weights. */
static int naive_filter(const float *logits, const struct smollm_sampling *o, struct pair *pairs, double *mass)
{
    float most = -INFINITY;
    for (int i = 0; i < VOCABULARY; i++)
        most = fmaxf(most, logits[i]);
    for (int i = 0; i < VOCABULARY; i++)
        pairs[i] = (struct pair){(double)float_exp((logits[i] - most) / o->temperature), i};
    qsort(pairs, VOCABULARY, sizeof(struct pair), compare);
    int count = o->top_k > 0 && o->top_k < VOCABULARY ? o->top_k : VOCABULARY;
    double all = 0, sum = 0;
    for (int i = 0; i < count; i++)
        all += pairs[i].weight;
    int kept = count;
    if (o->top_p < 1)
        for (kept = 0; kept < count && (kept == 0 || sum < (double)o->top_p * all); kept++)
            sum += pairs[kept].weight;
    while (kept > 1 && pairs[kept - 1].weight < (double)o->min_p)
        kept--;
    *mass = 0;
    for (int i = 0; i < kept; i++)
        *mass += pairs[i].weight;
    return kept;
}

static int naive(const float *logits, const struct smollm_sampling *o, double u)
{
    static struct pair pairs[VOCABULARY];
    double mass, reached = 0;
    const int kept = naive_filter(logits, o, pairs, &mass);
    for (int i = 0; i < kept; i++)
        if ((reached += pairs[i].weight) > u * mass)
            return pairs[i].id;
    return pairs[kept - 1].id;
}

static int next(const float *values, const int32_t *history, uint32_t count, int32_t *token)
{
    const struct logits logits = logits_look_at(&kernels, values, VOCABULARY, peaks);
    return sampler_next(&sampler, &scratch, &logits, NULL, history, count, token);
}

static int draw(const float *logits, const struct smollm_sampling *options)
{
    int32_t token = -1;
    sampler_begin(&sampler, options);
    assert_int_equal(next(logits, NULL, 0, &token), 0);
    return token;
}

static void equals_the_naive_version(void **state)
{
    float logits[VOCABULARY];
    int differing = 0;
    for (int round = 0; round < 20000; round++) {
        float spread = round % 3 == 0 ? 1.0f : round % 3 == 1 ? 8.0f : 0.01f;
        for (int i = 0; i < VOCABULARY; i++)
            logits[i] = (uniform() * 2 - 1) * spread + (i % 50 == 0 ? spread : 0);
        for (int i = 0; i < VOCABULARY && round % 11 == 0; i++) /* many equal ones */
            logits[i] = roundf(logits[i]);
        struct smollm_sampling o = smollm_sampling_default();
        o.temperature = 0.2f + uniform() * 1.5f;
        o.top_k = round % 4 == 0 ? 1 + (int)(uniform() * 100) : 0;
        o.top_p = round % 5 == 0 ? 1.0f : 0.05f + uniform() * 0.95f;
        /* Also below the levels of weight by which candidates are gathered. */
        o.min_p = round % 7 == 0 ? uniform() * 0.5f : round % 7 == 1 ? exp2f(-32.0f * uniform()) : 0.0f;
        o.seed = (uint64_t)round;
        int have = draw(logits, &o), want = naive(logits, &o, random_uniform(o.seed, 0));
        differing += have != want;
    }
    assert_int_equal(differing, 0);
}

/* Of any number of tokens, and whatever was sorted for the draw. */
static void probabilities_are_those_of_the_draw(void **state)
{
    static struct pair pairs[VOCABULARY];
    float logits[VOCABULARY];
    int32_t ids[VOCABULARY];
    double probabilities[VOCABULARY], drawn, mass;
    for (int round = 0; round < 3000; round++) {
        const float spread = round % 3 == 0 ? 1.0f : round % 3 == 1 ? 30.0f : 0.01f;
        for (int i = 0; i < VOCABULARY; i++)
            logits[i] = (uniform() * 2 - 1) * spread;
        struct smollm_sampling o = smollm_sampling_default();
        o.temperature = round % 10 == 9 ? 0.0f : 0.2f + uniform() * 1.5f;
        o.top_k = round % 4 == 0 ? 1 + (int)(uniform() * 100) : 0;
        o.top_p = round % 5 < 2 ? 1.0f : 0.05f + uniform() * 0.95f;
        o.min_p = round % 7 == 0 ? uniform() * 0.5f : 0.0f;
        o.seed = (uint64_t)round;
        const int32_t token = draw(logits, &o);
        const uint32_t wanted = round % 6 == 0 ? 0 : round % 6 == 1 ? VOCABULARY : (uint32_t)(uniform() * 30);
        if (o.temperature == 0.0f) {
            o.temperature = 1.0f;
            o.top_k = 1;
        }
        int kept = naive_filter(logits, &o, pairs, &mass);
        while (pairs[kept - 1].weight == 0)
            kept--; /* cannot be drawn */
        const uint32_t count = sampler_probabilities(&scratch, wanted, ids, probabilities, &drawn);
        assert_int_equal(count, (uint32_t)kept < wanted ? (uint32_t)kept : wanted);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(ids[i], pairs[i].id);
            assert_true(fabs(probabilities[i] * mass - pairs[i].weight) <= 1e-9 * pairs[i].weight);
        }
        int at = 0;
        while (pairs[at].id != token)
            at++;
        assert_true(at < kept && fabs(drawn * mass - pairs[at].weight) <= 1e-9 * pairs[at].weight);
    }
}

/* Masks of a few tokens, of nearly all, and anything between: as if the others had no logit. */
static void masks_equal_the_naive_version(void **state)
{
    float logits[VOCABULARY], masked[VOCABULARY];
    uint32_t allowed[(VOCABULARY + 31) / 32];
    for (int round = 0; round < 5000; round++) {
        const int density = round % 4; /* of 0: some 1 in 64; of 3: all but a few */
        for (int i = 0; i < VOCABULARY; i++)
            logits[i] = masked[i] = (uniform() * 2 - 1) * 6.0f;
        for (int word = 0; word < (VOCABULARY + 31) / 32; word++) {
            const uint32_t one = (uint32_t)(uniform() * 0x1p32f), two = (uint32_t)(uniform() * 0x1p32f),
                           three = (uint32_t)(uniform() * 0x1p32f);
            const uint32_t bits[] = {one & two & three & one << 7 & two << 5, one, one | two, ~(one & two & three)};
            allowed[word] = round % 8 == 7 && word % 3 ? UINT32_MAX : bits[density];
        }
        int32_t some = (int32_t)(uniform() * (VOCABULARY - 1)), token = -1;
        allowed[some / 32] |= 1u << some % 32;
        for (int i = 0; i < VOCABULARY; i++)
            if (!(allowed[i / 32] >> i % 32 & 1))
                masked[i] = -INFINITY;
        struct smollm_sampling o = smollm_sampling_default();
        o.temperature = round % 5 == 0 ? 0.0f : 0.2f + uniform();
        o.top_k = round % 7 == 0 ? 1 + (int)(uniform() * 20) : 0;
        o.top_p = round % 3 == 0 ? 0.9f : 1.0f;
        o.min_p = 0.0f;
        o.seed = (uint64_t)round;
        sampler_begin(&sampler, &o);
        const struct logits look = logits_look_at(&kernels, logits, VOCABULARY, peaks);
        assert_int_equal(sampler_next(&sampler, &scratch, &look, allowed, NULL, 0, &token), 0);
        int32_t want = 0;
        for (int32_t i = 1; i < VOCABULARY; i++)
            want = masked[i] > masked[want] ? i : want;
        if (o.temperature > 0.0f)
            want = naive(masked, &o, random_uniform(o.seed, 0));
        assert_int_equal(token, want);
    }
    /* Of those that are allowed none has a logit. */
    memset(allowed, 0, sizeof allowed);
    allowed[0] = 2;
    logits[1] = -INFINITY;
    int32_t token;
    const struct logits look = logits_look_at(&kernels, logits, VOCABULARY, peaks);
    assert_int_equal(sampler_next(&sampler, &scratch, &look, allowed, NULL, 0, &token), SMOLLM_ENUMERIC);
}

static void zero_temperature_is_greedy(void **state)
{
    float logits[VOCABULARY] = {0};
    struct smollm_sampling o = smollm_sampling_default();
    o.temperature = 0;
    logits[7] = logits[3] = logits[400] = 5.0f;
    assert_int_equal(draw(logits, &o), 3);
    struct smollm_logit_bias bias[2] = {{3, -INFINITY}, {450, 100.0f}};
    o.logit_bias = bias;
    o.logit_bias_count = 1;
    assert_int_equal(draw(logits, &o), 7);
    o.logit_bias_count = 2;
    assert_int_equal(draw(logits, &o), 450);
}

/* The likeliest, the earlier ones first, and nothing that is likelier is left out. */
static void check_top(const struct logits *logits)
{
    enum { MOST = 5 };
    int32_t ids[MOST];
    const uint32_t want = (uint32_t)(uniform() * (MOST + 1)), have = want < logits->count ? want : logits->count;
    logits_top(logits, ids, want);
    for (uint32_t i = 0; i < want; i++)
        assert_true(i < have ? ids[i] >= 0 : ids[i] == -1);
    for (uint32_t i = 1; i < have; i++)
        assert_true(logits->values[ids[i - 1]] > logits->values[ids[i]] ||
                    (logits->values[ids[i - 1]] == logits->values[ids[i]] && ids[i - 1] < ids[i]));
    for (int32_t i = 0; have > 0 && i < (int32_t)logits->count; i++) {
        bool is_in = false;
        for (uint32_t k = 0; k < have; k++)
            is_in |= ids[k] == i;
        const float least = logits->values[ids[have - 1]];
        assert_true(is_in || logits->values[i] < least || (logits->values[i] == least && i > ids[have - 1]));
    }
}

/* Ties, zeros of both signs, infinities and NaN at any place, in any number of logits. */
static void the_greatest_is_the_first_of_its_kind(void **state)
{
    static const float values[] = {1.0f,    2.0f,    2.0f,     0.0f,      -0.0f,    -3.0f,     1e-45f,
                                   -1e-45f, 3.4e38f, INFINITY, -INFINITY, -3.4e38f, 0x1p-126f, 7.0f};
    const uint32_t kinds = sizeof values / sizeof *values;
    static float logits[1000];
    for (int round = 0; round < 20000; round++) {
        const uint32_t count = (uint32_t)(uniform() * 1000), least = (uint32_t)(uniform() * (float)kinds),
                       most = (uint32_t)(uniform() * (float)kinds);
        int32_t want = -1;
        for (uint32_t i = 0; i < count; i++) {
            logits[i] = values[least < most ? least + (uint32_t)(uniform() * (float)(most - least)) : least];
            if (logits[i] > (want < 0 ? -INFINITY : logits[want]))
                want = (int32_t)i;
        }
        struct logits seen = logits_look_at(&kernels, logits, count, peaks);
        assert_int_equal(logits_greatest(&seen), want);
        check_top(&seen);
        if (count > 0) {
            logits[(uint32_t)(uniform() * (float)count)] = uniform() < 0.5f ? NAN : -NAN;
            seen = logits_look_at(&kernels, logits, count, peaks);
            assert_int_equal(logits_greatest(&seen), -1);
        }
    }
}

static void penalties_push_tokens_down(void **state)
{
    float logits[VOCABULARY] = {0};
    logits[5] = 2.0f;
    logits[6] = 1.9f;
    struct smollm_sampling o = smollm_sampling_default();
    o.temperature = 0;
    o.repetition_penalty = 1.2f;
    int32_t history[3] = {5, 5, 1}, token;
    sampler_begin(&sampler, &o);
    assert_int_equal(next(logits, history, 3, &token), 0);
    assert_int_equal(token, 6);
    o.repetition_window = 1; /* 5 is too long ago */
    sampler_begin(&sampler, &o);
    assert_int_equal(next(logits, history, 3, &token), 0);
    assert_int_equal(token, 5);
    o.repetition_penalty = 1.0f;
    o.presence_penalty = 0.5f;
    sampler_begin(&sampler, &o);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(next(logits, history, 0, &token), 0);
        assert_int_equal(token, i == 1 ? 6 : 5);
    }
}

static void draws_follow_the_probabilities(void **state)
{
    float logits[VOCABULARY];
    for (int i = 0; i < VOCABULARY; i++)
        logits[i] = -INFINITY;
    logits[10] = logf(0.5f);
    logits[20] = logf(0.3f);
    logits[30] = logf(0.2f);
    struct smollm_sampling o = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
    int counts[VOCABULARY] = {0};
    sampler_begin(&sampler, &o);
    for (int i = 0; i < 30000; i++) {
        int32_t token;
        assert_int_equal(next(logits, NULL, 0, &token), 0);
        counts[token]++;
    }
    assert_in_range(counts[10], 14500, 15500);
    assert_in_range(counts[20], 8600, 9400);
    assert_in_range(counts[30], 5600, 6400);
}

/* Two likely tokens, wherever they are, are drawn about as often, and a likelier one alone is the first. */
static void no_place_is_overlooked(void **state)
{
    static const int32_t places[] = {0, 1, 254, 255, 256, 257, VOCABULARY - 2, VOCABULARY - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        float logits[VOCABULARY] = {0};
        logits[100] = logits[places[i]] = 40.0f;
        struct smollm_sampling o = smollm_sampling_default();
        int drawn = 0;
        for (o.seed = 0; o.seed < 1000; o.seed++)
            drawn += draw(logits, &o) == places[i];
        assert_in_range(drawn, 400, 600);
        logits[places[i]] = 41.0f;
        o.top_k = 1;
        assert_int_equal(draw(logits, &o), places[i]);
    }
}

static void broken_logits_are_an_error(void **state)
{
    float logits[VOCABULARY] = {0};
    int32_t token;
    struct smollm_sampling o = smollm_sampling_default();
    sampler_begin(&sampler, &o);
    logits[100] = NAN;
    assert_int_equal(next(logits, NULL, 0, &token), SMOLLM_ENUMERIC);
    for (int i = 0; i < VOCABULARY; i++)
        logits[i] = -INFINITY;
    assert_int_equal(next(logits, NULL, 0, &token), SMOLLM_ENUMERIC);
    logits[4] = INFINITY;
    assert_int_equal(next(logits, NULL, 0, &token), SMOLLM_ENUMERIC);
}

static void logprobs_and_top(void **state)
{
    float logits[VOCABULARY];
    double sum = 0;
    for (int i = 0; i < VOCABULARY; i++) {
        logits[i] = uniform() * 20 - 10;
        sum += exp((double)logits[i]);
    }
    struct logits seen = logits_look_at(&kernels, logits, VOCABULARY, peaks);
    assert_true(fabs(logits_log_sum(&kernels, &seen) - log(sum)) < 1e-6);
    logits[9] = logits[11] = 50;
    int32_t ids[5];
    seen = logits_look_at(&kernels, logits, VOCABULARY, peaks);
    logits_top(&seen, ids, 5);
    assert_int_equal(ids[0], 9);
    assert_int_equal(ids[1], 11);
    for (int i = 1; i < 5; i++)
        assert_true(logits[ids[i - 1]] >= logits[ids[i]]);
}

static void wrong_options_are_named(void **state)
{
    struct smollm_error error;
    struct smollm_sampling o = smollm_sampling_default();
    assert_int_equal(sampling_check(&o, VOCABULARY, &error), 0);
    o.temperature = NAN;
    assert_int_equal(sampling_check(&o, VOCABULARY, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "temperature"));
    o = smollm_sampling_default();
    struct smollm_logit_bias bias = {VOCABULARY, 1};
    o.logit_bias = &bias;
    o.logit_bias_count = 1;
    assert_int_equal(sampling_check(&o, VOCABULARY, &error), SMOLLM_EINVAL);
}

int main(void)
{
    kernel_table_fill(&kernels, cpu_detect());
    if (sampler_scratch_create(&scratch, VOCABULARY, &kernels, NULL) < 0 ||
        sampler_create(&sampler, VOCABULARY, NULL) < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greatest_is_the_first_of_its_kind),
        cmocka_unit_test(equals_the_naive_version),
        cmocka_unit_test(probabilities_are_those_of_the_draw),
        cmocka_unit_test(masks_equal_the_naive_version),
        cmocka_unit_test(zero_temperature_is_greedy),
        cmocka_unit_test(penalties_push_tokens_down),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(no_place_is_overlooked),
        cmocka_unit_test(broken_logits_are_an_error),
        cmocka_unit_test(logprobs_and_top),
        cmocka_unit_test(wrong_options_are_named),
    };
    int failed = cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
    sampler_destroy(&sampler);
    sampler_scratch_destroy(&scratch);
    return failed;
}
