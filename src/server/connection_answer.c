/* Writing: heads, whole answers, streams, and probes of clients that may have left. */
#include "base/clock.h"
#include "server/connection_parts.h"
#include "server/response.h"

#include <stdint.h>

/* ---- Writing ---- */

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;
    c->is_writing = false;
    if (c->state == CONNECTION_CLOSING)
        return;
    if (status < 0) {
        connection_close(c, "client left");
        return;
    }
    c->written += c->output.size;
    buffer_clear(&c->output);
    connection_proceed(c);
}

void connection_look_at_queue(struct connection *c)
{
    size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (queued != c->queued)
        c->looked_ns = clock_nanoseconds();
    c->queued = queued;
}

/* Writes what is in output; connection_proceed goes on afterwards. */
void connection_write(struct connection *c)
{
    if (c->output.failed) {
        connection_close(c, "out of memory");
        return;
    }
    if (c->output.size > CONNECTION_SEND_BUFFER_LARGE) {
        int bytes = CONNECTION_SEND_BUFFER_LARGE;
        uv_send_buffer_size((uv_handle_t *)&c->tcp, &bytes);
    }
    c->is_writing = true;
    c->write.data = c;
    uv_buf_t piece = uv_buf_init(c->output.data, (unsigned)c->output.size);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &piece, 1, on_written) < 0) {
        c->is_writing = false;
        connection_close(c, "client left");
        return;
    }
    c->queued = 0;
    connection_look_at_queue(c);
    c->looked_ns = clock_nanoseconds();
    connection_enter(c, CONNECTION_ANSWERING, 1000);
}

static bool is_head_request(const struct connection *c)
{
    return text_is(c->parser.head.method, "HEAD");
}

static void write_head(struct connection *c, struct response_head head)
{
    head.minor_version = c->parser.head.minor_version;
    if (head.is_stream && head.minor_version == 0)
        c->keep_alive = false;
    head.keep_alive = c->keep_alive && !c->server->is_draining;
    head.request_id = c->request_id[0] ? c->request_id : NULL;
    head.origin = c->origin;
    head.has_origins = c->server->rules.origins != NULL;
    c->keep_alive = head.keep_alive;
    c->status = head.status;
    api_count_answer(c->server->api, head.status);
    c->head_is_sent = true;
    c->answer_is_stream = head.is_stream;
    response_write_head(&head, &c->output);
}

/* A whole answer made here. */
void connection_respond(struct connection *c, struct response_head head, struct smollm_text body)
{
    head.length = body.size;
    write_head(c, head);
    if (!is_head_request(c))
        buffer_append_text(&c->output, body);
    c->answer_is_done = true;
    connection_write(c);
}

/* `allow` goes with 405. */
void connection_respond_error(struct connection *c, int status, const char *message, const char *allow)
{
    struct buffer body = {0};
    api_write_error(c->parser.head.path, status, message, c->request_id, &body);
    connection_respond(c,
                       (struct response_head){.status = status,
                                              .content_type = "application/json",
                                              .retry_after = status == 429 || status == 503,
                                              .allow = allow},
                       buffer_text(&body));
    buffer_free(&body);
}

/* An error that ends the connection, because the next request in it cannot be found. */
void connection_refuse(struct connection *c, int status, const char *message, const char *allow)
{
    c->keep_alive = false;
    connection_respond_error(c, status, message, allow);
}

/* ---- Answering ---- */

static void request_ended(struct connection *c);

static void append_chunk(struct connection *c, size_t begin)
{
    if (c->answer_is_stream && c->parser.head.minor_version == 1)
        response_frame_chunk(&c->output, begin);
}

static void begin_chunk(struct connection *c)
{
    if (c->answer_is_stream && c->parser.head.minor_version == 1)
        buffer_append(&c->output, "          ", RESPONSE_CHUNK_HEAD);
}

static void end_stream(struct connection *c)
{
    c->answer_is_done = true;
    if (c->parser.head.minor_version == 1)
        response_end_chunks(&c->output);
}

static void pull_more(struct connection *c)
{
    size_t begin = c->output.size;
    begin_chunk(c);
    enum api_state state = api_answer_pull(c->answer, &c->output, begin + CONNECTION_WRITE_MAX);
    append_chunk(c, begin);
    if (state == API_DONE)
        end_stream(c);
    c->answer_is_lost = state == API_LOST;
}

/* The head and what goes with it: all of an answer, or the beginning of a stream. Nothing while there is nothing yet.
 */
