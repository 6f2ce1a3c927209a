#include "grammar/token_trie.h"

#include "base/error.h"
#include "grammar/lexeme.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 255, SPELLED_MAX = 256 };

/* What the bytes are when they follow the beginning of a character in a string. */
enum content { CONTENT_NOT, CONTENT_INSIDE, CONTENT_QUOTED };

static int hex_value(unsigned char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* The bytes that an escape at `at` takes; 0: it is none; beyond the end: it is not complete. Half surrogates are left
 * to the tree of all tokens. */
static size_t escape_size(struct smollm_text text, size_t at)
{
    if (at + 1 >= text.size)
        return 2;
    const char letter = text.data[at + 1];
    if (letter != 'u')
        return letter && strchr("\"\\/bfnrt", letter) ? 2 : 0;
    uint32_t first = 0, last = 0xffff;
    for (size_t i = at + 2; i < at + 6 && i < text.size; i++) {
        const int value = hex_value((unsigned char)text.data[i]);
        if (value < 0)
            return 0;
        const unsigned missing = 4 * (unsigned)(at + 5 - i);
        first += (uint32_t)value << missing;
        last = first + (1u << missing) - 1;
    }
    if (at + 2 < text.size && (text.data[at + 2] | 0x20) == 'd')
        return 0;
    return lexeme_may_escape(first, last) ? 6 : 0;
}

static size_t utf8_size(struct smollm_text text, size_t at)
{
    const unsigned char c = (unsigned char)text.data[at];
    const size_t size = c < 0x80                ? 1
                        : c >= 0xc2 && c < 0xe0 ? 2
                        : c >= 0xe0 && c < 0xf0 ? 3
                        : c >= 0xf0 && c < 0xf5 ? 4
                                                : 0;
    for (size_t i = 1; i < size && at + i < text.size; i++) {
        const unsigned char next = (unsigned char)text.data[at + i];
        const unsigned char least = i > 1       ? 0x80
                                    : c == 0xe0 ? 0xa0
                                    : c == 0xf0 ? 0x90
                                                : 0x80,
                            most = i > 1       ? 0xbf
                                   : c == 0xed ? 0x9f
                                   : c == 0xf4 ? 0x8f
                                               : 0xbf;
        if (next < least || next > most)
            return 0;
    }
    return size;
}

static enum content content_of(struct smollm_text text, uint32_t *characters)
{
    *characters = 0;
    for (size_t i = 0; i < text.size; ++*characters) {
        const unsigned char c = (unsigned char)text.data[i];
        if (c == '"')
            return CONTENT_QUOTED;
        const size_t size = c < 0x20 ? 0 : c == '\\' ? escape_size(text, i) : utf8_size(text, i);
        if (size == 0)
            return CONTENT_NOT;
        i += size;
    }
    return CONTENT_INSIDE;
}

/* Where the first quote that no backslash escapes stands; the size: there is none. */
static size_t quote_of(struct smollm_text text)
{
    size_t at = 0;
    while (at < text.size && text.data[at] != '"')
        at += text.data[at] == '\\' ? 2 : 1;
    return at < text.size ? at : text.size;
}

/* ---- Trees ---- */

struct entry {
    struct smollm_text text;
    int32_t token;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const size_t size = x->text.size < y->text.size ? x->text.size : y->text.size;
    const int order = memcmp(x->text.data, y->text.data, size);
    if (order != 0)
        return order;
    if (x->text.size != y->text.size)
        return x->text.size < y->text.size ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static size_t common_bytes(struct smollm_text a, struct smollm_text b)
{
    size_t i = 0;
    while (i < a.size && i < b.size && a.data[i] == b.data[i])
        i++;
    return i;
}

static bool build(struct trie *trie, struct entry *entries, uint32_t count)
{
    size_t nodes = 0;
    trie->token_count = count;
    struct smollm_text before = {0};
    qsort(entries, count, sizeof *entries, compare_entries);
    for (uint32_t i = 0; i < count; i++) {
        nodes += entries[i].text.size - common_bytes(before, entries[i].text);
        before = entries[i].text;
    }
    trie->nodes = calloc(nodes + 1, sizeof *trie->nodes);
    trie->tokens = calloc(count + 1, sizeof *trie->tokens);
    if (!trie->nodes || !trie->tokens)
        return false;
    uint32_t open[DEPTH_MAX + 1] = {0};
    size_t depth = 0;
    before = (struct smollm_text){0};
    for (uint32_t i = 0; i < count; i++) {
        const struct smollm_text text = entries[i].text;
        const size_t common = common_bytes(before, text), quote = quote_of(text);
        for (; depth > common; depth--)
            trie->nodes[open[depth - 1]].skip = trie->node_count;
        for (; depth < text.size; depth++) {
            open[depth] = trie->node_count;
            trie->nodes[trie->node_count++] =
                (struct trie_node){.byte = (uint8_t)text.data[depth], .depth = (uint8_t)depth, .first_token = i};
            trie->nodes[open[depth]].has_quote = depth + 1 > quote;
        }
        trie->tokens[i] = entries[i].token;
        struct trie_node *node = &trie->nodes[open[text.size - 1]];
        if (node->token_count++ == 0)
            node->first_token = i;
        before = text;
    }
    for (; depth > 0; depth--)
        trie->nodes[open[depth - 1]].skip = trie->node_count;
    return true;
}

/* Numbers the endings of quoted tokens, equal ones alike. */
static bool find_endings(struct token_trie *trie, const struct entry *quoted, uint32_t count)
{
    trie->ending_of = calloc(trie->vocabulary + 1, sizeof *trie->ending_of);
    struct entry *endings = calloc(count + 1, sizeof *endings);
    if (!trie->ending_of || !endings) {
        free(endings);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const size_t at = quote_of(quoted[i].text);
        endings[i] = (struct entry){{quoted[i].text.data + at, quoted[i].text.size - at}, quoted[i].token};
    }
    qsort(endings, count, sizeof *endings, compare_entries);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int32_t token = endings[i].token;
        if (kept == 0 || !text_equal(endings[kept - 1].text, endings[i].text)) {
            endings[kept] = (struct entry){endings[i].text, (int32_t)kept};
            kept++;
        }
        trie->ending_of[token] = kept - 1;
    }
    trie->ending_count = kept;
    const bool fine = build(&trie->endings, endings, kept);
    free(endings);
    return fine;
}

uint32_t text_fixed_size(struct smollm_text text)
{
    uint32_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += i == 0 || text.data[i - 1] != text.data[i] || (text.data[i] != '\0' && strchr("\"[]{}", text.data[i]));
    return count;
}

int token_trie_create(struct token_trie *trie, const struct smollm_text *texts, uint32_t vocabulary,
                      struct smollm_error *error)
{
    *trie = (struct token_trie){.vocabulary = vocabulary, .words = (vocabulary + 31) / 32};
    struct entry *all = calloc(vocabulary + 1, sizeof *all), *quoted = calloc(vocabulary + 1, sizeof *quoted);
    uint32_t count = 0, quoted_count = 0;
    trie->texts = calloc(vocabulary + 1, sizeof *trie->texts);
    trie->all_content = calloc(trie->words, sizeof *trie->all_content);
    trie->long_content = calloc(vocabulary + 1, sizeof *trie->long_content);
    trie->long_lengths = calloc(vocabulary + 1, sizeof *trie->long_lengths);
    bool fine = all && quoted && trie->texts && trie->all_content && trie->long_content && trie->long_lengths;
    for (int i = 0; i < TRIE_LENGTHS; i++) {
        trie->content[i] = calloc(trie->words, sizeof **trie->content);
        fine = fine && trie->content[i];
    }
    for (uint32_t id = 0; id < vocabulary && fine; id++) {
        const struct smollm_text text = texts[id];
        uint32_t characters;
        if (text.size == 0 || text.size > DEPTH_MAX)
            continue;
        trie->texts[id] = text;
        all[count++] = (struct entry){text, (int32_t)id};
        const uint32_t fixed = text_fixed_size(text);
        trie->longest_size = text.size > trie->longest_size ? (uint32_t)text.size : trie->longest_size;
        trie->longest_fixed = fixed > trie->longest_fixed ? fixed : trie->longest_fixed;
        const enum content kind = content_of(text, &characters);
        if (kind == CONTENT_QUOTED)
            quoted[quoted_count++] = (struct entry){text, (int32_t)id};
        if (kind != CONTENT_INSIDE)
            continue;
        trie->all_content[id / 32] |= 1u << id % 32;
        trie->longest = characters > trie->longest ? characters : trie->longest;
        for (uint32_t i = characters - 1; i < TRIE_LENGTHS; i++)
            trie->content[i][id / 32] |= 1u << id % 32;
        if (characters > TRIE_LENGTHS) {
            trie->long_content[trie->long_count] = (int32_t)id;
            trie->long_lengths[trie->long_count++] = characters;
        }
    }
    fine = fine && build(&trie->all, all, count) && build(&trie->quoted, quoted, quoted_count) &&
           find_endings(trie, quoted, quoted_count);
    free(all);
    free(quoted);
    if (fine)
        return 0;
    token_trie_free(trie);
    return error_set(error, SMOLLM_ENOMEM, "out of memory for the tree of %u tokens", vocabulary);
}

void token_trie_free(struct token_trie *trie)
{
    struct trie *trees[] = {&trie->all, &trie->quoted, &trie->endings};
    for (int i = 0; i < 3; i++) {
        free(trees[i]->nodes);
        free(trees[i]->tokens);
    }
    for (int i = 0; i < TRIE_LENGTHS; i++)
        free(trie->content[i]);
    free(trie->texts);
    free(trie->ending_of);
    free(trie->all_content);
    free(trie->long_content);
    free(trie->long_lengths);
    *trie = (struct token_trie){0};
}

/* The node with this byte among siblings, or the number of nodes. */
static uint32_t find_child(const struct trie *trie, uint32_t first, uint32_t end, uint8_t byte)
{
    for (uint32_t i = first; i < end; i = trie->nodes[i].skip)
        if (trie->nodes[i].byte == byte)
            return i;
    return trie->node_count;
}

uint32_t token_trie_spell(const struct token_trie *t, struct smollm_text text)
{
    const struct trie *trie = &t->all;
    uint32_t least[SPELLED_MAX + 1] = {0}; /* of the first bytes, and one more; 0: no tokens spell these */
    if (text.size > SPELLED_MAX)
        return 0;
    least[0] = 1;
    for (size_t begin = 0; begin < text.size; begin++) {
        uint32_t first = 0, end = trie->node_count;
        for (size_t i = begin; i < text.size && least[begin] > 0; i++) {
            const uint32_t node = find_child(trie, first, end, (uint8_t)text.data[i]);
            if (node == trie->node_count)
                break;
            if (trie->nodes[node].token_count > 0 && (least[i + 1] == 0 || least[begin] + 1 < least[i + 1]))
                least[i + 1] = least[begin] + 1;
            first = node + 1;
            end = trie->nodes[node].skip;
        }
    }
    return least[text.size] > 0 ? least[text.size] - 1 : 0;
}
