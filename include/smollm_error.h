/* Error codes of smollm, and the message that goes with one.
 *
 * Every function that can fail returns 0 or a negative code; the sentence for a person, with the numbers that matter,
 * is written to the struct smollm_error that the caller passes (may be NULL). */
#ifndef SMOLLM_ERROR_H
#define SMOLLM_ERROR_H

/* code, value, general meaning */
#define SMOLLM_ERROR_MAP(X)                                                                                            \
    X(SMOLLM_ENOMEM, -1, "out of memory")                                                                              \
    X(SMOLLM_EINVAL, -2, "invalid argument")                                                                           \
    X(SMOLLM_EIO, -3, "input or output failed")                                                                        \
    X(SMOLLM_ENOTFOUND, -4, "not found")                                                                               \
    X(SMOLLM_EFORMAT, -5, "malformed data")                                                                            \
    X(SMOLLM_EUNSUPPORTED, -6, "not supported")                                                                        \
    X(SMOLLM_ELIMIT, -7, "limit exceeded")                                                                             \
    X(SMOLLM_ECONTEXT, -8, "prompt longer than the context")                                                           \
    X(SMOLLM_EBUSY, -9, "too many requests")                                                                           \
    X(SMOLLM_ECANCELED, -10, "canceled")                                                                               \
    X(SMOLLM_ECLOSED, -11, "shutting down")                                                                            \
    X(SMOLLM_ENUMERIC, -12, "the model produced a value that is not finite")                                           \
    X(SMOLLM_ETIMEDOUT, -13, "timed out")

enum smollm_error_code {
#define SMOLLM_ERROR_ENUM(name, value, text) name = (value),
    SMOLLM_ERROR_MAP(SMOLLM_ERROR_ENUM)
#undef SMOLLM_ERROR_ENUM
};

struct smollm_error {
    int code;          /* 0 or one of enum smollm_error_code */
    char message[500]; /* UTF-8, one line, no final newline */
};

#endif
