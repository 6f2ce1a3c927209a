/* Regular languages of code points, as terms whose derivatives are taken one character at a time.
 *
 * The derivative of a language by c is what may follow c in it; a text is in the language if the derivative by all its
 * characters contains the empty text. Terms know union, intersection and complement, so that a schema's "allOf",
 * "oneOf" and "not" need no construction of automata, and states exist only once a text has reached them. Equal terms
 * have the same number, as far as simple rules show that they are equal. Brzozowski, "Derivatives of regular
 * expressions", 1964; Owens, Reppy and Turon, "Regular-expression derivatives re-examined", 2009. */
#ifndef GRAMMAR_TERM_H
#define GRAMMAR_TERM_H

#include "base/text.h"
#include "grammar/char_set.h"

typedef uint32_t term;

/* No text; the empty text; every text. */
enum { TERM_NONE, TERM_EMPTY, TERM_ALL };
#define TERM_UNLIMITED UINT32_MAX

enum term_kind {
    TERM_KIND_CONSTANT,
    TERM_KIND_SET,    /* a: set */
    TERM_KIND_CAT,    /* a, then b */
    TERM_KIND_OR,     /* the terms lists[a .. a + b) */
    TERM_KIND_AND,    /* the same */
    TERM_KIND_NOT,    /* all but a */
    TERM_KIND_REPEAT, /* a, from min to max times */
    TERM_KIND_WORDS,  /* the rest from character b on of the words min to max - 1 of list a */
    TERM_KIND_MODULO  /* decimal digits, points between them do not count, that make b, the rest of the digits before, a
                         multiple of a */
};

struct term_node {
    uint8_t kind;
    bool nullable; /* contains the empty text */
    bool plain;    /* made without intersection and complement, so that it is not empty unless it is TERM_NONE */
    uint8_t known; /* enum term_known */
    uint32_t a, b, min, max;
    uint32_t shortest; /* no text has fewer characters */
    bool has_free;     /* `free` was looked for, by term_free */
    uint32_t free;     /* at least so many characters may come, whatever they are: something can still follow */
};
enum term_known { TERM_UNKNOWN, TERM_LIVE, TERM_DEAD };

/* Words in order of their code points. */
struct term_words {
    const uint32_t **words;
    const uint32_t *sizes;
    uint32_t count;
    bool is_identified; /* term_names: the end of a word tells which one it is */
};

struct terms {
    struct pool *pool;
    struct char_sets sets;
    struct pool_vector nodes, lists, words;
    struct pool_table table;
    struct term_derivative {
        term from, to;
        uint32_t c, first, last;
    } * cache;
    struct pool_vector todo, seen; /* of term_is_alive */
    struct pool_vector front;      /* of term_free */
    uint32_t *members;             /* of gather: used again and again */
    uint32_t member_capacity;
};
void terms_begin(struct terms *terms, struct pool *pool);

static inline const struct term_node *term_at(const struct terms *terms, term t)
{
    return (const struct term_node *)terms->nodes.data + t;
}

/* ---- Making ---- */

term term_set(struct terms *terms, uint32_t set);
term term_char(struct terms *terms, uint32_t c);
term term_range(struct terms *terms, uint32_t first, uint32_t last);
term term_text(struct terms *terms, struct smollm_text utf8);
term term_cat(struct terms *terms, term a, term b);
term term_or(struct terms *terms, term a, term b);
term term_and(struct terms *terms, term a, term b);
term term_not(struct terms *terms, term a);
/* max may be TERM_UNLIMITED. */
term term_repeat(struct terms *terms, term a, uint32_t min, uint32_t max);
/* One of these texts; duplicates are allowed. */
term term_one_of(struct terms *terms, const struct smollm_text *texts, uint32_t count);
/* The same for different texts in order of their code points; term_name tells which of them has been read. */
term term_names(struct terms *terms, const struct smollm_text *sorted, uint32_t count);
bool term_name(const struct terms *terms, term t, uint32_t *index);
/* Decimal digits, at least one, of a number that is a multiple of `of`, from 1 to 2^31; points between the digits do
 * not count. */
term term_multiple(struct terms *terms, uint32_t of);

/* ---- Reading ---- */

/* What may follow c; narrows [*first, *last], which holds c, to characters with the same derivative. */
term term_derive(struct terms *terms, term t, uint32_t c, uint32_t *first, uint32_t *last);
bool term_matches(struct terms *terms, term t, struct smollm_text utf8);
/* No text of the language has fewer characters. */
static inline uint32_t term_shortest(const struct terms *terms, term t)
{
    return term_at(terms, t)->shortest;
}
/* After how many characters, whatever they are, something of the language can still follow: up to TERM_FREE_MAX
 * exactly, or TERM_UNLIMITED. */
enum { TERM_FREE_MAX = 24 };
uint32_t term_free(struct terms *terms, term t);
/* Whether the language is not empty. When the work allowed runs out the answer is true, and pool_has_room tells. */
bool term_is_alive(struct terms *terms, term t);
/* Writes the texts of a language that has at most `max`, in the order of their code points; false when it has more. */
bool term_texts(struct terms *terms, term t, uint32_t max, struct smollm_text *texts, uint32_t *count);

#endif
