#include "tokenizer/vocabulary.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Sizes that no real file comes near; they keep every number below in its type. */
enum { MAX_TOKENS = 1 << 24, MAX_MERGES = 1 << 25, MAX_TOKEN_BYTES = 1 << 16 };

/* Eight bytes at a time: words are short, and a hash by bytes would be most of a look-up. The table is not guarded
 * against chosen collisions: its keys come from the model file alone, and a run of equal hashes only costs time. */
static inline uint32_t text_hash(const char *data, size_t size)
{
    uint64_t h = size * 0x9e3779b97f4a7c15ULL;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t w;
        memcpy(&w, data, 8);
        h = (h ^ w) * 0xff51afd7ed558ccdULL;
        h ^= h >> 32;
    }
    uint64_t w = 0;
    memcpy(&w, data, size);
    h = (h ^ w) * 0xff51afd7ed558ccdULL;
    h ^= h >> 32;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return (uint32_t)(h >> 32);
}

static size_t table_size(size_t count)
{
    size_t size = 16;
    while (size < count + count / 2)
        size *= 2;
    return size;
}

/* GPT-2's alphabet: printable Latin-1 characters stand for their own byte, the other 68 bytes follow from U+0100 on in
 * order. Gives the byte of each of its characters below U+0144, -1 for the others. */
static void alphabet_fill(int16_t byte_of[0x144])
{
    for (int c = 0; c < 0x144; c++)
        byte_of[c] = -1;
    int next = 0x100;
    for (int b = 0; b < 256; b++) {
        bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        byte_of[printable ? b : next++] = (int16_t)b;
    }
}

/* Writes the bytes that text spells to out (room for text.size) and returns how many; SIZE_MAX when it is not written
 * in the alphabet. */
static size_t alphabet_decode(const int16_t byte_of[0x144], struct smollm_text text, char *out)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size;) {
        unsigned char first = (unsigned char)text.data[i];
        uint32_t c = first;
        size_t length = 1;
        if (first >= 0x80 && (length = utf8_decode(text.data + i, text.size - i, &c)) == 0)
            return SIZE_MAX;
        if (c >= 0x144 || byte_of[c] < 0)
            return SIZE_MAX;
        out[count++] = (char)byte_of[c];
        i += length;
    }
    return count;
}

int32_t vocabulary_find(const struct vocabulary *v, const char *data, size_t size)
{
    if (size == 0 || size > v->longest)
        return -1;
    uint32_t hash = text_hash(data, size);
    for (size_t i = hash & v->place_mask;; i = (i + 1) & v->place_mask) {
        int32_t id = v->places[i];
        if (id < 0)
            return -1;
        if (v->place_hashes[i] != hash)
            continue;
        uint32_t start = v->offsets[id];
        if (v->offsets[id + 1] - start == size && memcmp(v->bytes + start, data, size) == 0)
            return id;
    }
}

static void place_token(struct vocabulary *v, int32_t id)
{
    struct smollm_text text = vocabulary_text(v, id);
    if (text.size == 0 || vocabulary_find(v, text.data, text.size) >= 0)
        return;
    uint32_t hash = text_hash(text.data, text.size);
    size_t i = hash & v->place_mask;
    while (v->places[i] >= 0)
        i = (i + 1) & v->place_mask;
    v->places[i] = id;
    v->place_hashes[i] = hash;
}

static int load_tokens(struct vocabulary *v, const struct smollm_text *tokens, int32_t const *types,
                       const int16_t byte_of[0x144], struct smollm_error *error)
{
    size_t total = 0;
    for (int32_t i = 0; i < v->token_count; i++) {
        RETURN_ERROR_IF(tokens[i].size > MAX_TOKEN_BYTES, error, SMOLLM_EFORMAT,
                        "tokenizer: token %d has %zu bytes, at most %d are possible", i, tokens[i].size,
                        MAX_TOKEN_BYTES);
        total += tokens[i].size;
    }
    RETURN_ERROR_IF(total > INT32_MAX, error, SMOLLM_EFORMAT, "tokenizer: the tokens have %zu bytes together", total);
    size_t count = (size_t)v->token_count;
    size_t places = table_size(count);
    v->bytes = array_allocate(total + 1, 1);
    v->offsets = array_allocate(count + 1, sizeof *v->offsets);
    v->types = array_allocate(count, 1);
    v->places = array_allocate(places, sizeof *v->places);
    v->place_hashes = array_allocate(places, sizeof *v->place_hashes);
    if (!v->bytes || !v->offsets || !v->types || !v->places || !v->place_hashes)
        return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for %d tokens", v->token_count);
    v->place_mask = places - 1;
    memset(v->places, 0xff, places * sizeof *v->places);

    uint32_t offset = 0;
    for (int32_t i = 0; i < v->token_count; i++) {
        int32_t type = types ? types[i] : TOKEN_NORMAL;
        RETURN_ERROR_IF(type < 0 || type > TOKEN_BYTE, error, SMOLLM_EFORMAT, "tokenizer: token %d has the type %d", i,
                        type);
        v->types[i] = (uint8_t)type;
        size_t size = SIZE_MAX;
        if (type == TOKEN_NORMAL || type == TOKEN_BYTE)
            size = alphabet_decode(byte_of, tokens[i], v->bytes + offset);
        if (size == SIZE_MAX) { /* special tokens, and what is not in the alphabet, stand for themselves */
            size = tokens[i].size;
            if (size > 0)
                memcpy(v->bytes + offset, tokens[i].data, size);
        }
        v->offsets[i] = offset;
        offset += (uint32_t)size;
        if (size > v->longest)
            v->longest = size;
    }
    v->offsets[count] = offset;
    /* Ordinary tokens first: text is never a special token by its bytes alone, but merges may name one. */
    for (int32_t i = 0; i < v->token_count; i++)
        if (v->types[i] == TOKEN_NORMAL)
            place_token(v, i);
    for (int32_t i = 0; i < v->token_count; i++)
        if (v->types[i] != TOKEN_NORMAL)
            place_token(v, i);
    for (int b = 0; b < 256; b++) {
        char byte = (char)b;
        int32_t id = vocabulary_find(v, &byte, 1);
        v->byte_tokens[b] = id >= 0 && (v->types[id] == TOKEN_NORMAL || v->types[id] == TOKEN_BYTE) ? id : -1;
    }
    return 0;
}

