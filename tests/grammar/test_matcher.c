/* Matchers: what grammars accept, masks against trying every token, going back, guesses, and bounds. */
#include "cmocka_all.h"
#include "grammar/grammar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A small vocabulary: single bytes, and longer tokens that end strings or cross structure. */
static const char *const longer[] = {"ab",  "abc", "true", "false",   "null",  "\":", "\",",  "\"}",
                                     "{\"", "[\"", "\": ", ", \"",    "],",    "}}",  "a\"",  "b\":1",
                                     "12",  "0.5", "e5",   "é",       "\\u00", "\\n", "\\\"", "x\":{\"",
                                     "]",   "[1,", "\"\"", "a\",\"b", " ",     "😀"};
enum {
    BYTES = 256,
    LONGER = sizeof longer / sizeof *longer,
    VOCABULARY = BYTES + LONGER,
    WORDS = (VOCABULARY + 31) / 32
};
static char bytes[BYTES];
static struct smollm_text texts[VOCABULARY];
static struct token_trie trie;

static int make_trie(void **state)
{
    for (int i = 0; i < BYTES; i++) {
        bytes[i] = (char)i;
        texts[i] = (struct smollm_text){&bytes[i], 1};
    }
    for (int i = 0; i < LONGER; i++)
        texts[BYTES + i] = text_of(longer[i]);
    return token_trie_create(&trie, texts, VOCABULARY, NULL);
}

static int free_trie(void **state)
{
    token_trie_free(&trie);
    return 0;
}

static struct grammar *compile(enum grammar_kind kind, const char *text)
{
    const struct grammar_source source = {.kind = kind, .text = text_of(text)};
    struct grammar *grammar;
    struct smollm_error error;
    if (grammar_compile(&source, &grammar, &error) < 0)
        fail_msg("%s: %s", text, error.message);
    return grammar;
}

/* Whether some text begins so. */
static bool begins(struct grammar *grammar, const char *text)
{
    struct matcher *m = matcher_create(grammar, &trie);
    bool yes = true;
    for (const char *at = text; *at && yes; at++)
        yes = matcher_advance(m, (struct smollm_text){at, 1});
    matcher_destroy(m);
    return yes;
}

static bool accepts(struct grammar *grammar, const char *text)
{
    struct matcher *m = matcher_create(grammar, &trie);
    bool yes = true;
    for (const char *at = text; *at && yes; at++)
        yes = matcher_advance(m, (struct smollm_text){at, 1});
    yes = yes && matcher_may_end(m);
    matcher_destroy(m);
    return yes;
}

/* ---- GBNF: the forms of llama.cpp's own tests of its grammars ---- */

static const struct {
    const char *grammar, *yes[6], *no[6];
} grammars[] = {
    {"root ::= \"a\" | [bdx-z] | [^1-3]", {"a", "b", "y", "9", "q"}, {"1", "2", "aa", ""}},
    {"root  ::= (expr \"=\" term \"\\n\")+\nexpr  ::= term ([-+*/] term)*\nterm  ::= num | \"(\" ws expr \")\" ws\n"
     "num   ::= [0-9]+ ws\nws    ::= [ \\t\\n]*",
     {"42=42\n", "1+2*3=7\n", "(1 +2 )=3\n1=1\n"},
     {"", "1+2", "+1=1\n", "(1=1\n"}},
    {"root ::= [a]?", {"", "a"}, {"aa", "b"}},
    {"root ::= \"a\"*", {"", "a", "aaaa"}, {"b", "ab"}},
    {"root ::= \"a\"+", {"a", "aaa"}, {"", "b"}},
    {"root ::= \"a\"{4}", {"aaaa"}, {"", "aaa", "aaaaa"}},
    {"root ::= \"a\"{2,}", {"aa", "aaaaa"}, {"", "a"}},
    {"root ::= \"a\"{,4}", {"", "a", "aaaa"}, {"aaaaa"}},
    {"root ::= [ab]{2,4}", {"ab", "aaaa"}, {"a", "aaaaa"}},
    {"root ::= (\"ab\" x){2} # a comment\nx ::= \"1\"\n   | \"2\"\n", {"ab1ab2", "ab2ab2"}, {"ab1", "ab3ab1"}},
    {"root ::= s\ns ::= \"(\" s \")\" | \"x\"", {"x", "(x)", "(((x)))"}, {"(x", "x)", "()"}},
    {"root ::= ( \"x\"? )* \"y\"", {"y", "xxxy"}, {"x", ""}},
    {"root ::= a b\na ::= \"p\" | \"\"\nb ::= a \"q\"", {"q", "pq", "ppq"}, {"p", "pppq"}},
    {"root ::= . \"\\x41\\u00e9\" \"\\\"\"",
     {"zA\xc3\xa9\"", "\xf0\x9f\x98\x80"
                      "A\xc3\xa9\""},
     {"A\xc3\xa9\""}},
    {"root ::= \"a\"\n\nroot-x ::= \"never\" root-x", {"a"}, {"never"}},
    {"root ::= \"a\" | dead\ndead ::= \"b\" dead", {"a"}, {"b", "bb"}},
};

