/* Opening a file: the header is walked once while it is read, tensor descriptions are checked, tables are built. */
#include "gguf/gguf.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "gguf/gguf_reader.h"
#include "gguf/gguf_split.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No real file comes near these limits. */
static const uint64_t ENTRY_LIMIT = 65536;
static const uint64_t TENSOR_LIMIT = 1 << 20;
static const uint64_t NAME_LIMIT = 255;  /* the specification says 64 */
static const uint64_t KEY_LIMIT = 65535; /* as the specification says */

/* Smallest encodings, to judge counts against what is left of the file: a key of one byte with a one-byte value; a
 * tensor of one dimension with a name of one byte. */
static const uint64_t ENTRY_BYTES_MIN = 8 + 1 + 4 + 1;
static const uint64_t TENSOR_BYTES_MIN = 8 + 1 + 4 + 8 + 4 + 8;

/* ---- Tables by name ---- */

static int table_create(struct gguf_table *table, size_t count)
{
    size_t places = 16;
    while (places < count * 2)
        places *= 2;
    table->places = array_allocate(places, sizeof *table->places);
    table->mask = places - 1;
    return table->places ? 0 : SMOLLM_ENOMEM;
}

static size_t table_start(const struct gguf_table *table, struct smollm_text name, uint64_t seed)
{
    return (size_t)hash_bytes(name.data, name.size, seed) & table->mask;
}

static bool same_text(struct smollm_text a, struct smollm_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

const struct gguf_entry *gguf_entry_find(const struct gguf_file *file, struct smollm_text key)
{
    const struct gguf_table *table = &file->entry_table;
    for (size_t i = table_start(table, key, file->hash_seed); table->places[i] != 0; i = (i + 1) & table->mask) {
        const struct gguf_entry *entry = &file->entries[table->places[i] - 1];
        if (same_text(gguf_header_text(file, entry->key_at, entry->key_size), key))
            return entry;
    }
    return NULL;
}

static const struct gguf_tensor *tensor_find(const struct gguf_file *file, struct smollm_text name)
{
    const struct gguf_table *table = &file->tensor_table;
    for (size_t i = table_start(table, name, file->hash_seed); table->places[i] != 0; i = (i + 1) & table->mask) {
        const struct gguf_tensor *tensor = &file->tensors[table->places[i] - 1];
        if (same_text(tensor->name, name))
            return tensor;
    }
    return NULL;
}

static void table_insert(struct gguf_table *table, struct smollm_text name, uint64_t seed, size_t index)
{
    size_t i = table_start(table, name, seed);
    while (table->places[i] != 0)
        i = (i + 1) & table->mask;
    table->places[i] = (uint32_t)(index + 1);
}

/* ---- Metadata ---- */

size_t gguf_value_type_size(uint32_t type)
{
    switch (type) {
    case GGUF_VALUE_U8:
    case GGUF_VALUE_I8:
    case GGUF_VALUE_BOOL:
        return 1;
    case GGUF_VALUE_U16:
    case GGUF_VALUE_I16:
        return 2;
    case GGUF_VALUE_U32:
    case GGUF_VALUE_I32:
    case GGUF_VALUE_F32:
        return 4;
    case GGUF_VALUE_U64:
    case GGUF_VALUE_I64:
    case GGUF_VALUE_F64:
        return 8;
    default:
        return 0;
    }
}

/* Skips count values of one type. */
static int take_values(struct gguf_reader *r, uint32_t type, uint64_t count, const char *what)
{
    if (type == GGUF_VALUE_STRING) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t length;
            int code = gguf_reader_take_u64(r, what, &length);
            if (code == 0)
                code = gguf_reader_take_bytes(r, what, length);
            if (code != 0)
                return code;
        }
        return 0;
    }
    uint64_t bytes;
    RETURN_ERROR_IF(__builtin_mul_overflow(count, (uint64_t)gguf_value_type_size(type), &bytes), r->error,
                    SMOLLM_EFORMAT, "%s has %llu elements, which no file can hold", what, (unsigned long long)count);
    size_t start = r->at;
    int code = gguf_reader_take_bytes(r, what, bytes);
    if (code != 0)
        return code;
    for (uint64_t i = 0; type == GGUF_VALUE_BOOL && i < count; i++)
        RETURN_ERROR_IF(r->file->header[start + i] > 1, r->error, SMOLLM_EFORMAT,
                        "%s has a boolean that is %u; it must be 0 or 1", what, (unsigned)r->file->header[start + i]);
    return 0;
}

