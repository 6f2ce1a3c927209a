/* What all commands print alike: errors, sizes, text from outside. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "smollm.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* "smollm: message" on stderr; returns the exit code that goes with the error (1, or 130 for SMOLLM_ECANCELED). */
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

/* Text from a model. On a terminal control characters other than line breaks and tabs are written as "\x1b"; into a
 * file or pipe everything goes as it is. */
void print_model_text(FILE *out, struct smollm_text text);
/* The same, dimmed where colours are wanted. */
void print_dimmed(FILE *out, struct smollm_text text);
/* Whether escape sequences for colour may be written there: a terminal that is not dumb, and no NO_COLOR. */
bool print_has_colour(FILE *out);

/* Text from a file: control characters and bytes that are no UTF-8 become '?'. */
void print_foreign(FILE *out, struct smollm_text text);

#endif
