/* Server-sent events, as every streaming route writes them. */
#ifndef API_EVENT_STREAM_H
#define API_EVENT_STREAM_H

#include "api/core/json_writer.h"

/* Begins an event whose data is what the returned writer writes: one JSON value, which holds no line breaks. name NULL:
 * without one. */
struct json_writer event_stream_begin(struct buffer *out, const char *name);
void event_stream_end(struct json_writer *writer);

/* An event with plain text, such as "[DONE]". */
void event_stream_text(struct buffer *out, const char *text);
/* A comment line, which clients ignore. */
void event_stream_comment(struct buffer *out, const char *text);

#endif
