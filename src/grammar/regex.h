/* Regular expressions as "pattern" has them: ECMA-262 (2024) with the flag u, as JSON Schema recommends, to terms.
 *
 * Supported: alternatives, groups of all kinds, classes, all quantifiers (lazy ones mean the same set of texts), ^ and
 * $, and looking ahead. \d and \w are ASCII, \s is what ECMA-262 calls white space, . is everything but line ends.
 * Refused by name: looking behind, word boundaries, back references, Unicode properties, inline flags, and an anchor or
 * look-ahead inside a repetition of more than a few times. */
#ifndef GRAMMAR_REGEX_H
#define GRAMMAR_REGEX_H

#include "grammar/term.h"

/* whole: the expression describes whole texts; otherwise texts that contain a match, as "pattern" means it.
 * SMOLLM_EINVAL for what is not an expression, with the byte where; SMOLLM_EUNSUPPORTED for what is refused. */
int regex_compile(struct terms *terms, struct smollm_text pattern, bool whole, term *result,
                  struct smollm_error *error);

#endif
