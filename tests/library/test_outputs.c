/* Embeddings, scores and log-probabilities of prompts through smollm.h: events, usage, what contradicts, what ends
 * early. tests/engine/test_outputs.c compares their bits with those of a plain pass. */
#define TINY_CONTEXT 2048 /* room for a prompt with tools */
#include "../library/tiny_model.h"
#include "cmocka_all.h"

enum { TOKENS_MAX = 1600, VALUES_MAX = 4096 };

static struct smollm_model *model;

struct result {
    struct smollm_token_logprob prompt[TOKENS_MAX];
    size_t prompt_count, alternatives, token_count;
    float logprobs[TOKENS_MAX]; /* of the answer */
    float values[VALUES_MAX];
    size_t value_count;
    enum smollm_event_type values_type;
    int value_events;
    double values_sum[TINY_HIDDEN]; /* over all events */
    struct smollm_event last;
};

static void take(struct result *result, const struct smollm_event *event)
{
    assert_true(event->type == SMOLLM_EVENT_PROMPT_TOKENS || event->type == SMOLLM_EVENT_TEXT ||
                event->token_count == 0);
    for (size_t i = 0; i < event->token_count; i++)
        if (event->type == SMOLLM_EVENT_PROMPT_TOKENS) {
            assert_int_equal(result->token_count, 0); /* before the answer */
            result->alternatives += event->tokens[i].top_count;
            result->prompt[result->prompt_count++] = event->tokens[i].chosen;
        } else {
            result->logprobs[result->token_count++] = event->tokens[i].chosen.logprob;
        }
    if (event->values) {
        memcpy(result->values, event->values, event->value_count * sizeof *event->values);
        result->value_count = event->value_count;
        result->values_type = event->type;
        result->value_events++;
        for (size_t i = 0; i < event->value_count && i < TINY_HIDDEN; i++)
            result->values_sum[i] += (double)event->values[i];
    }
    result->last = *event;
}

static struct smollm_engine *start(uint32_t parallel)
{
    struct smollm_engine *engine;
    struct smollm_error error;
    struct smollm_engine_options options = SMOLLM_ENGINE_OPTIONS_INIT;
    options.context = TINY_CONTEXT;
    options.parallel = parallel;
    options.threads = 2;
    if (smollm_engine_start(model, &options, &engine, &error) < 0)
        fail_msg("%s", error.message);
    return engine;
}

static struct smollm_request *submit(struct smollm_engine *engine, const struct smollm_request_options *options)
{
    struct smollm_request *request;
    struct smollm_error error;
    if (smollm_submit(engine, options, &request, &error) < 0)
        fail_msg("%s", error.message);
    return request;
}

static void read_all(struct smollm_request *request, struct result *result)
{
    struct smollm_event event;
    memset(result, 0, sizeof *result);
    while (smollm_next_event(request, 20000, &event) == 0)
        take(result, &event);
    smollm_request_close(request);
}

static const int32_t labels[] = {65, 66, 67, 65, TINY_VOCABULARY - 1};
enum { LABELS = sizeof labels / sizeof *labels };

static struct smollm_request_options options_of(const char *prompt)
{
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    if (prompt)
        options.prompt = text_of(prompt);
    return options;
}

static struct smollm_request_options embedding_of(const char *prompt, enum smollm_pooling pooling)
{
    struct smollm_request_options options = options_of(prompt);
    options.output = SMOLLM_OUTPUT_EMBEDDING;
    options.pooling = pooling;
    return options;
}

static struct smollm_request_options scores_of(const char *prompt)
{
    struct smollm_request_options options = options_of(prompt);
    options.score_tokens = labels;
    options.score_token_count = LABELS;
    return options;
}

