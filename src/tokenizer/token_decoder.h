/* Token bytes to UTF-8 text, piece by piece.
 *
 * Tokens may end inside a character. The decoder holds such a beginning back (at most 3 bytes) until the character is
 * whole; bytes that can become no character are replaced by U+FFFD, one for each maximal part (Unicode 15,
 * section 3.9), as HF tokenizers and browsers do. So the pieces are valid UTF-8 each, and concatenated they do not
 * depend on where the tokens end. */
#ifndef TOKENIZER_TOKEN_DECODER_H
#define TOKENIZER_TOKEN_DECODER_H

#include "base/text.h"

/* A zeroed struct is at the start of a text. */
struct token_decoder {
    char pending[4];
    unsigned char pending_size;
};

/* Appends to out what is whole now: at most 3 * (bytes.size + 3) bytes, without allocating where out has that room. */
void token_decoder_push(struct token_decoder *decoder, struct smollm_text bytes, struct buffer *out);
/* At the end of the text: appends U+FFFD for an unfinished character. The decoder is at the start again. */
void token_decoder_finish(struct token_decoder *decoder, struct buffer *out);

#endif
