/* One line of the log for each request: client, path, status and figures, never contents. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include "api/api.h"

struct log_writer;

enum log_format { LOG_TEXT, LOG_JSON };

struct log_entry {
    const char *client;                /* address */
    struct smollm_text method;         /* as sent; empty when it could not be parsed */
    struct smollm_text path;           /* without query */
    int status;                        /* 0: the client left before there was one */
    double milliseconds;               /* from the first byte of the request to the last of the answer */
    uint64_t bytes;                    /* of the answer */
    const char *ending;                /* "done", "client left", "stalled", "deadline", "shutdown" */
    const char *request_id;            /* "": there was no head */
    const char *key;                   /* name of the API key; NULL: it has none, or there are no keys */
    const struct api_figures *figures; /* NULL: nothing was generated */
};

void access_log_write(struct log_writer *writer, enum log_format format, const struct log_entry *entry);

#endif
