#include "api/core/event_stream.h"
#include "api/openai/openai.h"
#include "api/responses/responses.h"

static void write_error(const struct api_error *error, const char *request_id, struct buffer *out)
{
    openai_protocol.error(error, request_id, out);
}

/* A stream that has begun ends with response.failed, whose response names the error. */
static void write_stream_error(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, "response.failed");
    json_begin_object(&writer);
    json_key_word(&writer, "type", "response.failed");
    json_key_unsigned(&writer, "sequence_number", generation->events++);
    json_key(&writer, "response");
    responses_write_object(generation, generation->choices[0].item_count, "failed", &writer);
    json_end_object(&writer);
    event_stream_end(&writer);
}

static void write_keep_alive(struct buffer *out)
{
    event_stream_comment(out, "keep-alive");
}

const struct protocol responses_protocol = {.stream_type = "text/event-stream",
                                            .error = write_error,
                                            .stream_error = write_stream_error,
                                            .keep_alive = write_keep_alive};