static int entry_read(struct gguf_reader *r, struct gguf_entry *entry)
{
    int code = gguf_reader_take_name(r, "a metadata key", KEY_LIMIT, &entry->key_at, &entry->key_size);
    if (code != 0)
        return code;
    char what[128];
    struct smollm_text key = gguf_header_text(r->file, entry->key_at, entry->key_size);
    snprintf(what, sizeof what, "metadata %.*s", TEXT_ARGUMENTS(key));
    uint32_t type;
    uint32_t element_type = 0;
    uint64_t count = 1;
    code = gguf_reader_take_u32(r, what, &type);
    if (code != 0)
        return code;
    RETURN_ERROR_IF(type > GGUF_VALUE_F64, r->error, SMOLLM_EFORMAT, "%s has the unknown value type %u", what, type);
    entry->type = (enum gguf_value_type)type;
    if (type == GGUF_VALUE_ARRAY) {
        code = gguf_reader_take_u32(r, what, &element_type);
        if (code == 0)
            code = gguf_reader_take_u64(r, what, &count);
        if (code != 0)
            return code;
        RETURN_ERROR_IF(element_type == GGUF_VALUE_ARRAY, r->error, SMOLLM_EUNSUPPORTED, "%s is an array of arrays",
                        what);
        RETURN_ERROR_IF(element_type > GGUF_VALUE_F64, r->error, SMOLLM_EFORMAT,
                        "%s is an array of the unknown value type %u", what, element_type);
        size_t min = element_type == GGUF_VALUE_STRING ? 8 : gguf_value_type_size(element_type);
        RETURN_ERROR_IF(
            count > (r->file->size - r->at) / min, r->error, SMOLLM_EFORMAT,
            "%s has %llu elements at offset %zu, more than the file of %llu bytes can hold (truncated download?)", what,
            (unsigned long long)count, r->at, (unsigned long long)r->file->size);
        type = element_type;
    }
    entry->element_type = (enum gguf_value_type)element_type;
    entry->count = count;
    entry->value_at = r->at;
    code = take_values(r, type, count, what);
    entry->value_size = r->at - entry->value_at;
    return code;
}

/* Makes room for one more element. The array grows with what has actually been read, so a count in the file allocates
 * no memory. */
static void *array_grow(void *array, size_t count, size_t size)
{
    if (count == 0)
        return realloc(array, 64 * size);
    bool full = count >= 64 && (count & (count - 1)) == 0;
    return full ? realloc(array, count * 2 * size) : array;
}

static int entries_read(struct gguf_reader *r, uint64_t count)
{
    struct gguf_file *file = r->file;
    for (uint64_t i = 0; i < count; i++) {
        void *grown = array_grow(file->entries, file->entry_count, sizeof *file->entries);
        RETURN_ERROR_IF(!grown, r->error, SMOLLM_ENOMEM, "out of memory for metadata");
        file->entries = grown;
        int code = entry_read(r, &file->entries[file->entry_count]);
        if (code != 0)
            return code;
        file->entry_count++;
    }
    return 0;
}

static int entries_index(struct gguf_reader *r)
{
    struct gguf_file *file = r->file;
    RETURN_ERROR_IF(table_create(&file->entry_table, file->entry_count) != 0, r->error, SMOLLM_ENOMEM,
                    "out of memory for metadata");
    for (size_t i = 0; i < file->entry_count; i++) {
        struct smollm_text key = gguf_header_text(file, file->entries[i].key_at, file->entries[i].key_size);
        RETURN_ERROR_IF(gguf_entry_find(file, key), r->error, SMOLLM_EFORMAT, "duplicate metadata key %.*s",
                        TEXT_ARGUMENTS(key));
        table_insert(&file->entry_table, key, file->hash_seed, i);
    }
    return 0;
}

/* ---- Tensors ---- */

