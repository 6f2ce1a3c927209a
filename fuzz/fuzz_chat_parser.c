/* libFuzzer: any model output, cut anywhere, gives the same events put together as byte by byte; and where no call
 * begins and nothing is thought, all bytes but line breaks come back as text. */
#include "chat/chat_parser.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

struct record {
    struct buffer events;
    struct buffer text;
    int last;
    bool only_text;
};

static void record_event(void *user, const struct chat_event *event)
{
    struct record *r = user;
    bool piece = event->type != CHAT_EVENT_TOOL_BEGIN && event->type != CHAT_EVENT_TOOL_END;
    if (piece && event->text.size == 0)
        abort();
    int kind = piece ? (int)event->type : -1;
    if (!piece || kind != r->last)
        buffer_printf(&r->events, "|%d %u %d:", (int)event->type, event->index, event->complete);
    buffer_append_text(&r->events, event->text);
    if (event->type == CHAT_EVENT_TEXT)
        buffer_append_text(&r->text, event->text);
    else
        r->only_text = false;
    r->last = kind;
}

static const struct chat_format *format_of(uint8_t flags)
{
    return chat_format_find(flags & 8 ? "llama3.1" : flags & 1 ? "chatml" : "smollm3");
}

static void parse(uint8_t flags, const char *data, size_t size, size_t step, struct record *r)
{
    static struct chat_parser parser;
    *r = (struct record){.last = -1, .only_text = true};
    chat_parser_init(&parser, format_of(flags), flags & 2, flags & 4);
    for (size_t i = 0; i < size; i += step)
        chat_parser_feed(&parser, data + i, step < size - i ? step : size - i, record_event, r);
    chat_parser_finish(&parser, record_event, r);
}

static size_t without_newlines(const char *data, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += data[i] != '\n';
    return count;
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size)
{
    if (size < 2)
        return 0;
    struct record whole, cut;
    const char *output = (const char *)data + 2;
    parse(data[0], output, size - 2, 1, &whole);
    parse(data[0], output, size - 2, data[1] + 2u, &cut);
    if (!text_equal(buffer_text(&whole.events), buffer_text(&cut.events)))
        abort();
    /* Markers of empty thinking are the one thing that may vanish, and the mark before bare calls. */
    size_t lost =
        without_newlines(output, size - 2) - without_newlines(whole.text.data ? whole.text.data : "", whole.text.size);
    if (data[0] & 8)
        lost %= strlen("<|python_tag|>");
    if (whole.only_text && lost != 0 && lost != strlen("<think></think>") && lost != strlen("<think>") &&
        lost != strlen("</think>"))
        abort();
    buffer_free(&whole.events);
    buffer_free(&whole.text);
    buffer_free(&cut.events);
    buffer_free(&cut.text);
    return 0;
}
