/* Requests of HTTP/1.1 (RFC 9112), strictly: anything that two parsers could read differently is refused.
 *
 * Bytes are pushed in as they arrive, in pieces of any size; the results do not depend on where they were cut. The head
 * is kept in the parser, whose size is fixed; the body is passed on piece by piece, decoded if it is chunked, and is
 * never kept. Nothing is allocated.
 *
 * Refused, with the connection to be closed afterwards: Content-Length beside Transfer-Encoding, either of them or Host
 * twice, transfer codings other than "chunked", lines that end in a bare LF, folded lines, space before a colon,
 * control characters, HTTP/1.1 without Host, other versions. HTTP/1.0 needs no Host. */
#ifndef SERVER_HTTP_PARSER_H
#define SERVER_HTTP_PARSER_H

#include "smollm.h"

enum {
    HTTP_HEAD_BYTES = 16 * 1024,   /* request line and header fields; more is 431 */
    HTTP_TARGET_BYTES = 8 * 1024,  /* more is 414 */
    HTTP_FIELDS_MAX = 100,         /* more is 431 */
    HTTP_TRAILER_BYTES = 4 * 1024, /* after a chunked body; more is 431 */
    HTTP_EXTENSION_BYTES = 256,    /* of one chunk; more is 400 */
};

struct http_field {
    struct smollm_text name, value; /* the value without the white space around it */
};

/* A request's head; all texts point into the parser and are valid until http_parser_reset. */
struct http_head {
    struct smollm_text method;
    struct smollm_text path;  /* begins with '/'; as sent, not decoded; or "*" */
    struct smollm_text query; /* without '?' */
    struct smollm_text host;  /* as in the field, port included; {NULL, 0} where HTTP/1.0 has none */
    int minor_version;        /* HTTP/1.0 or HTTP/1.1 */
    bool keep_alive;          /* the client wants the connection kept */
    bool expects_continue;    /* waits for 100 before it sends the body */
    bool has_body;            /* a Content-Length above 0, or chunked */
    bool is_chunked;
    uint64_t content_length; /* of a body that is not chunked */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
};

enum http_result {
    HTTP_MORE,  /* all bytes were taken, more are needed */
    HTTP_HEAD,  /* the head is complete */
    HTTP_BODY,  /* a piece of the body */
    HTTP_END,   /* the request is complete; reset before the next */
    HTTP_BROKEN /* status and reason say why; stays so */
};

struct http_parser {
    struct http_head head;
    int status;         /* with HTTP_BROKEN: 400, 413, 414, 431, 505 */
    const char *reason; /* a sentence for a person */

    /* Internal. */
    uint64_t max_body;
    int state;
    uint64_t left;   /* bytes of the body or the chunk that are to come */
    uint64_t total;  /* of a chunked body so far */
    size_t line;     /* bytes of the current line or extension */
    size_t trailers; /* bytes */
    int digits;
    bool after_cr;
    size_t size; /* of bytes */
    char bytes[HTTP_HEAD_BYTES];
};

/* max_body: a longer body is 413, from its Content-Length before a byte of it was taken. */
void http_parser_init(struct http_parser *parser, uint64_t max_body);
/* Ready for the next request on the same connection. */
void http_parser_reset(struct http_parser *parser);

/* Takes bytes up to the next result. *used says how many; with HTTP_BODY *body is the piece, inside data. Never returns
 * HTTP_MORE with *used < size. */
enum http_result http_parser_feed(struct http_parser *parser, const char *data, size_t size, size_t *used,
                                  struct smollm_text *body);

/* Whether a byte of the next request has arrived. */
bool http_parser_has_begun(const struct http_parser *parser);

/* The value of the first field with this name (any case), or {NULL, 0}. */
struct smollm_text http_head_field(const struct http_head *head, const char *name);
/* How many fields have this name. */
size_t http_head_count(const struct http_head *head, const char *name);
/* Texts equal but for the case of ASCII letters. */
bool http_text_is(struct smollm_text text, const char *string);

#endif
