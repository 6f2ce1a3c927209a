#include "server/access_keys.h"

#include "base/error.h"
#include "base/file.h"

#include <ctype.h>
#include <string.h>

/* FNV-1a (Fowler, Noll, Vo): an identity, not a secret; it never leaves the process. */
static uint64_t hash(const char *text)
{
    uint64_t value = 14695981039346656037U;
    for (; *text; text++)
        value = (value ^ (unsigned char)*text) * 1099511628211U;
    return value ? value : 1;
}

/* The colon that ends a name; NULL: the line has none. */
static char *end_of_name(char *line)
{
    char *end = line;
    while (isalnum((unsigned char)*end) || (*end && strchr("._-", *end)))
        end++;
    return end > line && *end == ':' && end[1] ? end : NULL;
}

/* line is kept, and a colon in it replaced. */
static int take(struct access_keys *keys, char *line, struct smollm_error *error)
{
    RETURN_ERROR_IF(keys->count == ACCESS_KEYS_MAX, error, SMOLLM_ELIMIT, "more than %d API keys", ACCESS_KEYS_MAX);
    for (const char *c = line; *c; c++)
        RETURN_ERROR_IF(*c <= 0x20 || *c >= 0x7f, error, SMOLLM_EINVAL,
                        "an API key holds a space or a character that is not ASCII: no client could send it");
    struct access_key key = {.secret = line};
    char *colon = end_of_name(line);
    if (colon) {
        *colon = '\0';
        key.name = line;
        key.secret = colon + 1;
    }
    for (size_t i = 0; i < keys->count; i++)
        RETURN_ERROR_IF(key.name && keys->keys[i].name && strcmp(key.name, keys->keys[i].name) == 0, error,
                        SMOLLM_EINVAL, "two API keys have the name %s", key.name);
    key.id = hash(key.name ? key.name : key.secret);
    keys->keys[keys->count++] = key;
    return 0;
}

int access_keys_add(struct access_keys *keys, const char *line, struct smollm_error *error)
{
    RETURN_ERROR_IF(!*line, error, SMOLLM_EINVAL, "the API key is empty");
    buffer_append_string(&keys->texts[0], line);
    RETURN_ERROR_IF(keys->texts[0].failed, error, SMOLLM_ENOMEM, "out of memory");
    return take(keys, keys->texts[0].data, error);
}

int access_keys_read(struct access_keys *keys, const char *path, struct smollm_error *error)
{
    struct buffer *file = &keys->texts[1];
    int status = file_read(path, file, error);
    if (status == 0 && file->data && strlen(file->data) != file->size)
        status = error_set(error, SMOLLM_EINVAL, "%s holds a NUL byte; one key per line is expected", path);
    const size_t before = keys->count;
    char *rest = file->data, *line;
    while (status == 0 && (line = strsep(&rest, "\r\n")))
        if (*line && *line != '#')
            status = take(keys, line, error);
    if (status == 0 && keys->count == before)
        status = error_set(error, SMOLLM_EINVAL, "%s holds no key", path);
    return status;
}

void access_keys_free(struct access_keys *keys)
{
    if (!keys)
        return;
    buffer_free(&keys->texts[0]);
    buffer_free(&keys->texts[1]);
}
