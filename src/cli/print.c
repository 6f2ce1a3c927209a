#include "cli/print.h"

#include "base/utf8.h"
#include "cli/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int print_error(const struct smollm_error *error)
{
    fprintf(stderr, "smollm: %s\n", error->message);
    return error->code == SMOLLM_ECANCELED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

int print_usage_error(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "smollm %s: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, " (smollm %s --help tells more)\n", command);
    va_end(args);
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

/* C0, DEL and C1 controls: terminals act on them. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

void print_model_text(FILE *out, struct smollm_text text)
{
    if (!isatty(fileno(out))) {
        fwrite(text.data, 1, text.size, out);
        return;
    }
    for (size_t i = 0; i < text.size;) {
        uint32_t c = 0;
        size_t n = utf8_decode(text.data + i, text.size - i, &c);
        if (n == 0)
            fprintf(out, "\\x%02x", (unsigned char)text.data[i]);
        else if (is_control(c) && c != '\n' && c != '\t')
            fprintf(out, "\\x%02x", c);
        else
            fwrite(text.data + i, 1, n, out);
        i += n == 0 ? 1 : n;
    }
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
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t n = utf8_decode(text.data + i, text.size - i, &c);
        if (n == 0 || is_control(c))
            fputc('?', out);
        else
            fwrite(text.data + i, 1, n, out);
        i += n == 0 ? 1 : n;
    }
}
