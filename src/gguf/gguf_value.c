/* Metadata values with the type and range that the caller expects. */
#include "base/error.h"
#include "base/memory.h"
#include "gguf/gguf_file.h"

#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};

size_t gguf_value_count(const struct gguf_file *file)
{
    return file->entry_count;
}

struct gguf_value gguf_value_at(const struct gguf_file *file, size_t index)
{
    const struct gguf_entry *entry = &file->entries[index];
    const char *header = (const char *)file->header;
    return (struct gguf_value){
        .key = {header + entry->key_at, entry->key_size},
        .type = entry->type,
        .element_type = entry->element_type,
        .count = entry->count,
        .bytes = {header + entry->value_at, entry->value_size},
    };
}

static const struct gguf_entry *find(const struct gguf_file *file, const char *key)
{
    return gguf_entry_find(file, (struct smollm_text){key, strlen(key)});
}

bool gguf_has(const struct gguf_file *file, const char *key)
{
    return find(file, key) != NULL;
}

static int require(const struct gguf_file *file, const char *key, const struct gguf_entry **entry,
                   struct smollm_error *error)
{
    *entry = find(file, key);
    RETURN_ERROR_IF(!*entry, error, SMOLLM_ENOTFOUND, "metadata %s is missing", key);
    return 0;
}

static int wrong_type(const char *key, const struct gguf_entry *entry, const char *wanted, struct smollm_error *error)
{
    bool array = entry->type == GGUF_VALUE_ARRAY;
    return error_set(error, SMOLLM_EFORMAT, "metadata %s is %s%s, expected %s", key, array ? "an array of " : "",
                     type_names[array ? entry->element_type : entry->type], wanted);
}

/* An integer of any of the file's types, as a magnitude with a sign. */
struct integer {
    uint64_t magnitude;
    bool negative;
};

static bool load_integer(enum gguf_value_type type, const unsigned char *p, struct integer *value)
{
    int64_t i;
    switch (type) {
#define LOAD(tag, c_type)                                                                                              \
    case tag: {                                                                                                        \
        c_type stored;                                                                                                 \
        memcpy(&stored, p, sizeof stored);                                                                             \
        i = stored;                                                                                                    \
        break;                                                                                                         \
    }
        LOAD(GGUF_VALUE_U8, uint8_t)
        LOAD(GGUF_VALUE_I8, int8_t)
        LOAD(GGUF_VALUE_U16, uint16_t)
        LOAD(GGUF_VALUE_I16, int16_t)
        LOAD(GGUF_VALUE_U32, uint32_t)
        LOAD(GGUF_VALUE_I32, int32_t)
        LOAD(GGUF_VALUE_I64, int64_t)
#undef LOAD
    case GGUF_VALUE_U64:
        memcpy(&value->magnitude, p, 8);
        value->negative = false;
        return true;
    default:
        return false;
    }
    value->negative = i < 0;
    value->magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    return true;
}

static int get_unsigned(const struct gguf_file *file, const char *key, uint64_t limit, uint64_t *value,
                        struct smollm_error *error)
{
    const struct gguf_entry *entry;
    int code = require(file, key, &entry, error);
    if (code != 0)
        return code;
    struct integer integer;
    if (!load_integer(entry->type, file->header + entry->value_at, &integer))
        return wrong_type(key, entry, "an integer", error);
    RETURN_ERROR_IF(integer.negative || integer.magnitude > limit, error, SMOLLM_EFORMAT,
                    "metadata %s is %s%llu; it must be from 0 to %llu", key, integer.negative ? "-" : "",
                    (unsigned long long)integer.magnitude, (unsigned long long)limit);
    *value = integer.magnitude;
    return 0;
}

int gguf_get_u32(const struct gguf_file *file, const char *key, uint32_t *value, struct smollm_error *error)
{
    uint64_t wide = 0;
    int code = get_unsigned(file, key, UINT32_MAX, &wide, error);
    if (code == 0)
        *value = (uint32_t)wide;
    return code;
}

int gguf_get_u64(const struct gguf_file *file, const char *key, uint64_t *value, struct smollm_error *error)
{
    return get_unsigned(file, key, UINT64_MAX, value, error);
}

static bool load_float(enum gguf_value_type type, const unsigned char *p, float *value)
{
    double wide;
    if (type == GGUF_VALUE_F32) {
        memcpy(value, p, sizeof *value);
        return true;
    }
    if (type != GGUF_VALUE_F64)
        return false;
    memcpy(&wide, p, sizeof wide);
    *value = (float)wide;
    return true;
}

