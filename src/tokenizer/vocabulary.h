/* The tokens of a model and the rules that merge them, with look-up in constant time.
 *
 * A file spells tokens in GPT-2's alphabet, where each byte is one printable character; here they are plain bytes. */
#ifndef TOKENIZER_VOCABULARY_H
#define TOKENIZER_VOCABULARY_H

#include "base/text.h"
#include "smollm_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Token types as tokenizer.ggml.token_type has them. */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6
};

/* All that a look-up needs before it compares bytes, in one cache line. */
struct token_place {
    uint32_t hash;
    int32_t id; /* -1: empty */
    uint32_t offset;
    uint32_t size;
};

struct merge_entry {
    uint64_t pair; /* left << 32 | right */
    uint32_t rank;
    int32_t result; /* -1: empty place */
};

struct vocabulary {
    int32_t token_count;
    char *bytes;       /* of all tokens, one after the other */
    uint32_t *offsets; /* token_count + 1 */
    uint8_t *types;    /* enum token_type */
    size_t longest;    /* bytes of the longest token */

    struct token_place *places; /* hash table by bytes */
    size_t place_mask;

    struct merge_entry *merges;
    size_t merge_mask;
    int32_t *merge_results; /* by rank */
    size_t merge_count;

    int32_t byte_tokens[256]; /* -1: the vocabulary cannot spell this byte */
};

/* tokens, types (may be NULL: all normal) and merges are borrowed during the call. Of tokens with the same bytes the
 * first counts, of merges of the same pair the first. SMOLLM_EFORMAT when a merge names something that is not a token.
 * On failure nothing is left to free. */
int vocabulary_create(struct vocabulary *vocabulary, const struct smollm_text *tokens, const int32_t *types,
                      size_t token_count, const struct smollm_text *merges, size_t merge_count,
                      struct smollm_error *error);
/* Accepts a zeroed struct. */
void vocabulary_free(struct vocabulary *vocabulary);

/* The token with exactly these bytes, or -1. */
int32_t vocabulary_find(const struct vocabulary *vocabulary, const char *data, size_t size);

static inline size_t merge_place(const struct vocabulary *vocabulary, uint64_t pair)
{
    return (size_t)(pair * 0x9e3779b97f4a7c15ULL >> 20) & vocabulary->merge_mask;
}

/* The merge of two tokens, or NULL. */
static inline const struct merge_entry *vocabulary_find_merge(const struct vocabulary *vocabulary, int32_t left,
                                                              int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    for (size_t i = merge_place(vocabulary, pair);; i = (i + 1) & vocabulary->merge_mask) {
        const struct merge_entry *entry = &vocabulary->merges[i];
        if (entry->result < 0)
            return NULL;
        if (entry->pair == pair)
            return entry;
    }
}

static inline struct smollm_text vocabulary_text(const struct vocabulary *vocabulary, int32_t id)
{
    uint32_t start = vocabulary->offsets[id];
    return (struct smollm_text){vocabulary->bytes + start, vocabulary->offsets[id + 1] - start};
}

#endif