static void test_grammars(void **state)
{
    for (size_t i = 0; i < sizeof grammars / sizeof *grammars; i++) {
        struct grammar *grammar = compile(GRAMMAR_GBNF, grammars[i].grammar);
        for (size_t k = 0; k < 6 && grammars[i].yes[k]; k++)
            if (!accepts(grammar, grammars[i].yes[k]))
                fail_msg("grammar %zu must accept '%s'", i, grammars[i].yes[k]);
        for (size_t k = 0; k < 6 && grammars[i].no[k]; k++)
            if (accepts(grammar, grammars[i].no[k]))
                fail_msg("grammar %zu must not accept '%s'", i, grammars[i].no[k]);
        grammar_release(grammar);
    }
}

static void test_refused_grammars(void **state)
{
    static const struct {
        const char *text, *words;
    } refused[] = {{"", "root"},
                   {"x ::= \"a\"", "root"},
                   {"root ::= b", "line 1: the rule 'b' is not defined"},
                   {"root ::= \"a\"\nb ::= root b2\n", "line 2"},
                   {"root ::= root \"a\"", "left recursion"},
                   {"root ::= a\na ::= \"\" b\nb ::= a \"x\"", "left recursion"},
                   {"root ::= (\"a\"? root)", "left recursion"},
                   {"root ::= \"a", "not closed"},
                   {"root ::= [a", "not closed"},
                   {"root ::= (\"a\"", "not closed"},
                   {"root ::= \"a\"{3,2}", "in order"},
                   {"root ::= \"a\"{9999}", "at most"},
                   {"root = \"a\"", "'::=' expected"},
                   {"root ::= \"a\" )", "unexpected"},
                   {"root ::= \"\\q\"", "escape"},
                   {"root ::= <think>", "names of tokens"},
                   {"root ::= \"x\" root", "never end"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct grammar_source source = {.kind = GRAMMAR_GBNF, .text = text_of(refused[i].text)};
        struct grammar *grammar;
        struct smollm_error error = {0};
        assert_true(grammar_compile(&source, &grammar, &error) < 0);
        if (!strstr(error.message, refused[i].words))
            fail_msg("%s: '%s' does not say '%s'", refused[i].text, error.message, refused[i].words);
    }
}

/* ---- Masks ---- */

static const struct {
    enum grammar_kind kind;
    const char *text;
} sources[] = {
    {GRAMMAR_SCHEMA, "true"},
    {GRAMMAR_SCHEMA, "{\"type\":\"object\"}"},
    {GRAMMAR_SCHEMA,
     "{\"properties\":{\"a\":{\"type\":\"string\"},\"ab\":{\"type\":\"integer\"}},\"required\":[\"ab\"]}"},
    {GRAMMAR_SCHEMA, "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":20},\"uniqueItems\":true}"},
    {GRAMMAR_SCHEMA, "{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"integer\"],\"maxLength\":20},\"anyOf\":[{"
                     "\"uniqueItems\":true},{\"maxItems\":2}]}"},
    {GRAMMAR_SCHEMA, "{\"type\":\"string\",\"minLength\":2,\"maxLength\":12}"},
    {GRAMMAR_SCHEMA, "{\"type\":\"string\",\"pattern\":\"^[ab]+(12)?$\"}"},
    {GRAMMAR_SCHEMA, "{\"type\":\"number\",\"minimum\":-1,\"maximum\":12.5}"},
    {GRAMMAR_SCHEMA, "{\"additionalProperties\":{\"$ref\":\"#\"},\"propertyNames\":{\"pattern\":\"^[abx]\"},\"type\":["
                     "\"object\",\"null\"]}"},
    {GRAMMAR_SCHEMA, "{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"type\":\"object\"}"},
    {GRAMMAR_SCHEMA,
     "{\"type\":\"array\",\"contains\":{\"const\":1},\"items\":{\"enum\":[1,12,null,\"a\"]},\"maxItems\":4}"},
    {GRAMMAR_GBNF, "root ::= \"{\" root* \"}\" | [a-c]+"},
    {GRAMMAR_REGEX, "(ab|12)*\"[^\\\\x]?"},
};
enum { SOURCES = sizeof sources / sizeof *sources };

