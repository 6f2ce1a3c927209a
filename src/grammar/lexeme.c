#include "grammar/lexeme.h"

#include "base/hash.h"

#include <string.h>

enum part {
    PART_NONE,      /* no character is incomplete */
    PART_UTF8,      /* `left` bytes are missing; low: the least character that is possible */
    PART_SKIP_UTF8, /* the same, and all characters that are possible lead to t */
    PART_ESCAPE,    /* after a backslash */
    PART_HEX,       /* `left` digits of \uXXXX are missing */
    PART_SKIP_HEX,
    PART_PAIR,    /* after the high surrogate `high`: a backslash, */
    PART_PAIR_U,  /* its u, */
    PART_PAIR_HEX /* and digits of the low one */
};

struct state {
    term t;
    uint32_t low, high;
    uint8_t mode, part, left, length; /* length: of a UTF-8 sequence */
};

static const struct state *state_at(const struct lexemes *l, lexeme at)
{
    return (const struct state *)l->states.data + at;
}

static lexeme intern(struct lexemes *l, struct state state)
{
    const uint32_t hash = (uint32_t)hash_bytes(&state, sizeof state, 0);
    uint32_t at = hash, number;
    while (pool_table_next(&l->table, hash, &at, &number))
        if (memcmp(state_at(l, number), &state, sizeof state) == 0)
            return number;
    if (!pool_spend(l->terms->pool, 1))
        return LEXEME_DEAD;
    *(struct state *)pool_vector_add(l->terms->pool, &l->states, sizeof state) = state;
    pool_table_add(l->terms->pool, &l->table, hash, l->states.count - 1);
    return l->states.count - 1;
}

void lexemes_begin(struct lexemes *l, struct terms *terms)
{
    *l = (struct lexemes){.terms = terms};
    for (int i = 0; i < 2; i++)
        *(struct state *)pool_vector_add(terms->pool, &l->states, sizeof(struct state)) =
            (struct state){.t = TERM_NONE};
}

static lexeme at_boundary(struct lexemes *l, uint8_t mode, term t)
{
    return term_is_alive(l->terms, t) ? intern(l, (struct state){.t = t, .mode = mode}) : LEXEME_DEAD;
}

lexeme lexeme_begin(struct lexemes *l, enum lexeme_mode mode, term t)
{
    return at_boundary(l, (uint8_t)mode, t);
}

/* ---- Characters that are possible ---- */

struct interval {
    uint32_t first, last;
};
enum { INTERVALS_MAX = 16 };
struct intervals {
    struct interval list[INTERVALS_MAX];
    int count;
};

/* What \uXXXX may stand for: what JSON's writers escape, and no letter, digit or space. */
static const struct interval escaped[] = {{0, 0x1f},  {'"', '"'},   {'&', '\''}, {'+', '+'},     {'/', '/'},
                                          {'<', '>'}, {'\\', '\\'}, {'`', '`'},  {0x7f, 0xd7ff}, {0xe000, 0xffff}};

static void add_interval(struct intervals *out, struct interval i, struct interval within)
{
    const uint32_t first = i.first > within.first ? i.first : within.first;
    const uint32_t last = i.last < within.last ? i.last : within.last;
    if (first <= last)
        out->list[out->count++] = (struct interval){first, last};
}

static void add_escaped(struct intervals *out, struct interval within)
{
    for (size_t i = 0; i < sizeof escaped / sizeof *escaped; i++)
        add_interval(out, escaped[i], within);
}

bool lexeme_may_escape(uint32_t first, uint32_t last)
{
    struct intervals found = {0};
    add_escaped(&found, (struct interval){first, last});
    return found.count > 0;
}

