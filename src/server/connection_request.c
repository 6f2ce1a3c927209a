/* A request whose head has arrived: checks before its body is read, and answers. */
#include "server/connection_parts.h"
#include "server/page.h"
#include "server/response.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- The head ---- */

static bool is_json(struct smollm_text type)
{
    const char *semicolon = type.size > 0 ? memchr(type.data, ';', type.size) : NULL;
    size_t size = semicolon ? (size_t)(semicolon - type.data) : type.size;
    while (size > 0 && (type.data[size - 1] == ' ' || type.data[size - 1] == '\t'))
        size--;
    return http_text_is((struct smollm_text){type.data, size}, "application/json");
}

/* Letters, digits and some marks, which need no escapes in a log line or a header. */
static bool is_request_id(struct smollm_text id)
{
    for (size_t i = 0; i < id.size; i++)
        if (!isalnum((unsigned char)id.data[i]) && !memchr("-_.:/+=", id.data[i], 7))
            return false;
    return id.size > 0 && id.size < CONNECTION_REQUEST_ID_BYTES;
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

/* Ollama's clients look for its greeting at /, where browsers get the page. */
static bool asks_for_text(const struct http_head *head)
{
    const struct smollm_text accept = http_head_field(head, "accept");
    return text_starts_with(accept, "text/plain") && !text_contains(accept, "text/html");
}

/* A browser asks whether a page of an allowed origin may send its request. */
static bool is_preflight(const struct connection *c)
{
    const struct http_head *head = &c->parser.head;
    return c->origin.data && text_is(head->method, "OPTIONS") &&
           http_head_field(head, "access-control-request-method").data;
}

enum { ALLOW_BYTES = 32 };

/* "GET, HEAD, POST" */
static void write_allow(unsigned methods, char allow[ALLOW_BYTES])
{
    snprintf(allow, ALLOW_BYTES, "%s%s%s", methods & API_GET ? ", GET, HEAD" : "", methods & API_POST ? ", POST" : "",
             methods & API_DELETE ? ", DELETE" : "");
    memmove(allow, allow + 2, strlen(allow) - 1);
}

/* Refuses what can be refused before the body arrives; false when it did. */
static bool check_head(struct connection *c)
{
    const struct http_head *head = &c->parser.head;
    const struct server *server = c->server;
    bool is_get = text_is(head->method, "GET") || text_is(head->method, "HEAD");
    bool is_page = server->options.serves_page && text_is(head->path, "/") && !asks_for_text(head);
    char reason[ACCESS_REASON_BYTES];
    take_request_id(c);
    c->origin = access_allowed_origin(&server->rules, head);
    c->match = is_page ? (struct api_match){0} : api_find(head->method, head->path);
    c->keep_alive = head->keep_alive;
    /* If the body is not read, the connection must end. */
    if (head->has_body)
        c->keep_alive = false;
    const bool is_public = is_page || is_preflight(c) || c->match.is_public;
    int status = access_check(&server->rules, head, c->local, is_public, reason);
    if (status != 0) {
        connection_respond_error(c, status, reason, NULL);
        return false;
    }
    c->key = access_find_key(&server->rules, head);
    if (!is_page && c->match.methods == 0) {
        connection_respond_error(c, 404, "there is nothing at this path", NULL);
        return false;
    }
    if (is_preflight(c)) {
        connection_respond(c, (struct response_head){.status = 200, .is_preflight = true}, (struct smollm_text){0});
        return false;
    }
    if (is_page ? !is_get : !c->match.route) {
        char allow[ALLOW_BYTES];
        write_allow(is_page ? API_GET : c->match.methods, allow);
        connection_respond_error(c, 405, "this path does not answer to that method", allow);
        return false;
    }
    const struct smollm_text type = http_head_field(head, "content-type");
    if (c->match.takes_body && !is_json(type) && (type.size > 0 || !c->match.type_may_be_missing)) {
        connection_respond_error(c, 415, "Content-Type must be application/json", NULL);
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
    if (more > (size_t)CONNECTION_BODIES_MAX - server->bodies)
        return false;
    server->bodies += more;
    c->reserved = size;
    return true;
}

void connection_take_head(struct connection *c)
{
    const struct http_head *head = &c->parser.head;
    if (!check_head(c))
        return;
    if (!reserve_body(c, (size_t)head->content_length)) {
        connection_refuse(c, 503, "too many large requests at once", NULL);
        return;
    }
    buffer_reserve(&c->body, (size_t)head->content_length);
    connection_enter(c, CONNECTION_BODY, CONNECTION_BODY_MS);
    if (!head->expects_continue)
        return;
    /* 25 bytes into an empty socket buffer: a client to which even these cannot be written goes without. */
    static char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t piece = uv_buf_init(go_on, sizeof go_on - 1);
    uv_try_write((uv_stream_t *)&c->tcp, &piece, 1);
}

void connection_take_body(struct connection *c, struct smollm_text piece)
{
    if (!reserve_body(c, c->body.size + piece.size)) {
        connection_refuse(c, 503, "too many large requests at once", NULL);
        return;
    }
    buffer_append_text(&c->body, piece);
    if (c->body.failed)
        connection_refuse(c, 503, "out of memory for the request", NULL);
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
    struct api_call call = {.route = c->match.route,
                            .key = c->key ? c->key->id : 0,
                            .path = c->parser.head.path,
                            .parameter = c->match.parameter,
                            .query = c->parser.head.query,
                            .conversation_id = http_head_field(&c->parser.head, "x-conversation-id"),
                            .request_id = c->request_id,
                            .body = buffer_text(&c->body),
                            .notify = notify,
                            .notify_user = c};
    c->answer = api_answer_open(c->server->api, &call);
}

static bool is_canceled(void *user)
{
    const struct work *work = user;
    return atomic_load(&work->is_canceled);
}

static struct connection *connection_of(struct work *work)
{
    return (struct connection *)(void *)((char *)work - offsetof(struct connection, work));
}

/* On a worker's thread. */
static void on_work(struct work *work)
{
    smollm_set_cancellation(is_canceled, work);
    open_answer(connection_of(work));
    smollm_set_cancellation(NULL, NULL);
}

static void begin_answer(struct connection *c)
{
    connection_release_body(c);
    if (!c->answer) {
        connection_refuse(c, 503, "out of memory for the request", NULL);
        return;
    }
    if (c->server->is_aborting) {
        connection_abort(c);
        return;
    }
    connection_enter(c, CONNECTION_ANSWERING, connection_patience(c));
    connection_proceed(c);
}

void connection_work_done(struct work *work)
{
    struct connection *c = connection_of(work);
    c->work_is_running = false;
    if (c->state == CONNECTION_CLOSING)
        connection_free_when_over(c);
    else
        begin_answer(c);
}

static void respond_page(struct connection *c)
{
    struct page page = page_for(&c->parser.head);
    struct response_head head = {.status = page.is_cached ? 304 : 200,
                                 .content_type = "text/html; charset=utf-8",
                                 .policy = page_policy(),
                                 .may_be_cached = true,
                                 .encoding = page.is_cached ? NULL : page.encoding,
                                 .etag = page.etag};
    connection_respond(c, head, page.is_cached ? (struct smollm_text){0} : page.html);
}

/* The request is complete. */
void connection_answer(struct connection *c)
{
    if (c->server->is_draining && (!c->match.route || c->match.takes_body)) {
        connection_refuse(c, 503, "the server is shutting down", NULL);
        return;
    }
    if (!c->match.route) {
        respond_page(c);
        return;
    }
    connection_enter(c, CONNECTION_WORKING, 0);
    if (!c->match.takes_body) {
        open_answer(c);
        begin_answer(c);
        return;
    }
    c->work.key = c->key ? c->key->id : 0;
    c->work.run = on_work;
    c->work_is_running = true;
    workers_submit(c->server->workers, &c->work);
}
