#include "grammar/term.h"

#include "base/hash.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_SIZE = 8192, WORDS_FILTERED_MAX = 4096, SHORTEST_MAX = 1 << 24 };

static struct term_node *node_at(struct terms *terms, term t)
{
    return (struct term_node *)terms->nodes.data + t;
}

static const uint32_t *list_at(const struct terms *terms, const struct term_node *node)
{
    return (const uint32_t *)terms->lists.data + node->a;
}

static const struct term_words *words_at(const struct terms *terms, const struct term_node *node)
{
    return (const struct term_words *)terms->words.data + node->a;
}

/* ---- Interning ---- */

static bool is_any(const struct term_node *node)
{
    return node->kind == TERM_KIND_SET && node->a == CHAR_SET_ANY;
}

/* Whether the language has only a few texts, by its form. */
static bool is_finite(const struct terms *terms, term t)
{
    return t == TERM_EMPTY || t == TERM_NONE || term_at(terms, t)->kind == TERM_KIND_WORDS;
}

/* Characters of any kind after which a member of an intersection still allows something, whatever the other members
 * are: known only for bounds of the length and for words that are forbidden. */
static uint32_t free_of_and(const struct terms *terms, const struct term_node *node)
{
    uint32_t free = TERM_UNLIMITED;
    bool forbids = false;
    for (uint32_t i = 0; i < node->b; i++) {
        const struct term_node *member = term_at(terms, list_at(terms, node)[i]);
        if (member->kind == TERM_KIND_NOT && is_finite(terms, member->a))
            forbids = true;
        else if (member->kind != TERM_KIND_REPEAT || !is_any(term_at(terms, member->a)))
            return 0;
        free = member->free < free ? member->free : free;
    }
    return forbids && free > 0 && free < TERM_UNLIMITED ? free - 1 : free;
}

static uint32_t free_of(const struct terms *terms, const struct term_node *node)
{
    const struct term_node *a;
    uint32_t free = 0;
    switch ((enum term_kind)node->kind) {
    case TERM_KIND_CAT:
        a = term_at(terms, node->a);
        return term_at(terms, node->b)->plain && (a->kind == TERM_KIND_CONSTANT || a->kind == TERM_KIND_REPEAT)
                   ? a->free
                   : 0;
    case TERM_KIND_OR:
        for (uint32_t i = 0; i < node->b; i++) {
            const uint32_t its = term_at(terms, list_at(terms, node)[i])->free;
            free = its > free ? its : free;
        }
        return free;
    case TERM_KIND_AND:
        return free_of_and(terms, node);
    case TERM_KIND_NOT:
        return is_finite(terms, node->a) ? TERM_UNLIMITED : 0;
    case TERM_KIND_REPEAT:
        return is_any(term_at(terms, node->a)) ? node->max : 0;
    default:
        return 0;
    }
}

static uint32_t shortest_word(const struct term_words *words, const struct term_node *node)
{
    uint32_t shortest = UINT32_MAX;
    for (uint32_t i = node->min; i < node->max; i++)
        shortest = words->sizes[i] < shortest ? words->sizes[i] : shortest;
    return shortest - node->b;
}

static uint32_t shortest_of(const struct terms *terms, const struct term_node *node)
{
    const bool is_or = node->kind == TERM_KIND_OR;
    uint32_t shortest = is_or ? SHORTEST_MAX : 0;
    uint64_t sum;
    switch ((enum term_kind)node->kind) {
    case TERM_KIND_SET:
    case TERM_KIND_MODULO:
        return node->kind == TERM_KIND_SET || node->b != 0;
    case TERM_KIND_CAT:
        sum = (uint64_t)term_at(terms, node->a)->shortest + term_at(terms, node->b)->shortest;
        return sum < SHORTEST_MAX ? (uint32_t)sum : SHORTEST_MAX;
    case TERM_KIND_OR:
    case TERM_KIND_AND:
        for (uint32_t i = 0; i < node->b; i++) {
            const uint32_t its = term_at(terms, list_at(terms, node)[i])->shortest;
            shortest = is_or == (its < shortest) ? its : shortest;
        }
        return shortest;
    case TERM_KIND_NOT:
        return term_at(terms, node->a)->nullable;
    case TERM_KIND_REPEAT:
        sum = (uint64_t)node->min * term_at(terms, node->a)->shortest;
        return sum < SHORTEST_MAX ? (uint32_t)sum : SHORTEST_MAX;
    case TERM_KIND_WORDS:
        return node->b == 0 && node->min == 0 ? shortest_word(words_at(terms, node), node) : 0;
    case TERM_KIND_CONSTANT:
        break;
    }
    return 0;
}

