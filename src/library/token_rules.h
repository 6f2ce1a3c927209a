/* Rules on the tokens of an answer: those it may be made of, words it may not contain, and how long it is at least.
 * Internal to library/. */
#ifndef LIBRARY_TOKEN_RULES_H
#define LIBRARY_TOKEN_RULES_H

#include "library/handles.h"

enum { BAD_WORD_TOKENS_MAX = 32 };

struct token_rules {
    uint32_t *allowed; /* bits; NULL: all */
    const bool *ends;  /* of the request; not drawn before min_tokens */
    uint32_t min_tokens, generated, vocabulary;
    /* Words as tokens, one after the other: their last token may not follow the others. */
    struct token_buffer words;
    struct token_buffer ends_of_words; /* of each, in `words` */
    int32_t recent[BAD_WORD_TOKENS_MAX];
};

bool token_rules_are_given(const struct smollm_request_options *options);
/* SMOLLM_EINVAL for a token that is none, or a word of too many tokens. On failure too the caller frees. ends may be
 * NULL. */
int token_rules_create(const struct smollm_model *model, const struct smollm_request_options *options, const bool *ends,
                       struct token_rules *rules, struct smollm_error *error);
void token_rules_free(struct token_rules *rules); /* accepts a zeroed struct */
/* Clears the bits of the tokens that may not come next. */
void token_rules_apply(const struct token_rules *rules, uint32_t *mask);
void token_rules_advance(struct token_rules *rules, int32_t token);

#endif
