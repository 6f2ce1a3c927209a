/* How short a text of a grammar can be: lower bounds, which tell that an answer of so many tokens cannot be complete.
 *
 * Bounds are in bytes. A token can cover more bytes than any part of JSON that a schema demands has, such as a hundred
 * spaces; so `fixed` counts those bytes only that are the same in every text as short as that (names and
 * punctuation), without those that repeat the byte before them, and is compared with tokens counted in the same way. */
#ifndef GRAMMAR_SHORTEST_H
#define GRAMMAR_SHORTEST_H

#include "grammar/machine.h"

struct text_bound {
    uint32_t size;  /* bytes */
    uint32_t fixed; /* of these, those counted by text_fixed_size (token_trie.h) */
};
enum { BOUND_MAX = 1 << 24 };

/* Of the program, from its first instruction to its end. Spends work of the pool; without room the bound is 0. */
struct text_bound machine_shortest(struct machine *machine);

#endif
