#include "server/server.h"

#include "base/error.h"
#include "server/connection.h"
#include "server/page.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is answered when SIGTERM comes may go on for so long; then every stream is told, and this long is left to write
 * that out. With the pass that the engine may be in: below 10 seconds. */
enum { GRACE_MS = 6000, LAST_WORDS_MS = 1500 };

/* ---- Address ---- */

static int listen_at(struct server *server, const struct addrinfo *address, const char *host, unsigned port,
                     struct smollm_error *error)
{
    int on = 1;
    server->listener_fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    RETURN_ERROR_IF(server->listener_fd < 0, error, SMOLLM_EIO, "cannot make a socket: %s", strerror(errno));
    setsockopt(server->listener_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server->listener_fd, address->ai_addr, address->ai_addrlen) == 0 && listen(server->listener_fd, 511) == 0)
        return 0;
    RETURN_ERROR_IF(errno == EADDRINUSE, error, SMOLLM_EIO, "port %u of %s is in use, perhaps by another smollm serve",
                    port, host);
    return error_set(error, SMOLLM_EIO, "cannot listen on %s port %u: %s", host, port, strerror(errno));
}

static void name_address(struct server *server)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64] = "", port[8] = "";
    if (getsockname(server->listener_fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(server->address, sizeof server->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static int find_address(struct server *server, struct smollm_error *error)
{
    const struct server_options *o = &server->options;
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    char port[8], numeric[64] = "";
    snprintf(port, sizeof port, "%u", o->port);
    int failed = getaddrinfo(o->host, port, &wanted, &found);
    RETURN_ERROR_IF(failed != 0, error, SMOLLM_EINVAL, "cannot resolve the host %s: %s", o->host, gai_strerror(failed));
    getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof numeric, NULL, 0, NI_NUMERICHOST);
    int status = 0;
    if (!access_is_loopback(numeric) && !(o->keys && o->keys[0]))
        status = error_set(error, SMOLLM_EINVAL,
                           "other machines can reach %s, so clients need an API key there, and none is set", o->host);
    if (status == 0)
        status = listen_at(server, found, o->host, o->port, error);
    freeaddrinfo(found);
    if (status == 0)
        name_address(server);
    return status;
}

static int take_hosts(struct server *server, struct smollm_error *error)
{
    size_t count = 0, most = sizeof server->hosts / sizeof *server->hosts - 3;
    RETURN_ERROR_IF(server->options.allowed_host_count > most, error, SMOLLM_EINVAL, "more than %zu allowed host names",
                    most);
    for (; count < server->options.allowed_host_count; count++)
        server->hosts[count] = server->options.allowed_hosts[count];
    server->hosts[count++] = server->options.host;
    snprintf(server->host_in_brackets, sizeof server->host_in_brackets, "[%.70s]", server->options.host);
    server->hosts[count++] = server->host_in_brackets;
    server->rules = (struct access_rules){.keys = server->options.keys, .hosts = server->hosts};
    return 0;
}

int server_open(const struct server_options *options, struct server **result, struct smollm_error *error)
{
    *result = NULL;
    struct server *server = calloc(1, sizeof *server);
    RETURN_ERROR_IF(!server, error, SMOLLM_ENOMEM, "out of memory");
    server->options = *options;
    server->listener_fd = -1;
    if (server->options.most_connections == 0)
        server->options.most_connections = 512;
    if (server->options.stall_seconds == 0)
        server->options.stall_seconds = 600;
    int status = take_hosts(server, error);
    if (status == 0)
        status = find_address(server, error);
    if (status < 0) {
        server_close(server);
        return status;
    }
    *result = server;
    return 0;
}

const char *server_address(const struct server *server)
{
    return server->address;
}

void server_close(struct server *server)
{
    if (!server)
        return;
    if (server->listener_fd >= 0)
        close(server->listener_fd);
    free(server);
}

/* ---- Running ---- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct server *server = stream->data;
    if (status < 0)
        return;
    /* A connection that is not accepted keeps libuv from calling again until it is. */
    if (server->connection_count >= server->options.most_connections)
        server->listener_waits = true;
    else
        connection_accept(server);
}

static void on_wake(uv_async_t *wake)
{
    struct server *server = wake->data;
    struct connection *next;
    for (struct connection *c = server->connections; c; c = next) {
        next = c->next;
        if (atomic_exchange(&c->is_notified, false))
            connection_proceed(c);
    }
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void end_if_empty(struct server *server)
{
    if (!server->is_draining || server->connection_count > 0)
        return;
    close_handle((uv_handle_t *)&server->grace);
    close_handle((uv_handle_t *)&server->sigterm);
    close_handle((uv_handle_t *)&server->sigint);
    /* Closing gave them back their power to kill: another one now must not turn a clean end into a failure. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    close_handle((uv_handle_t *)&server->wake);
}

void server_connection_ended(struct server *server)
{
    if (server->listener_waits && !server->is_draining) {
        server->listener_waits = false;
        connection_accept(server);
    }
    end_if_empty(server);
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

static void on_grace_over(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (server->is_aborting) {
        for_each_connection(server, close_connection);
        return;
    }
    server->is_aborting = true;
    uv_timer_start(timer, on_grace_over, LAST_WORDS_MS, 0);
    for_each_connection(server, connection_abort);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    (void)number;
    if (server->is_draining) {
        on_grace_over(&server->grace);
        return;
    }
    server->is_draining = true;
    smollm_engine_drain(server->engine);
    close_handle((uv_handle_t *)&server->listener);
    uv_timer_start(&server->grace, on_grace_over, GRACE_MS, 0);
    for_each_connection(server, connection_drain);
    end_if_empty(server);
}

static int start_loop(struct server *server, struct smollm_error *error)
{
    server->listener.data = server->wake.data = server->grace.data = server;
    server->sigterm.data = server->sigint.data = server;
    uv_tcp_init(&server->loop, &server->listener);
    uv_timer_init(&server->loop, &server->grace);
    uv_signal_init(&server->loop, &server->sigterm);
    uv_signal_init(&server->loop, &server->sigint);
    int status = uv_async_init(&server->loop, &server->wake, on_wake);
    if (status == 0)
        status = uv_tcp_open(&server->listener, server->listener_fd);
    if (status == 0) {
        server->listener_fd = -1; /* the loop's now */
        status = uv_listen((uv_stream_t *)&server->listener, 511, on_connection);
    }
    if (status == 0)
        status = uv_signal_start(&server->sigterm, on_signal, SIGTERM);
    if (status == 0)
        status = uv_signal_start(&server->sigint, on_signal, SIGINT);
    return status < 0 ? error_set(error, SMOLLM_EIO, "cannot serve: %s", uv_strerror(status)) : 0;
}

static void close_any(uv_handle_t *handle, void *unused)
{
    (void)unused;
    close_handle(handle);
}

int server_run(struct server *server, struct api *api, struct smollm_engine *engine, struct smollm_error *error)
{
    server->api = api;
    server->engine = engine;
    int status = uv_loop_init(&server->loop);
    RETURN_ERROR_IF(status < 0, error, SMOLLM_EIO, "cannot start the event loop: %s", uv_strerror(status));
    status = start_loop(server, error);
    if (status < 0)
        uv_walk(&server->loop, close_any, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
    return status;
}