static bool members_are_plain(const struct terms *terms, const struct term_node *node)
{
    for (uint32_t i = 0; i < node->b; i++)
        if (!term_at(terms, list_at(terms, node)[i])->plain)
            return false;
    return true;
}

static bool is_plain(const struct terms *terms, const struct term_node *node)
{
    switch ((enum term_kind)node->kind) {
    case TERM_KIND_CAT:
        return term_at(terms, node->a)->plain && term_at(terms, node->b)->plain;
    case TERM_KIND_OR:
        return members_are_plain(terms, node);
    case TERM_KIND_AND:
    case TERM_KIND_NOT:
        return false;
    case TERM_KIND_REPEAT:
        return term_at(terms, node->a)->plain;
    default:
        return true;
    }
}

static bool is_nullable(const struct terms *terms, const struct term_node *node)
{
    switch ((enum term_kind)node->kind) {
    case TERM_KIND_CAT:
        return term_at(terms, node->a)->nullable && term_at(terms, node->b)->nullable;
    case TERM_KIND_OR:
    case TERM_KIND_AND:
        for (uint32_t i = 0; i < node->b; i++)
            if (term_at(terms, list_at(terms, node)[i])->nullable == (node->kind == TERM_KIND_OR))
                return node->kind == TERM_KIND_OR;
        return node->kind == TERM_KIND_AND;
    case TERM_KIND_NOT:
        return !term_at(terms, node->a)->nullable;
    case TERM_KIND_REPEAT:
        return node->min == 0 || term_at(terms, node->a)->nullable;
    case TERM_KIND_WORDS:
        return words_at(terms, node)->sizes[node->min] == node->b;
    case TERM_KIND_MODULO:
        return node->b == 0;
    default:
        return false;
    }
}

static bool same(const struct terms *terms, const struct term_node *a, const struct term_node *b, const uint32_t *list)
{
    if (a->kind != b->kind || a->b != b->b)
        return false;
    if (a->kind == TERM_KIND_OR || a->kind == TERM_KIND_AND)
        return list && memcmp(list_at(terms, a), list, b->b * sizeof *list) == 0;
    return a->a == b->a && a->min == b->min && a->max == b->max;
}

/* The term of this node; list: the members of a union or intersection. */
static term intern(struct terms *terms, struct term_node node, const uint32_t *list)
{
    uint64_t wide = hash_mix((uint64_t)node.kind << 32 | (list ? 0 : node.a));
    wide = hash_mix(wide ^ ((uint64_t)node.min << 32 | node.b)) ^ node.max;
    wide = hash_mix(wide);
    if (list)
        wide = hash_bytes(list, node.b * sizeof *list, wide);
    uint32_t at = (uint32_t)wide, number;
    while (pool_table_next(&terms->table, (uint32_t)wide, &at, &number))
        if (same(terms, term_at(terms, number), &node, list))
            return number;
    if (!pool_spend(terms->pool, 1))
        return TERM_NONE;
    if (list) {
        node.a = terms->lists.count;
        for (uint32_t i = 0; i < node.b; i++)
            *(uint32_t *)pool_vector_add(terms->pool, &terms->lists, sizeof *list) = list[i];
        if (terms->lists.count != node.a + node.b)
            return TERM_NONE;
    }
    node.nullable = is_nullable(terms, &node);
    node.plain = is_plain(terms, &node);
    node.known = node.plain || node.nullable ? TERM_LIVE : TERM_UNKNOWN;
    node.free = free_of(terms, &node);
    node.shortest = shortest_of(terms, &node);
    *(struct term_node *)pool_vector_add(terms->pool, &terms->nodes, sizeof node) = node;
    pool_table_add(terms->pool, &terms->table, (uint32_t)wide, terms->nodes.count - 1);
    return terms->nodes.count - 1;
}

