#include "server/connection_parts.h"

#include "base/clock.h"
#include "server/page.h"
#include "server/response.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_timer(uv_timer_t *timer);

void connection_enter(struct connection *c, enum connection_state state, uint64_t milliseconds)
{
    c->state = state;
    uv_timer_stop(&c->timer);
    if (milliseconds > 0)
        uv_timer_start(&c->timer, on_timer, milliseconds, 0);
}

/* ---- Close ---- */

void connection_log(struct connection *c, const char *ending)
{
    struct api_figures figures;
    /* While a worker reads the request, it owns the answer. */
    const bool has_figures = !c->work_is_running && c->answer && api_answer_figures(c->answer, &figures);
    struct log_entry entry = {.client = c->client,
                              .method = c->parser.head.method,
                              .path = c->parser.head.path,
                              .status = c->status,
                              .milliseconds = (double)(clock_nanoseconds() - c->begin_ns) * 1e-6,
                              .bytes = c->written,
                              .ending = ending,
                              .request_id = c->request_id,
                              .key = c->key ? c->key->name : NULL,
                              .figures = has_figures ? &figures : NULL};
    access_log_write(c->server->log, c->server->options.log_format, &entry);
}

void connection_release_body(struct connection *c)
{
    buffer_free(&c->body);
    c->server->bodies -= c->reserved;
    c->reserved = 0;
}

void connection_free_when_over(struct connection *c)
{
    if (c->open_handles > 0 || c->work_is_running)
        return;
    struct server *server = c->server;
    api_answer_close(c->answer);
    connection_release_body(c);
    buffer_free(&c->input);
    buffer_free(&c->output);
    if (c->previous)
        c->previous->next = c->next;
    else
        server->connections = c->next;
    if (c->next)
        c->next->previous = c->previous;
    server->connection_count--;
    free(c);
    server_connection_ended(server);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    c->open_handles--;
    connection_free_when_over(c);
}

