/* One client: its requests one after the other, and the timers that keep it from holding on for ever. Internal to
 * server/.
 *
 * A connection is always in one of these:
 *
 *     IDLE       kept open, no byte of the next request yet
 *     HEAD       the head is arriving
 *     BODY       the body is arriving
 *     WORKING    a thread of the pool reads the request (api_answer_open)
 *     ANSWERING  the answer is pulled and written, one write at a time
 *     LINGERING  the last answer is written; what still arrives is dropped, so that the client can read the answer
 *     CLOSING    handles are being closed; freed when that is done and the pool's thread is back */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "server/access.h"
#include "server/server.h"

#include <stdatomic.h>
#include <uv.h>

enum {
    BODY_MOST = 8 << 20,
    BODIES_MOST = 64 << 20,    /* of all connections together */
    PIPELINE_MOST = 64 * 1024, /* bytes that may wait while a request is answered */
    WRITE_MOST = 8 * 1024,     /* a write of a stream ends soon after it */
    SEND_BUFFER = 32 * 1024,   /* SO_SNDBUF: what a slow reader can make the kernel keep */
    HEAD_MS = 10 * 1000,
    BODY_MS = 60 * 1000,
    IDLE_MS = 75 * 1000,
    LINGER_MS = 2 * 1000,
    KEEP_ALIVE_MS = 5 * 1000, /* between comment lines in a stream that has nothing to say */
};

enum connection_state { IDLE, HEAD, BODY, WORKING, ANSWERING, LINGERING, CLOSING };

struct connection {
    struct server *server;
    struct connection *next, *previous;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_work_t work;
    uv_write_t write;
    uv_shutdown_t shutdown;
    int open_handles;
    bool work_is_running;
    char client[64];
    char local[64];

    enum connection_state state;
    bool has_ended;      /* the client has sent its last byte */
    struct buffer input; /* arrived, not yet parsed */
    struct buffer body;
    size_t reserved;      /* of the bytes allowed to all bodies */
    struct buffer output; /* being written */
    bool is_writing;
    size_t queued; /* bytes not yet taken by the kernel when last looked at */
    uint64_t looked_ns;

    const struct api_route *route;
    uint32_t caller; /* number of its key */
    struct api_answer *answer;
    _Atomic bool is_notified; /* set by other threads */
    bool head_is_sent;
    bool answer_is_stream;
    bool answer_is_done;
    bool keep_alive;
    int status;
    uint64_t begin_ns;
    uint64_t written; /* bytes of this answer */

    struct http_parser parser;
};

/* Takes a client that waits at the listener. */
void connection_accept(struct server *server);
/* The answer may have more. */
void connection_proceed(struct connection *connection);
/* The server is going down: idle connections close, others after their answer. */
void connection_drain(struct connection *connection);
/* The grace is over: what is answered ends with an error. */
void connection_abort(struct connection *connection);
/* At once. */
void connection_close(struct connection *connection, const char *ending);

/* The parts of struct server that connections use. */
struct server {
    struct server_options options;
    char address[128];
    const char *hosts[64]; /* NULL-terminated */
    char host_in_brackets[80];
    struct access_rules rules;
    struct api *api;
    struct smollm_engine *engine;

    int listener_fd; /* until server_run */
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_async_t wake;
    uv_signal_t sigterm, sigint;
    uv_timer_t grace;
    bool listener_waits; /* there were too many connections when the last one came */
    bool is_draining;
    bool is_aborting;
    struct connection *connections;
    uint32_t connection_count;
    size_t bodies;         /* bytes reserved */
    char input[64 * 1024]; /* where libuv reads into */
};

/* A connection is gone: there may be room for another. */
void server_connection_ended(struct server *server);

#endif
