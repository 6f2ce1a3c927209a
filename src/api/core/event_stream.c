#include "api/core/event_stream.h"

struct json_writer event_stream_begin(struct buffer *out, const char *name)
{
    if (name)
        buffer_printf(out, "event: %s\n", name);
    buffer_append_string(out, "data: ");
    return (struct json_writer){out, false};
}

void event_stream_end(struct json_writer *writer)
{
    buffer_append_string(writer->out, "\n\n");
}

void event_stream_text(struct buffer *out, const char *text)
{
    buffer_printf(out, "data: %s\n\n", text);
}

void event_stream_comment(struct buffer *out, const char *text)
{
    buffer_printf(out, ": %s\n\n", text);
}