/* Skips the descriptions, so that the whole header is in memory and no longer moves. */
static int tensors_scan(struct gguf_reader *r, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        size_t at;
        size_t size;
        uint32_t n_dims;
        int code = gguf_reader_take_name(r, "a tensor name", NAME_LIMIT, &at, &size);
        if (code == 0)
            code = gguf_reader_take_u32(r, "a tensor description", &n_dims);
        if (code != 0)
            return code;
        struct smollm_text name = gguf_header_text(r->file, at, size);
        RETURN_ERROR_IF(n_dims < 1 || n_dims > 4, r->error, SMOLLM_EFORMAT,
                        "tensor %.*s has %u dimensions; it must have 1 to 4", TEXT_ARGUMENTS(name), n_dims);
        code = gguf_reader_take_bytes(r, "a tensor description", 8 * (uint64_t)n_dims + 4 + 8);
        if (code != 0)
            return code;
    }
    return 0;
}

static uint64_t load_u64(const unsigned char *p)
{
    uint64_t value;
    memcpy(&value, p, 8);
    return value;
}

/* Reads and checks one description that tensors_scan has passed; the offset is still relative to the data. */
static int tensor_read(struct gguf_reader *r, struct gguf_tensor *tensor)
{
    size_t at;
    size_t size;
    int code = gguf_reader_take_name(r, "a tensor name", NAME_LIMIT, &at, &size);
    if (code == 0)
        code = gguf_reader_take_u32(r, "a tensor description", &tensor->n_dims);
    if (code == 0)
        code = gguf_reader_need(r, 8 * (uint64_t)tensor->n_dims + 4 + 8, "a tensor description");
    if (code != 0)
        return code;
    tensor->name = gguf_header_text(r->file, at, size);
    tensor->elements = 1;
    for (uint32_t d = 0; d < 4; d++) {
        tensor->dims[d] = 1;
        if (d >= tensor->n_dims)
            continue;
        tensor->dims[d] = load_u64(r->file->header + r->at);
        r->at += 8;
        RETURN_ERROR_IF(tensor->dims[d] == 0, r->error, SMOLLM_EFORMAT, "tensor %.*s has a dimension of 0",
                        TEXT_ARGUMENTS(tensor->name));
        RETURN_ERROR_IF(__builtin_mul_overflow(tensor->elements, tensor->dims[d], &tensor->elements), r->error,
                        SMOLLM_EFORMAT, "tensor %.*s has more elements than any file can hold",
                        TEXT_ARGUMENTS(tensor->name));
    }
    code = gguf_reader_take_u32(r, "a tensor description", &tensor->type);
    if (code == 0)
        code = gguf_reader_take_u64(r, "a tensor description", &tensor->offset);
    if (code != 0)
        return code;
    const struct gguf_type_info *type = gguf_type_find(tensor->type);
    RETURN_ERROR_IF(!type, r->error, SMOLLM_EUNSUPPORTED, "tensor %.*s has type %u (%s), which smollm does not read",
                    TEXT_ARGUMENTS(tensor->name), tensor->type, gguf_type_name(tensor->type));
    RETURN_ERROR_IF(tensor->dims[0] % type->block_columns != 0, r->error, SMOLLM_EFORMAT,
                    "tensor %.*s has rows of %llu columns, which do not fill whole blocks of %u columns of %s",
                    TEXT_ARGUMENTS(tensor->name), (unsigned long long)tensor->dims[0], type->block_columns, type->name);
    RETURN_ERROR_IF(
        __builtin_mul_overflow(tensor->elements / type->block_columns, (uint64_t)type->block_bytes, &tensor->size),
        r->error, SMOLLM_EFORMAT, "tensor %.*s is larger than any file", TEXT_ARGUMENTS(tensor->name));
    return 0;
}

/* Makes the offset absolute and checks that the tensor lies inside the file. */
static int tensor_place(struct gguf_reader *r, struct gguf_tensor *tensor, uint64_t data_start)
{
    struct gguf_file *file = r->file;
    RETURN_ERROR_IF(tensor->offset % file->alignment != 0, r->error, SMOLLM_EFORMAT,
                    "tensor %.*s has offset %llu; it must be a multiple of the alignment %u",
                    TEXT_ARGUMENTS(tensor->name), (unsigned long long)tensor->offset, file->alignment);
    uint64_t end;
    bool fits = !__builtin_add_overflow(tensor->offset, data_start, &tensor->offset) &&
                !__builtin_add_overflow(tensor->offset, tensor->size, &end) && end <= file->size;
    RETURN_ERROR_IF(!fits, r->error, SMOLLM_EFORMAT,
                    "tensor %.*s needs %llu bytes at offset %llu, but the file ends at %llu (truncated download?)",
                    TEXT_ARGUMENTS(tensor->name), (unsigned long long)tensor->size, (unsigned long long)tensor->offset,
                    (unsigned long long)file->size);
    return 0;
}

