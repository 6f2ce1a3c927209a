/* Finding special tokens in text: leftmost, and the longest of those that start at one place, as HF tokenizers does. */
#ifndef TOKENIZER_SPECIAL_TOKENS_H
#define TOKENIZER_SPECIAL_TOKENS_H

#include "tokenizer/vocabulary.h"

struct special_tokens {
    const struct vocabulary *vocabulary; /* borrowed */
    int32_t *sorted;                     /* ids in the order of their bytes */
    size_t count;
    bool starts[256]; /* whether one starts with this byte */
};

/* The control and the user-defined tokens. 0 or SMOLLM_ENOMEM. */
int special_tokens_create(struct special_tokens *special, const struct vocabulary *vocabulary,
                          struct smollm_error *error);
void special_tokens_free(struct special_tokens *special);

/* The first special token that lies in text from `position` on: its id, with *start set; or -1. */
int32_t special_tokens_find(const struct special_tokens *special, struct smollm_text text, size_t position,
                            size_t *start);

#endif
