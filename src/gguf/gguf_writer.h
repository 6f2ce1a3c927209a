/* Writing GGUF files, version 3: metadata, then tensor descriptions, then the tensors' bytes as they come.
 *
 *     gguf_writer_open(path, &writer, &error);
 *     gguf_writer_put_text(writer, "general.architecture", text_of("llama"));
 *     gguf_writer_add_tensor(writer, name, GGUF_F16, 2, dims);            each tensor
 *     gguf_writer_begin_data(writer, &error);
 *     gguf_writer_write(writer, bytes, size, &error);                     in the order of the tensors
 *     gguf_writer_finish(writer, &error);
 *     gguf_writer_close(writer);
 *
 * The bytes go to a temporary file beside `path`, which takes its name in gguf_writer_finish; closing before that
 * removes it, so nobody ever sees half a file. The put and add functions report nothing: gguf_writer_begin_data fails
 * with what went wrong first. */
#ifndef GGUF_WRITER_H
#define GGUF_WRITER_H

#include "gguf/gguf.h"

struct gguf_writer;

int gguf_writer_open(const char *path, struct gguf_writer **writer, struct smollm_error *error);

/* Metadata. Keys must not repeat. The alignment is 32: general.alignment is not to be put. */
void gguf_writer_put_u32(struct gguf_writer *writer, const char *key, uint32_t value);
void gguf_writer_put_f32(struct gguf_writer *writer, const char *key, float value);
void gguf_writer_put_bool(struct gguf_writer *writer, const char *key, bool value);
void gguf_writer_put_text(struct gguf_writer *writer, const char *key, struct smollm_text value);
void gguf_writer_put_texts(struct gguf_writer *writer, const char *key, const struct smollm_text *values, size_t count);
void gguf_writer_put_i32s(struct gguf_writer *writer, const char *key, const int32_t *values, size_t count);
void gguf_writer_put_f32s(struct gguf_writer *writer, const char *key, const float *values, size_t count);
/* As it stands in another file. */
void gguf_writer_put_value(struct gguf_writer *writer, const struct gguf_value *value);

/* n_dims 1 to 4, dims[0] the length of a row. */
void gguf_writer_add_tensor(struct gguf_writer *writer, struct smollm_text name, uint32_t type, uint32_t n_dims,
                            uint64_t const *dims);

/* Writes the header and claims the space that the tensors will need: SMOLLM_EIO when the disk has too little. */
int gguf_writer_begin_data(struct gguf_writer *writer, struct smollm_error *error);
/* The next bytes of the tensors, in pieces of any size that does not cross the end of a tensor; padding between
 * tensors is added here. */
int gguf_writer_write(struct gguf_writer *writer, const void *data, size_t size, struct smollm_error *error);
/* SMOLLM_EINVAL when tensors are not complete; otherwise the file is on the disk under its name. */
int gguf_writer_finish(struct gguf_writer *writer, struct smollm_error *error);
/* Accepts NULL. */
void gguf_writer_close(struct gguf_writer *writer);

#endif
