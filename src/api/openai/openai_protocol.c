#include "api/core/event_stream.h"
#include "api/openai/openai.h"

/* ---- Errors ---- */

static const char *type_of(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    case 501:
        return "not_supported_error";
    case 503:
        return "unavailable_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

static void write_body(const struct api_error *error, const char *type, struct buffer *out)
{
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key(&writer, "error");
    json_begin_object(&writer);
    json_key_word(&writer, "message", error->message);
    json_key_word(&writer, "type", type);
    json_key_word(&writer, "param", error->param[0] ? error->param : NULL);
    json_key_word(&writer, "code", error->code);
    if (error->context > 0) {
        json_key_unsigned(&writer, "n_prompt_tokens", error->prompt_tokens);
        json_key_unsigned(&writer, "n_ctx", error->context);
    }
    json_end_object(&writer);
    json_end_object(&writer);
}

static void write_error(const struct api_error *error, const char *request_id, struct buffer *out)
{
    (void)request_id;
    write_body(error, type_of(error->status), out);
}

static void write_bare_error(const struct api_error *error, const char *request_id, struct buffer *out)
{
    (void)request_id;
    write_body(error, error->context > 0 ? "exceed_context_size_error" : type_of(error->status), out);
}

static void write_bare_stream_error(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, NULL);
    write_bare_error(&generation->error, generation->request_id, out);
    event_stream_end(&writer);
}

static void write_stream_error(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, NULL);
    write_error(&generation->error, generation->request_id, out);
    event_stream_end(&writer);
}

static void write_keep_alive(struct buffer *out)
{
    event_stream_comment(out, "keep-alive");
}

const struct protocol openai_protocol = {.stream_type = "text/event-stream",
                                         .error = write_error,
                                         .stream_error = write_stream_error,
                                         .keep_alive = write_keep_alive};
const struct protocol openai_bare_protocol = {.stream_type = "text/event-stream",
                                              .error = write_bare_error,
                                              .stream_error = write_bare_stream_error,
                                              .keep_alive = write_keep_alive};

/* ---- Parts of answers ---- */

void openai_write_envelope(const struct generation *generation, const char *object, struct json_writer *writer)
{
    json_key_word(writer, "id", generation->id);
    json_key_word(writer, "object", object);
    json_key_number(writer, "created", generation->created);
    json_key_word(writer, "model", generation->request.model);
    json_key_word(writer, "system_fingerprint", generation->api->fingerprint);
}

void openai_write_usage(const struct generation *generation, struct json_writer *writer)
{
    const struct generation_totals totals = generation_total(generation);
    json_key(writer, "usage");
    json_begin_object(writer);
    json_key_unsigned(writer, "prompt_tokens", totals.prompt);
    json_key_unsigned(writer, "completion_tokens", totals.completion);
    json_key_unsigned(writer, "total_tokens", totals.prompt + totals.completion);
    json_key(writer, "prompt_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "cached_tokens", totals.cached);
    json_end_object(writer);
    json_key(writer, "completion_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "reasoning_tokens", totals.reasoning);
    json_end_object(writer);
    json_end_object(writer);
}

void openai_write_chunk_usage(const struct generation *generation, const struct choice *choice,
                              struct json_writer *writer)
{
    const struct generation_request *request = &generation->request;
    if (!request->include_usage && !request->continuous_usage)
        return;
    json_key(writer, "usage");
    if (!request->continuous_usage) {
        json_nothing(writer);
        return;
    }
    const uint32_t completion = choice->done ? choice->usage.completion_tokens : choice->complete_tokens;
    json_begin_object(writer);
    json_key_unsigned(writer, "prompt_tokens", choice->prompt_tokens);
    json_key_unsigned(writer, "completion_tokens", completion);
    json_key_unsigned(writer, "total_tokens", (uint64_t)choice->prompt_tokens + completion);
    json_end_object(writer);
}

const char *openai_finish_reason(const struct choice *choice)
{
    static const char *const names[] = {"stop", "length", "tool_calls", "stop"};
    return names[choice->reason];
}
