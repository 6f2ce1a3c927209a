#include "api/core/json_writer.h"
#include "api/ollama/ollama.h"

static void write_error(const struct api_error *error, const char *request_id, struct buffer *out)
{
    (void)request_id;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "error", error->message);
    json_end_object(&writer);
}

static void write_stream_error(struct generation *generation, struct buffer *out)
{
    write_error(&generation->error, generation->request_id, out);
    buffer_append_char(out, '\n');
}

/* Clients read each line as an object, so a silent stream stays silent. */
const struct protocol ollama_protocol = {.type_may_be_missing = true,
                                         .stream_type = "application/x-ndjson",
                                         .error = write_error,
                                         .stream_error = write_stream_error};
