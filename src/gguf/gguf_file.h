/* The inside of an open GGUF file; for gguf.c and gguf_value.c only. */
#ifndef GGUF_FILE_H
#define GGUF_FILE_H

#include "gguf/gguf.h"

/* A metadata entry; places are offsets into the header, because that moves while it grows. */
struct gguf_entry {
    size_t key_at;
    size_t key_size;
    size_t value_at;
    size_t value_size;
    uint64_t count;
    enum gguf_value_type type;
    enum gguf_value_type element_type;
};

/* Open addressing over indices + 1; 0 is a free place. The number of places is a power of two. */
struct gguf_table {
    uint32_t *places;
    size_t mask;
};

struct gguf_file {
    int descriptor;
    uint64_t size;
    uint32_t version;
    uint32_t alignment;
    uint64_t hash_seed;

    unsigned char *header; /* the first header_size bytes of the file */
    size_t header_size;
    size_t header_capacity;

    struct gguf_entry *entries;
    size_t entry_count;
    struct gguf_table entry_table;

    struct gguf_tensor *tensors;
    size_t tensor_count;
    struct gguf_table tensor_table;

    struct gguf_file **parts; /* [part_count], of a split file; the first is NULL and stands for the file itself */
    size_t part_count;
};

/* Rebuilds the table of tensors; SMOLLM_EFORMAT when two have the same name. */
int gguf_index_tensors(struct gguf_file *file, struct smollm_error *error);

/* Bytes of one scalar, 0 for strings, arrays and unknown numbers. */
size_t gguf_value_type_size(uint32_t type);
const struct gguf_entry *gguf_entry_find(const struct gguf_file *file, struct smollm_text key);

#endif
