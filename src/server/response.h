/* The head of a response, and chunks of its body. */
#ifndef SERVER_RESPONSE_H
#define SERVER_RESPONSE_H

#include "base/text.h"

#include <stdint.h>

struct response_head {
    int status;
    int minor_version; /* of the request */
    const char *content_type;
    bool is_stream;  /* chunked; with HTTP/1.0 until the connection closes */
    uint64_t length; /* of the body otherwise */
    bool keep_alive;
    int retry_after;           /* seconds; 0: none */
    const char *allow;         /* NULL: none */
    struct smollm_text policy; /* Content-Security-Policy; empty: one that allows nothing */
    bool may_be_cached;        /* otherwise no-store */
    const char *encoding;      /* Content-Encoding; NULL: none */
    const char *field;         /* a further line, with its line end; NULL: none */
    const char *request_id;    /* X-Request-Id, and Request-Id as Anthropic's clients read it; NULL: none */
    struct smollm_text origin; /* of a page that may read the answer (Access-Control-Allow-Origin); empty: none */
    bool is_preflight;         /* the answer to a CORS preflight request */
    bool has_origins;          /* answers differ by Origin */
    const char *etag;          /* with its quotes; the answer then varies with Accept-Encoding. NULL: none */
};

void response_write_head(const struct response_head *head, struct buffer *out);
/* "Not Found" */
const char *response_reason(int status);

/* Frames the bytes of the buffer from `begin` on as a chunk; does nothing without bytes, because an empty chunk would
 * end the body. RESPONSE_CHUNK_HEAD bytes must have been reserved there beforehand. */
enum { RESPONSE_CHUNK_HEAD = 10 };
void response_frame_chunk(struct buffer *out, size_t begin);
void response_end_chunks(struct buffer *out);

#endif
