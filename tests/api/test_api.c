/* The API without sockets: bodies in, answers out, on a small random model; and the writers on events made here. */
#include "cmocka_all.h"

#include "api/core/context.h"
#include "api/core/generation.h"
#include "api/core/json_input.h"
#include "api/core/route.h"
#include "api/llama_server/llama_server.h"
#include "api/openai/openai.h"
#include "tests/library/tiny_model.h"

#include <math.h>
#include <stdatomic.h>
#include <time.h>

struct fixture {
    struct smollm_model *model;
    struct smollm_engine *engine;
    struct api *api;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char *path = tiny_model_write(false);
    const struct smollm_engine_options options = {
        .size = sizeof(struct smollm_engine_options), .context = 512, .parallel = 4, .queue = 4, .threads = 1};
    const struct smollm_model_options model_options = {.size = sizeof(struct smollm_model_options),
                                                       .chat_format = "chatml"};
    struct api_options api_options = {.alias = "tiny", .sampling = smollm_sampling_default(), .max_tokens = 8};
    assert_int_equal(smollm_model_open(path, &model_options, &f->model, NULL), 0);
    assert_int_equal(smollm_engine_start(f->model, &options, &f->engine, NULL), 0);
    assert_int_equal(api_create(&api_options, &f->api, NULL), 0);
    assert_int_equal(api_attach(f->api, f->model, f->engine, NULL), 0);
    unlink(path);
    free(path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    api_destroy(f->api);
    smollm_engine_close(f->engine);
    smollm_model_close(f->model);
    free(f);
    return 0;
}

static void count(void *user)
{
    atomic_fetch_add((atomic_int *)user, 1);
}

static struct api_answer *open_answer(struct fixture *f, const char *path, const char *body, atomic_int *notified)
{
    struct api_call call = {.path = text_of(path), .body = text_of(body), .notify = count, .notify_user = notified};
    call.route = api_find(text_of(body ? "POST" : "GET"), call.path).route;
    assert_non_null(call.route);
    return api_answer_open(f->api, &call);
}

/* All of an answer, in pieces of at least `most` bytes. */
static struct api_head finish(struct api_answer *answer, size_t max, struct buffer *out)
{
    struct api_head head = {0};
    enum api_state state;
    struct buffer piece = {0};
    int waits = 0;
    while ((state = api_answer_pull(answer, &piece, max)) != API_DONE) {
        if (state == API_WAITING) {
            assert_true(waits++ < 20000);
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        buffer_append_text(out, buffer_text(&piece));
        buffer_clear(&piece);
    }
    buffer_append_text(out, buffer_text(&piece));
    buffer_free(&piece);
    assert_true(api_answer_head(answer, &head));
    return head;
}

static json_t *ask(struct fixture *f, const char *path, const char *body, int status)
{
    atomic_int notified = 0;
    struct buffer out = {0};
    struct api_answer *answer = open_answer(f, path, body, &notified);
    struct api_head head = finish(answer, SIZE_MAX, &out);
    api_answer_close(answer);
    if (head.status != status)
        print_error("%s %s: %s\n", path, body, out.data);
    assert_int_equal(head.status, status);
    assert_false(head.is_stream);
    json_t *json = json_loadb(out.data, out.size, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    buffer_free(&out);
    return json;
}

static const char *string_at(const json_t *json, const char *outer, const char *inner)
{
    return json_string_value(json_object_get(json_object_get(json, outer), inner));
}

static void test_routes(void **state)
{
    static const char *const known[] = {"/v1/chat/completions",
                                        "/chat/completions",
                                        "/v1/models",
                                        "/models/x",
                                        "/",
                                        "/completion",
                                        "/v1/completion",
                                        "/health",
                                        "/v1//chat/completions",
                                        "//v1/models/",
                                        "/v1///models//x",
                                        "/v1/stream",
                                        "/stream",
                                        "/streams/lookup",
                                        "/health/"};
    static const char *const unknown[] = {"/v1",      "/v1/", "/v1/v1/models", "/Health",
                                          "/healthy", "",     "v1/models",     "/health//x"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_true(api_find(text_of("GET"), text_of(known[i])).methods != 0);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_true(api_find(text_of("GET"), text_of(unknown[i])).methods == 0);
}

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void test_whole_and_stream_agree(void **state)
{
    struct fixture *f = *state;
    json_t *json = ask(f, "/v1/chat/completions", "{" MESSAGES ",\"temperature\":0,\"ignore_eos\":true}", 200);
    const json_t *choice = json_array_get(json_object_get(json, "choices"), 0);
    const json_t *message = json_object_get(choice, "message");
    assert_string_equal(json_string_value(json_object_get(choice, "finish_reason")), "length");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "usage"), "completion_tokens")), 8);
    /* The stream, pulled in the smallest steps, says the same. */
    for (size_t max = 1; max < 100000; max *= 300) {
        atomic_int notified = 0;
        struct buffer out = {0}, content = {0};
        struct api_answer *answer = open_answer(
            f, "/chat/completions", "{" MESSAGES ",\"temperature\":0,\"ignore_eos\":true,\"stream\":true}", &notified);
        assert_true(api_answer_is_stream(answer));
        struct api_head head = finish(answer, max, &out);
        assert_true(head.is_stream);
        assert_string_equal(head.content_type, "text/event-stream");
        api_answer_close(answer);
        assert_true(atomic_load(&notified) > 0);
        assert_non_null(strstr(out.data, "data: [DONE]\n\n"));
        for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n")) {
            json_t *chunk = json_loads(line + 6, 0, NULL);
            const json_t *delta = json_object_get(json_array_get(json_object_get(chunk, "choices"), 0), "delta");
            const json_t *piece = json_object_get(delta, "content");
            if (piece)
                buffer_append_text(&content, json_input_string(piece));
            json_decref(chunk);
        }
        assert_string_equal(content.data ? content.data : "", json_string_value(json_object_get(message, "content")));
        buffer_free(&out);
        buffer_free(&content);
    }
    json_decref(json);
}

