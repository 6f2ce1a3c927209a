/* One client: its requests one after the other, and the timers that limit how long it stays. Internal to server/.
 *
 * A connection is always in one of these:
 *
 *     CONNECTION_IDLE       kept open, no byte of the next request yet
 *     CONNECTION_HEAD       the head is arriving
 *     CONNECTION_BODY       the body is arriving
 *     CONNECTION_WORKING    a worker reads the request (api_answer_open)
 *     CONNECTION_ANSWERING  the answer is pulled and written, one write at a time
 *     CONNECTION_LINGERING  the last answer is written; what still arrives is dropped, so that the client can read it
 *     CONNECTION_CLOSING    handles are being closed; freed when that is done and the worker is back */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "api/api.h"
#include "server/access.h"
#include "server/workers.h"

#include <stdatomic.h>
#include <uv.h>

enum {
    CONNECTION_BODY_MAX = 8 << 20,
    CONNECTION_BODIES_MAX = 64 << 20,    /* of all connections together */
    CONNECTION_PIPELINE_MAX = 64 * 1024, /* bytes that may wait while a request is answered */
    CONNECTION_WRITE_MAX = 8 * 1024,     /* a write of a stream ends soon after this many bytes */
    CONNECTION_SEND_BUFFER = 32 * 1024,  /* SO_SNDBUF: what a slow reader can make the kernel keep */
    /* For large answers, which would wait for delayed acknowledgements every 64 KiB. */
    CONNECTION_SEND_BUFFER_LARGE = 128 * 1024,
    CONNECTION_HEAD_MS = 10 * 1000,
    CONNECTION_BODY_MS = 60 * 1000,
    CONNECTION_IDLE_MS = 75 * 1000,
    CONNECTION_LINGER_MS = 2 * 1000,
    CONNECTION_KEEP_ALIVE_MS = 5 * 1000, /* between comment lines in a silent stream */
    /* A stream that waits in the queue gets its head after this time, so that an earlier error has its own status;
     * proxies give up after 60 seconds. */
    CONNECTION_LATE_HEAD_MS = 30 * 1000,
    /* The first probe after a client's last byte, and the interval of further ones. */
    CONNECTION_PROBE_SOON_MS = 20,
    CONNECTION_PROBE_MS = 1000,
    CONNECTION_REQUEST_ID_BYTES = 65,
};

struct server;
struct listener;

enum connection_state {
    CONNECTION_IDLE,
    CONNECTION_HEAD,
    CONNECTION_BODY,
    CONNECTION_WORKING,
    CONNECTION_ANSWERING,
    CONNECTION_LINGERING,
    CONNECTION_CLOSING
};

struct connection {
    struct server *server;
    struct connection *next, *previous;
    uv_tcp_t tcp;
    uv_timer_t timer;
    struct work work; /* reading a request that may take long */
    uv_write_t write;
    uv_shutdown_t shutdown;
    int open_handles;
    bool work_is_running;
    char client[64];
    char local[64];

    enum connection_state state;
    /* The client has sent its last byte: it has left, or it has closed its sending side and still reads. Only a write
     * (a probe) shows which. */
    bool has_ended;
    unsigned probes; /* since then, in this request */
    uint64_t probed_ns;
    struct buffer input; /* arrived, not yet parsed */
    struct buffer body;
    size_t reserved;      /* of the bytes allowed to all bodies */
    struct buffer output; /* being written */
    bool is_writing;
    size_t queued; /* bytes not yet taken by the kernel when last looked at */
    uint64_t looked_ns;

    struct api_match match;
    const struct access_key *key;                 /* NULL: there are no keys */
    char request_id[CONNECTION_REQUEST_ID_BYTES]; /* the client's X-Request-Id, or one made here */
    struct smollm_text origin;                    /* of a page that may use the API */
    struct api_answer *answer;
    _Atomic bool is_notified; /* set by other threads */
    bool head_is_sent;
    bool answer_is_stream;
    bool answer_is_done;
    bool answer_is_lost; /* it cannot be completed */
    bool keep_alive;
    int status;
    uint64_t begin_ns;
    uint64_t written; /* bytes of this answer */

    struct http_parser parser;
};

/* Accepts a client that waits at a listener. */
void connection_accept(struct server *server, struct listener *listener);
/* A worker has given back the work of a connection. */
void connection_work_done(struct work *work);
/* The answer may have more bytes. */
void connection_proceed(struct connection *connection);
/* Whether a request is being answered: a server that drains waits for it. */
bool connection_is_busy(const struct connection *connection);
/* The time to drain is over: the answer ends with an error. */
void connection_abort(struct connection *connection);
/* Closes immediately. */
void connection_close(struct connection *connection, const char *ending);

#endif
