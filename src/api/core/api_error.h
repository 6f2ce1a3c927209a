/* Errors of requests, as HTTP status and message. Each protocol writes them in its own form. */
#ifndef API_API_ERROR_H
#define API_API_ERROR_H

#include "base/text.h"
#include "smollm_error.h"

#include <stdint.h>

struct api_error {
    int status;       /* HTTP; 0: no error */
    int retry_after;  /* seconds; 0: none */
    const char *code; /* "context_length_exceeded"; NULL: none. A constant string */
    char param[96];   /* "messages[2].content"; empty: none */
    char message[600];
    uint32_t prompt_tokens, context; /* of a prompt that is too long; otherwise 0 */
};

/* Fills error and returns -1, so that a failing function ends with `return api_refuse(...)`. status 400; param may be
 * NULL. */
int api_refuse(struct api_error *error, const char *param, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for 503 when memory is out. */
int api_refuse_memory(struct api_error *error);
/* The same for an error of the library. */
int api_refuse_from(struct api_error *error, const struct smollm_error *cause);

/* An error of the library as one of the API. */
void api_error_from(struct api_error *error, const struct smollm_error *cause);
/* A status with its sentence; code NULL for none. */
void api_error_make(struct api_error *error, int status, const char *code, const char *message);

#endif