int gguf_get_f32(const struct gguf_file *file, const char *key, float *value, struct smollm_error *error)
{
    const struct gguf_entry *entry;
    int code = require(file, key, &entry, error);
    if (code != 0)
        return code;
    return load_float(entry->type, file->header + entry->value_at, value) ? 0
                                                                          : wrong_type(key, entry, "a float", error);
}

int gguf_get_bool(const struct gguf_file *file, const char *key, bool *value, struct smollm_error *error)
{
    const struct gguf_entry *entry;
    int code = require(file, key, &entry, error);
    if (code != 0)
        return code;
    if (entry->type != GGUF_VALUE_BOOL)
        return wrong_type(key, entry, "a boolean", error);
    *value = file->header[entry->value_at] != 0;
    return 0;
}

/* A string at `at`, which the reader has checked. */
static size_t load_text(const struct gguf_file *file, size_t at, struct smollm_text *text)
{
    uint64_t size;
    memcpy(&size, file->header + at, 8);
    *text = (struct smollm_text){(const char *)file->header + at + 8, (size_t)size};
    return at + 8 + (size_t)size;
}

int gguf_get_text(const struct gguf_file *file, const char *key, struct smollm_text *value, struct smollm_error *error)
{
    const struct gguf_entry *entry;
    int code = require(file, key, &entry, error);
    if (code != 0)
        return code;
    if (entry->type != GGUF_VALUE_STRING)
        return wrong_type(key, entry, "a string", error);
    load_text(file, entry->value_at, value);
    return 0;
}

/* Finds an array and makes room for its elements; count is bounded by the header that holds them. */
static int array_open(const struct gguf_file *file, const char *key, const char *wanted, size_t element_size,
                      const struct gguf_entry **entry, void **values, struct smollm_error *error)
{
    int code = require(file, key, entry, error);
    if (code != 0)
        return code;
    if ((*entry)->type != GGUF_VALUE_ARRAY)
        return wrong_type(key, *entry, wanted, error);
    *values = array_allocate((size_t)(*entry)->count, element_size);
    RETURN_ERROR_IF(!*values, error, SMOLLM_ENOMEM, "out of memory for metadata %s", key);
    return 0;
}

int gguf_get_texts(const struct gguf_file *file, const char *key, struct smollm_text **values, size_t *count,
                   struct smollm_error *error)
{
    const struct gguf_entry *entry;
    void *block;
    int code = array_open(file, key, "an array of strings", sizeof **values, &entry, &block, error);
    if (code != 0)
        return code;
    if (entry->element_type != GGUF_VALUE_STRING) {
        free(block);
        return wrong_type(key, entry, "an array of strings", error);
    }
    *values = block;
    *count = (size_t)entry->count;
    size_t at = entry->value_at;
    for (size_t i = 0; i < *count; i++)
        at = load_text(file, at, &(*values)[i]);
    return 0;
}

int gguf_get_i32s(const struct gguf_file *file, const char *key, int32_t **values, size_t *count,
                  struct smollm_error *error)
{
    const struct gguf_entry *entry;
    void *block;
    int code = array_open(file, key, "an array of integers", sizeof **values, &entry, &block, error);
    if (code != 0)
        return code;
    int32_t *out = block;
    size_t step = gguf_value_type_size(entry->element_type);
    for (size_t i = 0; i < entry->count && code == 0; i++) {
        struct integer integer;
        if (step == 0 || !load_integer(entry->element_type, file->header + entry->value_at + i * step, &integer))
            code = wrong_type(key, entry, "an array of integers", error);
        else if (integer.magnitude > (uint64_t)INT32_MAX + integer.negative)
            code = error_set(error, SMOLLM_EFORMAT, "element %zu of metadata %s does not fit 32 bits", i, key);
        else
            out[i] = (int32_t)(integer.negative ? -(int64_t)integer.magnitude : (int64_t)integer.magnitude);
    }
    if (code != 0) {
        free(block);
        return code;
    }
    *values = out;
    *count = (size_t)entry->count;
    return 0;
}

int gguf_get_f32s(const struct gguf_file *file, const char *key, float **values, size_t *count,
                  struct smollm_error *error)
{
    const struct gguf_entry *entry;
    void *block;
    int code = array_open(file, key, "an array of floats", sizeof **values, &entry, &block, error);
    if (code != 0)
        return code;
    float *out = block;
    size_t step = gguf_value_type_size(entry->element_type);
    for (size_t i = 0; i < entry->count && code == 0; i++)
        if (!load_float(entry->element_type, file->header + entry->value_at + i * step, &out[i]))
            code = wrong_type(key, entry, "an array of floats", error);
    if (code != 0) {
        free(block);
        return code;
    }
    *values = out;
    *count = (size_t)entry->count;
    return 0;
}
