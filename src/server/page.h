/* The chat page, as it was built from web/, inside the program: plain and compressed with gzip. */
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include "server/http_parser.h"

/* The page in the form that a client gets. All texts live as long as the program. */
struct page {
    struct smollm_text html;
    const char *encoding; /* Content-Encoding; NULL: plain */
    const char *etag;     /* of this form, with its quotes */
    bool is_cached;       /* the client has this form already: 304 */
};

/* Compressed for clients that accept gzip, plain for all others. */
struct page page_for(const struct http_head *head);

/* Its Content-Security-Policy, one line: its own script and styles by their SHA-256, this server and no other. */
struct smollm_text page_policy(void);

/* Accept-Encoding (RFC 9110, section 12.5.3), all fields of that name together: names gzip or "*" with a weight above
 * zero; gzip's own weight counts before that of "*". */
bool page_accepts_gzip(const struct http_head *head);

/* If-None-Match (RFC 9110, section 13.1.2): "*", or a list with this tag, compared weakly. */
bool page_etag_matches(const struct http_head *head, const char *etag);

#endif