static void test_seed_is_told(void **state)
{
    struct fixture *f = *state;
    json_t *first = ask(f, "/completion", "{\"prompt\":\"a\",\"temperature\":2}", 200);
    json_int_t seed = json_integer_value(json_object_get(json_object_get(first, "generation_settings"), "seed"));
    assert_true(seed >= 0 && seed < (json_int_t)1 << 53);
    char body[200];
    snprintf(body, sizeof body, "{\"prompt\":\"a\",\"temperature\":2,\"seed\":%lld}", (long long)seed);
    json_t *again = ask(f, "/completion", body, 200);
    assert_true(json_equal(json_object_get(first, "content"), json_object_get(again, "content")));
    json_decref(first);
    json_decref(again);
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *path, *body, *param;
    } cases[] = {
        {"/v1/chat/completions", "{}", "messages"},
        {"/v1/chat/completions", "{" MESSAGES ",\"top_k\":99999999999999999999}", "top_k"},
        {"/v1/chat/completions", "{" MESSAGES ",\"seed\":9223372036854775808}", "seed"},
        {"/v1/chat/completions", "{" MESSAGES ",\"temperature\":1e400}", "temperature"},
        {"/v1/chat/completions", "{" MESSAGES ",\"model\":99999999999999999999}", "model"},
        {"/v1/chat/completions", "{" MESSAGES ",\"seed\":1,\"seed\":2}", "seed"},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"role\":\"system\",\"content\":\"\"}]}", "role"},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":18446744073709551616}]}",
         "messages[0].content"},
        {"/v1/chat/completions", "{" MESSAGES ",\"stop\":[1]}", "stop[0]"},
        {"/v1/chat/completions", "{" MESSAGES ",\"logit_bias\":{\"x\":\"y\"}}", "logit_bias"},
        {"/v1/chat/completions", "{" MESSAGES ",\"logit_bias\":[[272,1]]}", "logit_bias"},
        {"/v1/chat/completions", "{" MESSAGES ",\"max_tokens\":-5}", "max_tokens"},
        {"/v1/chat/completions", "{" MESSAGES ",\"max_tokens\":9223372036854775807}", "max_tokens"},
        {"/v1/completions", "{\"prompt\":\"a\",\"logprobs\":21}", "logprobs"},
        {"/v1/completions", "{\"prompt\":\"a\",\"best_of\":2}", "best_of"},
        {"/v1/completions", "{\"prompt\":\"a\",\"suffix\":\"b\"}", "suffix"},
        {"/v1/completions", "{\"prompt\":[1,2,272]}", "prompt"},
        {"/v1/completions", "{\"prompt\":[1,-2]}", "prompt"},
        {"/v1/completions",
         "{\"n\":8,\"prompt\":[[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],[1],"
         "[1],[1],"
         "[1],[1],[1],[1],[1],[1],[1],[1],[1]]}",
         "prompt"},
        {"/detokenize", "{\"tokens\":[272]}", "tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = ask(f, cases[i].path, cases[i].body, 400);
        assert_string_equal(string_at(json, "error", "param"), cases[i].param);
        assert_string_equal(string_at(json, "error", "type"), "invalid_request_error");
        json_decref(json);
    }
    json_t *json = ask(f, "/v1/completions", "{\"prompt\":\"\"}", 400);
    json_decref(json);
}

