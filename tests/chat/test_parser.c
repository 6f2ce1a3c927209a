/* chat/: reading answers back. Every output is parsed whole, cut once at every place, cut twice at every pair of
 * places, and byte by byte; the events put together must be the same. */
#include "base/text.h"
#include "chat/chat_parser.h"
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

/* Events as one line: T{text} K{thinking} C0{name} A0{arguments} E0+ or E0- ; pieces of one kind put together. */
struct record {
    struct buffer line;
    int last; /* type and index of the piece under way, or -1 */
};

static void record_event(void *user, const struct chat_event *event)
{
    struct record *r = user;
    bool piece = event->type == CHAT_EVENT_THINKING || event->type == CHAT_EVENT_TEXT ||
                 event->type == CHAT_EVENT_TOOL_ARGUMENTS;
    int kind = piece ? (int)event->type * 100 + (int)event->index : -1;
    if (piece)
        assert_true(event->text.size > 0);
    if (r->last >= 0 && r->last != kind)
        buffer_append_string(&r->line, "}");
    if (kind != r->last || !piece) {
        if (event->type == CHAT_EVENT_THINKING)
            buffer_append_string(&r->line, "K{");
        else if (event->type == CHAT_EVENT_TEXT)
            buffer_append_string(&r->line, "T{");
        else if (event->type == CHAT_EVENT_TOOL_ARGUMENTS)
            buffer_printf(&r->line, "A%u{", event->index);
        else if (event->type == CHAT_EVENT_TOOL_BEGIN)
            buffer_printf(&r->line, "C%u{%.*s}", event->index, (int)event->text.size, event->text.data);
        else
            buffer_printf(&r->line, "E%u%c", event->index, event->complete ? '+' : '-');
    }
    if (piece)
        buffer_append_text(&r->line, event->text);
    r->last = kind;
}

static struct chat_parser parser; /* too large for some stacks */

static void parse(const char *format, bool tools, bool in_thinking, const char *data, size_t size, size_t a, size_t b,
                  struct record *r)
{
    r->last = -1;
    buffer_clear(&r->line);
    chat_parser_init(&parser, chat_format_find(format), tools, in_thinking);
    if (a == SIZE_MAX) {
        for (size_t i = 0; i < size; i++)
            chat_parser_feed(&parser, data + i, 1, record_event, r);
    } else {
        chat_parser_feed(&parser, data, a, record_event, r);
        chat_parser_feed(&parser, data + a, b - a, record_event, r);
        chat_parser_feed(&parser, data + b, size - b, record_event, r);
    }
    chat_parser_finish(&parser, record_event, r);
    if (r->last >= 0)
        buffer_append_string(&r->line, "}");
    buffer_append(&r->line, "", 0);
}

static void assert_events(const char *format, bool tools, bool in_thinking, const char *output, const char *want)
{
    size_t size = strlen(output);
    struct record r = {0};
    parse(format, tools, in_thinking, output, size, size, size, &r);
    assert_string_equal(r.line.data, want);
    parse(format, tools, in_thinking, output, size, SIZE_MAX, 0, &r);
    assert_string_equal(r.line.data, want);
    for (size_t a = 0; a <= size; a++) {
        for (size_t b = a; b <= size; b++) {
            parse(format, tools, in_thinking, output, size, a, b, &r);
            if (strcmp(r.line.data, want) != 0)
                fail_msg("cut at %zu and %zu: %s\nwant %s", a, b, r.line.data, want);
        }
    }
    buffer_free(&r.line);
}

#define CALL(json) "<tool_call>\n" json "\n</tool_call>"

