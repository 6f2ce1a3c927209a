/* Answers that go on where an earlier one was cut off: after each of their tokens, known by ids or by number. */
#define TINY_CONTEXT 2048 /* room for the system prompt */
#include "../library/tiny_model.h"
#include "cmocka_all.h"

enum { TOKENS_MAX = 256, TEXT_MAX = 8192 };

static struct smollm_model *model;
static struct smollm_engine *engine;

struct answer {
    char text[TEXT_MAX]; /* thinking, text and calls, each piece after the number of its event's type */
    size_t size;
    size_t told[TOKENS_MAX + 1]; /* bytes told when so many tokens were complete */
    uint32_t complete_tokens;
    int32_t ids[TOKENS_MAX];
    size_t id_count;
    struct smollm_event last;
    char stop[64];
};

static void add(struct answer *answer, const struct smollm_event *event)
{
    for (size_t i = 0; i < event->text.size; i++) {
        assert_true(answer->size + 2 <= TEXT_MAX);
        answer->text[answer->size++] = (char)('0' + (int)event->type);
        answer->text[answer->size++] = event->text.data[i];
    }
    assert_true(event->complete_tokens >= answer->complete_tokens);
    for (uint32_t i = answer->complete_tokens + 1; i <= event->complete_tokens; i++)
        answer->told[i] = answer->size;
    answer->complete_tokens = event->complete_tokens;
}

static void read_answer(struct smollm_request *request, struct answer *answer)
{
    struct smollm_event event;
    *answer = (struct answer){0};
    while (smollm_next_event(request, -1, &event) == 0) {
        if (event.type >= SMOLLM_EVENT_THINKING && event.type <= SMOLLM_EVENT_TOOL_ARGUMENTS)
            add(answer, &event);
        for (size_t i = 0; i < event.token_count; i++) {
            assert_int_equal(event.complete_tokens, answer->complete_tokens);
            answer->ids[answer->id_count++] = event.tokens[i].chosen.token;
        }
        answer->last = event;
        if (event.type == SMOLLM_EVENT_FINISH)
            snprintf(answer->stop, sizeof answer->stop, "%.*s", (int)event.finish.stop.size, event.finish.stop.data);
    }
    smollm_request_close(request);
}

static void get(const struct smollm_request_options *options, struct answer *answer)
{
    struct smollm_request *request;
    struct smollm_error error;
    if (smollm_submit(engine, options, &request, &error) < 0)
        fail_msg("%s", error.message);
    read_answer(request, answer);
}

static void assert_goes_on(const struct answer *whole, const struct answer *rest, uint32_t from)
{
    const size_t told = whole->told[from];
    assert_int_equal(rest->size, whole->size - told);
    assert_memory_equal(rest->text, whole->text + told, rest->size);
    assert_int_equal(rest->last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(rest->last.finish.reason, whole->last.finish.reason);
    assert_string_equal(rest->stop, whole->stop);
    assert_int_equal(rest->last.finish.usage.completion_tokens, whole->last.finish.usage.completion_tokens);
    assert_int_equal(rest->last.finish.usage.reasoning_tokens, whole->last.finish.usage.reasoning_tokens);
    assert_int_equal(rest->last.finish.usage.prompt_tokens, whole->last.finish.usage.prompt_tokens);
}

/* Without log-probabilities tokens without text have no events: a reader goes on from each number that events had. */
static void check_numbers(const struct smollm_request_options *given)
{
    static struct answer whole, rest;
    struct smollm_request_options options = *given;
    get(&options, &whole);
    for (uint32_t from = 1; from <= whole.complete_tokens; from++) {
        const bool is_number = from == whole.complete_tokens || whole.told[from] < whole.told[from + 1];
        options.silent_tokens = from;
        if (is_number) {
            get(&options, &rest);
            assert_goes_on(&whole, &rest, from);
        }
    }
}

/* The answer, and the same from each of its tokens on. */
static void check(const struct smollm_request_options *given)
{
    static struct answer whole, rest;
    struct smollm_request_options options = *given;
    options.want_logprobs = true;
    get(&options, &whole);
    assert_int_equal(whole.last.type, SMOLLM_EVENT_FINISH);
    assert_true(whole.complete_tokens > 10);
    assert_int_equal(whole.id_count, whole.complete_tokens);
    check_numbers(given);
    for (uint32_t from = 0; from <= whole.complete_tokens; from++) {
        options.want_logprobs = from % 2 == 0;
        options.silent_tokens = from;
        get(&options, &rest);
        assert_goes_on(&whole, &rest, from);
        options.silent_tokens = 0;
        options.answer_tokens = whole.ids;
        options.answer_token_count = from;
        /* Behind the token that completes a stop string there is nothing to go on with. */
        if (from == whole.complete_tokens && whole.stop[0])
            continue;
        get(&options, &rest);
        assert_goes_on(&whole, &rest, from);
        options.answer_tokens = NULL;
        options.answer_token_count = 0;
    }
}

static struct smollm_sampling sampling_of(uint64_t seed)
{
    struct smollm_sampling sampling = SMOLLM_SAMPLING_INIT;
    sampling.temperature = 1;
    sampling.top_p = 1;
    sampling.seed = seed;
    sampling.repetition_penalty = 1.3f;
    sampling.presence_penalty = 0.5f;
    sampling.frequency_penalty = 0.5f;
    return sampling;
}

static void test_raw_text(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        const struct smollm_sampling sampling = sampling_of(seed);
        struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
        options.prompt = text_of("Once upon a time");
        options.sampling = &sampling;
        options.max_tokens = 50;
        options.ignore_eos = true;
        check(&options);
    }
}