/* What clients send although it is unusual, or means nothing: none of it is a reason to refuse. */
static void test_json_as_clients_send_it(void **state)
{
    struct fixture *f = *state;
    static const char *const bodies[] = {
        "{" MESSAGES ",\"metadata\":{\"ts\":123456789012345678901234567890},\"user_id\":18446744073709551615}",
        "{" MESSAGES ",\"ignored\":-1e999}",
        "\xef\xbb\xbf{" MESSAGES "}",
        "{" MESSAGES ",\"ignored\":{\"a\":1,\"a\":2},\"metadata\":1,\"metadata\":2}",
        "{" MESSAGES ",\"seed\":4611686018427387904}",
        "{" MESSAGES ",\"seed\":9223372036854775807}",
        "{" MESSAGES ",\"seed\":-9223372036854775808}",
        "{" MESSAGES ",\"seed\":-5}",
        "{" MESSAGES ",\"stop\":\"\"}",
        "{" MESSAGES ",\"stop\":[\"\",null]}",
        "{" MESSAGES ",\"logit_bias\":{\"hi\":1,\"5\":-1}}",
        "{" MESSAGES ",\"logit_bias\":[[\"hi there\",-2],[7,false]]}",
        "{" MESSAGES ",\"functions\":[],\"tools\":[]}",
        "{" MESSAGES ",\"top_logprobs\":0,\"logprobs\":false}",
        "{" MESSAGES ",\"max_tokens\":0}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\u0000b\"}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud83d cut\"}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":"
        "[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
        "{\"id\":\"2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":null}}]},"
        "{\"role\":\"tool\",\"content\":\"y\"}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        json_decref(ask(f, "/v1/chat/completions", bodies[i], 200));
    json_t *json =
        ask(f, "/apply-template", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\u0000\\ud83db\"}]}", 200);
    struct smollm_text prompt = json_input_string(json_object_get(json, "prompt"));
    assert_non_null(memmem(prompt.data, prompt.size,
                           "a\0\xef\xbf\xbd"
                           "b",
                           6));
    json_decref(json);
    /* Nothing is generated, and what was read is cached. */
    json = ask(f, "/v1/completions", "{\"prompt\":\"the same again\",\"max_tokens\":0,\"echo\":true}", 200);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(json, "choices"), 0), "text")),
                        "the same again");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "usage"), "completion_tokens")), 0);
    json_decref(json);
    json = ask(f, "/v1/completions", "{\"prompt\":\"the same again\",\"max_tokens\":0}", 200);
    const json_t *details = json_object_get(json_object_get(json, "usage"), "prompt_tokens_details");
    assert_int_equal(json_integer_value(json_object_get(details, "cached_tokens")), 13);
    json_decref(json);
}

/* A logit_bias that leaves nothing to draw is the client's error. */
static void test_everything_forbidden(void **state)
{
    struct fixture *f = *state;
    struct buffer body = {0};
    buffer_append_string(&body, "{\"prompt\":\"x\",\"logit_bias\":{");
    for (int i = 0; i < TINY_VOCABULARY; i++)
        buffer_printf(&body, "%s\"%d\":false", i ? "," : "", i);
    buffer_append_string(&body, "}}");
    json_t *json = ask(f, "/v1/completions", body.data, 400);
    assert_non_null(strstr(string_at(json, "error", "message"), "logit_bias"));
    json_decref(json);
    buffer_free(&body);
}

