/* Reads the header of a GGUF file from front to back; for gguf.c only.
 *
 * Bytes are fetched as they are needed and stay in file->header, whose place may change with every call: what has been
 * read is remembered by its offset. Each function checks against the file's size before it believes a length. */
#ifndef GGUF_READER_H
#define GGUF_READER_H

#include "gguf/gguf_file.h"

struct gguf_reader {
    struct gguf_file *file;
    size_t at; /* offset of the next byte; never beyond the file's size */
    struct smollm_error *error;
};

/* The number of bytes of a name to show in a message: all unless it is absurdly long, and never half a character. */
int gguf_shown_size(struct smollm_text text);
#define TEXT_ARGUMENTS(text) gguf_shown_size(text), (text).data

/* Reads size bytes at offset of the file; SMOLLM_EIO when they are not there (any more). */
int gguf_read_exactly(int descriptor, void *data, size_t size, uint64_t offset, struct smollm_error *error);

/* In all of these, `what` says in messages what is being read. */

/* Makes the next size bytes available in file->header without taking them. */
int gguf_reader_need(struct gguf_reader *reader, uint64_t size, const char *what);
int gguf_reader_take_u32(struct gguf_reader *reader, const char *what, uint32_t *value);
int gguf_reader_take_u64(struct gguf_reader *reader, const char *what, uint64_t *value);
int gguf_reader_take_bytes(struct gguf_reader *reader, const char *what, uint64_t size);
/* A key or tensor name: a length from 1 to limit, then printable UTF-8 at *at. */
int gguf_reader_take_name(struct gguf_reader *reader, const char *what, uint64_t limit, size_t *at, size_t *size);
/* Bytes of the header that have been read. */
struct smollm_text gguf_header_text(const struct gguf_file *file, size_t at, size_t size);

#endif