static void check_numbers(const struct result *result, enum smollm_event_type type, size_t count, size_t prompt)
{
    assert_int_equal(result->last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(result->last.finish.reason, SMOLLM_FINISH_STOP);
    assert_int_equal(result->last.finish.usage.prompt_tokens, prompt);
    assert_int_equal(result->last.finish.usage.completion_tokens, 0);
    assert_true(result->last.finish.usage.prompt_ms > 0);
    assert_int_equal(result->values_type, type);
    assert_int_equal(result->value_events, 1);
    assert_int_equal(result->value_count, count);
}

static const char text[] = "A text of more than one page, of which a vector is made: there it is, in the end.";

static void embeddings_have_length_one(void **state)
{
    static struct result last, mean, raw, other;
    struct smollm_engine *engine = start(2);
    struct smollm_model_info info;
    smollm_model_get_info(model, &info);
    for (int way = 0; way < 3; way++) {
        struct result *result = way == 0 ? &last : way == 1 ? &mean : &raw;
        struct smollm_request_options options =
            embedding_of(text, way == 0 ? SMOLLM_POOLING_LAST : SMOLLM_POOLING_MEAN);
        options.no_normalization = way == 2;
        read_all(submit(engine, &options), result);
        check_numbers(result, SMOLLM_EVENT_EMBEDDING, info.embedding_length, sizeof text - 1);
        double squares = 0;
        for (size_t i = 0; i < result->value_count; i++)
            squares += (double)result->values[i] * result->values[i];
        assert_true(way == 2 ? fabs(squares - 1) > 0.1 : fabs(squares - 1) < 1e-5);
        assert_int_equal(result->last.finish.usage.cached_tokens, 0); /* the last way too: all is computed */
    }
    assert_true(memcmp(last.values, mean.values, last.value_count * sizeof(float)) != 0);
    const double ratio = (double)raw.values[0] / (double)mean.values[0];
    for (size_t i = 0; i < raw.value_count; i++)
        assert_true(fabs(raw.values[i] - ratio * mean.values[i]) <= 1e-5 * fabs(ratio));
    /* By tokens, the same; by other text, not. */
    int32_t *ids;
    size_t count;
    assert_int_equal(smollm_tokenize(model, text_of(text), NULL, &ids, &count, NULL), 0);
    struct smollm_request_options by_tokens = embedding_of(NULL, SMOLLM_POOLING_LAST);
    by_tokens.tokens = ids;
    by_tokens.token_count = count;
    read_all(submit(engine, &by_tokens), &other);
    assert_int_equal(other.last.finish.usage.cached_tokens, count - 1);
    assert_memory_equal(other.values, last.values, last.value_count * sizeof(float));
    smollm_free(ids);
    const struct smollm_request_options another = embedding_of("Another text", SMOLLM_POOLING_LAST);
    read_all(submit(engine, &another), &other);
    assert_true(memcmp(last.values, other.values, last.value_count * sizeof(float)) != 0);
    smollm_engine_close(engine);
}

/* One for each token, in order, whose mean is the mean. */
static void each_token_has_its_vector(void **state)
{
    static struct result each, mean, last;
    static char prompt[1500];
    struct smollm_engine *engine = start(2);
    memset(prompt, 'a', sizeof prompt - 1);
    memcpy(prompt, text, sizeof text - 1);
    for (int way = 0; way < 3; way++) {
        struct result *result = way == 0 ? &each : way == 1 ? &mean : &last;
        struct smollm_request_options options = embedding_of(prompt, way == 0   ? SMOLLM_POOLING_NONE
                                                                     : way == 1 ? SMOLLM_POOLING_MEAN
                                                                                : SMOLLM_POOLING_LAST);
        options.no_normalization = true;
        struct smollm_request *request = submit(engine, &options);
        usleep(way == 0 ? 300000 : 0);
        read_all(request, result);
        assert_int_equal(result->last.type, SMOLLM_EVENT_FINISH);
        assert_int_equal(result->last.finish.usage.prompt_tokens, sizeof prompt - 1);
    }
    assert_int_equal(each.value_events, sizeof prompt - 1);
    assert_int_equal(each.value_count, TINY_HIDDEN);
    assert_int_equal(each.values_type, SMOLLM_EVENT_EMBEDDING);
    assert_int_equal(each.last.finish.usage.cached_tokens, 0);
    assert_memory_equal(each.values, last.values, sizeof(float) * TINY_HIDDEN);
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        assert_true(fabs(each.values_sum[i] / (sizeof prompt - 1) - (double)mean.values[i]) < 1e-5);
    /* Each is scaled alone. */
    const struct smollm_request_options scaled = embedding_of("x", SMOLLM_POOLING_NONE);
    double squares = 0;
    read_all(submit(engine, &scaled), &each);
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        squares += (double)each.values[i] * each.values[i];
    assert_true(each.value_events == 1 && fabs(squares - 1) < 1e-5);
    smollm_engine_close(engine);
}

/* The first token of an answer has the log-probability that its score has. */
static void scores_are_log_probabilities_of_the_next_token(void **state)
{
    static struct result scores, answer, all;
    struct smollm_engine *engine = start(2);
    int32_t every[TINY_VOCABULARY];
    double sum = 0;
    for (int i = 0; i < TINY_VOCABULARY; i++)
        every[i] = TINY_VOCABULARY - 1 - i;
    struct smollm_request_options options = scores_of(text);
    options.score_tokens = every;
    options.score_token_count = TINY_VOCABULARY;
    read_all(submit(engine, &options), &all);
    check_numbers(&all, SMOLLM_EVENT_SCORES, TINY_VOCABULARY, sizeof text - 1);
    for (int i = 0; i < TINY_VOCABULARY; i++)
        sum += exp(all.values[i]);
    assert_true(fabs(sum - 1) < 1e-4);
    options = scores_of(text);
    read_all(submit(engine, &options), &scores);
    check_numbers(&scores, SMOLLM_EVENT_SCORES, LABELS, sizeof text - 1);
    assert_int_equal(scores.last.finish.usage.cached_tokens, sizeof text - 2);
    for (int i = 0; i < LABELS; i++)
        assert_memory_equal(&scores.values[i], &all.values[TINY_VOCABULARY - 1 - labels[i]], sizeof(float));
    /* Temperature and bias do not touch scores; the bias chooses what is drawn. */
    const struct smollm_logit_bias bias = {labels[1], 1000};
    struct smollm_sampling sampling = SMOLLM_SAMPLING_INIT;
    sampling.temperature = 3;
    sampling.logit_bias = &bias;
    sampling.logit_bias_count = 1;
    options.sampling = &sampling;
    read_all(submit(engine, &options), &all);
    assert_memory_equal(all.values, scores.values, LABELS * sizeof(float));
    options = options_of(text);
    options.sampling = &sampling;
    options.max_tokens = 1;
    options.want_logprobs = true;
    read_all(submit(engine, &options), &answer);
    assert_int_equal(answer.token_count, 1);
    assert_memory_equal(&answer.logprobs[0], &scores.values[1], sizeof(float));
    smollm_engine_close(engine);
}

/* Many questions about one text: all but the first find it cached, and company changes no bit. */
static void questions_share_their_beginning(void **state)
{
    enum { QUESTIONS = 12 };
    static struct result alone[QUESTIONS], together;
    struct smollm_request *requests[QUESTIONS];
    char questions[QUESTIONS][200];
    for (int i = 0; i < QUESTIONS; i++) {
        snprintf(questions[i], sizeof questions[i], "%s Question %c: is it so?", text, 'a' + i);
        const struct smollm_request_options options = scores_of(questions[i]);
        struct smollm_engine *engine = start(1);
        read_all(submit(engine, &options), &alone[i]);
        smollm_engine_close(engine);
    }
    struct smollm_engine *engine = start(4);
    uint32_t cached = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        const struct smollm_request_options options = scores_of(questions[i]);
        requests[i] = submit(engine, &options);
    }
    for (int i = 0; i < QUESTIONS; i++) {
        read_all(requests[i], &together);
        cached += together.last.finish.usage.cached_tokens;
        assert_memory_equal(together.values, alone[i].values, LABELS * sizeof(float));
    }
    assert_true(cached >= (QUESTIONS - 1) * 64); /* whole pages at least */
    smollm_engine_close(engine);
}

