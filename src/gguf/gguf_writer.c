#include "gguf/gguf_writer.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 32 };

struct gguf_writer {
    int descriptor;
    bool finished;
    char *path;
    char *temporary_path;

    struct buffer metadata;
    uint64_t entry_count;
    struct buffer descriptions;
    struct buffer sizes; /* of the tensors: an array of uint64_t */
    uint64_t tensor_count;
    uint64_t data_size; /* of all tensors declared, each padded */
    bool refused;       /* a tensor whose shape cannot be */

    uint64_t tensor;  /* being written */
    uint64_t written; /* bytes of it */
};

/* ---- The file ---- */

static int writer_create_file(struct gguf_writer *writer, struct smollm_error *error)
{
    /* O_EXCL: an existing file or link of this name is not touched. */
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        free(writer->temporary_path);
        if (asprintf(&writer->temporary_path, "%s.part-%ld-%u", writer->path, (long)getpid(), attempt) < 0) {
            writer->temporary_path = NULL;
            return error_set(error, SMOLLM_ENOMEM, "out of memory");
        }
        writer->descriptor = open(writer->temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->descriptor >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    int code = errno == ENOENT ? SMOLLM_ENOTFOUND : SMOLLM_EIO;
    return error_set(error, code, "cannot create %s: %s", writer->temporary_path, strerror(errno));
}

int gguf_writer_open(const char *path, struct gguf_writer **writer, struct smollm_error *error)
{
    *writer = NULL;
    struct gguf_writer *w = calloc(1, sizeof *w);
    RETURN_ERROR_IF(!w, error, SMOLLM_ENOMEM, "out of memory");
    w->descriptor = -1;
    w->path = strdup(path);
    int code = w->path ? writer_create_file(w, error) : error_set(error, SMOLLM_ENOMEM, "out of memory");
    if (code != 0) {
        gguf_writer_close(w);
        return code;
    }
    *writer = w;
    return 0;
}

void gguf_writer_close(struct gguf_writer *writer)
{
    if (!writer)
        return;
    if (writer->descriptor >= 0) {
        close(writer->descriptor);
        if (!writer->finished && writer->temporary_path)
            unlink(writer->temporary_path);
    }
    buffer_free(&writer->metadata);
    buffer_free(&writer->descriptions);
    buffer_free(&writer->sizes);
    free(writer->path);
    free(writer->temporary_path);
    free(writer);
}

static int write_all(struct gguf_writer *writer, const void *data, size_t size, struct smollm_error *error)
{
    const char *p = data;
    while (size > 0) {
        ssize_t done = write(writer->descriptor, p, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return error_set(error, SMOLLM_EIO, "cannot write %s: %s", writer->path, strerror(errno));
        p += done;
        size -= (size_t)done;
    }
    return 0;
}

/* ---- Metadata ---- */

static void append_u32(struct buffer *buffer, uint32_t value)
{
    buffer_append(buffer, &value, sizeof value);
}

static void append_u64(struct buffer *buffer, uint64_t value)
{
    buffer_append(buffer, &value, sizeof value);
}

static void append_sized(struct buffer *buffer, struct smollm_text text)
{
    append_u64(buffer, text.size);
    buffer_append_text(buffer, text);
}

static void put_key(struct gguf_writer *writer, struct smollm_text key, enum gguf_value_type type)
{
    append_sized(&writer->metadata, key);
    append_u32(&writer->metadata, (uint32_t)type);
    writer->entry_count++;
}

static void put_scalar(struct gguf_writer *writer, const char *key, enum gguf_value_type type, const void *value,
                       size_t size)
{
    put_key(writer, text_of(key), type);
    buffer_append(&writer->metadata, value, size);
}

static void put_array(struct gguf_writer *writer, const char *key, enum gguf_value_type element_type, size_t count)
{
    put_key(writer, text_of(key), GGUF_VALUE_ARRAY);
    append_u32(&writer->metadata, (uint32_t)element_type);
    append_u64(&writer->metadata, count);
}

void gguf_writer_put_u32(struct gguf_writer *writer, const char *key, uint32_t value)
{
    put_scalar(writer, key, GGUF_VALUE_U32, &value, sizeof value);
}

void gguf_writer_put_f32(struct gguf_writer *writer, const char *key, float value)
{
    put_scalar(writer, key, GGUF_VALUE_F32, &value, sizeof value);
}

void gguf_writer_put_bool(struct gguf_writer *writer, const char *key, bool value)
{
    put_scalar(writer, key, GGUF_VALUE_BOOL, &(uint8_t){value}, 1);
}

void gguf_writer_put_text(struct gguf_writer *writer, const char *key, struct smollm_text value)
{
    put_key(writer, text_of(key), GGUF_VALUE_STRING);
    append_sized(&writer->metadata, value);
}

void gguf_writer_put_texts(struct gguf_writer *writer, const char *key, const struct smollm_text *values, size_t count)
{
    put_array(writer, key, GGUF_VALUE_STRING, count);
    for (size_t i = 0; i < count; i++)
        append_sized(&writer->metadata, values[i]);
}

void gguf_writer_put_i32s(struct gguf_writer *writer, const char *key, const int32_t *values, size_t count)
{
    put_array(writer, key, GGUF_VALUE_I32, count);
    buffer_append(&writer->metadata, values, count * sizeof *values);
}

void gguf_writer_put_f32s(struct gguf_writer *writer, const char *key, const float *values, size_t count)
{
    put_array(writer, key, GGUF_VALUE_F32, count);
    buffer_append(&writer->metadata, values, count * sizeof *values);
}

void gguf_writer_put_value(struct gguf_writer *writer, const struct gguf_value *value)
{
    put_key(writer, value->key, value->type);
    if (value->type == GGUF_VALUE_ARRAY) {
        append_u32(&writer->metadata, (uint32_t)value->element_type);
        append_u64(&writer->metadata, value->count);
    }
    buffer_append_text(&writer->metadata, value->bytes);
}

/* ---- Tensors ---- */

void gguf_writer_add_tensor(struct gguf_writer *writer, struct smollm_text name, uint32_t type, uint32_t n_dims,
                            uint64_t const *dims)
{
    uint64_t size = n_dims >= 1 && n_dims <= 4 ? gguf_type_row_bytes(type, dims[0]) : 0;
    for (uint32_t d = 1; d < n_dims && size > 0; d++)
        if (__builtin_mul_overflow(size, dims[d], &size))
            size = 0;
    if (size == 0 || size > INT64_MAX / 2 - writer->data_size) {
        writer->refused = true;
        return;
    }
    append_sized(&writer->descriptions, name);
    append_u32(&writer->descriptions, n_dims);
    for (uint32_t d = 0; d < n_dims; d++)
        append_u64(&writer->descriptions, dims[d]);
    append_u32(&writer->descriptions, type);
    append_u64(&writer->descriptions, writer->data_size);
    append_u64(&writer->sizes, size);
    writer->data_size += size_align((size_t)size, ALIGNMENT);
    writer->tensor_count++;
}

static int claim_space(struct gguf_writer *writer, uint64_t size, struct smollm_error *error)
{
    if (fallocate(writer->descriptor, 0, 0, (off_t)size) == 0)
        return 0;
    /* Some file systems cannot reserve space; they report an error when it is used up. */
    RETURN_ERROR_IF(errno == ENOSPC || errno == EFBIG || errno == EDQUOT, error, SMOLLM_EIO,
                    "cannot write %s: it needs %llu bytes: %s", writer->path, (unsigned long long)size,
                    strerror(errno));
    return 0;
}

int gguf_writer_begin_data(struct gguf_writer *writer, struct smollm_error *error)
{
    RETURN_ERROR_IF(writer->refused, error, SMOLLM_EINVAL, "a tensor has a shape that its type cannot have");
    struct buffer header = {0};
    buffer_append_string(&header, "GGUF");
    append_u32(&header, 3);
    append_u64(&header, writer->tensor_count);
    append_u64(&header, writer->entry_count);
    buffer_append_text(&header, buffer_text(&writer->metadata));
    buffer_append_text(&header, buffer_text(&writer->descriptions));
    while (header.size % ALIGNMENT != 0 && !header.failed)
        buffer_append_char(&header, '\0');
    bool failed = header.failed || writer->metadata.failed || writer->descriptions.failed || writer->sizes.failed;
    int code = failed ? error_set(error, SMOLLM_ENOMEM, "out of memory")
                      : claim_space(writer, header.size + writer->data_size, error);
    if (code == 0)
        code = write_all(writer, header.data, header.size, error);
    buffer_free(&header);
    return code;
}

static uint64_t tensor_size(const struct gguf_writer *writer, uint64_t tensor)
{
    uint64_t size;
    memcpy(&size, writer->sizes.data + tensor * sizeof size, sizeof size);
    return size;
}

int gguf_writer_write(struct gguf_writer *writer, const void *data, size_t size, struct smollm_error *error)
{
    static char const zeros[ALIGNMENT];
    RETURN_ERROR_IF(writer->tensor == writer->tensor_count, error, SMOLLM_EINVAL,
                    "bytes were written after those of the last tensor");
    uint64_t wanted = tensor_size(writer, writer->tensor);
    RETURN_ERROR_IF(size > wanted - writer->written, error, SMOLLM_EINVAL,
                    "tensor %llu was given more bytes than it has", (unsigned long long)writer->tensor);
    int code = write_all(writer, data, size, error);
    if (code != 0)
        return code;
    writer->written += size;
    if (writer->written < wanted)
        return 0;
    writer->written = 0;
    writer->tensor++;
    return write_all(writer, zeros, (size_t)(0 - wanted) % ALIGNMENT, error);
}

int gguf_writer_finish(struct gguf_writer *writer, struct smollm_error *error)
{
    RETURN_ERROR_IF(writer->tensor != writer->tensor_count, error, SMOLLM_EINVAL,
                    "only %llu of %llu tensors are complete", (unsigned long long)writer->tensor,
                    (unsigned long long)writer->tensor_count);
    /* Some disks report only here that they are full. */
    RETURN_ERROR_IF(fsync(writer->descriptor) != 0 || rename(writer->temporary_path, writer->path) != 0, error,
                    SMOLLM_EIO, "cannot write %s: %s", writer->path, strerror(errno));
    writer->finished = true;
    return 0;
}
