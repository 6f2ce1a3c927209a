#include "gguf/gguf_split.h"

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "gguf/gguf_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_five_digits(const char *text, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < 5; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *value = *value * 10 + (uint32_t)(text[i] - '0');
    }
    return true;
}

bool gguf_split_name(const char *path, uint32_t *part, uint32_t *count)
{
    const size_t size = strlen(path);
    if (size <= GGUF_SPLIT_ENDING)
        return false;
    const char *ending = path + size - GGUF_SPLIT_ENDING;
    return ending[0] == '-' && read_five_digits(ending + 1, part) && memcmp(ending + 6, "-of-", 4) == 0 &&
           read_five_digits(ending + 10, count) && strcmp(ending + 15, ".gguf") == 0 && *part >= 1 && *part <= *count &&
           *count <= GGUF_SPLIT_MAX;
}

void gguf_split_rename(char *path, uint32_t part, uint32_t count)
{
    char ending[GGUF_SPLIT_ENDING + 16];
    snprintf(ending, sizeof ending, "-%05u-of-%05u.gguf", part % 100000, count % 100000);
    memcpy(path + strlen(path) - GGUF_SPLIT_ENDING, ending, GGUF_SPLIT_ENDING);
}

/* Which part this file claims to be; *part counts from 1. */
static int read_place(const struct gguf_file *file, uint32_t *part, uint32_t *count, struct smollm_error *error)
{
    uint32_t number = 0;
    int status = gguf_get_u32(file, "split.count", count, error);
    if (status == 0)
        status = gguf_get_u32(file, "split.no", &number, error);
    RETURN_ERROR_IF(status < 0, error, SMOLLM_EFORMAT, "the file is a part of a model, but does not say which");
    RETURN_ERROR_IF(*count > GGUF_SPLIT_MAX || number >= *count, error, SMOLLM_EFORMAT,
                    "the file is part %u of %u; up to %d parts are supported", number + 1, *count, GGUF_SPLIT_MAX);
    *part = number + 1;
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int open_part(struct gguf_file *first, const char *path, uint32_t part, uint32_t count,
                     struct smollm_error *error)
{
    struct gguf_file *file;
    uint32_t its_part, its_count;
    int status = gguf_open_alone(path, &file, error);
    if (status < 0) {
        error_prefix(error, "part %u of %u, %s", part, count, base_name(path));
        return status;
    }
    first->parts[part - 1] = file;
    status = read_place(file, &its_part, &its_count, error);
    if (status == 0 && (its_part != part || its_count != count))
        status = error_set(error, SMOLLM_EFORMAT, "it says that it is part %u of %u", its_part, its_count);
    if (status < 0)
        error_prefix(error, "part %u of %u, %s", part, count, base_name(path));
    return status;
}

/* All tensors, in the order of the parts. */
static int take_tensors(struct gguf_file *first, uint32_t count, struct smollm_error *error)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += (i == 0 ? first : first->parts[i])->tensor_count;
    struct gguf_tensor *all = calloc(total + 1, sizeof *all);
    RETURN_ERROR_IF(!all, error, SMOLLM_ENOMEM, "out of memory for the descriptions of %zu tensors", total);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct gguf_file *file = i == 0 ? first : first->parts[i];
        for (size_t k = 0; k < file->tensor_count; k++) {
            all[at] = file->tensors[k];
            all[at++].part = i;
        }
    }
    free(first->tensors);
    first->tensors = all;
    first->tensor_count = total;
    uint32_t announced;
    if (gguf_get_u32(first, "split.tensors.count", &announced, NULL) == 0)
        RETURN_ERROR_IF(announced != total, error, SMOLLM_EFORMAT,
                        "the %u parts have %zu tensors, not the %u announced", count, total, announced);
    return gguf_index_tensors(first, error);
}

int gguf_split_join(struct gguf_file *first, const char *path, struct smollm_error *error)
{
    uint32_t part, count, named_part, named_count;
    int status = read_place(first, &part, &count, error);
    if (status < 0 || count == 1)
        return status;
    char *other = strdup(path);
    RETURN_ERROR_IF(!other, error, SMOLLM_ENOMEM, "out of memory");
    const bool is_named = gguf_split_name(path, &named_part, &named_count) && named_count == count;
    if (is_named)
        gguf_split_rename(other, 1, count);
    if (part != 1)
        status = error_set(error, SMOLLM_EFORMAT, "this is part %u of %u of a model; open the first part%s%s", part,
                           count, is_named ? ", " : "", is_named ? base_name(other) : "");
    else if (!is_named || named_part != 1)
        status = error_set(error, SMOLLM_EFORMAT,
                           "this is part 1 of %u of a model; the others are looked for by its name, which must end in "
                           "-00001-of-%05u.gguf",
                           count, count);
    if (status == 0) {
        first->parts = calloc(count, sizeof *first->parts);
        first->part_count = first->parts ? count : 0;
        if (!first->parts)
            status = error_set(error, SMOLLM_ENOMEM, "out of memory for %u parts", count);
    }
    for (uint32_t i = 2; i <= count && status == 0; i++) {
        gguf_split_rename(other, i, count);
        status = open_part(first, other, i, count, error);
    }
    free(other);
    return status < 0 ? status : take_tensors(first, count, error);
}
