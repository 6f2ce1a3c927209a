/* Text held to a form: a JSON schema, a grammar, a regular expression or a choice.
 *
 * A grammar is compiled once, by any thread, and then read by one thread at a time; it grows while it is read. A
 * matcher is the place of one text in a grammar. Its mask says for each token of a vocabulary whether some continuation
 * of the text with it is valid: nothing more is allowed, and nothing less, but for the bounds that schema.h and
 * machine.h state. */
#ifndef GRAMMAR_GRAMMAR_H
#define GRAMMAR_GRAMMAR_H

#include "base/text.h"
#include "grammar/token_trie.h"
#include "smollm_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grammar;
struct matcher;

enum grammar_kind {
    GRAMMAR_SCHEMA, /* text: a JSON schema */
    GRAMMAR_GBNF,   /* text: rules as llama.cpp writes them */
    GRAMMAR_REGEX,  /* text: an expression for the whole text */
    GRAMMAR_CHOICE, /* texts: one of them */
    GRAMMAR_TOOLS   /* tools: calls, <tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call> */
};
struct grammar_tool {
    struct smollm_text name;
    struct smollm_text schema; /* of its arguments; size 0: any object */
};
struct pool;
/* Reads {"name": ..., "parameters": schema}; Anthropic's clients call the schema input_schema. The tool borrows from
 * the text and the pool. SMOLLM_EINVAL when it is not JSON or has no name. */
int grammar_tool_read(struct pool *pool, struct smollm_text text, struct grammar_tool *tool,
                      struct smollm_error *error);

struct grammar_source {
    enum grammar_kind kind;
    struct smollm_text text;
    const struct smollm_text *texts;
    size_t text_count;
    /* Of JSON: members that a schema names come in its order, and where it names some, others only if it speaks of them
     * ("additionalProperties", "patternProperties") or requires them. Otherwise whatever is valid, in any order. */
    bool as_listed;
    /* Of tools. */
    const struct grammar_tool *tools;
    size_t tool_count;
    bool is_bare; /* calls are {"name": ..., "parameters": {...}} without marks, as Llama 3.1 writes them, and one */
    /* The text begins after <tool_call>, and has one call. A bare one may have any white space around its names, and a
     * "type" before them. */
    bool after_marker;
    bool several;                           /* one call may follow another */
    bool is_lenient;                        /* a tool whose schema cannot be followed takes any object */
    const struct grammar_source *otherwise; /* a text of this instead of calls, or NULL */
};

/* SMOLLM_EINVAL, SMOLLM_EUNSUPPORTED or SMOLLM_ELIMIT with the place in the source. */
int grammar_compile(const struct grammar_source *source, struct grammar **grammar, struct smollm_error *error);
/* A grammar is freed with its last holder. */
struct grammar *grammar_hold(struct grammar *grammar);
void grammar_release(struct grammar *grammar); /* accepts NULL */

/* At the beginning of a text. The trie is borrowed, the grammar is held. NULL when out of memory. */
struct matcher *matcher_create(struct grammar *grammar, const struct token_trie *trie);
void matcher_destroy(struct matcher *matcher); /* accepts NULL */

/* Sets the bits of the tokens that may come next and clears the others; end tokens are the caller's, see
 * matcher_may_end. mask: [trie->words] */
void matcher_mask(struct matcher *matcher, uint32_t *mask);
/* Whether the text is complete as it is. */
bool matcher_may_end(const struct matcher *matcher);
/* Goes on by a token's bytes, which are borrowed until the matcher is destroyed; false, and nothing has changed, when
 * they are not allowed. */
bool matcher_advance(struct matcher *matcher, struct smollm_text text);
/* Takes the last `count` tokens back. */
void matcher_retreat(struct matcher *matcher, uint32_t count);
/* Back to the beginning. */
void matcher_restart(struct matcher *matcher);
/* No whole text of the grammar has fewer tokens; may be 0, where that is not known. */
uint32_t matcher_least_tokens(const struct matcher *matcher);
/* Whether a JSON string is open. */
bool matcher_is_in_string(const struct matcher *matcher);
/* Tokens so far. */
uint32_t matcher_length(const struct matcher *matcher);
/* Up to max bytes that are likely to come next; may be none. */
size_t matcher_predict(struct matcher *matcher, char *out, size_t max);
/* False once the grammar's bounds were met: masks are then empty, and the text cannot be completed. */
bool matcher_is_sound(const struct matcher *matcher);

#endif
