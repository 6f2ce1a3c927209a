/* Renders conversations from standard input, one JSON object a line; answers on standard output in the same way. The
 * tests' way to the chat formats.
 *
 *     {"format": "smollm3", "messages": [{"role": ..., "content": ..., "tool_calls": [{"name": ..., "arguments":
 * ...}]}], "tools": ["..."], "python_tools": ["..."], "thinking": true or false or absent, "date": ..., "continue":
 * bool, "no_generation_prompt": bool, "keep_all": bool, "marks": bool} → {"text": ..., "spans": [[offset, size], ...]}
 * or
 * {"error": ..., "code": ...}
 *
 *     {"repr": "JSON text"} → {"text": ...}
 *     {"template": ..., "architecture": ...} → {"text": the format's name} */
#include "chat/chat_format.h"
#include "chat/python_repr.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 64 };

static struct smollm_text text_member(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return (struct smollm_text){json_string_value(value) ? json_string_value(value) : "", json_string_length(value)};
}

static bool flag_member(json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

static size_t texts_member(json_t *object, const char *name, struct smollm_text *texts)
{
    json_t *array = json_object_get(object, name);
    size_t count = json_array_size(array) < MAX_ITEMS ? json_array_size(array) : MAX_ITEMS;
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(array, i);
        texts[i] = (struct smollm_text){json_string_value(item), json_string_length(item)};
    }
    return count;
}

static json_t *answer(int code, const struct buffer *text, const struct smollm_error *error)
{
    if (code != 0)
        return json_pack("{s:s, s:i}", "error", error->message, "code", code);
    return json_pack("{s:s%}", "text", text->data ? text->data : "", text->size);
}

static json_t *render(json_t *request)
{
    static struct smollm_message messages[MAX_ITEMS];
    static struct smollm_tool_call calls[MAX_ITEMS][4];
    struct smollm_text tools[MAX_ITEMS], python_tools[MAX_ITEMS];
    struct smollm_conversation conversation = {
        .size = sizeof(struct smollm_conversation), .messages = messages, .tools = tools, .python_tools = python_tools};
    json_t *list = json_object_get(request, "messages");
    conversation.message_count = json_array_size(list) < MAX_ITEMS ? json_array_size(list) : MAX_ITEMS;
    for (size_t i = 0; i < conversation.message_count; i++) {
        json_t *item = json_array_get(list, i);
        messages[i] = (struct smollm_message){
            .role = text_member(item, "role"), .content = text_member(item, "content"), .tool_calls = calls[i]};
        json_t *call_list = json_object_get(item, "tool_calls");
        for (size_t k = 0; k < json_array_size(call_list) && k < 4; k++) {
            json_t *call = json_array_get(call_list, k);
            calls[i][k] = (struct smollm_tool_call){.name = text_member(call, "name"),
                                                    .arguments = text_member(call, "arguments")};
            messages[i].tool_call_count = k + 1;
        }
    }
    conversation.tool_count = texts_member(request, "tools", tools);
    conversation.python_tool_count = texts_member(request, "python_tools", python_tools);
    json_t *thinking = json_object_get(request, "thinking");
    conversation.thinking = json_is_true(thinking)    ? SMOLLM_THINKING_ON
                            : json_is_false(thinking) ? SMOLLM_THINKING_OFF
                                                      : SMOLLM_THINKING_DEFAULT;
    conversation.date = json_string_value(json_object_get(request, "date"));
    conversation.marks_tool_results = flag_member(request, "marks");
    conversation.continue_last = flag_member(request, "continue");
    struct chat_options options = {.no_generation_prompt = flag_member(request, "no_generation_prompt"),
                                   .keep_all = flag_member(request, "keep_all")};
    struct chat_prompt prompt = {0};
    struct smollm_error error = {0};
    const struct chat_format *format = chat_format_find(json_string_value(json_object_get(request, "format")));
    int code = chat_render(format, &conversation, &options, &prompt, &error);
    json_t *result = answer(code, &prompt.text, &error);
    json_t *spans = json_array();
    for (size_t i = 0; i < prompt.span_count; i++)
        json_array_append_new(
            spans, json_pack("[I, I]", (json_int_t)prompt.spans[i].offset, (json_int_t)prompt.spans[i].size));
    json_object_set_new(result, "spans", spans);
    chat_prompt_free(&prompt);
    return result;
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    while ((size = getline(&line, &capacity, stdin)) > 0) {
        json_error_t why;
        json_t *request = json_loadb(line, (size_t)size, JSON_ALLOW_NUL, &why);
        if (!request)
            return fprintf(stderr, "%s\n", why.text), 1;
        struct smollm_error error = {0};
        struct buffer text = {0};
        json_t *result;
        if (json_object_get(request, "repr")) {
            result = answer(python_repr_object(text_member(request, "repr"), &text, &error), &text, &error);
        } else if (json_object_get(request, "template")) {
            const struct chat_format *format;
            int code = chat_format_recognize(text_member(request, "template"), text_member(request, "architecture"),
                                             &format, &error);
            if (code == 0)
                buffer_append_string(&text, chat_format_name(format));
            result = answer(code, &text, &error);
        } else {
            result = render(request);
        }
        char *out = result ? json_dumps(result, JSON_COMPACT) : NULL;
        if (!out)
            return fprintf(stderr, "the answer is not UTF-8\n"), 1;
        puts(out);
        free(out);
        json_decref(result);
        json_decref(request);
        buffer_free(&text);
    }
    free(line);
    return 0;
}
