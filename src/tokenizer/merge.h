/* Byte pair merging of one word. */
#ifndef TOKENIZER_MERGE_H
#define TOKENIZER_MERGE_H

#include "tokenizer/vocabulary.h"

enum { MERGE_WORD_MAX = 1 << 20 }; /* bytes; needs 20 MiB */

/* A word that is being merged: the remaining symbols form a list that begins with symbol 0, which always remains. */
struct merge_symbol {
    int32_t token;    /* -1: merged into the one before */
    int32_t previous; /* -1: none */
    int32_t next;     /* -1: none */
};

/* Memory that grows to the longest word seen. A zeroed struct is empty. */
struct merge_workspace {
    struct merge_symbol *symbols;
    uint64_t *heap; /* rank << 32 | position, smallest first */
    size_t symbol_capacity;
    size_t heap_capacity;
};
void merge_workspace_free(struct merge_workspace *workspace);

/* Merges the bytes of a word until no rule applies: the pair with the lowest rank first, of equal ones the leftmost.
 * Bytes that the vocabulary has no token for are left out beforehand, as HF tokenizers leaves them out (SmolLM2 has
 * none for some control characters). O(n log n). The tokens are the list of workspace->symbols. Returns the number of
 * tokens, 0 with no list, or a negative code: SMOLLM_ENOMEM, SMOLLM_ELIMIT (a word beyond
 * MERGE_WORD_MAX), SMOLLM_ECANCELED (base/cancellation.h). */
int64_t merge_word(const struct vocabulary *vocabulary, struct smollm_text word, struct merge_workspace *workspace,
                   struct smollm_error *error);

#endif
