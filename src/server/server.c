#include "server/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "server/connection.h"
#include "server/page.h"
#include "server/server_state.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* Threads for requests that take long. */
enum { SERVER_WORKERS = 4 };

/* Time to write the errors of answers that are cut off after the time to drain. */
enum { LAST_WORDS_MS = 1500 };

/* ---- Address ---- */

static int listen_at(const struct addrinfo *address, const char *host, unsigned port, int *descriptor,
                     struct smollm_error *error)
{
    int on = 1;
    *descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    RETURN_ERROR_IF(*descriptor < 0, error, SMOLLM_EIO, "cannot make a socket: %s", strerror(errno));
    setsockopt(*descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(*descriptor, address->ai_addr, address->ai_addrlen) == 0 && listen(*descriptor, 511) == 0)
        return 0;
    const int reason = errno;
    close(*descriptor);
    *descriptor = -1;
    RETURN_ERROR_IF(reason == EADDRINUSE, error, SMOLLM_EIO, "port %u of %s is in use, perhaps by another smollm serve",
                    port, host);
    return error_set(error, SMOLLM_EIO, "cannot listen on %s port %u: %s", host, port, strerror(reason));
}

/* Writes the address that is listened on; returns its port. */
static uint16_t name_address(struct listener *listener, int descriptor)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64] = "", port[8] = "";
    if (getsockname(descriptor, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(listener->address, sizeof listener->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    return (uint16_t)strtoul(port, NULL, 10);
}

static int find_address(const struct server_options *o, const char *host, uint16_t port, int *descriptor,
                        struct smollm_error *error)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    char service[8], numeric[64] = "";
    snprintf(service, sizeof service, "%u", port);
    int failed = getaddrinfo(host, service, &wanted, &found);
    RETURN_ERROR_IF(failed != 0, error, SMOLLM_EINVAL, "cannot resolve the host %s: %s", host, gai_strerror(failed));
    getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof numeric, NULL, 0, NI_NUMERICHOST);
    int status = 0;
    if (!access_is_loopback(numeric) && !(o->keys && o->keys->count > 0))
        status = error_set(error, SMOLLM_EINVAL,
                           "other machines can reach %s, so clients need an API key there, and none is set", host);
    if (status == 0)
        status = listen_at(found, host, port, descriptor, error);
    freeaddrinfo(found);
    return status;
}

/* Cuts options.host at its commas. "[::1]", as in a URL, is the address ::1. */
static int take_names(struct server *server, struct smollm_error *error)
{
    for (const char *at = server->options.host;; at++) {
        const size_t size = strcspn(at, ",");
        const bool has_brackets = size > 2 && at[0] == '[' && at[size - 1] == ']';
        RETURN_ERROR_IF(size == 0 || size >= sizeof *server->names, error, SMOLLM_EINVAL,
                        "the host '%.100s' has a name of %zu bytes; names have 1 to %zu", server->options.host, size,
                        sizeof *server->names - 1);
        RETURN_ERROR_IF(server->name_count == SERVER_ADDRESSES_MAX, error, SMOLLM_EINVAL,
                        "the host '%.100s' has more than %d addresses", server->options.host, SERVER_ADDRESSES_MAX);
        const uint32_t i = server->name_count++;
        const int length = (int)(size - 2 * has_brackets);
        snprintf(server->names[i], sizeof server->names[i], "%.*s", length, at + has_brackets);
        snprintf(server->names_in_brackets[i], sizeof server->names_in_brackets[i], "[%.*s]", length,
                 at + has_brackets);
        at += size;
        if (!*at)
            return 0;
    }
}

static int take_hosts(struct server *server, struct smollm_error *error)
{
    size_t count = 0, max = sizeof server->hosts / sizeof *server->hosts - 1 - 2 * SERVER_ADDRESSES_MAX;
    RETURN_ERROR_IF(server->options.allowed_host_count > max, error, SMOLLM_EINVAL, "more than %zu allowed host names",
                    max);
    for (; count < server->options.allowed_host_count; count++)
        server->hosts[count] = server->options.allowed_hosts[count];
    for (uint32_t i = 0; i < server->name_count; i++) {
        server->hosts[count++] = server->names[i];
        server->hosts[count++] = server->names_in_brackets[i];
    }
    server->rules = (struct access_rules){.keys = server->options.keys,
                                          .hosts = server->hosts,
                                          .origins = server->options.allowed_origins,
                                          .host_advice = server->options.host_advice};
    return 0;
}

