/* Whole files as bytes. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/text.h"
#include "smollm_error.h"

/* Appends the content of the file ("-" for standard input) to buffer. The message names the path. */
int file_read(const char *path, struct buffer *buffer, struct smollm_error *error);

#endif