static uint64_t random_state;
static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % bound;
}

/* At random places of random texts: the mask holds just those tokens that can be read. */
static void test_masks(void **state)
{
    for (size_t i = 0; i < SOURCES; i++) {
        struct grammar *grammar = compile(sources[i].kind, sources[i].text);
        for (int round = 0; round < 12; round++) {
            struct matcher *m = matcher_create(grammar, &trie);
            random_state = (uint64_t)round * 1000 + i;
            for (int step = 0; step < 25; step++) {
                uint32_t mask[WORDS], count = 0;
                int32_t allowed[VOCABULARY];
                matcher_mask(m, mask);
                for (int32_t token = 0; token < VOCABULARY; token++) {
                    const bool reads = matcher_advance(m, texts[token]);
                    if (reads)
                        matcher_retreat(m, 1);
                    if (reads != (mask[token / 32] >> token % 32 & 1))
                        fail_msg("source %zu, round %d, step %d: token '%.*s' is %s", i, round, step,
                                 (int)texts[token].size, texts[token].data, reads ? "missing" : "not readable");
                    if (reads)
                        allowed[count++] = token;
                }
                /* Every state can be completed. */
                assert_true(count > 0 || matcher_may_end(m));
                if (count == 0)
                    break;
                /* Longer tokens are more interesting. */
                assert_true(
                    matcher_advance(m, texts[allowed[random_below(2) ? count - 1 - random_below(count < 6 ? count : 6)
                                                                     : random_below(count)]]));
            }
            assert_true(matcher_is_sound(m));
            matcher_destroy(m);
        }
        grammar_release(grammar);
    }
}

/* A name that an object has already is not offered again, however it is spelled. */
static void test_names_that_were_there(void **state)
{
    struct grammar *grammar = compile(GRAMMAR_SCHEMA, "{\"type\":\"object\"}");
    static const char *const beginnings[] = {"{\"ab\":1,\"",          "{\"ab\":1,\"a",       "{\"ab\":1,\"ab",
                                             "{\"x\\u00e9\":1,\"x",   "{\"xé\":1,\"x\\u00e", "{\"a/\":1,\"a\\",
                                             "{\"x\":{\"ab\":1},\"ab"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        struct matcher *m = matcher_create(grammar, &trie);
        uint32_t mask[WORDS];
        for (const char *at = beginnings[i]; *at; at++)
            assert_true(matcher_advance(m, (struct smollm_text){at, 1}));
        matcher_mask(m, mask);
        for (int32_t token = 0; token < VOCABULARY; token++) {
            const bool reads = matcher_advance(m, texts[token]);
            if (reads)
                matcher_retreat(m, 1);
            if (reads != (mask[token / 32] >> token % 32 & 1))
                fail_msg("after %s: token '%.*s'", beginnings[i], (int)texts[token].size, texts[token].data);
        }
        matcher_destroy(m);
    }
    assert_false(accepts(grammar, "{\"ab\":1,\"ab\":2}"));
    assert_false(accepts(grammar, "{\"é\":1,\"\\u00e9\":2}"));
    assert_true(accepts(grammar, "{\"ab\":1,\"x\":{\"ab\":2}}"));
    grammar_release(grammar);
}