const char *server_address(const struct server *server, uint32_t index)
{
    return index < server->listener_count ? server->listeners[index].address : NULL;
}

/* ---- Running ---- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct server *server = stream->data;
    struct listener *listener = (struct listener *)(void *)stream;
    if (status < 0)
        return;
    /* libuv does not call again until this connection is accepted. */
    if (server->connection_count >= server->options.max_connections)
        listener->waits = true;
    else
        connection_accept(server, listener);
}

static void drain(struct server *server);

static void wake_loop(void *user)
{
    struct server *server = user;
    uv_async_send(&server->wake);
}

static void on_wake(uv_async_t *wake)
{
    struct server *server = wake->data;
    struct connection *next;
    if (atomic_load(&server->is_stopped) && !server->is_draining)
        drain(server);
    for (struct connection *c = server->connections; c; c = next) {
        next = c->next;
        if (atomic_exchange(&c->is_notified, false))
            connection_proceed(c);
    }
    for (struct work *work; (work = workers_take(server->workers));)
        connection_work_done(work);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void for_each_connection(struct server *server, void (*act)(struct connection *))
{
    struct connection *next;
    for (struct connection *c = server->connections; c; c = next) {
        next = c->next;
        act(c);
    }
}

static void close_connection(struct connection *c)
{
    connection_close(c, "shutdown");
}

/* Workers wake the loop: it ends after the last of them has given back its connection. */
static void close_wake_if_over(struct server *server)
{
    if (uv_is_closing((uv_handle_t *)&server->grace) && server->connection_count == 0)
        close_handle((uv_handle_t *)&server->wake);
}

void server_end_if_idle(struct server *server)
{
    if (!server->is_draining || uv_is_closing((uv_handle_t *)&server->grace))
        return;
    for (const struct connection *c = server->connections; c; c = c->next)
        if (connection_is_busy(c))
            return;
    uv_handle_t *handles[] = {(uv_handle_t *)&server->grace, (uv_handle_t *)&server->sigterm,
                              (uv_handle_t *)&server->sigint, (uv_handle_t *)&server->sighup};
    for (uint32_t i = 0; i < server->listener_count; i++)
        close_handle((uv_handle_t *)&server->listeners[i].tcp);
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        close_handle(handles[i]);
    /* Closing restored their default, which kills: a signal now must not turn a clean end into a failure. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    for_each_connection(server, close_connection);
    close_wake_if_over(server);
}

void server_connection_ended(struct server *server)
{
    close_wake_if_over(server);
    for (uint32_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        if (listener->waits && !uv_is_closing((uv_handle_t *)&listener->tcp) &&
            server->connection_count < server->options.max_connections) {
            listener->waits = false;
            connection_accept(server, listener);
        }
    }
    server_end_if_idle(server);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (server->is_aborting) {
        for_each_connection(server, close_connection);
        server_end_if_idle(server);
        return;
    }
    server->is_aborting = true;
    uv_timer_start(timer, on_grace_over, LAST_WORDS_MS, 0);
    for_each_connection(server, connection_abort);
}

static void close_if_unused(struct connection *c)
{
    if (c->state == CONNECTION_IDLE)
        connection_close(c, "done");
}

/* Listeners stay open: a client that connects is answered with 503 instead of being refused by the kernel. */
static void drain(struct server *server)
{
    server->is_draining = true;
    if (server->options.draining)
        server->options.draining(server->options.draining_user);
    api_drain(server->api);
    uv_timer_start(&server->grace, on_grace_over, 1000 * (uint64_t)server->options.drain_seconds, 0);
    for_each_connection(server, close_if_unused);
    server_end_if_idle(server);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    (void)number;
    if (server->is_draining)
        on_grace_over(&server->grace);
    else
        drain(server);
}

/* nohup ignores SIGHUP; that is kept. */
static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static int start_loop(struct server *server, struct smollm_error *error)
{
    struct {
        uv_signal_t *handle;
        int number;
    } signals[] = {{&server->sigterm, SIGTERM}, {&server->sigint, SIGINT}, {&server->sighup, SIGHUP}};
    server->wake.data = server->grace.data = server;
    uv_timer_init(&server->loop, &server->grace);
    int status = uv_async_init(&server->loop, &server->wake, on_wake);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        uv_signal_init(&server->loop, signals[i].handle);
        signals[i].handle->data = server;
        if (status == 0 && !(signals[i].number == SIGHUP && is_ignored(SIGHUP)))
            status = uv_signal_start(signals[i].handle, on_signal, signals[i].number);
    }
    return status < 0 ? error_set(error, SMOLLM_EIO, "cannot serve: %s", uv_strerror(status)) : 0;
}

/* ---- Create and destroy ---- */

static int open_listeners(struct server *server, struct smollm_error *error)
{
    uint16_t port = server->options.port;
    for (uint32_t i = 0; i < server->name_count; i++) {
        struct listener *listener = &server->listeners[i];
        int descriptor = -1;
        const int found = find_address(&server->options, server->names[i], port, &descriptor, error);
        if (found < 0)
            return found;
        uv_tcp_init(&server->loop, &listener->tcp);
        listener->tcp.data = server;
        server->listener_count++;
        port = name_address(listener, descriptor);
        int status = uv_tcp_open(&listener->tcp, descriptor);
        if (status < 0)
            close(descriptor);
        else
            status = uv_listen((uv_stream_t *)&listener->tcp, 511, on_connection);
        RETURN_ERROR_IF(status < 0, error, SMOLLM_EIO, "cannot serve at %s: %s", server->names[i], uv_strerror(status));
    }
    return 0;
}

static int open_loop(struct server *server, struct smollm_error *error)
{
    const int failed = uv_loop_init(&server->loop);
    RETURN_ERROR_IF(failed < 0, error, SMOLLM_EIO, "cannot start the event loop: %s", uv_strerror(failed));
    server->loop_is_open = true;
    const int status = open_listeners(server, error);
    return status < 0 ? status : start_loop(server, error);
}

int server_open(const struct server_options *options, struct server **result, struct smollm_error *error)
{
    *result = NULL;
    struct server *server = calloc(1, sizeof *server);
    RETURN_ERROR_IF(!server, error, SMOLLM_ENOMEM, "out of memory");
    server->options = *options;
    if (server->options.max_connections == 0)
        server->options.max_connections = 512;
    if (server->options.stall_seconds == 0)
        server->options.stall_seconds = 600;
    if (getrandom(&server->first_request_id, sizeof server->first_request_id, 0) < 0)
        server->first_request_id = clock_nanoseconds();
    int status = log_writer_create(STDERR_FILENO, &server->log, error);
    if (status == 0)
        status = take_names(server, error);
    if (status == 0)
        status = take_hosts(server, error);
    if (status == 0)
        status = open_loop(server, error);
    if (status == 0)
        status = workers_create(SERVER_WORKERS, wake_loop, server, &server->workers, error);
    if (status < 0) {
        server_close(server);
        return status;
    }
    *result = server;
    return 0;
}

static void close_any(uv_handle_t *handle, void *unused)
{
    (void)unused;
    close_handle(handle);
}

void server_close(struct server *server)
{
    if (!server)
        return;
    if (server->loop_is_open) {
        uv_walk(&server->loop, close_any, NULL);
        uv_run(&server->loop, UV_RUN_DEFAULT);
        uv_loop_close(&server->loop);
    }
    workers_destroy(server->workers);
    log_writer_close(server->log);
    free(server);
}

void server_run(struct server *server, struct api *api)
{
    server->api = api;
    uv_run(&server->loop, UV_RUN_DEFAULT);
}

void server_stop(struct server *server)
{
    atomic_store(&server->is_stopped, true);
    uv_async_send(&server->wake);
}
