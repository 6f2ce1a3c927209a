/* Access control of requests: keys, host names, origins. No sockets. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include "server/access_keys.h"
#include "server/http_parser.h"

enum { ACCESS_REASON_BYTES = 200 };

struct access_rules {
    const struct access_keys *keys; /* NULL, or without keys: no key is needed */
    const char *const *hosts;       /* NULL-terminated: names beside 127.0.0.1, localhost and [::1], without port */
    /* NULL-terminated: origins ("https://chat.example.org") whose pages may use the API, "localhost" for those of this
     * machine at any port; NULL: only the server's own page */
    const char *const *origins;
    const char
        *host_advice; /* ends the message that refuses a host name: what an administrator can do; NULL: nothing */
};

/* The status with which a request is refused, or 0. local_address is the connection's own ("192.0.2.1", "::1"): a
 * server may always be called by its address, since only names can be rebound to it by others; and without a name, as
 * HTTP/1.0 allows, since browsers always send one.
 *
 * 403: the Host is not allowed, or a page of another origin sends the request (methods other than GET and HEAD). A
 * browser says whether it is the same origin in Sec-Fetch-Site, which pages cannot forge, and it is correct behind
 * proxies that change Host. Older browsers say only Origin, which must then be that of Host or of X-Forwarded-Host
 * (pages of others cannot set that header either, unless this server allowed it). 401: no key, or an unknown one, in
 * `Authorization: Bearer` or `x-api-key`; is_public needs none. */
int access_check(const struct access_rules *rules, const struct http_head *head, const char *local_address,
                 bool is_public, char reason[ACCESS_REASON_BYTES]);

/* The origin of the page that sends the request if it is one of rules->origins, otherwise {NULL, 0}. */
struct smollm_text access_allowed_origin(const struct access_rules *rules, const struct http_head *head);

/* The request's key; NULL: no valid key. */
const struct access_key *access_find_key(const struct access_rules *rules, const struct http_head *head);

/* Whether two texts are equal; takes the same time wherever they differ. */
bool access_secret_matches(struct smollm_text given, const char *secret);

/* Whether an address that is listened on can be reached from this machine alone: 127.0.0.0/8 or ::1 as text. */
bool access_is_loopback(const char *address);

#endif
