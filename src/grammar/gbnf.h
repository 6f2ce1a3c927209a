/* Grammars as llama.cpp writes them ("GBNF"): rules, alternatives, groups, texts, classes of characters, repetitions.
 */
#ifndef GRAMMAR_GBNF_H
#define GRAMMAR_GBNF_H

#include "grammar/machine.h"

/* Writes the program of the grammar; it begins with the rule "root". SMOLLM_EINVAL with the line: what is not a
 * grammar, a rule that is used and not defined, no root, left recursion, a root that no text matches. */
int gbnf_compile(struct machine *machine, struct smollm_text text, struct smollm_error *error);

#endif
