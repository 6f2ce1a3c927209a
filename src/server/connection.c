#include "server/connection.h"

#include "base/clock.h"
#include "server/page.h"
#include "server/response.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_timer(uv_timer_t *timer);
static void take_input(struct connection *c);
static void request_ended(struct connection *c);

static void enter(struct connection *c, enum connection_state state, uint64_t milliseconds)
{
    c->state = state;
    uv_timer_stop(&c->timer);
    if (milliseconds > 0)
        uv_timer_start(&c->timer, on_timer, milliseconds, 0);
}

/* ---- End ---- */

static void log_request(struct connection *c, const char *ending)
{
    struct api_figures figures;
    /* While a thread of the pool works, the answer is that thread's. */
    const bool has_figures = !c->work_is_running && c->answer && api_answer_figures(c->answer, &figures);
    struct log_entry entry = {.client = c->client,
                              .method = c->parser.head.method,
                              .path = c->parser.head.path,
                              .status = c->status,
                              .milliseconds = (double)(clock_nanoseconds() - c->begin_ns) * 1e-6,
                              .bytes = c->written,
                              .ending = ending,
                              .request_id = c->request_id,
                              .figures = has_figures ? &figures : NULL};
    access_log_write(c->server->options.log_format, &entry);
}

static void release_body(struct connection *c)
{
    buffer_free(&c->body);
    c->server->bodies -= c->reserved;
    c->reserved = 0;
}

static void free_when_over(struct connection *c)
{
    if (c->open_handles > 0 || c->work_is_running)
        return;
    struct server *server = c->server;
    api_answer_close(c->answer);
    release_body(c);
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
    free_when_over(c);
}