static void test_end_token(void **state)
{
    (void)state;
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    const struct smollm_sampling sampling = sampling_of(3);
    const struct smollm_text end = text_of("e");
    int32_t *ids;
    size_t count;
    assert_int_equal(smollm_tokenize(model, end, NULL, &ids, &count, NULL), 0);
    options.prompt = text_of("Once upon a time");
    options.sampling = &sampling;
    options.min_tokens = 20;
    options.max_tokens = 400;
    options.stop_tokens = ids;
    options.stop_token_count = count;
    check(&options);
    smollm_free(ids);
}

/* The bytes that are drawn are often parts of characters, and any two of them may begin a stop string. */
static void test_stop_strings(void **state)
{
    (void)state;
    static struct answer first;
    const struct smollm_sampling sampling = sampling_of(5);
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.prompt = text_of("Once upon a time");
    options.sampling = &sampling;
    options.max_tokens = 60;
    options.ignore_eos = true;
    get(&options, &first);
    /* What the answer says at its 40th piece, and strings that begin like it and never come. */
    char plain[TEXT_MAX], stop[8], near[8];
    size_t size = 0;
    for (size_t i = 1; i < first.size; i += 2)
        plain[size++] = first.text[i];
    plain[size] = '\0';
    size_t at = size / 2;
    do {
        at++;
        snprintf(stop, sizeof stop, "%.6s", plain + at);
    } while (((unsigned char)plain[at] & 0xc0) == 0x80 || strstr(plain, stop) != plain + at);
    snprintf(near, sizeof near, "%.5s~", plain + at - 5);
    const struct smollm_text stops[] = {text_of(stop), text_of(near)};
    options.stop = stops;
    options.stop_count = 2;
    check(&options);
}

static void test_form(void **state)
{
    (void)state;
    const struct smollm_sampling sampling = sampling_of(7);
    struct smollm_form form = SMOLLM_FORM_INIT;
    form.kind = SMOLLM_FORM_REGEX;
    form.text = text_of("([a-f]{3}-){8}[0-9]+");
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.prompt = text_of("Once upon a time");
    options.sampling = &sampling;
    options.form = &form;
    options.max_tokens = 45;
    check(&options);
}

static void test_conversation(void **state)
{
    (void)state;
    const struct smollm_message messages[] = {{.role = text_of("user"), .content = text_of("Hello")}};
    struct smollm_conversation conversation = SMOLLM_CONVERSATION_INIT;
    conversation.messages = messages;
    conversation.message_count = 1;
    conversation.thinking = SMOLLM_THINKING_ON;
    for (uint64_t seed = 0; seed < 3; seed++) {
        const struct smollm_sampling sampling = sampling_of(seed);
        struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
        options.conversation = &conversation;
        options.sampling = &sampling;
        options.max_tokens = 60;
        options.max_thinking_tokens = 20;
        options.ignore_eos = true;
        check(&options);
    }
}

