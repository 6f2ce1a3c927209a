/* From bytes to the characters of a term: UTF-8 as it stands, or the inside of a JSON string with its escapes.
 *
 * A lexeme is a term together with the bytes of a character that is not complete yet. A character of a JSON string
 * may be written in each of its ways: itself, a short escape, \uXXXX or a pair of these. Two of JSON's spellings are
 * not written: half surrogates, and \uXXXX for letters, digits and other characters of ASCII that no writer of JSON
 * escapes. A lexeme other than LEXEME_DEAD is always the beginning of a text of the language. */
#ifndef GRAMMAR_LEXEME_H
#define GRAMMAR_LEXEME_H

#include "grammar/term.h"

typedef uint32_t lexeme;

/* No text begins so; the string's closing quote was read. */
enum { LEXEME_DEAD, LEXEME_END };

enum lexeme_mode { LEXEME_TEXT, LEXEME_STRING };

struct lexemes {
    struct terms *terms;
    struct pool_vector states;
    struct pool_table table;
};
void lexemes_begin(struct lexemes *lexemes, struct terms *terms);

/* At the beginning of a text of the term (of a string: after its opening quote). */
lexeme lexeme_begin(struct lexemes *lexemes, enum lexeme_mode mode, term t);
lexeme lexeme_step(struct lexemes *lexemes, lexeme at, unsigned char byte);
/* Whether \uXXXX may stand for some of these characters. */
bool lexeme_may_escape(uint32_t first, uint32_t last);
/* Whether what was read is a text of the term. */
bool lexeme_accepts(const struct lexemes *lexemes, lexeme at);
/* Whether nothing more can follow it. */
bool lexeme_is_finished(struct lexemes *lexemes, lexeme at);
/* The term, when no character is incomplete; TERM_NONE otherwise. */
term lexeme_term(const struct lexemes *lexemes, lexeme at);

#endif
