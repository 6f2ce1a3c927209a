/* Output shared by all commands: errors, sizes, text from outside. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "smollm.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* "smollm: message" on stderr; returns the exit code that goes with the error: 1, or 128 + the signal for
 * SMOLLM_ECANCELED. */
int print_error(const struct smollm_error *error);
/* "smollm NAME: message" and where to find help; returns 2. */
int print_usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "1.92 GB", "98.4 MB", "512 bytes": powers of ten, three digits. */
struct size_text {
    char text[24];
};
struct size_text size_text(uint64_t bytes);
/* "134 M", "3.08 B". */
struct size_text count_text(uint64_t count);

/* Text that is a result. On a terminal, control characters other than line breaks and tabs are written as "\x1b" (see
 * base/printable.h); a file or pipe gets the text unchanged. */
void print_model_text(FILE *out, struct smollm_text text);
/* The same, dimmed if colors are wanted. */
void print_dimmed(FILE *out, struct smollm_text text);
/* Text from a file or an argument, on one line, always made printable. */
void print_foreign(FILE *out, struct smollm_text text);

/* Flushes the standard output; false when it could not be written. */
bool output_is_written(void);
/* Flushes it too; true when something could not be written, or when nobody reads the pipe any more.
 * Long work asks this now and then, and then ends without a message: main has it from output_finish. */
bool output_is_lost(void);
/* At the end of the program: the exit code, which becomes 1 where the standard output was lost. Prints why, but not
 * that a pipe was closed. */
int output_finish(int exit_code);
/* The same, and ends the program without waiting for threads. */
_Noreturn void output_finish_now(int exit_code);
/* True when the standard output was closed from the start, which is forgiven from then on. */
bool output_was_closed(void);
/* Whether escape sequences for colors may be written there: a terminal that is not dumb, and no NO_COLOR. */
bool print_has_colour(FILE *out);

#endif