static void check_prepared(const char *from, const char *to)
{
    json_t *json;
    struct api_error error;
    if (json_input_parse(text_of(from), &json, &error) < 0)
        fail_msg("%s: %s", from, error.message);
    size_t size;
    char *text = json_input_dump(json, &size);
    assert_string_equal(text, to);
    assert_int_equal(strlen(text), size);
    free(text);
    json_decref(json);
}

/* Numbers keep their digits, wherever they stand. */
static void test_numbers_keep_their_digits(void **state)
{
    check_prepared("{\"maximum\":18446744073709551615}", "{\"maximum\":18446744073709551615}");
    check_prepared("{\"a\":[1,123456789012345678901234567890,\"x\",-9223372036854775809]}",
                   "{\"a\":[1,123456789012345678901234567890,\"x\",-9223372036854775809]}");
    check_prepared("{\"a\":9223372036854775807,\"b\":1e400,\"c\":5}",
                   "{\"a\":9223372036854775807,\"b\":1e400,\"c\":5}");
    /* A string is not taken for one. */
    check_prepared("{\"a\":\"\xef\xb7\x90#5\",\"b\":\"\\ufdd0#5\"}",
                   "{\"a\":\"\xef\xbf\xbd#5\",\"b\":\"\xef\xbf\xbd#5\"}");
    check_prepared("{\"a\":\"\\ud83d\\ude00 \\ude00 \\\\ud83d\"}",
                   "{\"a\":\"\xf0\x9f\x98\x80 \xef\xbf\xbd \\\\ud83d\"}");
    static const char *const broken[] = {
        "{\"a\":1-2}",  "{\"a\":\"\\ud8", "{\"a\":--99999999999999999999}", "{\"", "{", "{\"a\":99999999999999999999",
        "\xef\xbb\xbf", "{\"a\":\"\\"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        json_t *json;
        struct api_error error;
        if (json_input_parse(text_of(broken[i]), &json, &error) == 0)
            json_decref(json); /* read as something; what matters is that nothing is read beyond the end */
    }
}

static void test_queue_full_and_abort(void **state)
{
    struct fixture *f = *state;
    atomic_int notified = 0;
    struct api_answer *answers[24];
    struct api_head head;
    size_t refused = 0;
    /* Nobody pulls: four work and park, four wait, the others are refused. */
    for (size_t i = 0; i < 24; i++) {
        answers[i] = open_answer(f, "/completion",
                                 "{\"prompt\":\"a\",\"n_predict\":400,\"ignore_eos\":true,\"stream\":true}", &notified);
        if (api_answer_head(answers[i], &head) && head.status == 429) {
            assert_true(head.retry_after > 0);
            refused++;
        }
    }
    assert_true(refused > 0 && refused < 24);
    for (size_t i = 0; i < 24; i++) {
        struct buffer out = {0};
        api_answer_abort(answers[i]);
        finish(answers[i], SIZE_MAX, &out);
        assert_non_null(strstr(out.data, "\"error\""));
        buffer_free(&out);
        api_answer_close(answers[i]);
    }
    /* They leave the queue and the slots within a step. What an earlier conversation's next turn begins with may be
     * read then, and holds pages until it is read. */
    struct smollm_engine_stats stats = {.requests_running = 1};
    for (int i = 0; i < 5000 && stats.requests_running + stats.requests_waiting + stats.kv_pages_used > 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        smollm_engine_get_stats(f->engine, &stats);
    }
    json_t *json = ask(f, "/completion", "{\"prompt\":\"a\"}", 200);
    json_decref(json);
    assert_int_equal(stats.kv_pages_used, 0);
}

/* What a random model will not say: tool calls, made here and written by the format. */
static void test_tool_deltas(void **state)
{
    struct fixture *f = *state;
    struct choice choice = {0};
    struct generation g = {
        .choices = &choice, .choice_count = 1, .api = f->api, .format = &openai_chat_format, .id = "chatcmpl-1"};
    struct buffer out = {0};
    struct smollm_event begin = {.type = SMOLLM_EVENT_TOOL_CALL,
                                 .tool = {.index = 1, .id = text_of("call_9"), .name = text_of("f\"n")}};
    struct smollm_event more = {
        .type = SMOLLM_EVENT_TOOL_ARGUMENTS, .tool.index = 1, .text = text_of("{\"a\":\"\\n\"")};
    g.request.logprobs = -1;
    openai_chat_format.event(&g, &g.choices[0], &begin, true, &out);
    assert_non_null(strstr(out.data, "\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_9\",\"type\":\"function\","
                                     "\"function\":{\"name\":\"f\\\"n\",\"arguments\":\"\"}}]}"));
    buffer_clear(&out);
    openai_chat_format.event(&g, &g.choices[0], &more, false, &out);
    assert_non_null(strstr(out.data, "\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":"
                                     "\"{\\\"a\\\":\\\"\\\\n\\\"\"}}]}"));
    buffer_free(&out);
}