void terms_begin(struct terms *terms, struct pool *pool)
{
    *terms = (struct terms){.pool = pool};
    char_sets_begin(&terms->sets, pool);
    terms->cache = pool_array(pool, CACHE_SIZE, sizeof *terms->cache);
    static const struct term_node constants[] = {
        {.kind = TERM_KIND_CONSTANT, .plain = true, .known = TERM_DEAD},
        {.kind = TERM_KIND_CONSTANT, .plain = true, .known = TERM_LIVE, .nullable = true},
        {.kind = TERM_KIND_CONSTANT, .plain = true, .known = TERM_LIVE, .nullable = true, .free = TERM_UNLIMITED}};
    for (int i = 0; i < 3; i++)
        *(struct term_node *)pool_vector_add(pool, &terms->nodes, sizeof *constants) = constants[i];
}

/* ---- Making ---- */

term term_set(struct terms *terms, uint32_t set)
{
    return set == CHAR_SET_NONE ? TERM_NONE : intern(terms, (struct term_node){.kind = TERM_KIND_SET, .a = set}, NULL);
}

term term_range(struct terms *terms, uint32_t first, uint32_t last)
{
    struct char_ranges ranges = {0};
    char_ranges_add(terms->pool, &ranges, first, last);
    return term_set(terms, char_sets_make(&terms->sets, &ranges));
}

term term_char(struct terms *terms, uint32_t c)
{
    return term_range(terms, c, c);
}

term term_text(struct terms *terms, struct smollm_text text)
{
    return text.size == 0 ? TERM_EMPTY : term_one_of(terms, &text, 1);
}

term term_cat(struct terms *terms, term a, term b)
{
    if (a == TERM_NONE || b == TERM_NONE)
        return TERM_NONE;
    if (a == TERM_EMPTY)
        return b;
    if (b == TERM_EMPTY)
        return a;
    if (b == TERM_ALL && term_at(terms, a)->nullable)
        return TERM_ALL;
    if (a == TERM_ALL && term_at(terms, b)->kind == TERM_KIND_CAT && term_at(terms, b)->a == TERM_ALL)
        return b;
    if (term_at(terms, a)->kind == TERM_KIND_CAT) {
        const term first = term_at(terms, a)->a, second = term_at(terms, a)->b;
        return term_cat(terms, first, term_cat(terms, second, b));
    }
    return intern(terms, (struct term_node){.kind = TERM_KIND_CAT, .a = a, .b = b}, NULL);
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The members of a union or intersection, without duplicates, until the next call; how many. */
static uint32_t gather(struct terms *terms, enum term_kind kind, term a, term b, uint32_t **members)
{
    const term both[] = {a, b};
    uint32_t total = 0, count = 0;
    for (int i = 0; i < 2; i++)
        total += term_at(terms, both[i])->kind == kind ? term_at(terms, both[i])->b : 1;
    pool_spend(terms->pool, total / 4);
    if (total > terms->member_capacity) {
        terms->member_capacity = 2 * total;
        terms->members = pool_array(terms->pool, terms->member_capacity, sizeof *terms->members);
    }
    uint32_t *list = terms->members;
    for (int i = 0; i < 2; i++) {
        const struct term_node *node = term_at(terms, both[i]);
        if (node->kind != kind) {
            list[count++] = both[i];
            continue;
        }
        memcpy(list + count, list_at(terms, node), node->b * sizeof *list);
        count += node->b;
    }
    qsort(list, count, sizeof *list, compare_numbers);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || list[kept - 1] != list[i])
            list[kept++] = list[i];
    *members = list;
    return kept;
}

static bool has_opposites(struct terms *terms, const uint32_t *members, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct term_node *node = term_at(terms, members[i]);
        if (node->kind == TERM_KIND_NOT && bsearch(&node->a, members, count, sizeof *members, compare_numbers))
            return true;
    }
    return false;
}

