#include "grammar/gbnf.h"

#include "base/error.h"
#include "base/utf8.h"

#include <string.h>

enum { RULES_MAX = 20000, DEPTH_MAX = 100, REPEAT_MAX = 2000, PROGRAM_MAX = 100000 };

enum node_kind { NODE_REGULAR, NODE_RULE, NODE_CAT, NODE_OR, NODE_REPEAT };

struct node {
    enum node_kind kind;
    term t;        /* of a regular one */
    uint32_t rule; /* of a rule: its number */
    uint32_t min, max;
    struct node *first, *next;
};

struct rule {
    struct smollm_text name;
    struct node *body;
    uint32_t place, line; /* of the program; of the text where it is first used or defined */
    bool is_defined, is_open, is_known, is_regular, is_nullable, is_productive, is_emitted;
    term t;
};

struct fixup {
    uint32_t place, rule;
};

struct parser {
    struct machine *machine;
    struct terms *terms;
    struct pool *pool;
    const char *text;
    size_t size, at;
    uint32_t line;
    int depth, status;
    struct pool_vector rules, fixups;
    struct smollm_error *error;
};

#define FAIL(p, ...)                                                                                                   \
    do {                                                                                                               \
        if ((p)->status == 0)                                                                                          \
            (p)->status = error_set((p)->error, SMOLLM_EINVAL, __VA_ARGS__);                                           \
        (p)->at = (p)->size;                                                                                           \
    } while (0)

static struct rule *rule_at(const struct parser *p, uint32_t rule)
{
    return (struct rule *)p->rules.data + rule;
}

static struct node *make(struct parser *p, enum node_kind kind)
{
    struct node *node = pool_allocate(p->pool, sizeof *node);
    node->kind = kind;
    pool_spend(p->pool, 1);
    return node;
}

static struct node *regular(struct parser *p, term t)
{
    struct node *node = make(p, NODE_REGULAR);
    node->t = t;
    return node;
}

/* ---- Reading ---- */

static char peek(const struct parser *p)
{
    return p->at < p->size ? p->text[p->at] : '\0';
}