/* A place in the queue is told by all three formats in the same words; an unknown wait is null. */
static void test_place_in_queue(void **state)
{
    struct fixture *f = *state;
    static const struct generation_format *const formats[] = {&openai_chat_format, &openai_completion_format,
                                                              &llama_server_completion_format};
    for (int i = 0; i < 3; i++) {
        struct choice choice = {0};
        struct generation g = {.choices = &choice, .choice_count = 1, .api = f->api, .format = formats[i], .id = "x"};
        struct smollm_event event = {.type = SMOLLM_EVENT_QUEUED, .queue = {.ahead = 3, .seconds = 12.5}};
        struct buffer out = {0};
        g.request.logprobs = -1;
        formats[i]->event(&g, &g.choices[0], &event, false, &out);
        assert_non_null(strstr(out.data, ",\"queue\":{\"ahead\":3,\"seconds\":12.5}}\n\n"));
        buffer_clear(&out);
        event.queue.seconds = -1;
        formats[i]->event(&g, &g.choices[0], &event, false, &out);
        assert_non_null(strstr(out.data, ",\"queue\":{\"ahead\":3,\"seconds\":null}}\n\n"));
        assert_null(strstr(out.data, "prompt_progress"));
        buffer_free(&out);
    }
}

/* Tokens that are no whole characters are different names in top_logprobs. */
static void test_names_of_parts(void **state)
{
    struct fixture *f = *state;
    struct choice choice = {0};
    struct generation g = {
        .choices = &choice, .choice_count = 1, .api = f->api, .format = &openai_completion_format, .id = "cmpl-1"};
    struct smollm_token_logprob top[] = {
        {1, -1, {"\xc3", 1}}, {2, -2, {"\xe2\x82", 2}}, {3, -3, text_of("a")}, {4, -4, text_of("a")}};
    struct smollm_token token = {.chosen = top[0], .top = top, .top_count = 4};
    openai_completion_format.keep_token(&g, &g.choices[0], &token);
    assert_string_equal(g.choices[0].lists[2].data, "{\"bytes:\\\\xc3\":-1,\"bytes:\\\\xe2\\\\x82\":-2,\"a\":-3}");
    for (int i = 0; i < GENERATION_LISTS; i++)
        buffer_free(&g.choices[0].lists[i]);
}

static void test_writer(void **state)
{
    struct buffer out = {0};
    struct json_writer w = {&out, false};
    json_begin_object(&w);
    json_key_text(&w, "t", (struct smollm_text){"a\"\\\n\x01\xff\xc3\xa9\xed\xa0\x80\xf0\x9f", 13});
    json_key(&w, "n");
    json_begin_array(&w);
    json_decimal(&w, (double)0.6f);
    json_decimal(&w, (double)0.95f);
    json_decimal(&w, 1.0 / 3);
    json_decimal(&w, (double)INFINITY);
    json_number(&w, -5);
    json_unsigned(&w, UINT64_MAX);
    json_end_array(&w);
    json_key_truth(&w, "b", true);
    json_end_object(&w);
    assert_string_equal(out.data, "{\"t\":\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                  "\xef\xbf\xbd\xef\xbf\xbd\",\"n\":[0.6,0.95,0.33333333,null,-5,"
                                  "18446744073709551615],\"b\":true}");
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_whole_and_stream_agree),
        cmocka_unit_test(test_seed_is_told),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_json_as_clients_send_it),
        cmocka_unit_test(test_everything_forbidden),
        cmocka_unit_test(test_numbers_keep_their_digits),
        cmocka_unit_test(test_queue_full_and_abort),
        cmocka_unit_test(test_tool_deltas),
        cmocka_unit_test(test_place_in_queue),
        cmocka_unit_test(test_names_of_parts),
        cmocka_unit_test(test_writer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
