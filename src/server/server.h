/* The HTTP server: one thread with libuv's loop that answers from an API.
 *
 * The address is taken by server_open, before a model is loaded, so that a port in use is reported immediately; clients
 * that connect during loading are answered with 503. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "api/api.h"
#include "server/access_keys.h"
#include "server/access_log.h"

struct server;

enum { SERVER_ADDRESSES_MAX = 8 };

struct server_options {
    const char *host;                 /* addresses or names of this machine, with commas between */
    uint16_t port;                    /* 0: any free one, the same at each address */
    const struct access_keys *keys;   /* borrowed; NULL, or without keys: no key is needed */
    const char *const *allowed_hosts; /* borrowed: names beside the loopback ones and host */
    uint32_t allowed_host_count;
    bool serves_page;
    enum log_format log_format;
    uint32_t max_connections;           /* more wait in the kernel's queue; 0: 512 */
    uint32_t stall_seconds;             /* a reader that takes nothing for this long is dropped; 0: 600 */
    uint32_t drain_seconds;             /* time after SIGTERM for open answers to finish */
    const char *const *allowed_origins; /* borrowed, NULL-terminated: access_rules.origins */
    const char *host_advice;            /* borrowed: access_rules.host_advice */
    void (*draining)(void *user);       /* called once when the server begins to end; NULL: nobody */
    void *draining_user;
};

/* Listens. SMOLLM_EINVAL: a host cannot be resolved, or is another address than a loopback one and there is no key.
 * SMOLLM_EIO: the address cannot be listened on. */
int server_open(const struct server_options *options, struct server **server, struct smollm_error *error);
/* The addresses that are listened on, from 0: "127.0.0.1:8080", "[::1]:8080"; borrowed. NULL: there are no more. */
const char *server_address(const struct server *server, uint32_t index);
/* Serves until SIGTERM, SIGINT, SIGHUP or server_stop. Then it drains: open answers have drain_seconds to
 * finish, new conversations are refused, and /health answers 503, so that proxies choose another server. Answers that
 * are still open afterwards end with an error, within two seconds. A second signal shortens the wait; after the
 * return all three are ignored. api is borrowed until the return. Once. */
void server_run(struct server *server, struct api *api);
/* Does what a signal does. From any thread, after server_open. */
void server_stop(struct server *server);
void server_close(struct server *server); /* accepts NULL */

#endif