/* Skips blanks and comments; line ends too, where they do not end the rule. */
static void skip(struct parser *p, bool lines)
{
    while (p->at < p->size) {
        const char c = p->text[p->at];
        if (c == '#') {
            while (p->at < p->size && p->text[p->at] != '\n')
                p->at++;
        } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
            p->line += c == '\n';
            p->at++;
        } else {
            return;
        }
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static struct smollm_text take_name(struct parser *p)
{
    const size_t begin = p->at;
    while (is_word(peek(p)))
        p->at++;
    return (struct smollm_text){p->text + begin, p->at - begin};
}

static uint32_t rule_of(struct parser *p, struct smollm_text name)
{
    for (uint32_t i = 0; i < p->rules.count; i++)
        if (text_equal(rule_at(p, i)->name, name))
            return i;
    if (p->rules.count >= RULES_MAX) {
        FAIL(p, "line %u: more than %d rules", p->line, RULES_MAX);
        return 0;
    }
    struct rule *rule = pool_vector_add(p->pool, &p->rules, sizeof *rule);
    *rule = (struct rule){.name = name, .line = p->line};
    return p->rules.count - 1;
}

static uint32_t take_hex(struct parser *p, int digits)
{
    uint32_t value = 0;
    for (int i = 0; i < digits; i++) {
        const char c = peek(p), letter = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            value = value * 16 + (uint32_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            value = value * 16 + (uint32_t)(letter - 'a' + 10);
        else
            FAIL(p, "line %u: %d hexadecimal digits expected", p->line, digits);
        p->at++;
    }
    return value;
}

static uint32_t take_character(struct parser *p)
{
    uint32_t c = 0;
    if (peek(p) == '\\') {
        const char letter = p->size - p->at > 1 ? p->text[p->at + 1] : '\0';
        p->at += 2;
        switch (letter) {
        case 'x':
            return take_hex(p, 2);
        case 'u':
            return take_hex(p, 4);
        case 'U':
            return take_hex(p, 8);
        case 't':
            return '\t';
        case 'r':
            return '\r';
        case 'n':
            return '\n';
        case '\\':
        case '"':
        case '[':
        case ']':
        case '-':
        case '^':
            return (unsigned char)letter;
        default:
            FAIL(p, "line %u: unknown escape \\%.1s", p->line, p->text + p->at - 1);
            return 0;
        }
    }
    const size_t size = utf8_decode(p->text + p->at, p->size - p->at, &c);
    if (size == 0)
        FAIL(p, "line %u: not valid UTF-8", p->line);
    p->at += size;
    return c;
}

static struct node *take_text(struct parser *p)
{
    term t = TERM_EMPTY;
    const uint32_t line = p->line;
    struct pool_vector characters = {0};
    p->at++;
    while (p->at < p->size && peek(p) != '"')
        *(uint32_t *)pool_vector_add(p->pool, &characters, sizeof(uint32_t)) = take_character(p);
    if (p->at >= p->size)
        FAIL(p, "line %u: the text is not closed", line);
    p->at++;
    for (uint32_t i = characters.count; i-- > 0 && p->status == 0;)
        t = term_cat(p->terms, term_char(p->terms, ((uint32_t *)characters.data)[i]), t);
    return regular(p, t);
}

static struct node *take_class(struct parser *p)
{
    struct char_ranges ranges = {0};
    const uint32_t line = p->line;
    p->at++;
    const bool negated = peek(p) == '^';
    p->at += negated;
    while (p->at < p->size && peek(p) != ']') {
        const uint32_t first = take_character(p);
        uint32_t last = first;
        if (peek(p) == '-' && p->size - p->at > 1 && p->text[p->at + 1] != ']') {
            p->at++;
            last = take_character(p);
        }
        if (last < first || last > CODE_POINT_MAX)
            FAIL(p, "line %u: a range is out of order", line);
        else
            char_ranges_add(p->pool, &ranges, first, last);
    }
    if (p->at >= p->size)
        FAIL(p, "line %u: the class is not closed", line);
    p->at++;
    uint32_t set = char_sets_make(&p->terms->sets, &ranges);
    return regular(p, term_set(p->terms, negated ? char_sets_negate(&p->terms->sets, set) : set));
}

static struct node *take_or(struct parser *p, bool nested);

static struct node *take_atom(struct parser *p, bool nested)
{
    const uint32_t line = p->line;
    const char c = peek(p);
    if (c == '"')
        return take_text(p);
    if (c == '[')
        return take_class(p);
    if (c == '.') {
        p->at++;
        return regular(p, term_set(p->terms, CHAR_SET_ANY));
    }
    if (c == '(') {
        p->at++;
        if (++p->depth > DEPTH_MAX)
            FAIL(p, "line %u: more than %d groups in each other", line, DEPTH_MAX);
        skip(p, true);
        struct node *inside = take_or(p, true);
        p->depth--;
        if (peek(p) != ')')
            FAIL(p, "line %u: the group is not closed", line);
        p->at++;
        return inside;
    }
    if (c == '<' || c == '!') {
        FAIL(p, "line %u: names of tokens (<...>) are not supported", line);
        return regular(p, TERM_NONE);
    }
    struct node *node = make(p, NODE_RULE);
    node->rule = rule_of(p, take_name(p));
    return node;
}

static bool take_number(struct parser *p, uint32_t *number)
{
    const size_t begin = p->at;
    *number = 0;
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++)
        *number = *number < REPEAT_MAX * 10 ? *number * 10 + (uint32_t)(peek(p) - '0') : *number;
    return p->at > begin;
}

static struct node *repeat(struct parser *p, struct node *node, uint32_t min, uint32_t max)
{
    if (min > max || (max != TERM_UNLIMITED && max > REPEAT_MAX) || min > REPEAT_MAX)
        FAIL(p, "line %u: a repetition must be in order and at most %d", p->line, REPEAT_MAX);
    if (node->kind == NODE_REGULAR)
        return regular(p, term_repeat(p->terms, node->t, min, max));
    struct node *outer = make(p, NODE_REPEAT);
    outer->first = node;
    outer->min = min;
    outer->max = max;
    return outer;
}

static struct node *take_repeated(struct parser *p, bool nested)
{
    struct node *node = take_atom(p, nested);
    for (;;) {
        uint32_t min = 0, max = TERM_UNLIMITED;
        const char c = peek(p);
        if (c == '*' || c == '+' || c == '?') {
            p->at++;
            node = repeat(p, node, c == '+', c == '?' ? 1 : max);
        } else if (c == '{') {
            p->at++;
            skip(p, nested);
            const bool has_min = take_number(p, &min);
            skip(p, nested);
            if (peek(p) == ',') {
                p->at++;
                skip(p, nested);
                if (!take_number(p, &max))
                    max = TERM_UNLIMITED;
                skip(p, nested);
            } else {
                max = min;
                if (!has_min)
                    FAIL(p, "line %u: a number is missing in {}", p->line);
            }
            if (peek(p) != '}')
                FAIL(p, "line %u: {} is not closed", p->line);
            p->at++;
            node = repeat(p, node, min, max);
        } else {
            return node;
        }
        /* The copy in the list of a sequence must not be linked twice. */
        node->next = NULL;
    }
}

/* Nodes in a list; neighbors that are regular become one. */
static struct node *join(struct parser *p, enum node_kind kind, struct node **list, uint32_t count)
{
    struct node *first = NULL, *last = NULL;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct node *node = list[i];
        if (last && last->kind == NODE_REGULAR && node->kind == NODE_REGULAR) {
            last->t = kind == NODE_CAT ? term_cat(p->terms, last->t, node->t) : term_or(p->terms, last->t, node->t);
            continue;
        }
        if (node->kind == NODE_REGULAR)
            node = regular(p, node->t);
        node->next = NULL;
        if (last)
            last->next = node;
        else
            first = node;
        last = node;
        kept++;
    }
    if (kept == 1)
        return first;
    if (kept == 0)
        return regular(p, TERM_EMPTY);
    struct node *outer = make(p, kind);
    outer->first = first;
    return outer;
}