static void pull_first(struct connection *c)
{
    struct buffer body = {0};
    struct api_head head;
    const size_t max = api_answer_is_stream(c->answer) ? CONNECTION_WRITE_MAX : SIZE_MAX;
    const enum api_state state = api_answer_pull(c->answer, &body, max);
    if (!api_answer_head(c->answer, &head)) {
        c->output.failed |= body.failed || state == API_DONE;
        buffer_free(&body);
        return;
    }
    c->output.failed |= body.failed;
    write_head(c, (struct response_head){.status = head.status,
                                         .content_type = head.content_type,
                                         .retry_after = head.retry_after,
                                         .field = head.field,
                                         .is_stream = head.is_stream,
                                         .length = body.size});
    size_t begin = c->output.size;
    begin_chunk(c);
    if (!is_head_request(c))
        buffer_append_text(&c->output, buffer_text(&body));
    append_chunk(c, begin);
    buffer_free(&body);
    if (head.is_stream && state == API_DONE && !is_head_request(c))
        end_stream(c);
    c->answer_is_done |= !head.is_stream || is_head_request(c);
    c->answer_is_lost = state == API_LOST;
}

/* A comment line in a stream. */
void connection_keep_alive(struct connection *c)
{
    size_t begin = c->output.size;
    begin_chunk(c);
    if (c->answer)
        api_answer_keep_alive(c->answer, &c->output);
    append_chunk(c, begin);
    if (c->output.size > 0)
        connection_write(c);
}

/* How long a stream may be silent before a comment line is written. */
uint64_t connection_patience(const struct connection *c)
{
    return !c->has_ended ? CONNECTION_KEEP_ALIVE_MS : c->probes < 2 ? CONNECTION_PROBE_SOON_MS : CONNECTION_PROBE_MS;
}

/* Probes a client that has sent its last byte, with a comment line or a 102: if it has left, the second write fails. A
 * whole answer to HTTP/1.0 allows neither, so that client counts as gone. */
void connection_probe(struct connection *c)
{
    static char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    uv_buf_t piece = uv_buf_init(interim, sizeof interim - 1);
    c->probes++;
    c->probed_ns = clock_nanoseconds();
    if (c->is_writing || c->answer_is_done)
        return;
    if (c->head_is_sent) {
        connection_keep_alive(c);
        return;
    }
    int written = c->parser.head.minor_version == 1 ? uv_try_write((uv_stream_t *)&c->tcp, &piece, 1) : UV_EPIPE;
    if (written < 0 && written != UV_EAGAIN)
        connection_close(c, "client left");
}

/* Tokens may come faster than the timer: each event of the connection checks whether a probe is due. */
void connection_probe_if_due(struct connection *c)
{
    if (c->has_ended && clock_nanoseconds() - c->probed_ns >= connection_patience(c) * 1000000u)
        connection_probe(c);
}

void connection_proceed(struct connection *c)
{
    if (c->state != CONNECTION_ANSWERING || c->is_writing)
        return;
    if (c->answer_is_done) {
        request_ended(c);
        return;
    }
    if (!c->head_is_sent)
        pull_first(c);
    else
        pull_more(c);
    if (c->answer_is_lost) {
        connection_close(c, "fell behind");
        return;
    }
    if (c->output.size > 0 || c->output.failed)
        connection_write(c);
    else
        connection_probe_if_due(c);
    if (c->state == CONNECTION_ANSWERING && !c->is_writing)
        connection_enter(c, CONNECTION_ANSWERING, connection_patience(c));
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct connection *c = request->data;
    if (c->state == CONNECTION_CLOSING)
        return;
    if (status < 0 || c->has_ended)
        connection_close(c, "done");
}

/* The kernel has the whole answer. */
static void request_ended(struct connection *c)
{
    connection_log(c, "done");
    api_answer_close(c->answer);
    c->answer = NULL;
    connection_release_body(c);
    c->probes = 0;
    const bool is_last = c->has_ended && c->input.size == 0;
    if (!c->keep_alive || c->server->is_draining || is_last) {
        connection_enter(c, CONNECTION_LINGERING, CONNECTION_LINGER_MS);
        c->shutdown.data = c;
        if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0)
            connection_close(c, "done");
        return;
    }
    http_parser_reset(&c->parser);
    c->match = (struct api_match){0};
    c->key = NULL;
    c->status = 0;
    c->written = 0;
    c->request_id[0] = '\0';
    c->origin = (struct smollm_text){0};
    c->head_is_sent = c->answer_is_done = c->answer_is_lost = c->answer_is_stream = false;
    connection_enter(c, CONNECTION_IDLE, CONNECTION_IDLE_MS);
    connection_take_input(c);
}