static int load_merges(struct vocabulary *v, const struct smollm_text *merges, const int16_t byte_of[0x144],
                       struct smollm_error *error)
{
    size_t places = table_size(v->merge_count);
    v->merges = array_allocate(places, sizeof *v->merges);
    v->merge_results = array_allocate(v->merge_count, sizeof *v->merge_results);
    char *joined = malloc(2 * MAX_TOKEN_BYTES);
    if (!v->merges || !v->merge_results || !joined) {
        free(joined);
        return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for %zu merges", v->merge_count);
    }
    v->merge_mask = places - 1;
    for (size_t i = 0; i < places; i++)
        v->merges[i].result = -1;
    int result = 0;
    for (size_t rank = 0; rank < v->merge_count; rank++) {
        struct smollm_text text = merges[rank];
        const char *space = text.size > 0 ? memchr(text.data, ' ', text.size) : NULL;
        size_t left_size = space ? (size_t)(space - text.data) : 0;
        size_t right_size = space ? text.size - left_size - 1 : 0;
        if (left_size == 0 || right_size == 0 || text.size > MAX_TOKEN_BYTES) {
            result =
                error_set(error, SMOLLM_EFORMAT, "tokenizer: merge %zu is not two tokens with a space between: %.*s",
                          rank, (int)(text.size < 100 ? text.size : 100), text.size > 0 ? text.data : "");
            break;
        }
        size_t a = alphabet_decode(byte_of, (struct smollm_text){text.data, left_size}, joined);
        size_t b = SIZE_MAX;
        if (a != SIZE_MAX)
            b = alphabet_decode(byte_of, (struct smollm_text){space + 1, right_size}, joined + a);
        int32_t left = -1, right = -1, whole = -1;
        if (b != SIZE_MAX) {
            left = vocabulary_find(v, joined, a);
            right = vocabulary_find(v, joined + a, b);
            whole = vocabulary_find(v, joined, a + b);
        }
        if (left < 0 || right < 0 || whole < 0) {
            result = error_set(error, SMOLLM_EFORMAT, "tokenizer: merge %zu names what is not a token: %.*s", rank,
                               (int)(text.size < 100 ? text.size : 100), text.data);
            break;
        }
        v->merge_results[rank] = whole;
        if (vocabulary_find_merge(v, left, right))
            continue;
        uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
        size_t i = (size_t)(pair * 0x9e3779b97f4a7c15ULL >> 20) & v->merge_mask;
        while (v->merges[i].result >= 0)
            i = (i + 1) & v->merge_mask;
        v->merges[i] = (struct merge_entry){pair, (uint32_t)rank, whole};
    }
    free(joined);
    return result;
}

int vocabulary_create(struct vocabulary *vocabulary, const struct smollm_text *tokens, int32_t const *types,
                      size_t token_count, const struct smollm_text *merges, size_t merge_count,
                      struct smollm_error *error)
{
    *vocabulary = (struct vocabulary){0};
    RETURN_ERROR_IF(token_count == 0, error, SMOLLM_EFORMAT, "tokenizer: the vocabulary is empty");
    RETURN_ERROR_IF(token_count > MAX_TOKENS, error, SMOLLM_EFORMAT, "tokenizer: %zu tokens, at most %d are possible",
                    token_count, MAX_TOKENS);
    RETURN_ERROR_IF(merge_count > MAX_MERGES, error, SMOLLM_EFORMAT, "tokenizer: %zu merges, at most %d are possible",
                    merge_count, MAX_MERGES);
    vocabulary->token_count = (int32_t)token_count;
    vocabulary->merge_count = merge_count;
    int16_t byte_of[0x144];
    alphabet_fill(byte_of);
    int result = load_tokens(vocabulary, tokens, types, byte_of, error);
    if (result == 0)
        result = load_merges(vocabulary, merges, byte_of, error);
    if (result != 0)
        vocabulary_free(vocabulary);
    return result;
}

void vocabulary_free(struct vocabulary *v)
{
    free(v->bytes);
    free(v->offsets);
    free(v->types);
    free(v->places);
    free(v->place_hashes);
    free(v->merges);
    free(v->merge_results);
    *v = (struct vocabulary){0};
}
