/* The tokens of a vocabulary as a tree of their bytes, made once for a model.
 *
 * In strings nearly every token is allowed. Tokens that are nothing but the inside of a JSON string are kept apart, by
 * the number of their characters; what is left in a string are the tokens with its closing quote, a tree of their own.
 */
#ifndef GRAMMAR_TOKEN_TRIE_H
#define GRAMMAR_TOKEN_TRIE_H

#include "base/text.h"
#include "smollm_error.h"

#include <stdbool.h>
#include <stdint.h>

/* Nodes in depth-first order. */
struct trie_node {
    uint32_t skip;                     /* the next node that is not below this one */
    uint32_t first_token, token_count; /* in `tokens`: those that end here */
    uint8_t byte, depth;               /* depth from 0 */
    bool has_quote;                    /* on the way to here, this byte included */
};
struct trie {
    struct trie_node *nodes;
    int32_t *tokens;
    uint32_t node_count, token_count;
};

enum { TRIE_LENGTHS = 48 };

struct token_trie {
    uint32_t vocabulary, words; /* tokens; 32-bit words of a mask */
    struct smollm_text *texts;  /* [vocabulary], borrowed bytes; size 0: never allowed by a grammar */
    struct trie all, quoted;    /* quoted: a string's inside, its closing quote, and what follows */
    struct trie endings;        /* of the quoted tokens, from their quote on; their numbers in place of tokens */
    uint32_t *ending_of;        /* [vocabulary]: of a quoted token */
    uint32_t ending_count;
    uint32_t *content[TRIE_LENGTHS]; /* masks of the tokens of up to i + 1 characters that are a string's inside */
    uint32_t *all_content;
    int32_t *long_content; /* those of more than TRIE_LENGTHS characters */
    uint32_t *long_lengths;
    uint32_t long_count;
    uint32_t longest;                     /* characters in a token of `all_content` */
    uint32_t longest_size, longest_fixed; /* of all tokens, in bytes and as text_fixed_size counts */
};

/* texts: the bytes of each token, of special ones {NULL, 0}; they are borrowed until token_trie_free. */
int token_trie_create(struct token_trie *trie, const struct smollm_text *texts, uint32_t vocabulary,
                      struct smollm_error *error);
void token_trie_free(struct token_trie *trie); /* accepts a zeroed struct */

/* Bytes but for those that repeat the byte before them; quotes and brackets may. */
uint32_t text_fixed_size(struct smollm_text text);

/* The least number of tokens that spell a text; 0: not known (too long, or no tokens do). */
uint32_t token_trie_spell(const struct token_trie *trie, struct smollm_text text);

#endif