term term_or(struct terms *terms, term a, term b)
{
    if (a == b || b == TERM_NONE)
        return a;
    if (a == TERM_NONE)
        return b;
    if (a == TERM_ALL || b == TERM_ALL)
        return TERM_ALL;
    if ((a == TERM_EMPTY && term_at(terms, b)->nullable) || (b == TERM_EMPTY && term_at(terms, a)->nullable))
        return a == TERM_EMPTY ? b : a;
    uint32_t *members, count = gather(terms, TERM_KIND_OR, a, b, &members);
    if (has_opposites(terms, members, count))
        return TERM_ALL;
    /* Sets become one set. */
    uint32_t kept = 0, set = CHAR_SET_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const struct term_node *node = term_at(terms, members[i]);
        if (node->kind == TERM_KIND_SET)
            set = set == CHAR_SET_NONE ? node->a : char_sets_unite(&terms->sets, set, node->a);
        else
            members[kept++] = members[i];
    }
    if (set != CHAR_SET_NONE) {
        members[kept++] = term_set(terms, set);
        qsort(members, kept, sizeof *members, compare_numbers);
    }
    if (kept == 1)
        return members[0];
    return intern(terms, (struct term_node){.kind = TERM_KIND_OR, .b = kept}, members);
}

static bool matches(struct terms *terms, term t, const uint32_t *characters, uint32_t count)
{
    for (uint32_t i = 0; i < count && t != TERM_NONE; i++) {
        uint32_t first = 0, last = CODE_POINT_MAX;
        t = term_derive(terms, t, characters[i], &first, &last);
    }
    return term_at(terms, t)->nullable;
}

/* Those words of a whole list that are in the other term too. */
static term filter_words(struct terms *terms, term words, term other)
{
    const struct term_words all = *words_at(terms, term_at(terms, words));
    struct term_words kept = {.words = pool_array(terms->pool, all.count, sizeof *kept.words)};
    uint32_t *sizes = pool_array(terms->pool, all.count, sizeof *sizes);
    for (uint32_t i = 0; i < all.count; i++)
        if (matches(terms, other, all.words[i], all.sizes[i])) {
            kept.words[kept.count] = all.words[i];
            sizes[kept.count++] = all.sizes[i];
        }
    if (kept.count == all.count)
        return words;
    if (kept.count == 0 || !pool_has_room(terms->pool))
        return TERM_NONE;
    kept.sizes = sizes;
    *(struct term_words *)pool_vector_add(terms->pool, &terms->words, sizeof kept) = kept;
    return intern(terms, (struct term_node){.kind = TERM_KIND_WORDS, .a = terms->words.count - 1, .max = kept.count},
                  NULL);
}

static bool is_whole_list(const struct terms *terms, term t)
{
    const struct term_node *node = term_at(terms, t);
    return node->kind == TERM_KIND_WORDS && !words_at(terms, node)->is_identified && node->b == 0 && node->min == 0 &&
           node->max == words_at(terms, node)->count && node->max <= WORDS_FILTERED_MAX;
}

term term_and(struct terms *terms, term a, term b)
{
    if (a == b || b == TERM_ALL)
        return a;
    if (a == TERM_ALL)
        return b;
    if (a == TERM_NONE || b == TERM_NONE)
        return TERM_NONE;
    if (a == TERM_EMPTY || b == TERM_EMPTY)
        return term_at(terms, a)->nullable && term_at(terms, b)->nullable ? TERM_EMPTY : TERM_NONE;
    if (is_whole_list(terms, a))
        return filter_words(terms, a, b);
    if (is_whole_list(terms, b))
        return filter_words(terms, b, a);
    uint32_t *members, count = gather(terms, TERM_KIND_AND, a, b, &members);
    if (has_opposites(terms, members, count))
        return TERM_NONE;
    /* Bounds of the length become one bound. */
    uint32_t kept = 0, min = 0, max = TERM_UNLIMITED, lengths = 0;
    term any = TERM_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const struct term_node *node = term_at(terms, members[i]);
        if (node->kind == TERM_KIND_REPEAT && is_any(term_at(terms, node->a))) {
            any = node->a;
            min = node->min > min ? node->min : min;
            max = node->max < max ? node->max : max;
            lengths++;
        } else {
            members[kept++] = members[i];
        }
    }
    if (lengths > 0) {
        if (min > max)
            return TERM_NONE;
        members[kept++] = term_repeat(terms, any, min, max);
        qsort(members, kept, sizeof *members, compare_numbers);
    }
    if (kept == 1)
        return members[0];
    return intern(terms, (struct term_node){.kind = TERM_KIND_AND, .b = kept}, members);
}

