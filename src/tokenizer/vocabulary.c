#include "tokenizer/vocabulary.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Limits that no real file comes near; with them no number below exceeds its type. */
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
    unsigned const char *in = (unsigned const char *)text.data;
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned c = in[i];
        /* All of the alphabet is one or two bytes of UTF-8; a byte that cannot begin two is not in it. */
        if (c >= 0x80) {
            if (c < 0xc2 || c > 0xc5 || i + 1 == text.size || (in[i + 1] & 0xc0) != 0x80)
                return SIZE_MAX;
            c = (c & 0x1fu) << 6 | (in[++i] & 0x3fu);
        }
        if (c >= 0x144 || byte_of[c] < 0)
            return SIZE_MAX;
        out[count++] = (char)byte_of[c];
    }
    return count;
}

static int32_t find_hashed(const struct vocabulary *v, const char *data, size_t size, uint32_t hash)
{
    for (size_t i = hash & v->place_mask;; i = (i + 1) & v->place_mask) {
        const struct token_place *place = &v->places[i];
        if (place->id < 0)
            return -1;
        if (place->hash == hash && place->size == size && memcmp(v->bytes + place->offset, data, size) == 0)
            return place->id;
    }
}

int32_t vocabulary_find(const struct vocabulary *v, const char *data, size_t size)
{
    if (size == 0 || size > v->longest)
        return -1;
    return find_hashed(v, data, size, text_hash(data, size));
}

static void place_token(struct vocabulary *v, int32_t id)
{
    struct smollm_text text = vocabulary_text(v, id);
    uint32_t hash = text_hash(text.data, text.size);
    if (text.size == 0 || find_hashed(v, text.data, text.size, hash) >= 0)
        return;
    size_t i = hash & v->place_mask;
    while (v->places[i].id >= 0)
        i = (i + 1) & v->place_mask;
    v->places[i] = (struct token_place){hash, id, v->offsets[id], (uint32_t)text.size};
}

static void place_tokens(struct vocabulary *v, bool normal)
{
    enum { AHEAD = 16 };
    for (int32_t i = 0; i < v->token_count; i++) {
        if (i + AHEAD < v->token_count) {
            struct smollm_text later = vocabulary_text(v, i + AHEAD);
            __builtin_prefetch(&v->places[text_hash(later.data, later.size) & v->place_mask], 1);
        }
        if ((v->types[i] == TOKEN_NORMAL) == normal)
            place_token(v, i);
    }
}

/* Checks the tokens' sizes and allocates what has a place for each of them. */
static int allocate_tokens(struct vocabulary *v, const struct smollm_text *tokens, struct smollm_error *error)
{
    size_t total = 0;
    for (int32_t i = 0; i < v->token_count; i++) {
        RETURN_ERROR_IF(tokens[i].size > MAX_TOKEN_BYTES, error, SMOLLM_EFORMAT,
                        "tokenizer: token %d has %zu bytes; up to %d are supported", i, tokens[i].size,
                        MAX_TOKEN_BYTES);
        total += tokens[i].size;
    }
    RETURN_ERROR_IF(total > INT32_MAX, error, SMOLLM_EFORMAT,
                    "tokenizer: the tokens have %zu bytes together; up to %d are supported", total, INT32_MAX);
    size_t count = (size_t)v->token_count;
    size_t places = table_size(count);
    v->bytes = array_allocate(total + 1, 1);
    v->offsets = array_allocate(count + 1, sizeof *v->offsets);
    v->types = array_allocate(count, 1);
    v->places = array_allocate(places, sizeof *v->places);
    if (!v->bytes || !v->offsets || !v->types || !v->places)
        return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for %d tokens", v->token_count);
    v->place_mask = places - 1;
    for (size_t i = 0; i < places; i++)
        v->places[i].id = -1;
    return 0;
}

/* Writes a token's bytes to `out` and returns their number, which is never more than the token's size in the file. */
static size_t decode_token(const int16_t byte_of[0x144], struct smollm_text token, int32_t type, char *out)
{
    if (type == TOKEN_NORMAL || type == TOKEN_BYTE) {
        size_t size = alphabet_decode(byte_of, token, out);
        if (size != SIZE_MAX)
            return size;
    }
    /* Special tokens, and tokens with characters outside of the byte alphabet, stand for themselves. */
    if (token.size > 0)
        memcpy(out, token.data, token.size);
    return token.size;
}

