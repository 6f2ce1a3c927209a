/* Errors as HTTP status and OpenAI's error object: {"error": {"message", "type", "param", "code"}}. */
#ifndef API_API_ERROR_H
#define API_API_ERROR_H

#include "base/text.h"
#include "smollm_error.h"

struct api_error {
    int status;       /* HTTP; 0: no error */
    int retry_after;  /* seconds; 0: none */
    const char *code; /* "context_length_exceeded"; NULL: null. A constant string */
    char param[96];   /* "messages[2].content"; empty: null */
    char message[600];
};

/* Fills error and returns -1, so that a failing function ends with `return api_refuse(...)`. status 400; param may be
 * NULL. */
int api_refuse(struct api_error *error, const char *param, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An error of the library as one of the API. */
void api_error_from(struct api_error *error, const struct smollm_error *cause);
/* A status with its sentence; code NULL for none. */
void api_error_make(struct api_error *error, int status, const char *code, const char *message);

/* Appends the JSON object. */
void api_error_write(const struct api_error *error, struct buffer *out);

#endif