/* Answers that cannot be complete are known before they begin; no bound is larger than what is possible. */
/* An element that comes twice ends only those ways of reading the array in which all must differ. */
static void test_elements_that_were_there(void **state)
{
    static const char *const yes[] = {"[\"x\",\"x\"]", "[\"x\",\"y\",\"z\"]", "[1,1]", "[{},{}]", "[[],[\"x\",\"x\"]]"},
                             *const no[] = {"[\"x\",\"x\",\"y\"]", "[1,2,1]", "[{},\"x\",{}]", "[1,1,2]"};
    struct grammar *grammar = compile(
        GRAMMAR_SCHEMA, "{\"type\":\"array\",\"anyOf\":[{\"uniqueItems\":true},{\"maxItems\":2},{\"maxItems\":2}]}");
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (!accepts(grammar, yes[i]))
            fail_msg("%s is refused", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (accepts(grammar, no[i]))
            fail_msg("%s is accepted", no[i]);
    grammar_release(grammar);
}

static void test_least_tokens(void **state)
{
    static const struct {
        enum grammar_kind kind;
        const char *text, *shortest;
        uint32_t least; /* at least so many tokens of the vocabulary above are found to be needed */
    } cases[] = {
        {GRAMMAR_SCHEMA, "{}", "0", 1},
        {GRAMMAR_SCHEMA, "{\"type\":\"string\",\"minLength\":30}", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", 6},
        {GRAMMAR_SCHEMA, "{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":4}",
         "[true,true,true,true]", 4},
        {GRAMMAR_SCHEMA,
         "{\"prefixItems\":[{\"const\":10},{\"type\":\"array\",\"minItems\":1}],\"minItems\":2,\"type\":\"array\"}",
         "[10,[1]]", 1},
        {GRAMMAR_SCHEMA,
         "{\"type\":\"object\",\"required\":[\"name\",\"number\"],\"properties\":{\"name\":{\"type\":\"string\"},"
         "\"number\":{\"minimum\":1000,\"type\":\"integer\"}}}",
         "{\"name\":\"\",\"number\":1000}", 5},
        {GRAMMAR_SCHEMA, "{\"type\":\"object\",\"minProperties\":3}", "{\"\":0,\"a\":0,\"b\":0}", 3},
        {GRAMMAR_SCHEMA,
         "{\"$ref\":\"#/$defs/"
         "t\",\"$defs\":{\"t\":{\"anyOf\":[{\"const\":7},{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/"
         "t\"},\"minItems\":1}]}}}",
         "7", 1},
        {GRAMMAR_SCHEMA, "{\"anyOf\":[{\"const\":\"long long long\"},{\"const\":\"a\"}]}", "\"a\"", 1},
        {GRAMMAR_SCHEMA, "{\"not\":{\"const\":\"\"},\"type\":\"string\"}", "\"a\"", 1},
        {GRAMMAR_SCHEMA, "{\"type\":\"object\",\"properties\":{\"a_name_that_may_be_left_out\":{}}}", "{}", 1},
        {GRAMMAR_GBNF, "root ::= x | y\nx ::= \"(aaaaaaaaaaaaaaaaaaaaaaaaaaa\" x? \")\"\ny ::= \"b\" x?", "b", 1},
        {GRAMMAR_REGEX, "^(ab){8,}c$", "ababababababababc", 2},
        {GRAMMAR_REGEX, "^(a{20}|b{30})$", "aaaaaaaaaaaaaaaaaaaa", 3},
        {GRAMMAR_GBNF, "root ::= x x | root2\nx ::= \"aaaaaaaaaa\" [0-9]*\nroot2 ::= \"b\" root | x x x",
         "aaaaaaaaaaaaaaaaaaaa", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grammar *grammar = compile(cases[i].kind, cases[i].text);
        struct matcher *m = matcher_create(grammar, &trie);
        const uint32_t least = matcher_least_tokens(m);
        if (!accepts(grammar, cases[i].shortest) || least < cases[i].least || least > strlen(cases[i].shortest))
            fail_msg("%s: at least %u tokens", cases[i].text, least);
        matcher_destroy(m);
        grammar_release(grammar);
    }
    const struct smollm_text texts_to_choose[] = {text_of("abcabx\":{\"e5"), text_of("nulltrue\": 0.5x")};
    const struct grammar_source source = {.kind = GRAMMAR_CHOICE, .texts = texts_to_choose, .text_count = 2};
    struct grammar *grammar;
    assert_int_equal(grammar_compile(&source, &grammar, NULL), 0);
    struct matcher *m = matcher_create(grammar, &trie);
    assert_int_equal(matcher_least_tokens(m), 4); /* abc ab x":{" e5 */
    matcher_destroy(m);
    grammar_release(grammar);
}

/* Requests write members in the order of the schema: others, and those that it does not name, may stand between them.
 */
static void test_members_as_listed(void **state)
{
    static const struct {
        const char *schema, *yes[5], *no[6];
    } cases[] = {
        {"{\"required\":[\"a\",\"c\"],\"properties\":{\"c\":{},\"b\":{},\"a\":{}},\"additionalProperties\":false,"
         "\"type\":\"object\"}",
         {"{\"c\":1,\"b\":2,\"a\":3}", "{\"c\":1,\"a\":3}"},
         {"{\"b\":2", "{\"a", "{\"c\":1,\"a\":3,\"b", "{\"c\":1}", "{\"c\":1,\"a\":3,"}},
        {"{\"properties\":{\"b\":{},\"a\":{}},\"type\":\"object\"}",
         {"{\"b\":2,\"a\":3}", "{\"a\":1}", "{}"},
         {"{\"a\":1,\"b\":2}", "{\"x", "{\"a\":1,"}},
        {"{\"properties\":{\"b\":{},\"a\":{}},\"type\":\"object\",\"additionalProperties\":true}",
         {"{\"x\":1,\"b\":2,\"y\":[],\"a\":3,\"z\":0}", "{\"a\":1}", "{}", "{\"y\":1}"},
         {"{\"a\":1,\"b\":2}", "{\"a\":1,\"x\":2,\"b\":3}"}},
        {"{\"properties\":{\"b\":{}},\"type\":\"object\",\"patternProperties\":{\"^x\":{\"type\":\"integer\"}}}",
         {"{\"xa\":1,\"b\":2,\"xy\":3}"},
         {"{\"y", "{\"b\":2,\"y"}},
        {"{\"allOf\":[{\"properties\":{\"b\":{}},\"required\":[\"b\"]},{\"properties\":{\"a\":{}}}],\"type\":"
         "\"object\"}",
         {"{\"b\":1,\"a\":2}", "{\"b\":1}"},
         {"{\"x", "{\"a"}},
        {"{\"properties\":{\"b\":{}},\"type\":\"object\",\"minProperties\":2}", {"{\"b\":1,\"x\":2}"}, {"{\"b\":1}"}},
        {"{\"type\":\"object\"}", {"{\"b\":1,\"a\":2}"}, {NULL}},
        /* One that is needed by another comes before it where the schema has it before it. */
        {"{\"properties\":{\"a\":{},\"b\":{}},\"dependentRequired\":{\"b\":[\"a\"]},\"additionalProperties\":false,"
         "\"type\":\"object\"}",
         {"{\"a\":1,\"b\":2}", "{\"a\":1}", "{}"},
         {"{\"b\":2", "{\"b\":2,\"a\":1}"}},
        {"{\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"minProperties\":2,\"additionalProperties\":false,\"type\":"
         "\"object\"}",
         {"{\"a\":1,\"c\":2}", "{\"b\":1,\"c\":2}"},
         {"{\"c\":2", "{\"c"}},
        {"{\"properties\":{\"a\":{},\"b\":{\"const\":1}},\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],"
         "\"additionalProperties\":false,\"type\":\"object\"}",
         {"{\"a\":1,\"b\":1}", "{\"a\":1}", "{\"b\":1}"},
         {"{\"b\":1,\"a\":1}", "{}"}},
        {"{\"items\":{\"properties\":{\"b\":{},\"a\":{}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false,"
         "\"type\":\"object\"},\"type\":\"array\"}",
         {"[{\"b\":1,\"a\":1},{\"b\":1,\"a\":1}]"},
         {"[{\"a", "[{\"b\":1,\"a\":1},{\"a"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct grammar_source source = {
            .kind = GRAMMAR_SCHEMA, .as_listed = true, .text = text_of(cases[i].schema)};
        struct grammar *grammar, *any = compile(GRAMMAR_SCHEMA, cases[i].schema);
        assert_int_equal(grammar_compile(&source, &grammar, NULL), 0);
        for (size_t k = 0; k < 5 && cases[i].yes[k]; k++)
            if (!accepts(grammar, cases[i].yes[k]) || !accepts(any, cases[i].yes[k]))
                fail_msg("%s is refused by %s", cases[i].yes[k], cases[i].schema);
        for (size_t k = 0; k < 6 && cases[i].no[k]; k++)
            if (accepts(grammar, cases[i].no[k]) ||
                (cases[i].no[k][strlen(cases[i].no[k]) - 1] != '}' && begins(grammar, cases[i].no[k])))
                fail_msg("%s is allowed by %s", cases[i].no[k], cases[i].schema);
        grammar_release(grammar);
        grammar_release(any);
    }
}

/* A rule that never ends is no beginning of anything. */
static void test_dead_ends(void **state)
{
    struct grammar *grammar = compile(GRAMMAR_GBNF, "root ::= \"a\" | dead\ndead ::= \"b\" dead");
    struct matcher *m = matcher_create(grammar, &trie);
    assert_false(matcher_advance(m, text_of("b")));
    assert_true(matcher_advance(m, text_of("a")));
    matcher_destroy(m);
    grammar_release(grammar);
}

/* Going back leaves nothing behind: the same masks follow. */
static void test_retreat(void **state)
{
    for (size_t i = 0; i < SOURCES; i++) {
        struct grammar *grammar = compile(sources[i].kind, sources[i].text);
        struct matcher *m = matcher_create(grammar, &trie);
        uint32_t before[20][WORDS], after[WORDS];
        uint32_t length = 0;
        random_state = i;
        for (; length < 20; length++) {
            matcher_mask(m, before[length]);
            int32_t token = -1;
            for (int tries = 0; tries < 2000 && token < 0; tries++) {
                const int32_t next = (int32_t)random_below(VOCABULARY);
                token = before[length][next / 32] >> next % 32 & 1 ? next : -1;
            }
            if (token < 0)
                break;
            assert_true(matcher_advance(m, texts[token]));
        }
        assert_int_equal(matcher_length(m), length);
        while (matcher_length(m) > 0) {
            const uint32_t count = matcher_length(m) > 3 ? 3 : 1;
            matcher_retreat(m, count);
            matcher_mask(m, after);
            assert_memory_equal(after, before[matcher_length(m)], sizeof after);
        }
        matcher_destroy(m);
        grammar_release(grammar);
    }
}

/* ---- Guesses ---- */

static void check_guess(struct grammar *grammar, const char *text, const char *guess)
{
    struct matcher *m = matcher_create(grammar, &trie);
    char out[64];
    for (const char *at = text; *at; at++)
        assert_true(matcher_advance(m, (struct smollm_text){at, 1}));
    const size_t size = matcher_predict(m, out, sizeof out);
    if (size != strlen(guess) || memcmp(out, guess, size) != 0)
        fail_msg("after '%s' come '%.*s', not '%s'", text, (int)size, out, guess);
    /* What is guessed can be read. */
    for (size_t i = 0; i < size; i++)
        assert_true(matcher_advance(m, (struct smollm_text){out + i, 1}));
    matcher_destroy(m);
}

static void test_guesses(void **state)
{
    struct grammar *grammar =
        compile(GRAMMAR_SCHEMA,
                "{\"type\":\"object\",\"properties\":{\"z\":{\"type\":\"string\"},\"alpha\":{\"const\":true},"
                "\"b\":{\"type\":\"null\"}},\"required\":[\"z\",\"alpha\",\"b\"],\"additionalProperties\":false}");
    check_guess(grammar, "", "{\"z\": \"");
    check_guess(grammar, "{\"z\":\"x\"", ",\"alpha\":true,\"b\":null}");
    check_guess(grammar, "{\"z\": \"x\"", ", \"alpha\": true, \"b\": null}");
    check_guess(grammar, "{\"z\": \"x", "");
    grammar_release(grammar);
    grammar = compile(GRAMMAR_REGEX, "start(a|b)end");
    check_guess(grammar, "", "start");
    check_guess(grammar, "starta", "end");
    grammar_release(grammar);
}

/* ---- Bounds ---- */

/* A text of any length: what a grammar has learned is forgotten before it is too much. */
static void test_long_texts(void **state)
{
    struct grammar *grammar = compile(
        GRAMMAR_SCHEMA, "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^([ab]c?){1,200}$\"}}");
    struct matcher *m = matcher_create(grammar, &trie);
    uint32_t mask[WORDS];
    assert_true(matcher_advance(m, text_of("[")));
    for (int i = 0; i < 300; i++) {
        assert_true(matcher_advance(m, text_of(i > 0 ? ",\"" : "\"")));
        for (int k = 0; k < 40; k++) {
            matcher_mask(m, mask);
            assert_true(matcher_advance(m, text_of(k % 2 ? "c" : "a")));
        }
        assert_true(matcher_advance(m, text_of("\"")));
    }
    assert_true(matcher_advance(m, text_of("]")) && matcher_may_end(m) && matcher_is_sound(m));
    matcher_destroy(m);
    grammar_release(grammar);
}

/* What is made to explode is refused, or served: in little time and memory either way. */
static void test_bombs(void **state)
{
    static const struct {
        enum grammar_kind kind;
        const char *text;
    } bombs[] = {
        {GRAMMAR_REGEX, "((((((((((a{1,9}){1,9}){1,9}){1,9}){1,9}){1,9}){1,9}){1,9}){1,9}){1,9})"},
        {GRAMMAR_REGEX, "(?!((a|aa)+)+b)(?!.*(x{1,1000}y{1,1000}){1,1000})(.{1,1000}){1,1000}"},
        {GRAMMAR_REGEX, "(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*x"},
        {GRAMMAR_SCHEMA, "{\"pattern\":\"^(a?){999}a{999}$\",\"type\":\"string\"}"},
        {GRAMMAR_SCHEMA, "{\"allOf\":[{\"pattern\":\"a.{40}$\"},{\"pattern\":\"b.{41}$\"},{\"pattern\":\"c.{42}$\"}],"
                         "\"type\":\"string\",\"not\":{\"pattern\":\"d.{39}$\"}}"},
        {GRAMMAR_SCHEMA, "{\"type\":\"string\",\"minLength\":9999999,\"pattern\":\"^(ab)*$\"}"},
        {GRAMMAR_SCHEMA, "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#\"}}}"},
        {GRAMMAR_SCHEMA, "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/b\"},{\"$ref\":\"#/"
                         "$defs/b\"}]},\"b\":{\"allOf\":[{\"$ref\":\"#/$defs/a\"}]}}}"},
        {GRAMMAR_GBNF, "root ::= a{2000}\na ::= b{2000}\nb ::= c{2000}\nc ::= \"x\"? d\nd ::= \"y\" | c"},
        {GRAMMAR_GBNF, "root ::= x x x x x x x x x x\nx ::= y y y y y y y y\ny ::= z? z? z? z? z?\nz ::= \"a\" | \"a\" "
                       "z | \"b\" root"},
    };
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        const struct grammar_source source = {.kind = bombs[i].kind, .text = text_of(bombs[i].text)};
        struct grammar *grammar;
        struct smollm_error error = {0};
        uint32_t mask[WORDS];
        if (grammar_compile(&source, &grammar, &error) < 0) {
            assert_true(error.message[0]);
            continue;
        }
        struct matcher *m = matcher_create(grammar, &trie);
        for (int step = 0; step < 5; step++) {
            matcher_mask(m, mask);
            for (int32_t token = VOCABULARY - 1; token >= 0; token--)
                if (mask[token / 32] >> token % 32 & 1) {
                    matcher_advance(m, texts[token]);
                    break;
                }
        }
        matcher_destroy(m);
        grammar_release(grammar);
    }
}

/* Many alternatives of many alternatives, each with conditions. */
static void test_large_schemas(void **state)
{
    struct buffer text = {0};
    buffer_append_string(&text, "{\"oneOf\":[");
    for (int i = 0; i < 60; i++)
        buffer_printf(&text,
                      "%s{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"k%d\"},\"v%d\":{\"$ref\":\"#\"}},"
                      "\"required\":[\"kind\"]}",
                      i > 0 ? "," : "", i, i);
    buffer_append_string(&text, "]}");
    struct grammar *grammar = compile(GRAMMAR_SCHEMA, text.data);
    assert_true(accepts(grammar, "{\"kind\":\"k7\",\"v7\":{\"kind\":\"k59\"}}"));
    assert_false(accepts(grammar, "{\"kind\":\"k7\",\"v7\":{\"kind\":\"k60\"}}"));
    assert_false(accepts(grammar, "{\"v7\":{\"kind\":\"k5\"}}"));
    grammar_release(grammar);
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grammars),
                                       cmocka_unit_test(test_refused_grammars),
                                       cmocka_unit_test(test_masks),
                                       cmocka_unit_test(test_retreat),
                                       cmocka_unit_test(test_names_that_were_there),
                                       cmocka_unit_test(test_elements_that_were_there),
                                       cmocka_unit_test(test_least_tokens),
                                       cmocka_unit_test(test_members_as_listed),
                                       cmocka_unit_test(test_dead_ends),
                                       cmocka_unit_test(test_guesses),
                                       cmocka_unit_test(test_long_texts),
                                       cmocka_unit_test(test_bombs),
                                       cmocka_unit_test(test_large_schemas)};
    return cmocka_run_group_tests(tests, make_trie, free_trie);
}
