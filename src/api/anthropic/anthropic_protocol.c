#include "api/anthropic/anthropic.h"
#include "api/core/event_stream.h"

static const char *type_of(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 503:
        return "overloaded_error";
    default:
        return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

static void write_body(const struct api_error *error, const char *request_id, struct json_writer *writer)
{
    json_begin_object(writer);
    json_key_word(writer, "type", "error");
    json_key(writer, "error");
    json_begin_object(writer);
    json_key_word(writer, "type", type_of(error->status));
    json_key_word(writer, "message", error->message);
    json_end_object(writer);
    json_key_word(writer, "request_id", request_id && *request_id ? request_id : NULL);
    json_end_object(writer);
}

static void write_error(const struct api_error *error, const char *request_id, struct buffer *out)
{
    struct json_writer writer = {out, false};
    write_body(error, request_id, &writer);
}

static void write_stream_error(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, "error");
    write_body(&generation->error, generation->request_id, &writer);
    event_stream_end(&writer);
}

static void write_keep_alive(struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, "ping");
    json_begin_object(&writer);
    json_key_word(&writer, "type", "ping");
    json_end_object(&writer);
    event_stream_end(&writer);
}

const struct protocol anthropic_protocol = {.stream_type = "text/event-stream",
                                            .error = write_error,
                                            .stream_error = write_stream_error,
                                            .keep_alive = write_keep_alive};