/* Those of an incomplete character; surrogates are none. */
static void possible(const struct state *s, struct intervals *out)
{
    static const struct interval characters[] = {{0, 0xd7ff}, {0xe000, CODE_POINT_MAX}};
    const uint32_t base = 0x10000 + ((s->high - 0xd800) << 10);
    const uint32_t end = s->low + (1u << (s->part == PART_UTF8 ? 6 : 4) * s->left) - 1;
    out->count = 0;
    if (s->part == PART_UTF8) {
        const uint32_t least = s->length == 2 ? 0x80 : s->length == 3 ? 0x800 : 0x10000;
        const struct interval written = {s->low > least ? s->low : least, end};
        for (int i = 0; i < 2; i++)
            add_interval(out, characters[i], written);
    } else if (s->part == PART_HEX) {
        const uint32_t first = s->low > 0xd800 ? s->low : 0xd800, last = end < 0xdbff ? end : 0xdbff;
        add_escaped(out, (struct interval){s->low, end});
        if (first <= last)
            out->list[out->count++] =
                (struct interval){0x10000 + ((first - 0xd800) << 10), 0x10000 + ((last - 0xd800) << 10) + 0x3ff};
    } else if (s->part == PART_PAIR || s->part == PART_PAIR_U) {
        out->list[out->count++] = (struct interval){base, base + 0x3ff};
    } else if (s->part == PART_PAIR_HEX) {
        const uint32_t first = s->low > 0xdc00 ? s->low : 0xdc00, last = end < 0xdfff ? end : 0xdfff;
        if (first <= last)
            out->list[out->count++] = (struct interval){base + first - 0xdc00, base + last - 0xdc00};
    }
}

/* The state with an incomplete character; dead when none of the possible ones leads on. Where all lead to the same
 * term it no longer matters which it is. */
static lexeme incomplete(struct lexemes *l, struct state s)
{
    struct intervals intervals;
    term to = TERM_NONE;
    bool alive = false, uniform = true, begun = false;
    possible(&s, &intervals);
    for (int i = 0; i < intervals.count; i++)
        for (uint32_t c = intervals.list[i].first; c <= intervals.list[i].last;) {
            uint32_t first = 0, last = CODE_POINT_MAX;
            const term next = term_derive(l->terms, s.t, c, &first, &last);
            uniform &= !begun || next == to;
            alive |= term_is_alive(l->terms, next);
            begun = true;
            to = next;
            c = last + 1;
            if (alive && !uniform)
                return intern(l, s);
        }
    if (!alive)
        return LEXEME_DEAD;
    const uint32_t total = s.part == PART_UTF8 ? 1u << 6 * s.left : 1u << 4 * s.left;
    const bool is_full = intervals.count == 1 && intervals.list[0].last - intervals.list[0].first + 1 == total;
    if (uniform && is_full && (s.part == PART_UTF8 || s.part == PART_HEX))
        return intern(l, (struct state){.t = to,
                                        .mode = s.mode,
                                        .part = s.part == PART_UTF8 ? PART_SKIP_UTF8 : PART_SKIP_HEX,
                                        .left = s.left});
    return intern(l, s);
}

static lexeme complete(struct lexemes *l, const struct state *s, uint32_t c)
{
    uint32_t first = 0, last = CODE_POINT_MAX;
    return at_boundary(l, s->mode, term_derive(l->terms, s->t, c, &first, &last));
}

/* ---- Steps ---- */