static void thinking_and_answer(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"Hello.\n", "T{Hello.\n}"},
        {"\n\nHello", "T{\n\nHello}"},
        {"<think>\nHm.\n\nSo.\n</think>\n\nYes.\n", "K{Hm.\n\nSo.}T{Yes.\n}"},
        {"\n<think>Hm.</think>Yes", "K{Hm.}T{Yes}"},
        {"<think>\n\n</think>\nYes", "T{Yes}"},
        {"<think>\n\n</think>\n", ""},
        {"<think>\nHm, a < b and </thin or <think> and <tool_call>x</tool_call>",
         "K{Hm, a < b and </thin or <think> and <tool_call>x</tool_call>}"},
        {"<think>\nnever ends\n\n", "K{never ends\n\n}"},
        {"<think>\nnever ends</thi", "K{never ends</thi}"},
        {"<think", "T{<think}"},
        {"\n<think", "T{\n<think}"},
        {"<<think>a</think>b", "T{<<think>a</think>b}"},
        {" <think>a</think>b", "T{ <think>a</think>b}"},
        {"Yes <think>\nno\n</think>\n!", "T{Yes <think>\nno\n</think>\n!}"},
        {"<think>a<</think>b</think>\n", "K{a<}T{b</think>\n}"},
        {"<think>a</think></think>", "K{a}T{</think>}"},
        {"a</think>b", "T{a</think>b}"},
        {"<think>é😀\n</think>\né", "K{é😀}T{é}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_events("smollm3", true, false, cases[i][0], cases[i][1]);
        if (!strstr(cases[i][0], "tool_call"))
            assert_events("smollm3", false, false, cases[i][0], cases[i][1]);
    }
    assert_events("smollm3", false, true, "Hm.\n</think>\nYes", "K{Hm.}T{Yes}");
    assert_events("smollm3", false, true, "<think>Hm.", "K{<think>Hm.}");
    assert_events("chatml", false, false, "\n<think>a</think>" CALL("{}"), "T{\n<think>a</think>" CALL("{}") "}");
    assert_events("llama3", true, true, "a</think>\n", "T{a</think>\n}");
}

