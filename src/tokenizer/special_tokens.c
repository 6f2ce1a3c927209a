#include "tokenizer/special_tokens.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static int compare_texts(struct smollm_text a, struct smollm_text b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_ids(const void *a, const void *b, void *vocabulary)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    int order = compare_texts(vocabulary_text(vocabulary, x), vocabulary_text(vocabulary, y));
    return order != 0 ? order : (x > y) - (x < y);
}

int special_tokens_create(struct special_tokens *special, const struct vocabulary *v, struct smollm_error *error)
{
    *special = (struct special_tokens){.vocabulary = v};
    size_t count = 0;
    for (int32_t i = 0; i < v->token_count; i++)
        count += v->types[i] == TOKEN_CONTROL || v->types[i] == TOKEN_USER_DEFINED;
    special->sorted = array_allocate(count, sizeof *special->sorted);
    if (!special->sorted)
        return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for %zu special tokens", count);
    for (int32_t i = 0; i < v->token_count; i++) {
        struct smollm_text text = vocabulary_text(v, i);
        if ((v->types[i] != TOKEN_CONTROL && v->types[i] != TOKEN_USER_DEFINED) || text.size == 0)
            continue;
        special->sorted[special->count++] = i;
        special->starts[(unsigned char)text.data[0]] = true;
    }
    qsort_r(special->sorted, special->count, sizeof *special->sorted, compare_ids, (void *)v);
    return 0;
}

void special_tokens_free(struct special_tokens *special)
{
    free(special->sorted);
    *special = (struct special_tokens){0};
}

/* The byte at `depth` of the i-th token in order, or -1 where it ends before. */
static int byte_at(const struct special_tokens *special, size_t i, size_t depth)
{
    struct smollm_text text = vocabulary_text(special->vocabulary, special->sorted[i]);
    return depth < text.size ? (unsigned char)text.data[depth] : -1;
}

/* The first place in [low, high) whose byte at depth is at least `byte`. */
static size_t lower_bound(const struct special_tokens *special, size_t low, size_t high, size_t depth, int byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (byte_at(special, middle, depth) < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token that data begins with, or -1: byte by byte the range of tokens that still agree grows narrower. */
static int32_t longest_match(const struct special_tokens *special, const char *data, size_t size)
{
    size_t low = 0, high = special->count;
    int32_t found = -1;
    for (size_t depth = 0; low < high; depth++) {
        if (byte_at(special, low, depth) < 0) {
            found = special->sorted[low];
            low = lower_bound(special, low, high, depth, 0);
        }
        if (depth == size)
            break;
        int byte = (unsigned char)data[depth];
        low = lower_bound(special, low, high, depth, byte);
        high = lower_bound(special, low, high, depth, byte + 1);
    }
    return found;
}

int32_t special_tokens_find(const struct special_tokens *special, struct smollm_text text, size_t position,
                            size_t *start)
{
    for (size_t i = position; i < text.size; i++) {
        if (!special->starts[(unsigned char)text.data[i]])
            continue;
        int32_t id = longest_match(special, text.data + i, text.size - i);
        if (id >= 0) {
            *start = i;
            return id;
        }
    }
    return -1;
}
