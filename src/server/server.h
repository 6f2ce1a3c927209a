/* The HTTP server: one thread with libuv's loop that answers from an API.
 *
 * The address is taken by server_open, before a model is loaded, so that a port in use is known at once; clients that
 * connect meanwhile wait. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "api/api.h"
#include "server/access_log.h"

struct server;

struct server_options {
    const char *host;                 /* an address or a name of this machine */
    uint16_t port;                    /* 0: any free one */
    const char *const *keys;          /* NULL-terminated, borrowed; none: no key is needed */
    const char *const *allowed_hosts; /* borrowed: names beside the loopback ones and host */
    uint32_t allowed_host_count;
    bool serves_page;
    enum log_format log_format;
    uint32_t most_connections; /* more wait in the kernel's queue; 0: 512 */
    uint32_t stall_seconds;    /* a reader that takes nothing for so long is dropped; 0: 600 */
};

/* SMOLLM_EINVAL: another address than a loopback one and no key. SMOLLM_EIO: the address cannot be listened on. */
int server_open(const struct server_options *options, struct server **server, struct smollm_error *error);
/* "127.0.0.1:8080", "[::1]:8080"; borrowed. */
const char *server_address(const struct server *server);
/* Serves until SIGTERM or SIGINT. Then no new connection or request is taken, what is being answered may finish for
 * some seconds, and then ends with an error: all within 10 seconds. A second signal shortens the wait; after the return
 * both are ignored. api and engine are borrowed until the return. */
int server_run(struct server *server, struct api *api, struct smollm_engine *engine, struct smollm_error *error);
void server_close(struct server *server); /* accepts NULL */

#endif
