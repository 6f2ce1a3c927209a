/* Reading GGUF files, versions 2 and 3, little-endian (ggml, docs/gguf.md).
 *
 * The header (metadata and tensor descriptions) is read into memory and checked as a whole when the file is opened;
 * weights stay in the file until gguf_tensor_read fetches them. Nothing is mapped: a file that is cut or replaced while
 * it is open gives an error, not a signal.
 *
 * What a successful gguf_open promises, so that nobody needs to check it again:
 *   - keys and tensor names are unique, UTF-8, not empty, without control characters;
 *   - every tensor has a type of gguf_type.h, 1 to 4 dimensions of at least 1, whole blocks in each row, and lies
 * inside the file (as it was when opened) on its own: no two overlap; offsets are aligned as the file declares;
 *   - every metadata value lies inside the header; arrays hold scalars or strings, never arrays.
 * What keys mean, and whether values are sensible, is the caller's to judge.
 *
 * Messages name the key or tensor and the numbers, not the file: callers put its path before them (error_prefix).
 * A struct gguf_file is read-only once open; any number of threads may read from it. */
#ifndef GGUF_GGUF_H
#define GGUF_GGUF_H

#include "gguf/gguf_type.h"
#include "smollm_error.h"
#include "smollm_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf_file;

/* Numbers of the value types in the file. */
enum gguf_value_type {
    GGUF_VALUE_U8,
    GGUF_VALUE_I8,
    GGUF_VALUE_U16,
    GGUF_VALUE_I16,
    GGUF_VALUE_U32,
    GGUF_VALUE_I32,
    GGUF_VALUE_F32,
    GGUF_VALUE_BOOL,
    GGUF_VALUE_STRING,
    GGUF_VALUE_ARRAY,
    GGUF_VALUE_U64,
    GGUF_VALUE_I64,
    GGUF_VALUE_F64
};

/* dims[0] is the length of a row (the fastest index), unused ones are 1. */
struct gguf_tensor {
    struct smollm_text name; /* borrowed from the file */
    uint32_t type;           /* enum gguf_type */
    uint32_t n_dims;
    uint64_t dims[4];
    uint64_t offset;   /* in bytes from the start of the file */
    uint64_t size;     /* in bytes */
    uint64_t elements; /* product of dims */
    uint32_t part;     /* of a split file, from 0; offset is in that part */
};

/* Opens and checks the header; of a split file, opened by its first part, those of all parts (gguf/gguf_split.h).
 * Errors: SMOLLM_ENOTFOUND (no such file), SMOLLM_EIO, SMOLLM_EFORMAT, SMOLLM_EUNSUPPORTED (version, byte order, tensor
 * type), SMOLLM_ELIMIT (a header beyond 256 MiB), SMOLLM_ENOMEM. */
int gguf_open(const char *path, struct gguf_file **file, struct smollm_error *error);
/* The file by itself, whether it is a part of several or not. */
int gguf_open_alone(const char *path, struct gguf_file **file, struct smollm_error *error);
/* The same on an open descriptor of a regular file, which the gguf_file owns from then on, also on failure. */
int gguf_open_descriptor(int descriptor, struct gguf_file **file, struct smollm_error *error);
/* Accepts NULL. Everything borrowed from the file is gone. */
void gguf_close(struct gguf_file *file);

uint32_t gguf_version(const struct gguf_file *file);
uint32_t gguf_alignment(const struct gguf_file *file);
uint64_t gguf_size(const struct gguf_file *file); /* bytes of the file, of all its parts, when it was opened */
/* Of all metadata and tensor descriptions. */
uint64_t gguf_metadata_hash(const struct gguf_file *file);

/* ---- Tensors ---- */

size_t gguf_tensor_count(const struct gguf_file *file);
/* index < gguf_tensor_count, in the order of the file. */
const struct gguf_tensor *gguf_tensor_at(const struct gguf_file *file, size_t index);
/* NULL when there is none. */
const struct gguf_tensor *gguf_tensor_find(const struct gguf_file *file, const char *name);
/* Copies size bytes from `offset` bytes into the tensor; SMOLLM_EIO when the file has been cut or cannot be read,
 * SMOLLM_EINVAL when the range leaves the tensor. */
int gguf_tensor_read(const struct gguf_file *file, const struct gguf_tensor *tensor, uint64_t offset, size_t size,
                     void *data, struct smollm_error *error);

/* ---- Metadata ---- */

struct gguf_value {
    struct smollm_text key;
    enum gguf_value_type type;
    enum gguf_value_type element_type; /* of an array */
    uint64_t count;                    /* elements of an array, otherwise 1 */
    struct smollm_text bytes;          /* the value as it stands in the file, after its type (and an array's header) */
};
size_t gguf_value_count(const struct gguf_file *file);
struct gguf_value gguf_value_at(const struct gguf_file *file, size_t index);
bool gguf_has(const struct gguf_file *file, const char *key);

/* Getters. A missing key is SMOLLM_ENOTFOUND, a value of another type or out of range SMOLLM_EFORMAT; *value is written
 * on success only, so that a default may stand in it before. Integers are taken from any integer type whose value
 * fits, floats from F32 and F64. */
int gguf_get_u32(const struct gguf_file *file, const char *key, uint32_t *value, struct smollm_error *error);
int gguf_get_u64(const struct gguf_file *file, const char *key, uint64_t *value, struct smollm_error *error);
int gguf_get_f32(const struct gguf_file *file, const char *key, float *value, struct smollm_error *error);
int gguf_get_bool(const struct gguf_file *file, const char *key, bool *value, struct smollm_error *error);
/* Borrowed from the file, may hold any bytes. */
int gguf_get_text(const struct gguf_file *file, const char *key, struct smollm_text *value, struct smollm_error *error);

/* Arrays. *values has *count elements and is freed by the caller with free(); the bytes of texts are borrowed from the
 * file. An empty array gives a block that can be freed and count 0. */
int gguf_get_texts(const struct gguf_file *file, const char *key, struct smollm_text **values, size_t *count,
                   struct smollm_error *error);
int gguf_get_i32s(const struct gguf_file *file, const char *key, int32_t **values, size_t *count,
                  struct smollm_error *error);
int gguf_get_f32s(const struct gguf_file *file, const char *key, float **values, size_t *count,
                  struct smollm_error *error);

#endif
