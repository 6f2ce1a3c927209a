/* struct server, for server.c and connection.c. Internal to server/. */
#ifndef SERVER_SERVER_STATE_H
#define SERVER_SERVER_STATE_H

#include "server/access.h"
#include "server/log_writer.h"
#include "server/server.h"
#include "server/workers.h"

#include <stdatomic.h>
#include <uv.h>

struct connection;

/* One address. */
struct listener {
    uv_tcp_t tcp; /* first, so that libuv's stream is the listener */
    bool waits;   /* the last client was not accepted: too many connections */
    char address[80];
};

struct server {
    struct server_options options;
    struct listener listeners[SERVER_ADDRESSES_MAX];
    uint32_t listener_count;
    char names[SERVER_ADDRESSES_MAX][80]; /* the parts of options.host, without brackets */
    char names_in_brackets[SERVER_ADDRESSES_MAX][84];
    uint32_t name_count;
    const char *hosts[64]; /* NULL-terminated */
    struct access_rules rules;
    struct api *api;
    struct workers *workers;
    struct log_writer *log;

    uv_loop_t loop;
    bool loop_is_open;
    uv_async_t wake;
    _Atomic bool is_stopped; /* server_stop was called */
    uv_signal_t sigterm, sigint, sighup;
    uv_timer_t grace;
    bool is_draining;
    bool is_aborting;
    struct connection *connections;
    uint32_t connection_count;
    uint64_t first_request_id; /* random: ids of requests count from here */
    uint64_t request_count;
    size_t bodies;         /* bytes reserved */
    char input[64 * 1024]; /* where libuv reads into */
};

/* A connection has closed: another may be accepted. */
void server_connection_ended(struct server *server);
/* Ends a draining server when no request is being answered. */
void server_end_if_idle(struct server *server);

#endif
