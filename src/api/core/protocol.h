/* A protocol: how one family of clients is spoken to, as a table of functions. docs/howto/protocol.md says how to add
 * one. What differs from one of its routes to the next is in struct generation_format (generation.h). */
#ifndef API_PROTOCOL_H
#define API_PROTOCOL_H

#include "api/core/api_error.h"

struct generation;

struct protocol {
    bool type_may_be_missing; /* clients send bodies without Content-Type; a browser's page cannot (access.h) */
    const char *stream_type;  /* Content-Type of a stream: "text/event-stream", "application/x-ndjson" */
    /* The whole body of an answer that is an error. */
    void (*error)(const struct api_error *error, const char *request_id, struct buffer *out);
    /* The last event of a stream that has begun and ends with an error. */
    void (*stream_error)(struct generation *generation, struct buffer *out); /* generation->error */
    /* Something that clients ignore, in a stream that is silent; NULL: clients would ignore nothing. */
    void (*keep_alive)(struct buffer *out);
};

#endif
