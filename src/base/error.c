#include "base/error.h"

#include "base/printable.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Makes the formatted text safe to show, since it contains names from files and clients. A character that vsnprintf cut
 * at the end is dropped first. */
static void set_message(struct smollm_error *error, const char *text, size_t size)
{
    const size_t tail = size + 1 >= sizeof error->message ? utf8_incomplete_tail(text, size) : 0;
    printable_copy(error->message, sizeof error->message, text, size - tail);
}

void error_write(struct smollm_error *error, int code, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        char text[sizeof error->message];
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        set_message(error, text, strlen(text));
        error->code = code;
    }
}

int error_prefix(struct smollm_error *error, const char *format, ...)
{
    if (!error)
        return 0;
    char text[2 * sizeof error->message + 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof error->message, format, args);
    va_end(args);
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, ": %s", error->message);
    set_message(error, text, strlen(text));
    return error->code;
}

void error_append(struct smollm_error *error, const char *text)
{
    if (!error)
        return;
    char whole[2 * sizeof error->message];
    snprintf(whole, sizeof whole, "%s%s", error->message, text);
    set_message(error, whole, strlen(whole));
}