term term_not(struct terms *terms, term a)
{
    if (a == TERM_NONE)
        return TERM_ALL;
    if (a == TERM_ALL)
        return TERM_NONE;
    if (term_at(terms, a)->kind == TERM_KIND_NOT)
        return term_at(terms, a)->a;
    return intern(terms, (struct term_node){.kind = TERM_KIND_NOT, .a = a}, NULL);
}

term term_repeat(struct terms *terms, term a, uint32_t min, uint32_t max)
{
    if (max == 0 || a == TERM_EMPTY)
        return TERM_EMPTY;
    if (a == TERM_NONE)
        return min == 0 ? TERM_EMPTY : TERM_NONE;
    if (min == 1 && max == 1)
        return a;
    const struct term_node *node = term_at(terms, a);
    if (max == TERM_UNLIMITED && min <= (node->nullable ? UINT32_MAX : 0)) {
        if (a == TERM_ALL || is_any(node))
            return TERM_ALL;
        if (node->kind == TERM_KIND_REPEAT && node->min <= 1 && node->max == TERM_UNLIMITED)
            a = node->a;
        min = 0;
    }
    return intern(terms, (struct term_node){.kind = TERM_KIND_REPEAT, .a = a, .min = min, .max = max}, NULL);
}

struct word {
    const uint32_t *characters;
    uint32_t size;
};

static int compare_words(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    for (uint32_t i = 0; i < x->size && i < y->size; i++)
        if (x->characters[i] != y->characters[i])
            return x->characters[i] < y->characters[i] ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

static struct word decode(struct terms *terms, struct smollm_text text)
{
    uint32_t *characters = pool_array(terms->pool, text.size, sizeof *characters), count = 0;
    for (size_t i = 0; i < text.size;) {
        const size_t size = utf8_decode(text.data + i, text.size - i, &characters[count]);
        if (size == 0)
            characters[count] = 0xfffd; /* callers pass valid text */
        i += size == 0 ? 1 : size;
        count++;
    }
    return (struct word){characters, count};
}

term term_names(struct terms *terms, const struct smollm_text *sorted, uint32_t count)
{
    if (count == 0 || !pool_has_room(terms->pool))
        return TERM_NONE;
    struct term_words words = {.words = pool_array(terms->pool, count, sizeof *words.words), .is_identified = true};
    uint32_t *sizes = pool_array(terms->pool, count, sizeof *sizes);
    for (; words.count < count; words.count++) {
        const struct word word = decode(terms, sorted[words.count]);
        words.words[words.count] = word.characters;
        sizes[words.count] = word.size;
    }
    words.sizes = sizes;
    *(struct term_words *)pool_vector_add(terms->pool, &terms->words, sizeof words) = words;
    return intern(terms, (struct term_node){.kind = TERM_KIND_WORDS, .a = terms->words.count - 1, .max = count}, NULL);
}

bool term_name(const struct terms *terms, term t, uint32_t *index)
{
    const struct term_node *node = term_at(terms, t);
    if (node->kind != TERM_KIND_WORDS || !node->nullable)
        return false;
    *index = node->min;
    return true;
}

term term_one_of(struct terms *terms, const struct smollm_text *texts, uint32_t count)
{
    if (count == 0 || !pool_has_room(terms->pool))
        return TERM_NONE;
    struct word *sorted = pool_array(terms->pool, count, sizeof *sorted);
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = decode(terms, texts[i]);
    qsort(sorted, count, sizeof *sorted, compare_words);
    struct term_words words = {.words = pool_array(terms->pool, count, sizeof *words.words)};
    uint32_t *sizes = pool_array(terms->pool, count, sizeof *sizes);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && compare_words(&sorted[i - 1], &sorted[i]) == 0)
            continue;
        words.words[words.count] = sorted[i].characters;
        sizes[words.count++] = sorted[i].size;
    }
    words.sizes = sizes;
    /* Equal lists are one. */
    for (uint32_t i = terms->words.count; i-- > 0 && terms->words.count - i < 64;) {
        const struct term_words *old = (const struct term_words *)terms->words.data + i;
        bool equal = old->count == words.count && !old->is_identified;
        for (uint32_t k = 0; k < words.count && equal; k++)
            equal = old->sizes[k] == words.sizes[k] &&
                    memcmp(old->words[k], words.words[k], words.sizes[k] * sizeof(uint32_t)) == 0;
        if (equal)
            return intern(terms, (struct term_node){.kind = TERM_KIND_WORDS, .a = i, .max = words.count}, NULL);
    }
    *(struct term_words *)pool_vector_add(terms->pool, &terms->words, sizeof words) = words;
    return intern(terms, (struct term_node){.kind = TERM_KIND_WORDS, .a = terms->words.count - 1, .max = words.count},
                  NULL);
}

