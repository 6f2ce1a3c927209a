#include "gguf/gguf_reader.h"

#include "base/error.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The vocabulary of SmolLM3 makes a header of 8 MiB; no real file comes near this limit. */
static const size_t HEADER_LIMIT = (size_t)256 << 20;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "GGUF is read as little-endian memory");

int gguf_shown_size(struct smollm_text text)
{
    size_t size = text.size < 100 ? text.size : 100;
    return (int)(size - utf8_incomplete_tail(text.data, size));
}

int gguf_read_exactly(int descriptor, void *data, size_t size, uint64_t offset, struct smollm_error *error)
{
    char *out = data;
    while (size > 0) {
        ssize_t got = pread(descriptor, out, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(error, SMOLLM_EIO, "cannot read %zu bytes at offset %llu: %s", size,
                             (unsigned long long)offset, strerror(errno));
        if (got == 0)
            return error_set(error, SMOLLM_EIO,
                             "the file has become shorter while it was open: it now ends before %llu",
                             (unsigned long long)(offset + size));
        out += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

int gguf_reader_need(struct gguf_reader *r, uint64_t size, const char *what)
{
    struct gguf_file *file = r->file;
    if (size > file->size - r->at)
        return error_set(r->error, SMOLLM_EFORMAT, "%s needs %llu bytes at offset %zu, but the file ends at %llu%s",
                         what, (unsigned long long)size, r->at, (unsigned long long)file->size,
                         size < file->size ? " (truncated download?)" : "");
    size_t end = r->at + (size_t)size;
    if (end <= file->header_size)
        return 0;
    RETURN_ERROR_IF(end > HEADER_LIMIT, r->error, SMOLLM_ELIMIT,
                    "the header is larger than %zu bytes (%s at offset %zu)", HEADER_LIMIT, what, r->at);
    /* Doubling keeps the number of reads and moves small; never more than the file has. */
    size_t want = file->header_size * 2 > 65536 ? file->header_size * 2 : 65536;
    if (want < end)
        want = end;
    if (want > file->size)
        want = (size_t)file->size;
    unsigned char *grown = realloc(file->header, want);
    RETURN_ERROR_IF(!grown, r->error, SMOLLM_ENOMEM, "out of memory for a header of %zu bytes", want);
    file->header = grown;
    int code = gguf_read_exactly(file->descriptor, grown + file->header_size, want - file->header_size,
                                 file->header_size, r->error);
    if (code == 0)
        file->header_size = want;
    return code;
}

int gguf_reader_take_u32(struct gguf_reader *r, const char *what, uint32_t *value)
{
    int code = gguf_reader_need(r, 4, what);
    if (code == 0) {
        memcpy(value, r->file->header + r->at, 4);
        r->at += 4;
    }
    return code;
}

int gguf_reader_take_u64(struct gguf_reader *r, const char *what, uint64_t *value)
{
    int code = gguf_reader_need(r, 8, what);
    if (code == 0) {
        memcpy(value, r->file->header + r->at, 8);
        r->at += 8;
    }
    return code;
}

int gguf_reader_take_bytes(struct gguf_reader *r, const char *what, uint64_t size)
{
    int code = gguf_reader_need(r, size, what);
    if (code == 0)
        r->at += (size_t)size;
    return code;
}

struct smollm_text gguf_header_text(const struct gguf_file *file, size_t at, size_t size)
{
    return (struct smollm_text){(const char *)file->header + at, size};
}

int gguf_reader_take_name(struct gguf_reader *r, const char *what, uint64_t limit, size_t *at, size_t *size)
{
    uint64_t length;
    int code = gguf_reader_take_u64(r, what, &length);
    if (code != 0)
        return code;
    size_t start = r->at;
    RETURN_ERROR_IF(length == 0 || length > limit, r->error, SMOLLM_EFORMAT,
                    "%s at offset %zu has a length of %llu; it must be from 1 to %llu", what, start,
                    (unsigned long long)length, (unsigned long long)limit);
    code = gguf_reader_take_bytes(r, what, length);
    if (code != 0)
        return code;
    struct smollm_text text = gguf_header_text(r->file, start, (size_t)length);
    bool shown = utf8_is_valid(text.data, text.size);
    for (size_t i = 0; i < text.size && shown; i++)
        shown = (unsigned char)text.data[i] >= 0x20 && text.data[i] != 0x7f;
    RETURN_ERROR_IF(!shown, r->error, SMOLLM_EFORMAT, "%s at offset %zu is not printable UTF-8", what, start);
    *at = start;
    *size = text.size;
    return 0;
}
