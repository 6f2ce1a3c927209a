#include "api/core/path_text.h"

#include <string.h>

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

void path_decode(struct smollm_text encoded, struct buffer *out)
{
    for (size_t i = 0; i < encoded.size; i++) {
        const int high = encoded.data[i] == '%' && encoded.size - i > 2 ? hex(encoded.data[i + 1]) : -1;
        const int low = high >= 0 ? hex(encoded.data[i + 2]) : -1;
        buffer_append_char(out, low >= 0 ? (char)(high << 4 | low) : encoded.data[i]);
        i += low >= 0 ? 2 : 0;
    }
}

/* Removes a prefix from a path, in which several slashes count as one; false when the path has another beginning. */
static bool take_beginning(struct smollm_text *path, const char *beginning, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < size; i++) {
        if (at == path->size || path->data[at] != beginning[i])
            return false;
        at++;
        while (beginning[i] == '/' && at < path->size && path->data[at] == '/')
            at++;
    }
    *path = (struct smollm_text){path->data + at, path->size - at};
    return true;
}

bool path_matches(struct smollm_text path, const char *row, struct smollm_text *parameter)
{
    const char *brace = strchr(row, '{');
    *parameter = (struct smollm_text){0};
    if (!take_beginning(&path, row, brace ? (size_t)(brace - row) : strlen(row)))
        return false;
    if (!brace)
        return path.size == 0 || (take_beginning(&path, "/", 1) && path.size == 0);
    *parameter = path;
    return path.size > 0;
}

static struct smollm_text take_until(struct smollm_text *rest, char mark)
{
    const char *end = rest->size > 0 ? memchr(rest->data, mark, rest->size) : NULL;
    const size_t size = end ? (size_t)(end - rest->data) : rest->size;
    const struct smollm_text taken = {rest->data, size};
    const size_t used = size + (end != NULL);
    *rest = (struct smollm_text){rest->data + used, rest->size - used};
    return taken;
}

bool query_find(struct smollm_text query, const char *name, struct buffer *value)
{
    while (query.size > 0) {
        struct smollm_text rest = take_until(&query, '&');
        if (!text_is(take_until(&rest, '='), name))
            continue;
        while (rest.size > 0) {
            const struct smollm_text word = take_until(&rest, '+');
            const bool has_space = rest.data > word.data + word.size;
            path_decode(word, value);
            if (has_space)
                buffer_append_char(value, ' ');
        }
        return true;
    }
    return false;
}
