/* Makes bytes from files and clients safe for a terminal or a log line. */
#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H

#include <stddef.h>

enum { PRINTABLE_MAX_BYTES = 8 };

/* Takes the character at data (size is at least 1) and writes what to show for it: the character itself, or "\x1b",
 * "\u202e" for what a terminal would act on (C0 and C1 controls, DEL, the bidirectional overrides and isolates), or
 * "\xff" for a byte that is not well-formed UTF-8. Returns the bytes taken; *shown_size is the number written. */
size_t printable_next(const char *data, size_t size, char shown[PRINTABLE_MAX_BYTES], size_t *shown_size);

/* Writes a text that way to out, cut at a character where it does not fit, and ends it with a NUL. */
void printable_copy(char *out, size_t room, const char *data, size_t size);

#endif