static struct node *take_cat(struct parser *p, bool nested)
{
    struct pool_vector items = {0};
    skip(p, nested);
    while (p->at < p->size && (is_word(peek(p)) || memchr("\"[(.<!", peek(p), 6))) {
        struct node *item = take_repeated(p, nested);
        *(struct node **)pool_vector_add(p->pool, &items, sizeof item) = item;
        skip(p, nested);
    }
    return join(p, NODE_CAT, items.data, items.count);
}

static struct node *take_or(struct parser *p, bool nested)
{
    struct pool_vector items = {0};
    for (;;) {
        struct node *item = take_cat(p, nested);
        *(struct node **)pool_vector_add(p->pool, &items, sizeof item) = item;
        /* A line that begins with | goes on with the rule. */
        const size_t at = p->at;
        const uint32_t line = p->line;
        skip(p, true);
        if (peek(p) != '|') {
            p->at = at;
            p->line = line;
            return join(p, NODE_OR, items.data, items.count);
        }
        p->at++;
        skip(p, true);
    }
}

static void take_rule(struct parser *p)
{
    const struct smollm_text name = take_name(p);
    if (name.size == 0) {
        FAIL(p, "line %u: the name of a rule expected", p->line);
        return;
    }
    const uint32_t number = rule_of(p, name);
    skip(p, false);
    if (p->size - p->at < 3 || memcmp(p->text + p->at, "::=", 3) != 0) {
        FAIL(p, "line %u: '::=' expected after '%.*s'", p->line, (int)(name.size < 100 ? name.size : 100), name.data);
        return;
    }
    p->at += 3;
    skip(p, true);
    struct node *body = take_or(p, false);
    if (p->at < p->size && peek(p) != '\n' && peek(p) != '\r')
        FAIL(p, "line %u: unexpected '%.1s'", p->line, p->text + p->at);
    rule_at(p, number)->body = body; /* of two definitions the last one counts */
    rule_at(p, number)->is_defined = true;
    skip(p, true);
}

/* ---- Checking ---- */

static bool is_nullable(const struct parser *p, const struct node *node)
{
    switch (node->kind) {
    case NODE_REGULAR:
        return term_at(p->terms, node->t)->nullable;
    case NODE_RULE:
        return rule_at(p, node->rule)->is_nullable;
    case NODE_REPEAT:
        return node->min == 0 || is_nullable(p, node->first);
    case NODE_CAT:
    case NODE_OR:
        for (const struct node *child = node->first; child; child = child->next)
            if (is_nullable(p, child) == (node->kind == NODE_OR))
                return node->kind == NODE_OR;
        return node->kind == NODE_CAT;
    }
    return false;
}

