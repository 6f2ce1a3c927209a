#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Makes text safe for a terminal and complete UTF-8 at its end. */
static void clean(char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            text[i] = '?';
    }
    size_t tail = size;
    while (tail > 0 && size - tail < 4 && ((unsigned char)text[tail - 1] & 0xc0) == 0x80)
        tail--;
    if (tail == 0)
        return;
    unsigned char lead = (unsigned char)text[tail - 1];
    size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (lead >= 0x80 && size - (tail - 1) < want)
        text[tail - 1] = '\0';
}

void error_write(struct smollm_error *error, int code, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        vsnprintf(error->message, sizeof error->message, format, args);
        va_end(args);
        clean(error->message);
        error->code = code;
    }
}

int error_prefix(struct smollm_error *error, const char *format, ...)
{
    if (!error)
        return 0;
    char old[sizeof error->message];
    memcpy(old, error->message, sizeof old);
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used, ": %s", old);
    clean(error->message);
    return error->code;
}

const char *error_name(int code)
{
    switch (code) {
#define CASE(name, value, text)                                                                                        \
    case value:                                                                                                        \
        return #name;
        SMOLLM_ERROR_MAP(CASE)
#undef CASE
    default:
        return "unknown error";
    }
}

const char *error_text(int code)
{
    switch (code) {
#define CASE(name, value, text)                                                                                        \
    case value:                                                                                                        \
        return text;
        SMOLLM_ERROR_MAP(CASE)
#undef CASE
    default:
        return "unknown error";
    }
}