int gguf_index_tensors(struct gguf_file *file, struct smollm_error *error)
{
    free(file->tensor_table.places);
    RETURN_ERROR_IF(table_create(&file->tensor_table, file->tensor_count) != 0, error, SMOLLM_ENOMEM,
                    "out of memory for the names of %zu tensors", file->tensor_count);
    for (size_t i = 0; i < file->tensor_count; i++) {
        const struct smollm_text name = file->tensors[i].name;
        RETURN_ERROR_IF(tensor_find(file, name), error, SMOLLM_EFORMAT, "duplicate tensor %.*s", TEXT_ARGUMENTS(name));
        table_insert(&file->tensor_table, name, file->hash_seed, i);
    }
    return 0;
}

static int tensors_read(struct gguf_reader *r, uint64_t count)
{
    struct gguf_file *file = r->file;
    file->tensors = array_allocate((size_t)count, sizeof *file->tensors);
    RETURN_ERROR_IF(!file->tensors || table_create(&file->tensor_table, (size_t)count) != 0, r->error, SMOLLM_ENOMEM,
                    "out of memory for the descriptions of %llu tensors", (unsigned long long)count);
    for (size_t i = 0; i < count; i++) {
        struct gguf_tensor *tensor = &file->tensors[i];
        int code = tensor_read(r, tensor);
        if (code != 0)
            return code;
        RETURN_ERROR_IF(tensor_find(file, tensor->name), r->error, SMOLLM_EFORMAT, "duplicate tensor %.*s",
                        TEXT_ARGUMENTS(tensor->name));
        table_insert(&file->tensor_table, tensor->name, file->hash_seed, i);
        file->tensor_count = i + 1;
    }
    /* Cannot overflow: r->at is inside the file, whose size is an off_t, and the alignment has 32 bits. */
    uint64_t data_start = ((uint64_t)r->at + file->alignment - 1) & ~((uint64_t)file->alignment - 1);
    for (size_t i = 0; i < count; i++) {
        int code = tensor_place(r, &file->tensors[i], data_start);
        if (code != 0)
            return code;
    }
    return 0;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a;
    const struct gguf_tensor *y = *(const struct gguf_tensor *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int tensors_check_overlap(struct gguf_reader *r)
{
    const struct gguf_file *file = r->file;
    const struct gguf_tensor **sorted = array_allocate(file->tensor_count, sizeof *sorted);
    RETURN_ERROR_IF(!sorted, r->error, SMOLLM_ENOMEM, "out of memory for the descriptions of tensors");
    for (size_t i = 0; i < file->tensor_count; i++)
        sorted[i] = &file->tensors[i];
    qsort(sorted, file->tensor_count, sizeof(void *), compare_offsets);
    int code = 0;
    for (size_t i = 1; i < file->tensor_count && code == 0; i++) {
        const struct gguf_tensor *a = sorted[i - 1];
        const struct gguf_tensor *b = sorted[i];
        if (a->offset + a->size > b->offset)
            code = error_set(r->error, SMOLLM_EFORMAT, "tensors %.*s and %.*s overlap at offset %llu",
                             TEXT_ARGUMENTS(a->name), TEXT_ARGUMENTS(b->name), (unsigned long long)b->offset);
    }
    free(sorted);
    return code;
}

/* ---- Opening ---- */

static int alignment_read(struct gguf_reader *r)
{
    struct gguf_file *file = r->file;
    file->alignment = 32;
    int code =
        gguf_has(file, "general.alignment") ? gguf_get_u32(file, "general.alignment", &file->alignment, r->error) : 0;
    if (code != 0)
        return code;
    uint32_t a = file->alignment;
    RETURN_ERROR_IF(a == 0 || (a & (a - 1)) != 0 || a > 1u << 24, r->error, SMOLLM_EFORMAT,
                    "general.alignment is %u; it must be a power of two up to 16777216", a);
    return 0;
}

/* Refuses a file that is not GGUF, and names what people often have in place of a model. */
static int name_other_file(struct gguf_reader *r)
{
    static const char lfs[] = "version https://git-lfs";
    struct gguf_file *file = r->file;
    const uint64_t looked_at = file->size < 64 ? file->size : 64;
    int code = gguf_reader_need(r, looked_at, "a GGUF file");
    if (code != 0)
        return code;
    size_t at = 0;
    while (at < looked_at && strchr(" \t\r\n", file->header[at]) && file->header[at] != '\0')
        at++;
    RETURN_ERROR_IF(
        looked_at >= sizeof lfs - 1 && memcmp(file->header, lfs, sizeof lfs - 1) == 0, r->error, SMOLLM_EFORMAT,
        "this is a Git LFS pointer, which stands for the model in a repository; run `git lfs pull` there to fetch it");
    RETURN_ERROR_IF(
        at < looked_at && file->header[at] == '<', r->error, SMOLLM_EFORMAT,
        "this is a web page (HTML or XML), not a GGUF file; perhaps the address of a page was downloaded instead of "
        "the file's own");
    return error_set(r->error, SMOLLM_EFORMAT, "this is not a GGUF file (it begins with bytes %02x %02x %02x %02x)",
                     file->header[0], file->header[1], file->header[2], file->header[3]);
}

/* Reads the magic number and the version. */
static int magic_read(struct gguf_reader *r)
{
    struct gguf_file *file = r->file;
    int code = gguf_reader_need(r, 4, "a GGUF file");
    if (code != 0)
        return code;
    if (memcmp(file->header, "GGUF", 4) != 0)
        return name_other_file(r);
    r->at = 4;
    code = gguf_reader_take_u32(r, "the GGUF version", &file->version);
    if (code != 0)
        return code;
    RETURN_ERROR_IF(file->version != 0 && (file->version & 0xffff) == 0, r->error, SMOLLM_EUNSUPPORTED,
                    "this is a big-endian GGUF file; smollm reads little-endian files");
    RETURN_ERROR_IF(file->version != 2 && file->version != 3, r->error, SMOLLM_EUNSUPPORTED,
                    "the file has GGUF version %u; smollm reads versions 2 and 3", file->version);
    return 0;
}

/* Reads how many tensors and metadata entries there are, and refuses more than the file has bytes for. */
static int counts_read(struct gguf_reader *r, uint64_t *tensor_count, uint64_t *entry_count)
{
    int code = gguf_reader_take_u64(r, "the number of tensors", tensor_count);
    if (code == 0)
        code = gguf_reader_take_u64(r, "the number of metadata entries", entry_count);
    if (code != 0)
        return code;
    uint64_t left = r->file->size - r->at;
    RETURN_ERROR_IF(*entry_count > ENTRY_LIMIT || *entry_count > left / ENTRY_BYTES_MIN, r->error, SMOLLM_EFORMAT,
                    "the file claims to have %llu metadata entries, more than fit in %llu bytes",
                    (unsigned long long)*entry_count, (unsigned long long)left);
    RETURN_ERROR_IF(*tensor_count > TENSOR_LIMIT || *tensor_count > left / TENSOR_BYTES_MIN, r->error, SMOLLM_EFORMAT,
                    "the file claims to have %llu tensors, more than fit in %llu bytes",
                    (unsigned long long)*tensor_count, (unsigned long long)left);
    return 0;
}

static int header_read(struct gguf_reader *r)
{
    struct gguf_file *file = r->file;
    uint64_t tensor_count;
    uint64_t entry_count;
    int code = magic_read(r);
    if (code == 0)
        code = counts_read(r, &tensor_count, &entry_count);
    if (code != 0)
        return code;
    code = entries_read(r, entry_count);
    size_t tensors_at = r->at;
    if (code == 0)
        code = tensors_scan(r, tensor_count);
    if (code == 0)
        code = entries_index(r);
    if (code == 0)
        code = alignment_read(r);
    if (code != 0)
        return code;
    /* The bytes after the header are weights. */
    unsigned char *exact = realloc(file->header, r->at);
    if (exact)
        file->header = exact;
    file->header_size = r->at;
    r->at = tensors_at;
    code = tensors_read(r, tensor_count);
    return code != 0 ? code : tensors_check_overlap(r);
}

int gguf_open_descriptor(int descriptor, struct gguf_file **file, struct smollm_error *error)
{
    *file = NULL;
    struct stat status;
    struct gguf_file *opened = calloc(1, sizeof *opened);
    int code = 0;
    if (!opened) {
        close(descriptor);
        return error_set(error, SMOLLM_ENOMEM, "out of memory");
    }
    opened->descriptor = descriptor;
    if (fstat(descriptor, &status) != 0)
        code = error_set(error, SMOLLM_EIO, "cannot read the file's size: %s", strerror(errno));
    else if (!S_ISREG(status.st_mode))
        code = error_set(error, SMOLLM_EFORMAT, "this is %s, not a GGUF file",
                         S_ISDIR(status.st_mode) ? "a directory" : "not a regular file");
    else {
        opened->size = (uint64_t)status.st_size;
        /* The seed is random, so that nobody can write a file whose names collide in the tables. */
        opened->hash_seed = hash_mix(clock_nanoseconds() ^ (uint64_t)(uintptr_t)opened);
        struct gguf_reader reader = {.file = opened, .error = error};
        code = header_read(&reader);
    }
    if (code != 0) {
        gguf_close(opened);
        return code;
    }
    *file = opened;
    return 0;
}

int gguf_open(const char *path, struct gguf_file **file, struct smollm_error *error)
{
    int code = gguf_open_alone(path, file, error);
    if (code == 0 && gguf_has(*file, "split.count"))
        code = gguf_split_join(*file, path, error);
    if (code != 0) {
        gguf_close(*file);
        *file = NULL;
    }
    return code;
}

int gguf_open_alone(const char *path, struct gguf_file **file, struct smollm_error *error)
{
    *file = NULL;
    /* Not blocking: opening a FIFO would wait for its writer. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return error_set(error, errno == ENOENT || errno == ENOTDIR ? SMOLLM_ENOTFOUND : SMOLLM_EIO, "cannot open: %s",
                         strerror(errno));
    return gguf_open_descriptor(descriptor, file, error);
}

void gguf_close(struct gguf_file *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->part_count; i++)
        gguf_close(file->parts[i]);
    free((void *)file->parts);
    close(file->descriptor);
    free(file->header);
    free(file->entries);
    free(file->entry_table.places);
    free(file->tensors);
    free(file->tensor_table.places);
    free(file);
}

/* ---- What is in it ---- */

uint32_t gguf_version(const struct gguf_file *file)
{
    return file->version;
}

uint32_t gguf_alignment(const struct gguf_file *file)
{
    return file->alignment;
}

uint64_t gguf_metadata_hash(const struct gguf_file *file)
{
    uint64_t hash = hash_block(file->header, file->header_size, file->version);
    for (size_t i = 1; i < file->part_count; i++)
        hash = hash_mix(hash + gguf_metadata_hash(file->parts[i]));
    return hash;
}

uint64_t gguf_size(const struct gguf_file *file)
{
    uint64_t size = file->size;
    for (size_t i = 1; i < file->part_count; i++)
        size += file->parts[i]->size;
    return size;
}

size_t gguf_tensor_count(const struct gguf_file *file)
{
    return file->tensor_count;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf_file *file, size_t index)
{
    return &file->tensors[index];
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf_file *file, const char *name)
{
    return tensor_find(file, (struct smollm_text){name, strlen(name)});
}

int gguf_tensor_read(const struct gguf_file *file, const struct gguf_tensor *tensor, uint64_t offset, size_t size,
                     void *data, struct smollm_error *error)
{
    RETURN_ERROR_IF(offset > tensor->size || size > tensor->size - offset, error, SMOLLM_EINVAL,
                    "tensor %.*s has %llu bytes, not %zu at %llu", TEXT_ARGUMENTS(tensor->name),
                    (unsigned long long)tensor->size, size, (unsigned long long)offset);
    const struct gguf_file *part = tensor->part > 0 ? file->parts[tensor->part] : file;
    int code = gguf_read_exactly(part->descriptor, data, size, tensor->offset + offset, error);
    if (code != 0)
        error_prefix(error, "tensor %.*s", TEXT_ARGUMENTS(tensor->name));
    return code;
}