static bool is_productive(struct parser *p, const struct node *node)
{
    switch (node->kind) {
    case NODE_REGULAR:
        return term_is_alive(p->terms, node->t);
    case NODE_RULE:
        return rule_at(p, node->rule)->is_productive;
    case NODE_REPEAT:
        return node->min == 0 || is_productive(p, node->first);
    case NODE_CAT:
    case NODE_OR:
        for (const struct node *child = node->first; child; child = child->next)
            if (is_productive(p, child) == (node->kind == NODE_OR))
                return node->kind == NODE_OR;
        return node->kind == NODE_CAT;
    }
    return false;
}

/* Follows what can stand at the beginning. */
static void check_left(struct parser *p, const struct node *node);

static void check_left_rule(struct parser *p, uint32_t number)
{
    struct rule *rule = rule_at(p, number);
    if (rule->is_open)
        FAIL(p, "line %u: the rule '%.*s' begins with itself (left recursion)", rule->line,
             (int)(rule->name.size < 100 ? rule->name.size : 100), rule->name.data);
    if (rule->is_open || rule->is_known || p->status < 0)
        return;
    if (++p->depth > 1000)
        FAIL(p, "more than 1000 rules begin with each other");
    rule->is_open = true;
    check_left(p, rule->body);
    rule->is_open = false;
    rule->is_known = true;
    p->depth--;
}

static void check_left(struct parser *p, const struct node *node)
{
    if (node->kind == NODE_RULE)
        check_left_rule(p, node->rule);
    for (const struct node *child = node->kind >= NODE_CAT ? node->first : NULL; child; child = child->next) {
        check_left(p, child);
        if (node->kind == NODE_CAT && !is_nullable(p, child))
            return;
    }
}

static void check(struct parser *p)
{
    for (uint32_t i = 0; i < p->rules.count; i++)
        if (!rule_at(p, i)->is_defined)
            FAIL(p, "line %u: the rule '%.*s' is not defined", rule_at(p, i)->line,
                 (int)(rule_at(p, i)->name.size < 100 ? rule_at(p, i)->name.size : 100), rule_at(p, i)->name.data);
    for (bool changed = p->status == 0; changed && pool_has_room(p->pool);) {
        changed = false;
        for (uint32_t i = 0; i < p->rules.count && pool_spend(p->pool, 1); i++) {
            struct rule *rule = rule_at(p, i);
            const bool nullable = is_nullable(p, rule->body), productive = is_productive(p, rule->body);
            changed |= nullable != rule->is_nullable || productive != rule->is_productive;
            rule->is_nullable = nullable;
            rule->is_productive = productive;
        }
    }
    for (uint32_t i = 0; i < p->rules.count && p->status == 0; i++)
        check_left_rule(p, i);
}

/* ---- Writing the program ---- */

static uint32_t emit(struct parser *p, enum machine_code code, uint32_t a, uint32_t b)
{
    if (p->machine->program.count >= PROGRAM_MAX)
        FAIL(p, "the grammar is too large: more than %d steps", PROGRAM_MAX);
    return machine_add(p->machine, (struct machine_instruction){.code = code, .a = a, .b = b});
}

static struct machine_instruction *instruction(struct parser *p, uint32_t place)
{
    return (struct machine_instruction *)p->machine->program.data + place;
}

static void emit_node(struct parser *p, const struct node *node);

static void emit_optional(struct parser *p, const struct node *node, uint32_t count)
{
    struct pool_vector splits = {0};
    for (uint32_t i = 0; i < count && p->status == 0; i++) {
        const uint32_t split = emit(p, MACHINE_SPLIT, 0, 0);
        instruction(p, split)->a = split + 1;
        *(uint32_t *)pool_vector_add(p->pool, &splits, sizeof split) = split;
        emit_node(p, node);
    }
    for (uint32_t i = 0; i < splits.count; i++)
        instruction(p, ((uint32_t *)splits.data)[i])->b = p->machine->program.count;
}

