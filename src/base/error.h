/* Filling in a struct smollm_error. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "smollm_error.h"

/* Writes code and message to error (may be NULL) and returns code, so that a failing function ends with
 * `return error_set(error, SMOLLM_EFORMAT, "...", ...)`. Control characters in the formatted text become '?', because
 * names from files and clients end up on terminals; overlong text is cut at a UTF-8 boundary. */
int error_set(struct smollm_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before a message that is already set; keeps the code and returns it. */
int error_prefix(struct smollm_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The name ("SMOLLM_EINVAL") and the general meaning of a code; "unknown error" for others. */
const char *error_name(int code);
const char *error_text(int code);

#define RETURN_ERROR_IF(condition, error, code, ...)                                                                   \
    do {                                                                                                               \
        if (condition)                                                                                                 \
            return error_set(error, code, __VA_ARGS__);                                                                \
    } while (0)

#endif