term term_multiple(struct terms *terms, uint32_t of)
{
    /* Of the empty text a multiple of 0 would be made: the first digit is taken here. */
    term all = TERM_NONE;
    for (uint32_t digit = 0; digit < 10; digit++)
        all = term_or(
            terms, all,
            term_cat(terms, term_char(terms, '0' + digit),
                     intern(terms, (struct term_node){.kind = TERM_KIND_MODULO, .a = of, .b = digit % of}, NULL)));
    return all;
}

/* ---- Derivatives ---- */

static void narrow(uint32_t c, uint32_t at, uint32_t *first, uint32_t *last)
{
    if (c == at) {
        *first = *last = c;
    } else if (c < at) {
        *last = at - 1 < *last ? at - 1 : *last;
    } else {
        *first = at + 1 > *first ? at + 1 : *first;
    }
}

static term derive_words(struct terms *terms, const struct term_node *node, uint32_t c, uint32_t *first, uint32_t *last)
{
    const struct term_words *words = words_at(terms, node);
    const uint32_t depth = node->b, end = node->max;
    uint32_t begin = node->min;
    while (begin < end && words->sizes[begin] == depth)
        begin++; /* the word that ends here */
    uint32_t low = begin, high = end;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (words->words[middle][depth] < c)
            low = middle + 1;
        else
            high = middle;
    }
    const uint32_t from = low;
    for (high = end; low < high;) {
        const uint32_t middle = (low + high) / 2;
        if (words->words[middle][depth] <= c)
            low = middle + 1;
        else
            high = middle;
    }
    if (from < low)
        *first = *last = c;
    if (from > begin)
        narrow(c, words->words[from - 1][depth], first, last);
    if (low < end)
        narrow(c, words->words[low][depth], first, last);
    if (from == low)
        return TERM_NONE;
    if (low - from == 1 && words->sizes[from] == depth + 1 && !words->is_identified)
        return TERM_EMPTY;
    return intern(terms,
                  (struct term_node){.kind = TERM_KIND_WORDS, .a = node->a, .b = depth + 1, .min = from, .max = low},
                  NULL);
}

static term derive_digits(struct terms *terms, const struct term_node *node, uint32_t c, uint32_t *first,
                          uint32_t *last)
{
    if (c == '.') {
        *first = *last = c;
        return intern(terms, (struct term_node){.kind = TERM_KIND_MODULO, .a = node->a, .b = node->b}, NULL);
    }
    if (c < '0' || c > '9') {
        narrow(c, '.', first, last);
        narrow(c, '0', first, last);
        narrow(c, '9', first, last);
        return TERM_NONE;
    }
    *first = *last = c;
    const uint32_t rest = (uint32_t)(((uint64_t)node->b * 10 + (c - '0')) % node->a);
    return intern(terms, (struct term_node){.kind = TERM_KIND_MODULO, .a = node->a, .b = rest}, NULL);
}