static int load_tokens(struct vocabulary *v, const struct smollm_text *tokens, const int32_t *types,
                       const int16_t byte_of[0x144], struct smollm_error *error)
{
    int result = allocate_tokens(v, tokens, error);
    if (result != 0)
        return result;
    uint32_t offset = 0;
    for (int32_t i = 0; i < v->token_count; i++) {
        int32_t type = types ? types[i] : TOKEN_NORMAL;
        RETURN_ERROR_IF(type < 0 || type > TOKEN_BYTE, error, SMOLLM_EFORMAT,
                        "tokenizer: token %d has the type %d; it must be from 0 to %d", i, type, TOKEN_BYTE);
        v->types[i] = (uint8_t)type;
        size_t size = decode_token(byte_of, tokens[i], type, v->bytes + offset);
        v->offsets[i] = offset;
        offset += (uint32_t)size;
        if (size > v->longest)
            v->longest = size;
    }
    v->offsets[v->token_count] = offset;
    /* Ordinary tokens first: text is never a special token by its bytes alone, but merges may name one. */
    place_tokens(v, true);
    place_tokens(v, false);
    for (int b = 0; b < 256; b++) {
        char byte = (char)b;
        int32_t id = vocabulary_find(v, &byte, 1);
        v->byte_tokens[b] = id >= 0 && (v->types[id] == TOKEN_NORMAL || v->types[id] == TOKEN_BYTE) ? id : -1;
    }
    return 0;
}

/* Merges are loaded in batches: their hundreds of thousands of look-ups would spend nearly all their time waiting for
 * memory one after the other, and a batch lets these waits overlap. */
enum { BATCH = 64, BATCH_BYTES = 2 * MAX_TOKEN_BYTES };

struct merge_batch {
    size_t count;
    size_t used; /* of bytes */
    struct {
        uint32_t start, left_size, size; /* both tokens, joined, in bytes */
        uint32_t left_hash, right_hash, hash;
        int32_t left, right, whole;
    } merge[BATCH];
    char bytes[BATCH_BYTES];
};

static int merge_error(size_t rank, struct smollm_text text, const char *what, struct smollm_error *error)
{
    return error_set(error, SMOLLM_EFORMAT, "tokenizer: merge %zu %s: %.*s", rank, what,
                     (int)(text.size < 100 ? text.size : 100), text.size > 0 ? text.data : "");
}

/* Takes the merge into the batch, which has room for its bytes. */
static int batch_add(struct merge_batch *batch, const struct vocabulary *v, size_t rank, struct smollm_text text,
                     const int16_t byte_of[0x144], struct smollm_error *error)
{
    const char *space = text.size > 0 ? memchr(text.data, ' ', text.size) : NULL;
    size_t left_size = space ? (size_t)(space - text.data) : 0;
    size_t right_size = space ? text.size - left_size - 1 : 0;
    if (left_size == 0 || right_size == 0)
        return merge_error(rank, text, "is not two tokens with a space between", error);
    char *joined = batch->bytes + batch->used;
    size_t a = alphabet_decode(byte_of, (struct smollm_text){text.data, left_size}, joined);
    size_t b = a == SIZE_MAX ? a : alphabet_decode(byte_of, (struct smollm_text){space + 1, right_size}, joined + a);
    if (b == SIZE_MAX)
        a = b = 0; /* letters that no token has are found in no table */
    size_t i = batch->count++;
    batch->merge[i].start = (uint32_t)batch->used;
    batch->merge[i].left_size = (uint32_t)a;
    batch->merge[i].size = (uint32_t)(a + b);
    batch->merge[i].left_hash = text_hash(joined, a);
    batch->merge[i].right_hash = text_hash(joined + a, b);
    batch->merge[i].hash = text_hash(joined, a + b);
    __builtin_prefetch(&v->places[batch->merge[i].left_hash & v->place_mask]);
    __builtin_prefetch(&v->places[batch->merge[i].right_hash & v->place_mask]);
    __builtin_prefetch(&v->places[batch->merge[i].hash & v->place_mask]);
    batch->used += a + b;
    return 0;
}