static int hex_value(unsigned char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static lexeme begin_character(struct lexemes *l, const struct state *s, unsigned char byte)
{
    struct state next = *s;
    if (s->mode == LEXEME_STRING) {
        if (byte == '"')
            return term_at(l->terms, s->t)->nullable ? LEXEME_END : LEXEME_DEAD;
        if (byte < 0x20)
            return LEXEME_DEAD;
        if (byte == '\\') {
            const struct state any = {.t = s->t, .mode = s->mode, .part = PART_HEX, .left = 4};
            next.part = PART_ESCAPE;
            return incomplete(l, any) == LEXEME_DEAD ? LEXEME_DEAD : intern(l, next);
        }
    }
    if (byte < 0x80)
        return complete(l, s, byte);
    if (byte < 0xc2 || byte > 0xf4)
        return LEXEME_DEAD;
    next.part = PART_UTF8;
    next.length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    next.left = next.length - 1;
    next.low = (uint32_t)(byte & (0x7f >> next.length)) << 6 * next.left;
    return incomplete(l, next);
}

static lexeme step_escape(struct lexemes *l, const struct state *s, unsigned char byte)
{
    static const char letters[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
    const struct state before = {.t = s->t, .mode = s->mode};
    const char *found = byte ? strchr(letters, byte) : NULL;
    if (found)
        return complete(l, &before, (unsigned char)characters[found - letters]);
    if (byte != 'u')
        return LEXEME_DEAD;
    return incomplete(l, (struct state){.t = s->t, .mode = s->mode, .part = PART_HEX, .left = 4});
}

static lexeme step_hex(struct lexemes *l, const struct state *s, unsigned char byte)
{
    const int value = hex_value(byte);
    struct state next = *s;
    if (value < 0)
        return LEXEME_DEAD;
    next.left--;
    if (s->part == PART_SKIP_HEX)
        return next.left > 0 ? intern(l, next) : at_boundary(l, s->mode, s->t);
    next.low += (uint32_t)value << 4 * next.left;
    if (next.left > 0)
        return incomplete(l, next);
    const struct state before = {.t = s->t, .mode = s->mode};
    if (s->part == PART_PAIR_HEX)
        return next.low >= 0xdc00 && next.low <= 0xdfff
                   ? complete(l, &before, 0x10000 + ((s->high - 0xd800) << 10) + (next.low - 0xdc00))
                   : LEXEME_DEAD;
    if (next.low >= 0xd800 && next.low < 0xdc00)
        return incomplete(l, (struct state){.t = s->t, .mode = s->mode, .part = PART_PAIR, .high = next.low});
    return lexeme_may_escape(next.low, next.low) ? complete(l, &before, next.low) : LEXEME_DEAD;
}

static lexeme step_utf8(struct lexemes *l, const struct state *s, unsigned char byte)
{
    struct state next = *s;
    if ((byte & 0xc0) != 0x80)
        return LEXEME_DEAD;
    next.left--;
    if (s->part == PART_SKIP_UTF8)
        return next.left > 0 ? intern(l, next) : at_boundary(l, s->mode, s->t);
    next.low += (uint32_t)(byte & 0x3f) << 6 * next.left;
    if (next.left > 0)
        return incomplete(l, next);
    struct intervals is;
    possible(&next, &is);
    if (is.count == 0)
        return LEXEME_DEAD;
    return complete(l, &(struct state){.t = s->t, .mode = s->mode}, next.low);
}

lexeme lexeme_step(struct lexemes *l, lexeme at, unsigned char byte)
{
    const struct state s = *state_at(l, at); /* a copy: states move */
    struct state next = s;
    switch ((enum part)s.part) {
    case PART_NONE:
        return begin_character(l, &s, byte);
    case PART_UTF8:
    case PART_SKIP_UTF8:
        return step_utf8(l, &s, byte);
    case PART_ESCAPE:
        return step_escape(l, &s, byte);
    case PART_HEX:
    case PART_SKIP_HEX:
    case PART_PAIR_HEX:
        return step_hex(l, &s, byte);
    case PART_PAIR:
        next.part = PART_PAIR_U;
        return byte == '\\' ? intern(l, next) : LEXEME_DEAD;
    case PART_PAIR_U:
        next.part = PART_PAIR_HEX;
        next.left = 4;
        return byte == 'u' ? incomplete(l, next) : LEXEME_DEAD;
    }
    return LEXEME_DEAD;
}

bool lexeme_accepts(const struct lexemes *l, lexeme at)
{
    const struct state *s = state_at(l, at);
    return s->part == PART_NONE && term_at(l->terms, s->t)->nullable;
}

bool lexeme_is_finished(struct lexemes *l, lexeme at)
{
    const struct state *s = state_at(l, at);
    return s->part == PART_NONE && s->t == TERM_EMPTY;
}

term lexeme_term(const struct lexemes *l, lexeme at)
{
    const struct state *s = state_at(l, at);
    return s->part == PART_NONE ? s->t : TERM_NONE;
}