static void assert_refused(const struct smollm_request_options *options, const char *message)
{
    struct smollm_request *request = (void *)1;
    struct smollm_error error = {0};
    assert_true(smollm_submit(engine, options, &request, &error) < 0);
    assert_null(request);
    if (!strstr(error.message, message))
        fail_msg("\"%s\" is not in \"%s\"", message, error.message);
}

static void test_refusals(void **state)
{
    (void)state;
    static int32_t many[2 * TINY_CONTEXT];
    const int32_t text[] = {'a', 'b', 'c', 'd'}, beyond[] = {'a', TINY_VOCABULARY}, ended[] = {'a', 261};
    struct smollm_form form = SMOLLM_FORM_INIT;
    form.kind = SMOLLM_FORM_REGEX;
    form.text = text_of("[0-9]+");
    const struct smollm_text stop = text_of("bc");
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.prompt = text_of("Once");
    options.answer_tokens = text;
    options.answer_token_count = 4;
    options.silent_tokens = 1;
    assert_refused(&options, "both answer_tokens and silent_tokens");
    options.silent_tokens = 0;
    options.form = &form;
    assert_refused(&options, "token 0 of the answer to go on with, 97, does not fit its form");
    options.form = NULL;
    options.stop = &stop;
    options.stop_count = 1;
    assert_refused(&options, "ends before token 3");
    options.answer_token_count = 3;
    assert_refused(&options, "ends in a stop string at token 2");
    options.stop_count = 0;
    options.answer_tokens = beyond;
    options.answer_token_count = 2;
    assert_refused(&options, "it must be from 0 to 271");
    options.answer_tokens = ended;
    assert_refused(&options, "ends with token 1");
    options.answer_tokens = NULL;
    assert_refused(&options, "answer_tokens is NULL");
    options.answer_tokens = many;
    options.answer_token_count = sizeof many / sizeof *many;
    assert_refused(&options, "has room for");
    options.answer_token_count = 1;
    options.output = SMOLLM_OUTPUT_EMBEDDING;
    assert_refused(&options, "answer_tokens is set");
}

/* An answer that has all its tokens only ends. */
static void test_full_answer(void **state)
{
    (void)state;
    static struct answer answer;
    static int32_t text[TINY_CONTEXT];
    for (int i = 0; i < TINY_CONTEXT; i++)
        text[i] = 'a' + i % 26;
    const int32_t prompt[] = {'x', 'y'};
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.tokens = prompt;
    options.token_count = 2;
    options.answer_tokens = text;
    options.answer_token_count = 5;
    options.max_tokens = 5;
    get(&options, &answer);
    assert_int_equal(answer.size, 0);
    assert_int_equal(answer.last.finish.reason, SMOLLM_FINISH_LENGTH);
    assert_int_equal(answer.last.finish.usage.completion_tokens, 5);
    options.max_tokens = -1;
    options.answer_token_count = TINY_CONTEXT - 2;
    get(&options, &answer);
    assert_int_equal(answer.last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(answer.last.finish.reason, SMOLLM_FINISH_LENGTH);
    assert_int_equal(answer.last.finish.usage.completion_tokens, TINY_CONTEXT - 2);
}

int main(void)
{
    struct smollm_error error;
    if (tiny_model_open(&model) < 0)
        fail_msg("no model");
    struct smollm_engine_options options = SMOLLM_ENGINE_OPTIONS_INIT;
    options.context = TINY_CONTEXT;
    options.parallel = 2;
    options.threads = 2;
    if (smollm_engine_start(model, &options, &engine, &error) < 0)
        fail_msg("%s", error.message);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_raw_text),     cmocka_unit_test(test_end_token),
                                       cmocka_unit_test(test_stop_strings), cmocka_unit_test(test_form),
                                       cmocka_unit_test(test_conversation), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_full_answer)};
    const int status = cmocka_run_group_tests(tests, NULL, NULL);
    smollm_engine_close(engine);
    smollm_model_close(model);
    return status;
}