/* A prompt that is generated has the log-probabilities that it has when it is read. */
static void prompts_have_log_probabilities(void **state)
{
    static struct result answer, read, read_on;
    struct smollm_engine *engine = start(2);
    int32_t tokens[300];
    const size_t first = 50, drawn = 200;
    for (size_t i = 0; i < first; i++)
        tokens[i] = (int32_t)(40 + i * 7 % 60);
    struct smollm_sampling sampling = SMOLLM_SAMPLING_INIT;
    sampling.temperature = 1;
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.tokens = tokens;
    options.token_count = first;
    options.sampling = &sampling;
    options.ignore_eos = true;
    options.max_tokens = (int32_t)drawn;
    options.want_logprobs = true;
    struct smollm_request *request = submit(engine, &options);
    struct smollm_event event;
    memset(&answer, 0, sizeof answer);
    for (size_t n = first; smollm_next_event(request, 20000, &event) == 0;) {
        for (size_t i = 0; i < event.token_count; i++)
            tokens[n++] = event.tokens[i].chosen.token;
        take(&answer, &event);
    }
    smollm_request_close(request);
    options.token_count = first + drawn;
    options.max_tokens = 0;
    options.want_logprobs = false;
    options.want_prompt_logprobs = true;
    options.prompt_logprobs = 3;
    read_all(submit(engine, &options), &read);
    assert_int_equal(read.prompt_count, first + drawn - 1);
    assert_int_equal(read.alternatives, 3 * read.prompt_count);
    assert_int_equal(read.token_count, 0);
    assert_int_equal(read.last.finish.reason, SMOLLM_FINISH_LENGTH);
    assert_int_equal(read.last.finish.usage.cached_tokens, 0);
    for (size_t i = 0; i < read.prompt_count; i++)
        assert_int_equal(read.prompt[i].token, tokens[i + 1]);
    for (size_t i = 0; i < drawn; i++)
        assert_memory_equal(&read.prompt[first - 1 + i].logprob, &answer.logprobs[i], sizeof(float));
    /* And an answer after it. */
    options.max_tokens = 20;
    options.want_logprobs = true;
    options.prompt_logprobs = 0;
    read_all(submit(engine, &options), &read_on);
    assert_int_equal(read_on.prompt_count, first + drawn - 1);
    assert_int_equal(read_on.alternatives, 0);
    assert_int_equal(read_on.token_count, 20);
    for (size_t i = 0; i < read.prompt_count; i++)
        assert_memory_equal(&read_on.prompt[i].logprob, &read.prompt[i].logprob, sizeof(float));
    /* A prompt of one token has none. */
    options.token_count = 1;
    read_all(submit(engine, &options), &read_on);
    assert_int_equal(read_on.prompt_count, 0);
    assert_int_equal(read_on.token_count, 20);
    smollm_engine_close(engine);
}

