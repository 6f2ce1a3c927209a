/* libFuzzer: conversations and tools of any bytes in each format. The input is a list of fields, each with its kind and
 * its size before it. Spans must lie in the prompt, in order, and hold none of the conversation's bytes: these are
 * spelled with a byte that no format writes. */
#include "base/utf8.h"
#include "chat/chat_format.h"
#include "chat/python_repr.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

enum { MAX = 8 };

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size)
{
    static const char *const names[] = {"smollm3", "chatml", "llama3", "llama3.1"};
    static const char *const roles[] = {"system", "user", "assistant", "tool", "other"};
    struct smollm_message messages[MAX] = {0};
    struct smollm_tool_call calls[MAX];
    struct smollm_text tools[MAX], python_tools[MAX];
    struct smollm_conversation c = {.size = sizeof(struct smollm_conversation),
                                    .messages = messages,
                                    .tools = tools,
                                    .python_tools = python_tools,
                                    .date = "today"};
    if (size < 2)
        return 0;
    const struct chat_format *format = chat_format_find(names[data[0] % 4]);
    struct chat_options options = {.no_generation_prompt = data[0] & 4, .keep_all = data[0] & 8};
    c.continue_last = data[1] & 1;
    c.thinking = (enum smollm_thinking)(data[1] >> 1 & 1);
    for (size_t i = 2; i + 1 < size;) {
        size_t kind = data[i], length = data[i + 1];
        i += 2;
        length = length < size - i ? length : size - i;
        struct smollm_text text = {(const char *)data + i, length};
        i += length;
        if (kind % 8 < 5 && c.message_count < MAX)
            messages[c.message_count++] = (struct smollm_message){.role = text_of(roles[kind % 8]), .content = text};
        else if (kind % 8 == 7 && c.message_count > 0) {
            calls[c.message_count - 1] = (struct smollm_tool_call){.name = text, .arguments = text};
            messages[c.message_count - 1].tool_calls = &calls[c.message_count - 1];
            messages[c.message_count - 1].tool_call_count = 1;
        } else if (kind % 8 == 5 && c.tool_count < MAX)
            tools[c.tool_count++] = text;
        else if (kind % 8 == 6 && c.python_tool_count < MAX)
            python_tools[c.python_tool_count++] = text;
    }
    struct chat_prompt prompt = {0};
    struct smollm_error error;
    if (chat_render(format, &c, &options, &prompt, &error) == 0) {
        size_t end = 0;
        for (size_t i = 0; i < prompt.span_count; i++) {
            const struct chat_span *span = &prompt.spans[i];
            if (span->offset < end || span->size == 0 || span->size > prompt.text.size ||
                span->offset > prompt.text.size - span->size)
                abort();
            end = span->offset + span->size;
            if (memchr(prompt.text.data + span->offset, '\x01', span->size))
                abort();
        }
    }
    chat_prompt_free(&prompt);
    struct buffer repr = {0};
    if (python_repr_object((struct smollm_text){(const char *)data, size}, &repr, &error) == 0 &&
        !utf8_is_valid(repr.data, repr.size))
        abort();
    buffer_free(&repr);
    const struct chat_format *found;
    chat_format_recognize((struct smollm_text){(const char *)data, size}, text_of("llama"), &found, &error);
    return 0;
}
