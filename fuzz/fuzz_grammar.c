/* libFuzzer: a schema, a grammar or an expression, and bytes that are read with it. The first byte chooses; the rest is
 * the source, a NUL, and what is read. Masks hold just the tokens that can be read, and every state can be completed.
 */
#include "grammar/grammar.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

enum { VOCABULARY = 300, WORDS = (VOCABULARY + 31) / 32 };
static char bytes[256];
static struct smollm_text texts[VOCABULARY];
static struct token_trie trie;

static void make_trie(void)
{
    static const char *const longer[] = {"\":", "\",\"", "true", "{\"", "ab", "abc", "12", "\\u00", "}]", "\"}"};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        texts[i] = (struct smollm_text){&bytes[i], 1};
    }
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
        texts[256 + i] = text_of(longer[i]);
    if (token_trie_create(&trie, texts, VOCABULARY, NULL) < 0)
        abort();
}

static void check_mask(struct matcher *m, uint8_t chosen)
{
    uint32_t mask[WORDS];
    matcher_mask(m, mask);
    const int32_t token = chosen % 266;
    const bool allowed = mask[token / 32] >> token % 32 & 1, reads = matcher_advance(m, texts[token]);
    if (reads)
        matcher_retreat(m, 1);
    if (reads != allowed && matcher_is_sound(m))
        abort();
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size)
{
    if (trie.vocabulary == 0)
        make_trie();
    if (size < 2 || size > 4096)
        return 0;
    const uint8_t *end = memchr(data + 1, 0, size - 1);
    const size_t source_size = end ? (size_t)(end - data) - 1 : size - 1;
    char *source_text = malloc(source_size + 1);
    if (!source_text)
        return 0;
    memcpy(source_text, data + 1, source_size);
    const struct grammar_tool tool = {text_of("f"), {source_text, source_size}};
    struct grammar_source source = {
        .kind = (enum grammar_kind)(data[0] % 5), .as_listed = data[0] & 32, .text = {source_text, source_size}};
    if (source.kind == GRAMMAR_CHOICE) {
        source.texts = &source.text;
        source.text_count = 1;
    }
    if (source.kind == GRAMMAR_TOOLS) {
        source.tools = &tool;
        source.tool_count = 1;
        source.is_bare = data[0] & 16;
        source.after_marker = data[0] & 64;
        source.is_lenient = data[0] & 128;
    }
    struct grammar *grammar;
    if (grammar_compile(&source, &grammar, NULL) == 0) {
        struct matcher *m = matcher_create(grammar, &trie);
        for (const uint8_t *at = end ? end + 1 : data + size; m && at < data + size; at++) {
            check_mask(m, *at);
            if (!matcher_advance(m, texts[*at]))
                check_mask(m, (uint8_t)(*at * 7));
        }
        matcher_destroy(m);
        grammar_release(grammar);
    }
    free(source_text);
    return 0;
}