void connection_close(struct connection *c, const char *ending)
{
    if (c->state == CONNECTION_CLOSING)
        return;
    bool in_request = c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY || c->state == CONNECTION_WORKING ||
                      c->state == CONNECTION_ANSWERING;
    c->state = CONNECTION_CLOSING;
    if (in_request)
        log_request(c, ending);
    /* Ends what is being generated for it: nobody will read it. */
    if (c->work_is_running) {
        uv_cancel((uv_req_t *)&c->work); /* if it has not begun */
    } else {
        api_answer_close(c->answer);
        c->answer = NULL;
    }
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

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

static void look_at_queue(struct connection *c)
{
    size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (queued != c->queued)
        c->looked_ns = clock_nanoseconds();
    c->queued = queued;
}

/* Writes what is in output; connection_proceed goes on afterwards. */
static void write_output(struct connection *c)
{
    if (c->output.failed) {
        connection_close(c, "out of memory");
        return;
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
    look_at_queue(c);
    c->looked_ns = clock_nanoseconds();
    enter(c, CONNECTION_ANSWERING, 1000);
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
static void respond(struct connection *c, struct response_head head, struct smollm_text body)
{
    head.length = body.size;
    write_head(c, head);
    if (!is_head_request(c))
        buffer_append_text(&c->output, body);
    c->answer_is_done = true;
    write_output(c);
}

/* `allow` goes with 405. */
static void respond_error(struct connection *c, int status, const char *message, const char *allow)
{
    struct api_error error;
    struct buffer body = {0};
    api_error_make(&error, status, NULL, message);
    api_error_write(&error, &body);
    respond(c,
            (struct response_head){
                .status = status, .content_type = "application/json", .retry_after = error.retry_after, .allow = allow},
            buffer_text(&body));
    buffer_free(&body);
}

/* An error that ends the connection, because what follows in it cannot be told. */
static void refuse(struct connection *c, int status, const char *message, const char *allow)
{
    c->keep_alive = false;
    respond_error(c, status, message, allow);
}

/* ---- Answering ---- */

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
    enum api_state state = api_answer_pull(c->answer, &c->output, begin + WRITE_MOST);
    append_chunk(c, begin);
    if (state == API_DONE)
        end_stream(c);
}

/* The head and what goes with it: all of an answer, or the beginning of a stream. Nothing while there is nothing yet.
 */
static void pull_first(struct connection *c)
{
    struct buffer body = {0};
    struct api_head head;
    const size_t most = api_answer_is_stream(c->answer) ? WRITE_MOST : SIZE_MAX;
    const enum api_state state = api_answer_pull(c->answer, &body, most);
    if (!api_answer_head(c->answer, &head)) {
        c->output.failed |= body.failed || state == API_DONE;
        buffer_free(&body);
        return;
    }
    c->output.failed |= body.failed;
    write_head(c, (struct response_head){.status = head.status,
                                         .content_type = head.content_type,
                                         .retry_after = head.retry_after,
                                         .is_stream = head.is_stream,
                                         .length = body.size});
    size_t begin = c->output.size;
    begin_chunk(c);
    if (!is_head_request(c))
        buffer_append_text(&c->output, buffer_text(&body));
    append_chunk(c, begin);
    buffer_free(&body);
    if (head.is_stream && state == API_DONE)
        end_stream(c);
    c->answer_is_done |= !head.is_stream;
}

/* How long a stream may say nothing before something is written. */
static uint64_t patience(const struct connection *c)
{
    return !c->has_ended ? KEEP_ALIVE_MS : c->probes < 2 ? PROBE_SOON_MS : PROBE_MS;
}

/* Writes something that means nothing to a client that has sent its last byte: where it has left, the second such write
 * fails. A whole answer to HTTP/1.0 has nothing of the kind, so there the client counts as gone. */
static void probe(struct connection *c)
{
    static char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    uv_buf_t piece = uv_buf_init(interim, sizeof interim - 1);
    c->probes++;
    c->probed_ns = clock_nanoseconds();
    if (c->is_writing || c->answer_is_done)
        return;
    if (c->head_is_sent) {
        size_t begin = c->output.size;
        begin_chunk(c);
        api_answer_keep_alive(c->answer, &c->output);
        append_chunk(c, begin);
        if (c->output.size > 0)
            write_output(c);
        return;
    }
    int written = c->parser.head.minor_version == 1 ? uv_try_write((uv_stream_t *)&c->tcp, &piece, 1) : UV_EPIPE;
    if (written < 0 && written != UV_EAGAIN)
        connection_close(c, "client left");
}

/* Tokens may come faster than the timer: whatever wakes the connection asks whether the client is due to be probed. */
static void probe_if_due(struct connection *c)
{
    if (c->has_ended && clock_nanoseconds() - c->probed_ns >= patience(c) * 1000000u)
        probe(c);
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
    if (c->output.size > 0 || c->output.failed)
        write_output(c);
    else
        probe_if_due(c);
    if (c->state == CONNECTION_ANSWERING && !c->is_writing)
        enter(c, CONNECTION_ANSWERING, patience(c));
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct connection *c = request->data;
    if (c->state == CONNECTION_CLOSING)
        return;
    if (status < 0 || c->has_ended)
        connection_close(c, "done");
}

/* The answer has been handed to the kernel. */
static void request_ended(struct connection *c)
{
    log_request(c, "done");
    api_answer_close(c->answer);
    c->answer = NULL;
    release_body(c);
    c->probes = 0;
    const bool is_last = c->has_ended && c->input.size == 0;
    if (!c->keep_alive || c->server->is_draining || is_last) {
        enter(c, CONNECTION_LINGERING, LINGER_MS);
        c->shutdown.data = c;
        if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0)
            connection_close(c, "done");
        return;
    }
    http_parser_reset(&c->parser);
    c->route = NULL;
    c->status = 0;
    c->written = 0;
    c->request_id[0] = '\0';
    c->origin = (struct smollm_text){0};
    c->head_is_sent = c->answer_is_done = c->answer_is_stream = false;
    enter(c, CONNECTION_IDLE, IDLE_MS);
    take_input(c);
}

/* ---- Working ---- */

static void notify(void *user)
{
    struct connection *c = user;
    atomic_store(&c->is_notified, true);
    uv_async_send(&c->server->wake);
}

static void open_answer(struct connection *c)
{
    struct api_call call = {.route = c->route,
                            .caller = c->caller,
                            .path = c->parser.head.path,
                            .body = buffer_text(&c->body),
                            .notify = notify,
                            .notify_user = c};
    c->answer = api_answer_open(c->server->api, &call);
}

static void on_work(uv_work_t *work)
{
    open_answer(work->data);
}

static void begin_answer(struct connection *c)
{
    release_body(c);
    if (!c->answer) {
        refuse(c, 503, "out of memory for the request", NULL);
        return;
    }
    if (c->server->is_aborting) {
        connection_abort(c);
        return;
    }
    enter(c, CONNECTION_ANSWERING, patience(c));
    connection_proceed(c);
}

static void on_work_done(uv_work_t *work, int status)
{
    struct connection *c = work->data;
    (void)status;
    c->work_is_running = false;
    if (c->state == CONNECTION_CLOSING)
        free_when_over(c);
    else
        begin_answer(c);
}

static void respond_page(struct connection *c)
{
    struct page page = page_for(&c->parser.head);
    struct response_head head = {.status = page.is_known ? 304 : 200,
                                 .content_type = "text/html; charset=utf-8",
                                 .policy = page_policy(),
                                 .may_be_cached = true,
                                 .encoding = page.is_known ? NULL : page.encoding,
                                 .etag = page.etag};
    respond(c, head, page.is_known ? (struct smollm_text){0} : page.html);
}

/* The request is complete. */
static void answer(struct connection *c)
{
    if (c->server->is_draining && (!c->route || c->route->method == API_POST)) {
        refuse(c, 503, "the server is shutting down", NULL);
        return;
    }
    if (!c->route) {
        respond_page(c);
        return;
    }
    enter(c, CONNECTION_WORKING, 0);
    if (c->route->method == API_GET) {
        open_answer(c);
        begin_answer(c);
        return;
    }
    c->work.data = c;
    c->work_is_running = true;
    if (uv_queue_work(&c->server->loop, &c->work, on_work, on_work_done) < 0) {
        c->work_is_running = false;
        refuse(c, 503, "out of memory for the request", NULL);
    }
}

/* ---- Reading ---- */

static bool is_json(struct smollm_text type)
{
    const char *semicolon = type.size > 0 ? memchr(type.data, ';', type.size) : NULL;
    size_t size = semicolon ? (size_t)(semicolon - type.data) : type.size;
    while (size > 0 && (type.data[size - 1] == ' ' || type.data[size - 1] == '\t'))
        size--;
    return http_text_is((struct smollm_text){type.data, size}, "application/json");
}

/* Letters, digits and some marks: what can stand in a log line and a header as it is. */
static bool is_request_id(struct smollm_text id)
{
    for (size_t i = 0; i < id.size; i++)
        if (!isalnum((unsigned char)id.data[i]) && !memchr("-_.:/+=", id.data[i], 7))
            return false;
    return id.size > 0 && id.size < REQUEST_ID_BYTES;
}

static void take_request_id(struct connection *c)
{
    const struct smollm_text sent = http_head_field(&c->parser.head, "x-request-id");
    if (is_request_id(sent))
        snprintf(c->request_id, sizeof c->request_id, "%.*s", (int)sent.size, sent.data);
    else
        snprintf(c->request_id, sizeof c->request_id, "req-%016llx",
                 (unsigned long long)(c->server->first_request_id + c->server->request_count));
    c->server->request_count++;
}

/* A browser asks whether a page of an allowed origin may send its request. */
static bool is_preflight(const struct connection *c)
{
    const struct http_head *head = &c->parser.head;
    return c->origin.data && text_is(head->method, "OPTIONS") &&
           http_head_field(head, "access-control-request-method").data;
}

/* What can be refused before the body is there; false when it was. */
static bool check_head(struct connection *c)
{
    const struct http_head *head = &c->parser.head;
    const struct server *server = c->server;
    bool is_get = text_is(head->method, "GET") || text_is(head->method, "HEAD");
    bool is_page = server->options.serves_page && text_is(head->path, "/");
    char reason[ACCESS_REASON_BYTES];
    take_request_id(c);
    c->origin = access_allowed_origin(&server->rules, head);
    c->route = is_page ? NULL : api_route_find(server->api, head->path);
    c->keep_alive = head->keep_alive;
    /* Where the body will not be read the connection cannot go on. */
    if (head->has_body)
        c->keep_alive = false;
    const bool is_public = is_page || is_preflight(c) || (c->route && c->route->is_public);
    int status = access_check(&server->rules, head, c->local, is_public, reason);
    if (status != 0) {
        respond_error(c, status, reason, NULL);
        return false;
    }
    c->caller = access_key_number(&server->rules, head);
    if (!is_page && !c->route) {
        respond_error(c, 404, "there is nothing at this path", NULL);
        return false;
    }
    if (is_preflight(c)) {
        respond(c, (struct response_head){.status = 204, .is_preflight = true}, (struct smollm_text){0});
        return false;
    }
    bool wants_get = is_page || c->route->method == API_GET;
    if (wants_get ? !is_get : !text_is(head->method, "POST")) {
        respond_error(c, 405, "this path does not answer to that method", wants_get ? "GET, HEAD" : "POST");
        return false;
    }
    if (!wants_get && !is_json(http_head_field(head, "content-type"))) {
        respond_error(c, 415, "Content-Type must be application/json", NULL);
        return false;
    }
    c->keep_alive = head->keep_alive;
    return true;
}

/* Room for body bytes among those of all connections. */
static bool reserve_body(struct connection *c, size_t size)
{
    struct server *server = c->server;
    if (size <= c->reserved)
        return true;
    size_t more = size - c->reserved;
    if (more > (size_t)BODIES_MOST - server->bodies)
        return false;
    server->bodies += more;
    c->reserved = size;
    return true;
}

static void take_head(struct connection *c)
{
    const struct http_head *head = &c->parser.head;
    if (!check_head(c))
        return;
    if (!reserve_body(c, (size_t)head->content_length)) {
        refuse(c, 503, "too many large requests at once", NULL);
        return;
    }
    buffer_reserve(&c->body, (size_t)head->content_length);
    enter(c, CONNECTION_BODY, BODY_MS);
    if (!head->expects_continue)
        return;
    /* 25 bytes into an empty socket buffer: a client to which even these cannot be written goes without. */
    static char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t piece = uv_buf_init(go_on, sizeof go_on - 1);
    uv_try_write((uv_stream_t *)&c->tcp, &piece, 1);
}

static void take_body(struct connection *c, struct smollm_text piece)
{
    if (!reserve_body(c, c->body.size + piece.size)) {
        refuse(c, 503, "too many large requests at once", NULL);
        return;
    }
    buffer_append_text(&c->body, piece);
    if (c->body.failed)
        refuse(c, 503, "out of memory for the request", NULL);
}

/* Parses what has arrived, as long as the connection is in a state to take it. */
static void take_input(struct connection *c)
{
    size_t taken = 0;
    while (c->state == CONNECTION_IDLE || c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY) {
        size_t used;
        struct smollm_text piece;
        if (c->state != CONNECTION_BODY && c->input.size == taken)
            break;
        if (c->state == CONNECTION_IDLE) {
            c->begin_ns = clock_nanoseconds();
            enter(c, CONNECTION_HEAD, HEAD_MS);
        }
        enum http_result result = http_parser_feed(&c->parser, c->input.data ? c->input.data + taken : NULL,
                                                   c->input.size - taken, &used, &piece);
        taken += used;
        if (result == HTTP_HEAD)
            take_head(c);
        else if (result == HTTP_BODY)
            take_body(c, piece);
        else if (result == HTTP_END)
            answer(c);
        else if (result == HTTP_BROKEN)
            refuse(c, c->parser.status, c->parser.reason, NULL);
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

/* The client has sent its last byte. What it has asked is answered, if it is still there to read it. */
static void input_ended(struct connection *c)
{
    c->has_ended = true;
    if (c->state != CONNECTION_WORKING && c->state != CONNECTION_ANSWERING) {
        connection_close(c, c->state == CONNECTION_LINGERING ? "done" : "client left");
        return;
    }
    probe(c);
    if (c->state == CONNECTION_ANSWERING && !c->is_writing)
        enter(c, CONNECTION_ANSWERING, patience(c));
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
        c->input.size + (size_t)size > PIPELINE_MOST) {
        if (!c->keep_alive && c->answer_is_done)
            return;
        connection_close(c, "too much sent ahead");
        return;
    }
    buffer_append(&c->input, space->base, (size_t)size);
    if (c->input.failed)
        connection_close(c, "out of memory");
    else
        take_input(c);
}

/* ---- Time ---- */

static void on_timer(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    if (c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY) {
        refuse(c, 408, "the request did not arrive in time", NULL);
        return;
    }
    if (c->state != CONNECTION_ANSWERING) {
        connection_close(c, "done");
        return;
    }
    if (c->is_writing) {
        look_at_queue(c);
        if (clock_nanoseconds() - c->looked_ns >= (uint64_t)c->server->options.stall_seconds * 1000000000u)
            connection_close(c, "stalled");
        else
            enter(c, CONNECTION_ANSWERING, 1000);
        return;
    }
    if (c->has_ended) {
        probe_if_due(c);
    } else if (c->head_is_sent) {
        size_t begin = c->output.size;
        begin_chunk(c);
        if (c->answer)
            api_answer_keep_alive(c->answer, &c->output);
        append_chunk(c, begin);
        if (c->output.size > 0)
            write_output(c);
    } else if (c->answer && clock_nanoseconds() - c->begin_ns >= (uint64_t)LATE_HEAD_MS * 1000000u) {
        api_answer_begin(c->answer);
        connection_proceed(c);
    }
    if (c->state == CONNECTION_ANSWERING && !c->is_writing)
        enter(c, CONNECTION_ANSWERING, patience(c));
}

bool connection_is_busy(const struct connection *c)
{
    return c->state == CONNECTION_WORKING || c->state == CONNECTION_ANSWERING || c->state == CONNECTION_LINGERING;
}

void connection_abort(struct connection *c)
{
    struct api_error error;
    if (c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY) {
        refuse(c, 503, "the server is shutting down", NULL);
        return;
    }
    if (c->state == CONNECTION_WORKING && c->work_is_running)
        return; /* begin_answer comes back here */
    if (!c->answer || (c->state != CONNECTION_ANSWERING && c->state != CONNECTION_WORKING))
        return;
    api_error_make(&error, 503, "shutting_down", "the server is shutting down");
    api_answer_abort(c->answer, &error);
    if (c->state == CONNECTION_WORKING)
        enter(c, CONNECTION_ANSWERING, patience(c));
    connection_proceed(c);
}

/* ---- Beginning ---- */

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

void connection_accept(struct server *server)
{
    struct connection *c = malloc(sizeof *c);
    if (!c) {
        server->listener_waits = true;
        return;
    }
    /* The parser's bytes need no zeros. */
    memset(c, 0, offsetof(struct connection, parser));
    http_parser_init(&c->parser, BODY_MOST);
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
    if (uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&c->tcp) < 0) {
        connection_close(c, "done");
        return;
    }
    struct sockaddr_storage address;
    int size = sizeof address, send_buffer = SEND_BUFFER;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &size) == 0)
        address_text(&address, c->client);
    size = sizeof address;
    if (uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&address, &size) == 0)
        address_text(&address, c->local);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_send_buffer_size((uv_handle_t *)&c->tcp, &send_buffer);
    /* The first request's head is awaited from the start: a connection that says nothing does not stay. */
    enter(c, CONNECTION_IDLE, HEAD_MS);
    if (uv_read_start((uv_stream_t *)&c->tcp, on_allocate, on_read) < 0)
        connection_close(c, "done");
}
