/* Text in pieces, wrapped between words at the width of the terminal. Without a terminal it is written unchanged. */
#ifndef CLI_WORD_WRAP_H
#define CLI_WORD_WRAP_H

#include "base/text.h"

#include <stdio.h>

struct word_wrap {
    FILE *out;
    bool is_terminal, is_dimmed;
    unsigned width, column;
    unsigned blanks;    /* before the word, not written yet */
    struct buffer word; /* not written yet: only its end shows whether it fits */
    unsigned word_width;
};

void word_wrap_begin(struct word_wrap *wrap, FILE *out, bool is_dimmed);
/* Text of a model: see print_model_text. */
void word_wrap_text(struct word_wrap *wrap, struct smollm_text text);
/* Writes the text held back, and frees; accepts a zeroed struct. */
void word_wrap_end(struct word_wrap *wrap);

#endif