/* Puts the merges of the batch, of ranks from first_rank on, into the table. */
static int batch_finish(struct merge_batch *batch, struct vocabulary *v, const struct smollm_text *merges,
                        size_t first_rank, struct smollm_error *error)
{
    for (size_t i = 0; i < batch->count; i++) {
        const char *joined = batch->bytes + batch->merge[i].start;
        size_t a = batch->merge[i].left_size, size = batch->merge[i].size;
        int32_t left = find_hashed(v, joined, a, batch->merge[i].left_hash);
        int32_t right = find_hashed(v, joined + a, size - a, batch->merge[i].right_hash);
        int32_t whole = find_hashed(v, joined, size, batch->merge[i].hash);
        if (size == 0 || left < 0 || right < 0 || whole < 0)
            whole = -1; /* a merge of something that is not a token can never apply; it is skipped, as in llama.cpp */
        batch->merge[i].left = left;
        batch->merge[i].right = right;
        batch->merge[i].whole = whole;
        if (whole >= 0)
            __builtin_prefetch(&v->merges[merge_place(v, (uint64_t)(uint32_t)left << 32 | (uint32_t)right)], 1);
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->merge[i].whole < 0) {
            v->merge_results[first_rank + i] = -1;
            continue;
        }
        uint64_t pair = (uint64_t)(uint32_t)batch->merge[i].left << 32 | (uint32_t)batch->merge[i].right;
        v->merge_results[first_rank + i] = batch->merge[i].whole;
        size_t place = merge_place(v, pair);
        while (v->merges[place].result >= 0 && v->merges[place].pair != pair)
            place = (place + 1) & v->merge_mask;
        if (v->merges[place].result < 0)
            v->merges[place] = (struct merge_entry){pair, (uint32_t)(first_rank + i), batch->merge[i].whole};
    }
    batch->count = batch->used = 0;
    return 0;
}

static int load_merges(struct vocabulary *v, const struct smollm_text *merges, const int16_t byte_of[0x144],
                       struct smollm_error *error)
{
    size_t places = table_size(v->merge_count);
    v->merges = array_allocate(places, sizeof *v->merges);
    v->merge_results = array_allocate(v->merge_count, sizeof *v->merge_results);
    struct merge_batch *batch = malloc(sizeof *batch);
    if (!v->merges || !v->merge_results || !batch) {
        free(batch);
        return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for %zu merges", v->merge_count);
    }
    v->merge_mask = places - 1;
    for (size_t i = 0; i < places; i++)
        v->merges[i].result = -1;
    batch->count = batch->used = 0;
    int result = 0;
    for (size_t rank = 0; rank < v->merge_count && result == 0; rank++) {
        if (merges[rank].size > MAX_TOKEN_BYTES)
            result = merge_error(rank, merges[rank], "is too long", error);
        else if (batch->count == BATCH || merges[rank].size > BATCH_BYTES - batch->used)
            result = batch_finish(batch, v, merges, rank - batch->count, error);
        if (result == 0)
            result = batch_add(batch, v, rank, merges[rank], byte_of, error);
    }
    if (result == 0)
        result = batch_finish(batch, v, merges, v->merge_count - batch->count, error);
    free(batch);
    return result;
}

int vocabulary_create(struct vocabulary *vocabulary, const struct smollm_text *tokens, const int32_t *types,
                      size_t token_count, const struct smollm_text *merges, size_t merge_count,
                      struct smollm_error *error)
{
    *vocabulary = (struct vocabulary){0};
    RETURN_ERROR_IF(token_count == 0, error, SMOLLM_EFORMAT, "tokenizer: the vocabulary is empty");
    RETURN_ERROR_IF(token_count > MAX_TOKENS, error, SMOLLM_EFORMAT,
                    "tokenizer: the vocabulary has %zu tokens; up to %d are supported", token_count, MAX_TOKENS);
    RETURN_ERROR_IF(merge_count > MAX_MERGES, error, SMOLLM_EFORMAT,
                    "tokenizer: the vocabulary has %zu merges; up to %d are supported", merge_count, MAX_MERGES);
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
    free(v->merges);
    free(v->merge_results);
    *v = (struct vocabulary){0};
}