/* The ring is too small for all: the prompt waits for its reader, and others go on. */
static void slow_readers_of_prompts_lose_nothing(void **state)
{
    static struct result slow, fast;
    char prompt[500];
    for (size_t i = 0; i < sizeof prompt; i++)
        prompt[i] = i + 1 == sizeof prompt ? '\0' : (char)('a' + i * i % 26);
    struct smollm_engine *engine = start(1);
    struct smollm_request_options options = options_of(prompt);
    options.want_prompt_logprobs = true;
    options.prompt_logprobs = 20;
    options.max_tokens = 3;
    options.ignore_eos = true;
    struct smollm_request *request = submit(engine, &options);
    struct smollm_engine_stats stats = {0};
    struct smollm_slot slot;
    usleep(100000);
    assert_int_equal(smollm_engine_get_slots(engine, &slot, 1), 1);
    assert_in_range(slot.processed_tokens, 1, sizeof prompt - 2);
    const struct smollm_request_options other = options_of("fast");
    read_all(submit(engine, &other), &fast);
    assert_int_equal(fast.last.type, SMOLLM_EVENT_FINISH);
    smollm_engine_get_stats(engine, &stats);
    assert_true(stats.pauses > 0);
    read_all(request, &slow);
    assert_int_equal(slow.last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(slow.prompt_count, sizeof prompt - 2);
    assert_int_equal(slow.alternatives, 20 * (sizeof prompt - 2));
    assert_int_equal(slow.last.finish.usage.completion_tokens, 3);
    for (size_t i = 0; i < slow.prompt_count; i++)
        assert_int_equal(slow.prompt[i].token, prompt[i + 1]);
    smollm_engine_close(engine);
}

/* A prompt that nobody reads ends at its deadline; what was told before stays. */
static void deadlines_end_prompts(void **state)
{
    static struct result result;
    char prompt[1500];
    memset(prompt, 'x', sizeof prompt);
    prompt[sizeof prompt - 1] = '\0';
    struct smollm_engine *engine = start(1);
    struct smollm_request_options options = options_of(prompt);
    options.want_prompt_logprobs = true;
    options.prompt_logprobs = 20;
    options.deadline_ms = 150;
    struct smollm_request *request = submit(engine, &options);
    usleep(300000);
    read_all(request, &result);
    assert_int_equal(result.last.type, SMOLLM_EVENT_ERROR);
    assert_int_equal(result.last.error.code, SMOLLM_ETIMEDOUT);
    assert_in_range(result.prompt_count, 0, sizeof prompt - 3); /* none where the machine itself was slow */
    assert_int_equal(result.token_count, 0);
    smollm_engine_close(engine);
}

/* A conversation is embedded and judged as its prompt is. */
static void conversations_are_prompts_too(void **state)
{
    static struct result result, again;
    struct smollm_engine *engine = start(1);
    const struct smollm_message message = {.role = text_of("user"), .content = text_of("Is it?")};
    struct smollm_conversation conversation = SMOLLM_CONVERSATION_INIT;
    conversation.messages = &message;
    conversation.message_count = 1;
    conversation.date = "1 January 2026";
    conversation.thinking = SMOLLM_THINKING_OFF;
    struct smollm_text rendered;
    assert_int_equal(smollm_apply_template(model, &conversation, &rendered, NULL), 0);
    for (int way = 0; way < 2; way++) {
        struct smollm_request_options options = way ? scores_of(NULL) : embedding_of(NULL, SMOLLM_POOLING_MEAN);
        struct smollm_tokenize_options special = SMOLLM_TOKENIZE_OPTIONS_INIT;
        special.parse_special = true;
        options.conversation = &conversation;
        read_all(submit(engine, &options), &result);
        options.conversation = NULL;
        options.prompt = rendered;
        options.prompt_options = &special;
        read_all(submit(engine, &options), &again);
        assert_int_equal(result.last.type, SMOLLM_EVENT_FINISH);
        assert_int_equal(result.value_count, way ? LABELS : TINY_HIDDEN);
        assert_memory_equal(result.values, again.values, result.value_count * sizeof(float));
    }
    smollm_free((void *)(size_t)rendered.data);
    smollm_engine_close(engine);
}

static void early_ends_have_no_values(void **state)
{
    static struct result result;
    struct smollm_engine *engine = start(1);
    struct smollm_request_options options = options_of("busy");
    options.ignore_eos = true;
    options.want_logprobs = true;
    options.logprobs = 20;
    struct smollm_request *busy = submit(engine, &options);
    options = embedding_of(text, SMOLLM_POOLING_MEAN);
    options.priority = 1;
    struct smollm_request *canceled = submit(engine, &options);
    smollm_cancel(canceled);
    read_all(canceled, &result);
    assert_true(result.value_events == 0 ? result.last.finish.reason == SMOLLM_FINISH_CANCELED
                                         : result.last.finish.reason == SMOLLM_FINISH_STOP);
    struct smollm_request *closed = submit(engine, &options);
    smollm_request_close(closed);
    smollm_request_close(busy);
    options = scores_of(text);
    struct smollm_request *late = submit(engine, &options);
    smollm_engine_close(engine);
    read_all(late, &result);
    assert_true(result.last.type == SMOLLM_EVENT_ERROR ? result.value_events == 0 : result.value_events == 1);
}

static void contradictions_are_refused(void **state)
{
    static const struct smollm_form form = SMOLLM_FORM_INIT;
    static const struct smollm_text words[] = {{"x", 1}};
    static const int32_t tokens[] = {1};
    const struct smollm_text tool = text_of("{\"name\":\"f\"}");
    const struct smollm_message message = {.role = text_of("user"), .content = text_of("x")};
    struct smollm_conversation conversation = SMOLLM_CONVERSATION_INIT;
    conversation.messages = &message;
    conversation.message_count = 1;
    conversation.tools = &tool;
    conversation.tool_count = 1;
    conversation.tool_choice = SMOLLM_TOOL_REQUIRED;
    struct smollm_engine *engine = start(1);
    for (int way = 0; way < 2; way++)
        for (int wrong = 0; wrong < 11; wrong++) {
            struct smollm_request_options options = way ? scores_of("x") : embedding_of("x", SMOLLM_POOLING_MEAN);
            const char *name = "";
            switch (wrong) {
            case 0:
                options.form = &form, name = "form";
                break;
            case 1:
                options.stop = words, options.stop_count = 1, name = "stop";
                break;
            case 2:
                options.stop_tokens = tokens, options.stop_token_count = 1, name = "stop_tokens";
                break;
            case 3:
                options.allowed_tokens = tokens, options.allowed_token_count = 1, name = "allowed_tokens";
                break;
            case 4:
                options.bad_words = words, options.bad_word_count = 1, name = "bad_words";
                break;
            case 5:
                options.min_tokens = 1, name = "min_tokens";
                break;
            case 6:
                options.max_tokens = 1, name = "max_tokens";
                break;
            case 7:
                options.max_thinking_tokens = 1, name = "max_thinking_tokens";
                break;
            case 8:
                options.want_logprobs = true, name = "want_logprobs";
                break;
            case 9:
                options.want_prompt_logprobs = true, name = "want_prompt_logprobs";
                break;
            default:
                options.prompt = (struct smollm_text){0};
                options.conversation = &conversation;
                name = "tool_choice";
            }
            struct smollm_request *request;
            struct smollm_error error;
            assert_int_equal(smollm_submit(engine, &options, &request, &error), SMOLLM_EINVAL);
            assert_non_null(strstr(error.message, name));
            assert_non_null(strstr(error.message, way ? "scores" : "embedding"));
        }
    struct {
        enum smollm_output output;
        enum smollm_pooling pooling;
        bool no_normalization;
        const int32_t *tokens;
        size_t count;
        bool want;
        int alternatives;
        const char *name;
    } const others[] = {{(enum smollm_output)7, 0, false, NULL, 0, false, 0, "output"},
                        {SMOLLM_OUTPUT_EMBEDDING, (enum smollm_pooling)7, false, NULL, 0, false, 0, "pooling"},
                        {SMOLLM_OUTPUT_TEXT, SMOLLM_POOLING_MEAN, false, NULL, 0, false, 0, "pooling"},
                        {SMOLLM_OUTPUT_TEXT, SMOLLM_POOLING_LAST, true, NULL, 0, false, 0, "no_normalization"},
                        {SMOLLM_OUTPUT_TEXT, 0, false, tokens, 4097, false, 0, "4096"},
                        {SMOLLM_OUTPUT_TEXT, 0, false, NULL, 1, false, 0, "score_tokens"},
                        {SMOLLM_OUTPUT_EMBEDDING, 0, false, tokens, 1, false, 0, "both"},
                        {SMOLLM_OUTPUT_TEXT, 0, false, NULL, 0, true, 21, "prompt_logprobs"},
                        {SMOLLM_OUTPUT_TEXT, 0, false, NULL, 0, true, -1, "prompt_logprobs"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct smollm_request_options options = options_of("x");
        options.output = others[i].output;
        options.pooling = others[i].pooling;
        options.no_normalization = others[i].no_normalization;
        options.score_tokens = others[i].tokens;
        options.score_token_count = others[i].count;
        options.want_prompt_logprobs = others[i].want;
        options.prompt_logprobs = others[i].alternatives;
        struct smollm_request *request;
        struct smollm_error error;
        assert_int_equal(smollm_submit(engine, &options, &request, &error), SMOLLM_EINVAL);
        assert_non_null(strstr(error.message, others[i].name));
    }
    const int32_t outside = TINY_VOCABULARY;
    struct smollm_request_options options = scores_of("x");
    options.score_tokens = &outside;
    options.score_token_count = 1;
    struct smollm_request *request;
    struct smollm_error error;
    assert_int_equal(smollm_submit(engine, &options, &request, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "vocabulary"));
    /* max_tokens 0 says what is so; a conversation may have tools that the model need not call. */
    options = embedding_of(NULL, SMOLLM_POOLING_LAST);
    options.max_tokens = 0;
    conversation.tool_choice = SMOLLM_TOOL_AUTO;
    options.conversation = &conversation;
    static struct result result;
    read_all(submit(engine, &options), &result);
    assert_int_equal(result.last.type, SMOLLM_EVENT_FINISH);
    smollm_engine_close(engine);
}

/* A program of a version without these members. */
static void older_programs_ask_for_answers(void **state)
{
    static struct result result;
    struct smollm_engine *engine = start(1);
    struct smollm_request_options options = embedding_of("x", SMOLLM_POOLING_MEAN);
    options.size = offsetof(struct smollm_request_options, output);
    options.max_tokens = 3;
    options.ignore_eos = true;
    read_all(submit(engine, &options), &result);
    assert_int_equal(result.last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(result.last.finish.usage.completion_tokens, 3);
    assert_int_equal(result.value_events, 0);
    smollm_engine_close(engine);
}

static void numbers_that_are_not_finite_are_errors(void **state)
{
    static struct result result;
    char *path = tiny_model_write(true);
    struct smollm_model *good = model;
    assert_int_equal(smollm_model_open(path, NULL, &model, NULL), 0);
    struct smollm_engine *engine = start(1);
    for (int way = 0; way < 5; way++) {
        struct smollm_request_options options = way == 0   ? scores_of(text)
                                                : way == 1 ? embedding_of(text, SMOLLM_POOLING_LAST)
                                                : way == 2 ? embedding_of(text, SMOLLM_POOLING_MEAN)
                                                : way == 4 ? embedding_of(text, SMOLLM_POOLING_NONE)
                                                           : options_of(text);
        options.want_prompt_logprobs = way == 3;
        read_all(submit(engine, &options), &result);
        assert_int_equal(result.last.type, SMOLLM_EVENT_ERROR);
        assert_int_equal(result.last.error.code, SMOLLM_ENUMERIC);
        assert_int_equal(result.value_events, 0);
        assert_int_equal(result.prompt_count, 0);
    }
    smollm_engine_close(engine);
    smollm_model_close(model);
    model = good;
    unlink(path);
    free(path);
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
        cmocka_unit_test(embeddings_have_length_one),
        cmocka_unit_test(each_token_has_its_vector),
        cmocka_unit_test(scores_are_log_probabilities_of_the_next_token),
        cmocka_unit_test(questions_share_their_beginning),
        cmocka_unit_test(prompts_have_log_probabilities),
        cmocka_unit_test(slow_readers_of_prompts_lose_nothing),
        cmocka_unit_test(deadlines_end_prompts),
        cmocka_unit_test(conversations_are_prompts_too),
        cmocka_unit_test(early_ends_have_no_values),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(older_programs_ask_for_answers),
        cmocka_unit_test(numbers_that_are_not_finite_are_errors),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