static term derive(struct terms *terms, term t, uint32_t c, uint32_t *first, uint32_t *last)
{
    const struct term_node node = *term_at(terms, t); /* a copy: nodes move */
    term all;
    switch ((enum term_kind)node.kind) {
    case TERM_KIND_CONSTANT:
        return t == TERM_ALL ? TERM_ALL : TERM_NONE;
    case TERM_KIND_SET:
        return char_set_has(char_sets_at(&terms->sets, node.a), c, first, last) ? TERM_EMPTY : TERM_NONE;
    case TERM_KIND_CAT:
        all = term_cat(terms, term_derive(terms, node.a, c, first, last), node.b);
        if (term_at(terms, node.a)->nullable)
            all = term_or(terms, all, term_derive(terms, node.b, c, first, last));
        return all;
    case TERM_KIND_OR:
    case TERM_KIND_AND:
        all = node.kind == TERM_KIND_OR ? TERM_NONE : TERM_ALL;
        for (uint32_t i = 0; i < node.b; i++) {
            const term member = term_derive(terms, list_at(terms, &node)[i], c, first, last);
            all = node.kind == TERM_KIND_OR ? term_or(terms, all, member) : term_and(terms, all, member);
            if (all == (node.kind == TERM_KIND_OR ? TERM_ALL : TERM_NONE))
                break;
        }
        return all;
    case TERM_KIND_NOT:
        return term_not(terms, term_derive(terms, node.a, c, first, last));
    case TERM_KIND_REPEAT:
        return term_cat(terms, term_derive(terms, node.a, c, first, last),
                        term_repeat(terms, node.a, node.min > 0 ? node.min - 1 : 0,
                                    node.max == TERM_UNLIMITED ? TERM_UNLIMITED : node.max - 1));
    case TERM_KIND_WORDS:
        return derive_words(terms, &node, c, first, last);
    case TERM_KIND_MODULO:
        return derive_digits(terms, &node, c, first, last);
    }
    return TERM_NONE;
}

term term_derive(struct terms *terms, term t, uint32_t c, uint32_t *first, uint32_t *last)
{
    if (t <= TERM_ALL)
        return t == TERM_ALL ? TERM_ALL : TERM_NONE;
    struct term_derivative *cached = &terms->cache[(t * 0x9e3779b1u ^ c * 0x85ebca6bu) >> 19];
    if (cached->from != t || c < cached->first || c > cached->last || cached->c != c) {
        struct term_derivative now = {.from = t, .c = c, .last = CODE_POINT_MAX};
        if (!pool_spend(terms->pool, 1))
            return TERM_NONE;
        now.to = derive(terms, t, c, &now.first, &now.last);
        *cached = now;
    }
    *first = cached->first > *first ? cached->first : *first;
    *last = cached->last < *last ? cached->last : *last;
    return cached->to;
}

/* ---- Questions ---- */

bool term_matches(struct terms *terms, term t, struct smollm_text utf8)
{
    const struct word word = decode(terms, utf8);
    return matches(terms, t, word.characters, word.size);
}

/* The next character after an interval; surrogates are no characters. */
static uint32_t character_after(uint32_t last)
{
    return last >= 0xd7ff && last < 0xdfff ? 0xe000 : last + 1;
}

struct search_step {
    term t;
    uint32_t parent; /* in seen */
};

/* Depth first: the texts of a language are usually found by going on. */
bool term_is_alive(struct terms *terms, term t)
{
    if (term_at(terms, t)->known != TERM_UNKNOWN)
        return term_at(terms, t)->known == TERM_LIVE;
    struct pool_table visited = {0};
    terms->todo.count = terms->seen.count = 0;
    *(struct search_step *)pool_vector_add(terms->pool, &terms->todo, sizeof(struct search_step)) =
        (struct search_step){t, UINT32_MAX};
    while (terms->todo.count > 0) {
        const struct search_step step = ((struct search_step *)terms->todo.data)[--terms->todo.count];
        uint32_t at = step.t, number;
        if (pool_table_next(&visited, step.t, &at, &number))
            continue;
        pool_table_add(terms->pool, &visited, step.t, step.t);
        const uint32_t place = terms->seen.count;
        *(struct search_step *)pool_vector_add(terms->pool, &terms->seen, sizeof step) = step;
        for (uint32_t c = 0; c <= CODE_POINT_MAX;) {
            uint32_t first = 0, last = CODE_POINT_MAX;
            const term next = term_derive(terms, step.t, c, &first, &last);
            if (!pool_has_room(terms->pool))
                return true;
            const uint8_t known = term_at(terms, next)->known;
            if (known == TERM_LIVE) {
                for (uint32_t i = place; i != UINT32_MAX; i = ((struct search_step *)terms->seen.data)[i].parent)
                    node_at(terms, ((struct search_step *)terms->seen.data)[i].t)->known = TERM_LIVE;
                return true;
            }
            if (known == TERM_UNKNOWN)
                *(struct search_step *)pool_vector_add(terms->pool, &terms->todo, sizeof step) =
                    (struct search_step){next, place};
            c = character_after(last);
        }
    }
    for (uint32_t i = 0; i < terms->seen.count; i++)
        node_at(terms, ((struct search_step *)terms->seen.data)[i].t)->known = TERM_DEAD;
    return false;
}

