/* Filling in a struct smollm_error. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "smollm_error.h"

/* Writes code and message to error (may be NULL) and returns code, so that a failing function ends with
 * `return error_set(error, SMOLLM_EFORMAT, "...", ...)`. The message is valid UTF-8 without control
 * characters whatever was formatted (base/printable.h), because names from files and clients end up on terminals;
 * overlong text is cut at a character. A macro, so that
 * compilers and analysers see which code it gives. */
#define error_set(error, code, ...) (error_write(error, code, __VA_ARGS__), error_identity(code))
void error_write(struct smollm_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The code itself: as the value of a macro it may go unused without a warning. */
static inline int error_identity(int code)
{
    return code;
}

/* Puts "prefix: " before a message that is already set; keeps the code and returns it. */
int error_prefix(struct smollm_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends to a message that is already set. */
void error_append(struct smollm_error *error, const char *text);

#define RETURN_ERROR_IF(condition, error, code, ...)                                                                   \
    do {                                                                                                               \
        if (condition)                                                                                                 \
            return error_set(error, code, __VA_ARGS__);                                                                \
    } while (0)

#endif
