#include "cli/print.h"

#include "base/printable.h"
#include "cli/command.h"
#include "cli/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int print_error(const struct smollm_error *error)
{
    fprintf(stderr, "smollm: %s\n", error->message);
    return error->code == SMOLLM_ECANCELED ? interrupt_exit_code() : EXIT_FAILED;
}

int print_usage_error(const char *command, const char *format, ...)
{
    char text[1000], shown[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printable_copy(shown, sizeof shown, text, strlen(text));
    fprintf(stderr, "smollm %s: %s (try: smollm %s --help)\n", command, shown, command);
    return EXIT_USAGE;
}

static struct size_text scaled(uint64_t value, const char *const units[5], const char *plain)
{
    struct size_text out;
    double scaled = (double)value;
    int unit = 0;
    while (scaled >= 999.5 && unit < 4) {
        scaled /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(out.text, sizeof out.text, "%u%s", (unsigned)value, plain);
    else
        snprintf(out.text, sizeof out.text, "%.*f %s",
                 scaled < 9.995   ? 2
                 : scaled < 99.95 ? 1
                                  : 0,
                 scaled, units[unit]);
    return out;
}

struct size_text size_text(uint64_t bytes)
{
    return scaled(bytes, (const char *const[]){"", "kB", "MB", "GB", "TB"}, " bytes");
}

struct size_text count_text(uint64_t count)
{
    return scaled(count, (const char *const[]){"", "k", "M", "B", "T"}, "");
}

bool print_has_colour(FILE *out)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(none && *none) && !(term && strcmp(term, "dumb") == 0) && isatty(fileno(out));
}

/* The reason of the first failed write, reported at the end of the program. */
static int output_reason;

static bool reader_is_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) > 0 && (out.revents & POLLERR);
}

bool output_is_written(void)
{
    if (output_reason == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        output_reason = errno ? errno : EIO;
    return output_reason == 0;
}

bool output_is_lost(void)
{
    if (output_is_written() && reader_is_gone())
        output_reason = EPIPE;
    return output_reason != 0;
}

int output_finish(int exit_code)
{
    if (output_is_written() || exit_code > EXIT_USAGE)
        return exit_code;
    /* A reader that has left, such as head, has what it needs: filters end without a message. */
    if (output_reason != EPIPE)
        fprintf(stderr, "smollm: cannot write to the standard output: %s\n", strerror(output_reason));
    return exit_code == EXIT_DONE ? EXIT_FAILED : exit_code;
}

void output_finish_now(int exit_code)
{
    exit_code = output_finish(exit_code);
    fflush(stderr);
    _exit(exit_code);
}

bool output_was_closed(void)
{
    if (output_is_written() || output_reason != EBADF)
        return false;
    output_reason = 0;
    clearerr(stdout);
    return true;
}

/* Line breaks and tabs are written if the text may have them. */
static void print_escaped(FILE *out, struct smollm_text text, bool has_lines)
{
    for (size_t i = 0; i < text.size;) {
        char shown[PRINTABLE_MAX_BYTES];
        size_t size = 1;
        if (has_lines && (text.data[i] == '\n' || text.data[i] == '\t'))
            *shown = text.data[i++];
        else
            i += printable_next(text.data + i, text.size - i, shown, &size);
        fwrite(shown, 1, size, out);
    }
}

void print_model_text(FILE *out, struct smollm_text text)
{
    if (isatty(fileno(out)))
        print_escaped(out, text, true);
    else
        fwrite(text.data, 1, text.size, out);
}

void print_dimmed(FILE *out, struct smollm_text text)
{
    bool colour = print_has_colour(out);
    if (colour)
        fputs("\033[2m", out);
    print_model_text(out, text);
    if (colour)
        fputs("\033[0m", out);
    fflush(out);
}

void print_foreign(FILE *out, struct smollm_text text)
{
    print_escaped(out, text, false);
}