enum { TEXT_CHARACTERS_MAX = 256, FRONT_MAX = 200 };

struct listing {
    struct smollm_text *texts;
    uint32_t count, max;
    char text[4 * TEXT_CHARACTERS_MAX];
};

static bool list_texts(struct terms *terms, term t, struct listing *l, size_t size, uint32_t depth)
{
    if (t == TERM_NONE || !term_is_alive(terms, t))
        return true;
    if (term_at(terms, t)->free == TERM_UNLIMITED || depth == TEXT_CHARACTERS_MAX || !pool_has_room(terms->pool))
        return false;
    if (term_at(terms, t)->nullable) {
        if (l->count == l->max)
            return false;
        l->texts[l->count++] = (struct smollm_text){pool_copy(terms->pool, l->text, size), size};
    }
    for (uint32_t c = 0; c <= CODE_POINT_MAX;) {
        uint32_t first = 0, last = CODE_POINT_MAX;
        const term next = term_derive(terms, t, c, &first, &last);
        if (next != TERM_NONE && term_is_alive(terms, next)) {
            if (last - c > l->max)
                return false;
            for (uint32_t each = c; each <= last; each++)
                if (!list_texts(terms, next, l, size + utf8_encode(each, l->text + size), depth + 1))
                    return false;
        }
        c = character_after(last);
    }
    return true;
}

bool term_texts(struct terms *terms, term t, uint32_t max, struct smollm_text *texts, uint32_t *count)
{
    struct listing l = {.texts = texts, .max = max};
    const bool all = list_texts(terms, t, &l, 0, 0);
    *count = l.count;
    return all;
}

/* Adds the terms after one more character to `todo`; false when some character leads nowhere. */
static bool add_next(struct terms *terms, term t, struct pool_table *seen)
{
    for (uint32_t c = 0; c <= CODE_POINT_MAX;) {
        uint32_t first = 0, last = CODE_POINT_MAX;
        const term next = term_derive(terms, t, c, &first, &last);
        uint32_t at = next, number;
        if (!pool_has_room(terms->pool) || next == TERM_NONE || !term_is_alive(terms, next))
            return false;
        if (!pool_table_next(seen, next, &at, &number)) {
            pool_table_add(terms->pool, seen, next, next);
            *(term *)pool_vector_add(terms->pool, &terms->front, sizeof next) = next;
        }
        c = character_after(last);
    }
    return true;
}

uint32_t term_free(struct terms *terms, term t)
{
    struct pool_table seen = {0};
    uint32_t begin = 0, free = 0;
    if (term_at(terms, t)->has_free || term_at(terms, t)->free >= TERM_FREE_MAX)
        return term_at(terms, t)->free;
    /* Level by level: the terms after one character, after two, ... */
    terms->front.count = 0;
    *(term *)pool_vector_add(terms->pool, &terms->front, sizeof t) = t;
    pool_table_add(terms->pool, &seen, t, t);
    bool goes_on = true;
    while (goes_on && free < TERM_FREE_MAX) {
        const uint32_t end = terms->front.count;
        for (uint32_t i = begin; i < end && goes_on; i++)
            goes_on = add_next(terms, ((const term *)terms->front.data)[i], &seen) && terms->front.count < FRONT_MAX;
        free += goes_on;
        if (goes_on && terms->front.count == end)
            free = TERM_UNLIMITED; /* nothing new: it goes on so for ever */
        begin = end;
    }
    struct term_node *node = node_at(terms, t);
    node->has_free = true;
    node->free = free > node->free ? free : node->free;
    return node->free;
}