void connection_close(struct connection *c, const char *ending)
{
    if (c->state == CONNECTION_CLOSING)
        return;
    bool in_request = c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY || c->state == CONNECTION_WORKING ||
                      c->state == CONNECTION_ANSWERING;
    c->state = CONNECTION_CLOSING;
    if (in_request)
        connection_log(c, ending);
    /* Ends the generation if it is not kept: no client reads it. */
    if (c->work_is_running && workers_cancel(c->server->workers, &c->work))
        c->work_is_running = false;
    if (!c->work_is_running) {
        api_answer_close(c->answer);
        c->answer = NULL;
    }
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

/* ---- Reading ---- */

void connection_take_input(struct connection *c)
{
    size_t taken = 0;
    while (c->state == CONNECTION_IDLE || c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY) {
        size_t used;
        struct smollm_text piece;
        if (c->state != CONNECTION_BODY && c->input.size == taken)
            break;
        if (c->state == CONNECTION_IDLE) {
            c->begin_ns = clock_nanoseconds();
            connection_enter(c, CONNECTION_HEAD, CONNECTION_HEAD_MS);
        }
        enum http_result result = http_parser_feed(&c->parser, c->input.data ? c->input.data + taken : NULL,
                                                   c->input.size - taken, &used, &piece);
        taken += used;
        if (result == HTTP_HEAD)
            connection_take_head(c);
        else if (result == HTTP_BODY)
            connection_take_body(c, piece);
        else if (result == HTTP_END)
            connection_answer(c);
        else if (result == HTTP_BROKEN)
            connection_refuse(c, c->parser.status, c->parser.reason, NULL);
        if (result == HTTP_MORE)
            break;
    }
    if (c->state == CONNECTION_CLOSING || c->state == CONNECTION_LINGERING)
        buffer_free(&c->input);
    else
        buffer_consume(&c->input, taken);
    if (c->has_ended && (c->state == CONNECTION_IDLE || c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY))
        connection_close(c, "client left");
}

/* The client has sent its last byte. Its request is still answered, if it reads on. */
static void input_ended(struct connection *c)
{
    c->has_ended = true;
    if (c->state != CONNECTION_WORKING && c->state != CONNECTION_ANSWERING) {
        connection_close(c, c->state == CONNECTION_LINGERING ? "done" : "client left");
        return;
    }
    connection_probe(c);
    if (c->state == CONNECTION_WORKING || (c->state == CONNECTION_ANSWERING && !c->is_writing))
        connection_enter(c, c->state, connection_patience(c));
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *space)
{
    struct connection *c = handle->data;
    (void)suggested;
    /* What is read is copied or dropped before the next read, so that all connections share one block. */
    *space = uv_buf_init(c->server->input, sizeof c->server->input);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *space)
{
    struct connection *c = stream->data;
    if (c->state == CONNECTION_CLOSING || size == 0)
        return;
    if (size == UV_EOF) {
        input_ended(c);
        return;
    }
    if (size < 0) {
        connection_close(c, "client left");
        return;
    }
    if (c->state == CONNECTION_LINGERING)
        return;
    if ((c->state == CONNECTION_WORKING || c->state == CONNECTION_ANSWERING) &&
        c->input.size + (size_t)size > CONNECTION_PIPELINE_MAX) {
        if (!c->keep_alive && c->answer_is_done)
            return;
        connection_close(c, "too much sent ahead");
        return;
    }
    buffer_append(&c->input, space->base, (size_t)size);
    if (c->input.failed)
        connection_close(c, "out of memory");
    else
        connection_take_input(c);
}

/* ---- Time ---- */

static void on_timer(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    if (c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY) {
        connection_refuse(c, 408, "the request did not arrive in time", NULL);
        return;
    }
    if (c->state == CONNECTION_WORKING) { /* for a client that has sent its last byte */
        connection_probe_if_due(c);
        if (c->state == CONNECTION_WORKING)
            connection_enter(c, CONNECTION_WORKING, connection_patience(c));
        return;
    }
    if (c->state != CONNECTION_ANSWERING) {
        connection_close(c, "done");
        return;
    }
    if (c->is_writing) {
        connection_look_at_queue(c);
        if (clock_nanoseconds() - c->looked_ns >= (uint64_t)c->server->options.stall_seconds * 1000000000u)
            connection_close(c, "stalled");
        else
            connection_enter(c, CONNECTION_ANSWERING, 1000);
        return;
    }
    if (c->has_ended) {
        connection_probe_if_due(c);
    } else if (c->head_is_sent) {
        connection_keep_alive(c);
    } else if (c->answer && clock_nanoseconds() - c->begin_ns >= (uint64_t)CONNECTION_LATE_HEAD_MS * 1000000u) {
        api_answer_begin(c->answer);
        connection_proceed(c);
    }
    if (c->state == CONNECTION_ANSWERING && !c->is_writing)
        connection_enter(c, CONNECTION_ANSWERING, connection_patience(c));
}

bool connection_is_busy(const struct connection *c)
{
    return c->state == CONNECTION_WORKING || c->state == CONNECTION_ANSWERING || c->state == CONNECTION_LINGERING;
}

void connection_abort(struct connection *c)
{
    if (c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY) {
        connection_refuse(c, 503, "the server is shutting down", NULL);
        return;
    }
    if (c->state == CONNECTION_WORKING && c->work_is_running) {
        atomic_store(&c->work.is_canceled, true);
        return; /* begin_answer comes back here */
    }
    if (!c->answer || (c->state != CONNECTION_ANSWERING && c->state != CONNECTION_WORKING))
        return;
    api_answer_abort(c->answer);
    if (c->state == CONNECTION_WORKING)
        connection_enter(c, CONNECTION_ANSWERING, connection_patience(c));
    connection_proceed(c);
}

/* ---- Open ---- */

static void address_text(const struct sockaddr_storage *address, char text[64])
{
    static const char mapped[] = "::ffff:";
    if (address->ss_family == AF_INET6) {
        uv_ip6_name((const struct sockaddr_in6 *)address, text, 64);
        /* An IPv4 client of an IPv6 listener: its address is the one that it uses itself. */
        if (strncmp(text, mapped, sizeof mapped - 1) == 0 && strchr(text, '.'))
            memmove(text, text + sizeof mapped - 1, strlen(text) - sizeof mapped + 2);
    } else
        uv_ip4_name((const struct sockaddr_in *)address, text, 64);
}

void connection_accept(struct server *server, struct listener *listener)
{
    struct connection *c = malloc(sizeof *c);
    if (!c) {
        listener->waits = true;
        return;
    }
    /* The parser's bytes need no zeros. */
    memset(c, 0, offsetof(struct connection, parser));
    http_parser_init(&c->parser, CONNECTION_BODY_MAX);
    c->server = server;
    uv_tcp_init(&server->loop, &c->tcp);
    uv_timer_init(&server->loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    c->open_handles = 2;
    c->next = server->connections;
    if (c->next)
        c->next->previous = c;
    server->connections = c;
    server->connection_count++;
    c->begin_ns = clock_nanoseconds();
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&c->tcp) < 0) {
        connection_close(c, "done");
        return;
    }
    struct sockaddr_storage address;
    int size = sizeof address, send_buffer = CONNECTION_SEND_BUFFER;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &size) == 0)
        address_text(&address, c->client);
    size = sizeof address;
    if (uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&address, &size) == 0)
        address_text(&address, c->local);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_send_buffer_size((uv_handle_t *)&c->tcp, &send_buffer);
    /* The first request's head is awaited from the start: a silent connection is closed. */
    connection_enter(c, CONNECTION_IDLE, CONNECTION_HEAD_MS);
    if (uv_read_start((uv_stream_t *)&c->tcp, on_allocate, on_read) < 0)
        connection_close(c, "done");
}