static void tool_calls(void **state)
{
    static const char *const cases[][2] = {
        {CALL("{\"name\": \"f\", \"arguments\": {\"x\": [1, -2.5e3, \"}\\\"</tool_call>\", {\"y\": null}]}}"),
         "C0{f}A0{{\"x\": [1, -2.5e3, \"}\\\"</tool_call>\", {\"y\": null}]}}E0+"},
        {"Let me see.\n\n" CALL("{\"name\": \"f\", \"arguments\": {}}") "\n" CALL(
             "{\"name\":\"g\",\"arguments\":{ }}") "\n\n",
         "T{Let me see.}C0{f}A0{{}}E0+C1{g}A1{{ }}E1+"},
        {"<think>\nA call.\n</think>\n\n" CALL(
             "{\"arguments\": {\"a\": 1}, \"id\": [true], \"name\": \"f\"}") "\nDone.",
         "K{A call.}C0{f}A0{{\"a\": 1}}E0+T{\nDone.}"},
        {CALL("{\"name\": \"f\"}"), "C0{f}A0{{}}E0+"},
        {CALL("{\"name\": \"f\", \"arguments\": {}, \"arguments\": {\"b\": 1}, \"name\": \"g\"}"), "C0{f}A0{{}}E0+"},
        {CALL("{\"name\": \"\\u00e9\\ud83d\\ude00\\n\", \"arguments\": {}}"), "C0{é😀\n}A0{{}}E0+"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "C0{f}A0{{}}E0+"},
        /* The closing marker is missing: the call was complete all the same. */
        {"<tool_call>\n{\"name\": \"f\", \"arguments\": {}}", "C0{f}A0{{}}E0+"},
        {"<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n",
         "C0{f}A0{{}}E0+C1{g}A1{{}}E1+"},
        {"<tool_call>{\"name\": \"f\"} and so on", "C0{f}A0{{}}E0+T{and so on}"},
        {"<tool_call>{\"name\": \"f\"}</tool_cal", "C0{f}A0{{}}E0+T{</tool_cal}"},
        /* Not calls: text as it stands. */
        {"a\n\n" CALL("{\"name\": \"f\" \"arguments\": {}}") "\n\nb",
         "T{a\n\n" CALL("{\"name\": \"f\" \"arguments\": {}}") "\n\nb}"},
        {CALL("{'name': 'f'}"), "T{" CALL("{'name': 'f'}") "}"},
        {CALL("{\"name\": 1, \"arguments\": {}}"), "T{" CALL("{\"name\": 1, \"arguments\": {}}") "}"},
        {CALL("{\"name\": \"f\", \"arguments\": \"{}\"}"), "T{" CALL("{\"name\": \"f\", \"arguments\": \"{}\"}") "}"},
        {CALL("{\"name\": \"\", \"arguments\": {}}"), "T{" CALL("{\"name\": \"\", \"arguments\": {}}") "}"},
        {CALL("{\"name\": \"\\ud83d\"}"), "T{" CALL("{\"name\": \"\\ud83d\"}") "}"},
        {CALL("{\"arguments\": {}}"), "T{" CALL("{\"arguments\": {}}") "}"},
        {CALL("[]"), "T{" CALL("[]") "}"},
        {CALL(""), "T{" CALL("") "}"},
        {"<tool_call> \n<tool_call>{\"name\": \"f\"}</tool_call>", "T{<tool_call> \n}C0{f}A0{{}}E0+"},
        {CALL("{\"name\": \"f\n\"}"), "T{" CALL("{\"name\": \"f\n\"}") "}"},
        {CALL("{\"name\": \"f\", \"x\": \"\\q\"}"), "T{" CALL("{\"name\": \"f\", \"x\": \"\\q\"}") "}"},
        {CALL("{\"name\": \"f\", \"x\": \"\\u12g4\"}"), "T{" CALL("{\"name\": \"f\", \"x\": \"\\u12g4\"}") "}"},
        {CALL("{\"name\": \"f\", \"x\": [1}"), "T{" CALL("{\"name\": \"f\", \"x\": [1}") "}"},
        {CALL("{\"name\": \"f\", \"x\": nul}"), "T{" CALL("{\"name\": \"f\", \"x\": nul}") "}"},
        {CALL("{\"name\": \"f\", \"x\": [-0.5E-2, 1e+3, 0, true, false, null, \"\\u00e9\\n\", {}]}"), "C0{f}A0{{}}E0+"},
        /* Unfinished: as it is. */
        {"\n<tool_call>\n", "T{\n<tool_call>\n}"},
        {"a\n<tool_call>\n{\"name\": \"f\", \"argum", "T{a\n<tool_call>\n{\"name\": \"f\", \"argum}"},
        {"a <tool_ca", "T{a <tool_ca}"},
        {"a <tool_called> b", "T{a <tool_called> b}"},
        /* Broken once it had begun. */
        {CALL("{\"name\": \"f\", \"arguments\": {\"x\": 1,}}") "\n", "C0{f}A0{{\"x\": 1,}E0-T{}}\n</tool_call>\n}"},
        {"<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": tr", "C0{f}A0{{\"x\": tr}E0-"},
        {CALL("{\"name\": \"f\", \"arguments\": {\"a\": 01}}") CALL("{\"name\": \"g\"}"),
         "C0{f}A0{{\"a\": 0}E0-T{1}}\n</tool_call>}C1{g}A1{{}}E1+"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_events("smollm3", true, false, cases[i][0], cases[i][1]);
    assert_events("smollm3", false, false, CALL("{\"name\": \"f\"}"), "T{" CALL("{\"name\": \"f\"}") "}");
}

static void bare_calls(void **state)
{
    static const char *const cases[][2] = {
        {"{\"name\": \"f\", \"parameters\": {\"x\": [1, \"}\", {\"name\": null}]}}",
         "C0{f}A0{{\"x\": [1, \"}\", {\"name\": null}]}}E0+"},
        {"\n{\"name\":\"f\",\"parameters\":{}}\n", "C0{f}A0{{}}E0+"},
        {"{\"type\": \"function\", \"name\": \"f\", \"arguments\": {}}", "C0{f}A0{{}}E0+"},
        {"{\n  \"parameters\": {\"a\": 1},\n  \"name\": \"f\"\n}", "C0{f}A0{{\"a\": 1}}E0+"},
        {"<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "C0{f}A0{{}}E0+"},
        {"{\"name\": \"f\", \"parameters\": {}}\n{\"name\": \"g\", \"parameters\": {}} Done.",
         "C0{f}A0{{}}E0+C1{g}A1{{}}E1+T{Done.}"},
        /* Answers that are no calls. */
        {"Hello {\"name\": \"f\", \"parameters\": {}}", "T{Hello {\"name\": \"f\", \"parameters\": {}}}"},
        {"{\"name\": \"Ada\", \"age\": 36}", "T{{\"name\": \"Ada\", \"age\": 36}}"},
        {"{\"name\": \"Ada\"}\n", "T{{\"name\": \"Ada\"}\n}"},
        {"{\"parameters\": {}}", "T{{\"parameters\": {}}}"},
        {"{\"type\": \"function\"}", "T{{\"type\": \"function\"}}"},
        {"{\"name\": \"f\", \"parameters\": [1]}", "T{{\"name\": \"f\", \"parameters\": [1]}}"},
        {"{}\n\nx", "T{{}\n\nx}"},
        {"{'a': 1}", "T{{'a': 1}}"},
        {"{", "T{{}"},
        {"{\"name\": \"f\", \"par", "T{{\"name\": \"f\", \"par}"},
        {"[{\"name\": \"f\", \"parameters\": {}}]", "T{[{\"name\": \"f\", \"parameters\": {}}]}"},
        {"<|python_tag|>print(1)", "T{print(1)}"},
        {"<|python_", "T{<|python_}"},
        {CALL("{\"name\": \"f\", \"arguments\": {}}"), "T{" CALL("{\"name\": \"f\", \"arguments\": {}}") "}"},
        {"<think>x</think>", "T{<think>x</think>}"},
        /* Broken once it had begun. */
        {"{\"name\": \"f\", \"parameters\": {\"x\": 1,}}", "C0{f}A0{{\"x\": 1,}E0-T{}}}"},
        {"{\"name\": \"f\", \"parameters\": {\"x\": tr", "C0{f}A0{{\"x\": tr}E0-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_events("llama3.1", true, false, cases[i][0], cases[i][1]);
        assert_events("llama3.2", true, false, cases[i][0], cases[i][1]);
    }
    assert_events("llama3.1", false, false, cases[0][0],
                  "T{{\"name\": \"f\", \"parameters\": {\"x\": [1, \"}\", {\"name\": "
                  "null}]}}}");
    /* Another answer in JSON comes as soon as it is known to be one. */
    struct record r = {.last = -1};
    const char *first = "{\"name\": \"Ada\", \"age\"";
    chat_parser_init(&parser, chat_format_find("llama3.1"), true, false);
    chat_parser_feed(&parser, first, strlen(first), record_event, &r);
    assert_string_equal(r.line.data, "T{{\"name\": \"Ada\", \"age\"");
    buffer_free(&r.line);
}

static void arguments_come_as_soon_as_they_can(void **state)
{
    struct record r = {.last = -1};
    chat_parser_init(&parser, chat_format_find("smollm3"), true, false);
    const char *first = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"text\": \"abc";
    chat_parser_feed(&parser, first, strlen(first), record_event, &r);
    assert_string_equal(r.line.data, "C0{f}A0{{\"text\": \"abc");
    buffer_free(&r.line);
}

static void what_is_held_back_is_bounded(void **state)
{
    size_t size = 50000;
    char *output = malloc(size + 1);
    struct record r = {0};
    static const char *const starts[] = {"<tool_call>{\"arguments\": {\"x\": \"",
                                         "<tool_call>{\"name\": \"",
                                         "<tool_call>",
                                         "<tool_call>{\"name\": \"f\", \"other\": \"",
                                         "a\n",
                                         "<think>a\n"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        memset(output, i >= 4 ? '\n' : i == 2 ? ' ' : 'x', size);
        output[size] = '\0';
        memcpy(output, starts[i], strlen(starts[i]));
        parse("smollm3", true, false, output, size, 20, 30000, &r);
        assert_int_equal(r.line.size, i == 5 ? size - 7 + 3 : size + 3);
        assert_int_equal(r.line.data[0], i == 5 ? 'K' : 'T');
    }
    /* Arguments after the name have no limit, and neither has depth that is text. */
    const char *start = "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"";
    memset(output, 'x', size);
    memcpy(output, start, strlen(start));
    memcpy(output + size - 3, "\"}}", 3);
    parse("smollm3", true, false, output, size, 20, 30000, &r);
    assert_memory_equal(r.line.data, "C0{f}A0{{\"x\": \"xxx", 18);
    assert_memory_equal(r.line.data + r.line.size - 6, "\"}}E0+", 6);
    start = "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": ";
    memset(output, '[', size);
    memcpy(output, start, strlen(start));
    parse("smollm3", true, false, output, size, 20, 30000, &r);
    assert_non_null(strstr(r.line.data, "}E0-T{["));
    buffer_free(&r.line);
    free(output);
}

/* Pieces of markers and JSON in random order, cut at random: the same as byte by byte. */
static void random_outputs(void **state)
{
    static const char *const pieces[] = {"<think>",
                                         "</think>",
                                         "<tool_call>",
                                         "</tool_call>",
                                         "\n",
                                         "{\"name\": \"f\"",
                                         ", \"arguments\": {",
                                         "}",
                                         "}}",
                                         "\"x\": 1",
                                         "<",
                                         "text ",
                                         "{",
                                         "\"",
                                         " ",
                                         "[",
                                         "\\",
                                         "{\"arguments\": {}, \"name\": \"g\"}",
                                         "<|python_tag|>",
                                         ", \"parameters\": {"};
    unsigned seed = 7;
    struct record whole = {0}, cut = {0};
    for (int round = 0; round < 20000; round++) {
        char output[512] = "";
        for (int i = rand_r(&seed) % 16; i >= 0; i--)
            strcat(output, pieces[(size_t)rand_r(&seed) % (sizeof pieces / sizeof *pieces)]);
        size_t size = strlen(output);
        bool in_thinking = rand_r(&seed) % 4 == 0;
        const char *format = rand_r(&seed) % 2 ? "smollm3" : "llama3.1";
        parse(format, true, in_thinking, output, size, SIZE_MAX, 0, &whole);
        for (int i = 0; i < 4; i++) {
            size_t a = (size_t)rand_r(&seed) % (size + 1), b = a + (size_t)rand_r(&seed) % (size + 1 - a);
            parse(format, true, in_thinking, output, size, a, b, &cut);
            if (!text_equal(buffer_text(&cut.line), buffer_text(&whole.line)))
                fail_msg("%s cut at %zu and %zu: %s instead of %s", output, a, b, cut.line.data, whole.line.data);
        }
    }
    buffer_free(&whole.line);
    buffer_free(&cut.line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thinking_and_answer),
        cmocka_unit_test(tool_calls),
        cmocka_unit_test(bare_calls),
        cmocka_unit_test(arguments_come_as_soon_as_they_can),
        cmocka_unit_test(what_is_held_back_is_bounded),
        cmocka_unit_test(random_outputs),
    };
    return cmocka_run_group_tests_name("chat parser", tests, NULL, NULL);
}