static void emit_node(struct parser *p, const struct node *node)
{
    if (p->status < 0)
        return;
    if (!is_productive(p, node)) {
        emit(p, MACHINE_FAIL, 0, 0);
        return;
    }
    switch (node->kind) {
    case NODE_REGULAR:
        emit(p, MACHINE_TEXT, node->t, 0);
        break;
    case NODE_RULE:
        *(struct fixup *)pool_vector_add(p->pool, &p->fixups, sizeof(struct fixup)) =
            (struct fixup){emit(p, MACHINE_CALL, 0, 0), node->rule};
        break;
    case NODE_CAT:
        for (const struct node *child = node->first; child; child = child->next)
            emit_node(p, child);
        break;
    case NODE_OR: {
        struct pool_vector jumps = {0};
        for (const struct node *child = node->first; child && p->status == 0; child = child->next) {
            const uint32_t split = child->next ? emit(p, MACHINE_SPLIT, 0, 0) : 0;
            emit_node(p, child);
            if (!child->next)
                break;
            *(uint32_t *)pool_vector_add(p->pool, &jumps, sizeof split) = emit(p, MACHINE_JUMP, 0, 0);
            instruction(p, split)->a = split + 1;
            instruction(p, split)->b = p->machine->program.count;
        }
        for (uint32_t i = 0; i < jumps.count; i++)
            instruction(p, ((uint32_t *)jumps.data)[i])->a = p->machine->program.count;
        break;
    }
    case NODE_REPEAT:
        for (uint32_t i = 0; i < node->min; i++)
            emit_node(p, node->first);
        if (node->max == TERM_UNLIMITED) {
            const uint32_t split = emit(p, MACHINE_SPLIT, 0, 0);
            emit_node(p, node->first);
            emit(p, MACHINE_JUMP, split, 0);
            instruction(p, split)->a = split + 1;
            instruction(p, split)->b = p->machine->program.count;
        } else {
            emit_optional(p, node->first, node->max - node->min);
        }
    }
}

/* Rules that call no rule are languages: their texts need no frames. */
static void fold(struct parser *p, struct node *node)
{
    if (node->kind == NODE_RULE && rule_at(p, node->rule)->is_defined) {
        const struct node *body = rule_at(p, node->rule)->body;
        if (body->kind == NODE_REGULAR) {
            node->kind = NODE_REGULAR;
            node->t = body->t;
        }
        return;
    }
    if (node->kind < NODE_CAT)
        return;
    bool all = true;
    for (struct node *child = node->first; child; child = child->next) {
        fold(p, child);
        all &= child->kind == NODE_REGULAR;
    }
    if (!all)
        return;
    term t = node->kind == NODE_OR ? TERM_NONE : TERM_EMPTY;
    for (const struct node *child = node->first; child; child = child->next)
        t = node->kind == NODE_OR ? term_or(p->terms, t, child->t) : term_cat(p->terms, t, child->t);
    if (node->kind == NODE_REPEAT)
        t = term_repeat(p->terms, t, node->min, node->max);
    node->kind = NODE_REGULAR;
    node->t = t;
}

int gbnf_compile(struct machine *machine, struct smollm_text text, struct smollm_error *error)
{
    struct parser p = {.machine = machine,
                       .terms = machine->terms,
                       .pool = machine->pool,
                       .text = text.data,
                       .size = text.size,
                       .line = 1,
                       .error = error};
    RETURN_ERROR_IF(text.size > 1 << 20, error, SMOLLM_ELIMIT, "the grammar has %zu bytes; at most %d are allowed",
                    text.size, 1 << 20);
    const uint32_t root = rule_of(&p, text_of("root"));
    skip(&p, true);
    while (p.at < p.size && pool_has_room(p.pool))
        take_rule(&p);
    if (p.status == 0 && !rule_at(&p, root)->is_defined)
        FAIL(&p, "the grammar has no rule 'root'");
    for (int round = 0; round < 8; round++)
        for (uint32_t i = 0; i < p.rules.count && p.status == 0; i++)
            if (rule_at(&p, i)->is_defined)
                fold(&p, rule_at(&p, i)->body);
    check(&p);
    if (p.status == 0 && !rule_at(&p, root)->is_productive)
        FAIL(&p, "no text matches the rule 'root': its rules never end");
    for (uint32_t i = 0; i < p.rules.count && p.status == 0; i++) {
        rule_at(&p, i)->place = machine->program.count;
        emit_node(&p, rule_at(&p, i)->body);
        emit(&p, MACHINE_RETURN, 0, 0);
    }
    for (uint32_t i = 0; i < p.fixups.count && p.status == 0; i++) {
        const struct fixup fixup = ((const struct fixup *)p.fixups.data)[i];
        instruction(&p, fixup.place)->a = rule_at(&p, fixup.rule)->place;
    }
    if (p.status == 0 && !pool_has_room(p.pool))
        return error_set(error, SMOLLM_ELIMIT, "the grammar is too large to be followed");
    return p.status;
}
