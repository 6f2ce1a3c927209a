/* Pre-tokenizers: the patterns that cut text into words before byte pairs are merged.
 *
 * Each pattern of HF tokenizers is one hand-written matcher that runs in time linear in the text. Bytes that are not
 * UTF-8 count as characters that are neither letter, number nor space, one byte each. */
#ifndef TOKENIZER_PRE_TOKENIZER_H
#define TOKENIZER_PRE_TOKENIZER_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct pre_tokenizer {
    const char *name; /* as tokenizer.ggml.pre has it */
    /* The size of the word at the start of data; at least 1. Text ends after size bytes (size >= 1). */
    size_t (*match)(const char *data, size_t size);
    bool splits_digits;  /* every digit is a word, and the pattern sees the text between digits piece by piece */
    bool ignores_merges; /* a word that is a token is that token, whatever the merges say */
    bool adds_bos;       /* where the file does not say */
};

/* The pre-tokenizer of that name, or NULL. */
const struct pre_tokenizer *pre_tokenizer_find(struct smollm_text name);
/* The known names in one line: "smollm, llama-bpe, ...". */
const char *pre_tokenizer_names(void);

/* Walks the words of a text. */
struct word_cursor {
    const struct pre_tokenizer *pre;
    const char *data;
    size_t size;
    size_t position;
    size_t segment_end; /* with splits_digits: the next digit, or the text's end */
};
struct word_cursor word_cursor_start(const struct pre_tokenizer *pre, struct smollm_text text);
/* The next word; false at the end. The words of a text concatenated are the text. */
bool word_cursor_next(struct word_cursor *cursor, struct smollm_text *word);

#endif
