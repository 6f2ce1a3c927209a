/* Text is never lost: tokens whose text is long, or holds back much, reach a slow reader whole or end the answer with
 * an error. */
#define TINY_CONTEXT 1024
#include "../library/tiny_model.h"
#include "cmocka_all.h"
#include "library/handles.h"
#include "library/request_state.h"

enum { LONG = 60000, LINES = 64, RUNS = 40 };

static struct smollm_model *model;
static char letters[LONG], newlines[LINES], broken[LONG], calls[LONG];

static struct buffer answer, thinking;
static size_t small_ring; /* bytes that the next answer's ring is cut to before its first event; 0: it stays */

static size_t count_of(const char *text, size_t size, char c)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += text[i] == c;
    return count;
}

/* An answer that repeats one token, with a reader that begins late. The last event. */
static struct smollm_event repeat(int32_t token, uint32_t tokens, uint32_t *tool_calls)
{
    struct smollm_engine_options small = SMOLLM_ENGINE_OPTIONS_INIT;
    small.context = TINY_CONTEXT;
    small.parallel = small.threads = 1;
    struct smollm_engine *engine;
    struct smollm_request *request;
    struct smollm_error error;
    if (smollm_engine_start(model, &small, &engine, &error) < 0)
        fail_msg("%s", error.message);
    const struct smollm_logit_bias bias = {token, 1000.0f};
    struct smollm_sampling sampling = SMOLLM_SAMPLING_INIT;
    sampling.temperature = 0;
    sampling.logit_bias = &bias;
    sampling.logit_bias_count = 1;
    struct smollm_message message = {.role = {"user", 4}, .content = {"x", 1}};
    struct smollm_conversation conversation = SMOLLM_CONVERSATION_INIT;
    struct smollm_text tool = {"{\"name\":\"f\"}", 12};
    conversation.messages = &message;
    conversation.message_count = 1;
    conversation.tools = &tool;
    conversation.tool_count = 1;
    conversation.date = "1 January 2026";
    conversation.thinking = SMOLLM_THINKING_OFF;
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.conversation = &conversation;
    options.sampling = &sampling;
    options.max_tokens = (int32_t)tokens;
    if (smollm_submit(engine, &options, &request, &error) < 0)
        fail_msg("%s", error.message);
    if (small_ring > 0) {
        pthread_mutex_lock(&request->mutex);
        if (request->ring.used == 0) {
            request->ring.size = small_ring;
            small_ring = 0;
        }
        pthread_mutex_unlock(&request->mutex);
    }
    usleep(50000); /* until then it fills the ring */
    struct smollm_event event;
    buffer_clear(&answer);
    buffer_clear(&thinking);
    *tool_calls = 0;
    while (smollm_next_event(request, -1, &event) == 0) {
        if (event.type == SMOLLM_EVENT_TEXT)
            buffer_append_text(&answer, event.text);
        if (event.type == SMOLLM_EVENT_THINKING)
            buffer_append_text(&thinking, event.text);
        *tool_calls += event.type == SMOLLM_EVENT_TOOL_CALL;
        assert_in_range(event.text.size, 0, 2048);
    }
    smollm_request_close(request);
    smollm_engine_close(engine);
    return event;
}

static void long_tokens_arrive_whole(void **state)
{
    uint32_t tool_calls;
    struct smollm_event last = repeat(TINY_FIRST_EXTRA, RUNS, &tool_calls);
    assert_int_equal(last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(answer.size, RUNS * LONG);
    assert_int_equal(count_of(answer.data, answer.size, 'a'), RUNS * LONG / 2);
    assert_int_equal(count_of(answer.data, answer.size, '\n'), RUNS * LONG / 2);
}

/* An answer that begins with line breaks holds them back, since they would be dropped before a tool call. */
static void line_breaks_arrive_whole(void **state)
{
    uint32_t tool_calls;
    struct smollm_event last = repeat(TINY_FIRST_EXTRA + 1, 600, &tool_calls);
    assert_int_equal(last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(answer.size, count_of(answer.data, answer.size, '\n'));
    assert_int_equal(answer.size, last.finish.usage.completion_tokens * LINES);
    assert_in_range(answer.size, 20000, 100000);
}

/* Bytes that are not UTF-8 become three each. */
static void broken_tokens_arrive_whole(void **state)
{
    uint32_t tool_calls;
    struct smollm_event last = repeat(TINY_FIRST_EXTRA + 2, RUNS, &tool_calls);
    assert_int_equal(last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(answer.size, 3 * RUNS * LONG);
}

static void many_calls_in_one_token_arrive_whole(void **state)
{
    uint32_t tool_calls;
    struct smollm_event last = repeat(TINY_FIRST_EXTRA + 3, 4, &tool_calls);
    assert_int_equal(last.type, SMOLLM_EVENT_FINISH);
    assert_int_equal(tool_calls, 4 * (LONG / 60));
}

/* No token needs more than the ring has, so the ring is made too small. */
static void lost_text_is_an_error(void **state)
{
    uint32_t tool_calls;
    struct smollm_event last = {0};
    small_ring = 64;
    for (int i = 0; i < 100 && small_ring > 0; i++)
        last = repeat(TINY_FIRST_EXTRA, 4, &tool_calls);
    assert_int_equal(small_ring, 0);
    assert_int_equal(last.type, SMOLLM_EVENT_ERROR);
    assert_int_equal(last.error.code, SMOLLM_ELIMIT);
}

static int open_model(void **state)
{
    static const char call[] = "<tool_call>\n{\"name\":\"f\",\"arguments\":{}}\n</tool_call>\n       ";
    for (size_t i = 0; i < LONG; i++)
        letters[i] = i % 2 ? '\n' : 'a';
    memset(newlines, '\n', sizeof newlines);
    memset(broken, 0xff, sizeof broken);
    for (size_t i = 0; i < LONG / 60; i++)
        memcpy(calls + i * 60, call, 60);
    const struct smollm_text extras[TINY_EXTRAS] = {
        {letters, sizeof letters}, {newlines, sizeof newlines}, {broken, sizeof broken}, {calls, sizeof calls}};
    char *path = tiny_model_write_with(false, extras);
    struct smollm_error error;
    const int status = smollm_model_open(path, NULL, &model, &error);
    if (status < 0)
        print_error("%s\n", error.message);
    unlink(path);
    free(path);
    return status;
}

static int close_model(void **state)
{
    smollm_model_close(model);
    buffer_free(&answer);
    buffer_free(&thinking);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_tokens_arrive_whole),   cmocka_unit_test(line_breaks_arrive_whole),
        cmocka_unit_test(broken_tokens_arrive_whole), cmocka_unit_test(many_calls_in_one_token_arrive_whole),
        cmocka_unit_test(lost_text_is_an_error),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
