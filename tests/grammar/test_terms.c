/* Languages: expressions against texts, and operations on languages against the same operation on what they match. */
#include "base/text.h"
#include "cmocka_all.h"
#include "grammar/format.h"
#include "grammar/lexeme.h"
#include "grammar/number.h"
#include "grammar/regex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct pool pool;
    struct terms terms;
    struct lexemes lexemes;
};

static void begin(struct fixture *f)
{
    assert_int_equal(pool_create(&f->pool, NULL), 0);
    pool_allow(&f->pool, 50000000);
    terms_begin(&f->terms, &f->pool);
    lexemes_begin(&f->lexemes, &f->terms);
}

static term compile(struct fixture *f, const char *pattern, bool whole)
{
    struct smollm_error error;
    term t = TERM_NONE;
    if (regex_compile(&f->terms, text_of(pattern), whole, &t, &error) < 0)
        fail_msg("%s: %s", pattern, error.message);
    return t;
}

/* pattern; texts that match; texts that do not, each list ended by NULL */
static const struct {
    const char *pattern, *yes[6], *no[6];
} searches[] = {
    {"b", {"b", "abc", "bbb"}, {"", "ac"}},
    {"^b", {"b", "bac"}, {"ab", ""}},
    {"b$", {"b", "ab"}, {"ba", ""}},
    {"^$", {""}, {"a"}},
    {"^(a|b)*c{2,3}$", {"cc", "abccc"}, {"c", "cccc", "abc", "ccb"}},
    {"^[^a-c]+$", {"d", "xyz", "é"}, {"a", "xa", ""}},
    {"^\\d{3}-\\w\\s.$", {"123-_ x", "000-a\tß"}, {"12-a x", "123-a \n", "123-- x"}},
    {"^a?b?c?$", {"", "ac", "abc", "b"}, {"ca", "aa"}},
    {"^(?!foo).*r$", {"bar", "fobar"}, {"foobar", "foo", "baz"}},
    {"^(?=.*\\d)(?=.*[a-z]).{3,5}$", {"a1b", "1abc"}, {"abc", "123", "a1", "a1bcde"}},
    {"^a(?=b)bc|^xy$", {"abc", "abcd", "xy"}, {"ac", "xyz"}},
    {"^(?:(?:ab){2}){2}$", {"abababab"}, {"abab", "ababab"}},
    {"\\u00e9|\\x41|\\u{1F600}", {"é", "xA", "\xf0\x9f\x98\x80"}, {"e", "a"}},
    {"^[\\w.-]+@[a-z]+\\.[a-z]{2,}$", {"a.b@c.de", "x-@y.zz"}, {"@c.de", "a@b.c", "a b@c.de"}},
    {"^.$", {"a", "é", "\xf0\x9f\x98\x80"}, {"", "ab", "\n"}},
    {"(^a|b$)", {"ab", "ax", "xb"}, {"xa", "bx"}},
    {"^[a\\]^-]+$", {"a]^-"}, {"b", "\\"}},
    {"^[^]$", {"x", "\n"}, {"", "xx"}},
    {"a{0}b{,2}", {"b{,2}"}, {"bb"}},
};

static void test_expressions(void **state)
{
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++) {
        const term t = compile(&f, searches[i].pattern, false);
        for (size_t k = 0; k < 6 && (searches[i].yes[k]); k++)
            if (!term_matches(&f.terms, t, text_of(searches[i].yes[k])))
                fail_msg("%s must match '%s'", searches[i].pattern, searches[i].yes[k]);
        for (size_t k = 0; k < 6 && (searches[i].no[k]); k++)
            if (term_matches(&f.terms, t, text_of(searches[i].no[k])))
                fail_msg("%s must not match '%s'", searches[i].pattern, searches[i].no[k]);
    }
    pool_destroy(&f.pool);
}

static void test_refused_expressions(void **state)
{
    static const struct {
        const char *pattern, *words;
        int code;
    } refused[] = {{"(", "not closed", SMOLLM_EINVAL},
                   {")", "closes nothing", SMOLLM_EINVAL},
                   {"[a", "not closed", SMOLLM_EINVAL},
                   {"*", "nothing to repeat", SMOLLM_EINVAL},
                   {"a{3,2}", "out of order", SMOLLM_EINVAL},
                   {"[z-a]", "out of order", SMOLLM_EINVAL},
                   {"\\", "ends with a backslash", SMOLLM_EINVAL},
                   {"\\bx", "word boundaries", SMOLLM_EUNSUPPORTED},
                   {"(a)\\1", "back references", SMOLLM_EUNSUPPORTED},
                   {"\\p{L}", "properties", SMOLLM_EUNSUPPORTED},
                   {"(?<=a)b", "looking behind", SMOLLM_EUNSUPPORTED},
                   {"(?i)a", "(?i", SMOLLM_EUNSUPPORTED},
                   {"(a$)*", "inside a repetition", SMOLLM_EUNSUPPORTED},
                   {"\\y", "not an escape", SMOLLM_EINVAL},
                   {"\\xg1", "hexadecimal", SMOLLM_EINVAL}};
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct smollm_error error;
        term t;
        assert_int_equal(regex_compile(&f.terms, text_of(refused[i].pattern), false, &t, &error), refused[i].code);
        if (!strstr(error.message, refused[i].words))
            fail_msg("%s: '%s' does not say '%s'", refused[i].pattern, error.message, refused[i].words);
    }
    pool_destroy(&f.pool);
}

/* All texts of up to four letters. */
static void for_all_texts(void (*check)(struct fixture *f, struct smollm_text text, const term *t), struct fixture *f,
                          const term *t)
{
    char text[4];
    for (size_t size = 0; size <= 4; size++)
        for (uint32_t number = 0; number < 1u << 2 * size; number++) {
            for (size_t i = 0; i < size; i++)
                text[i] = "abc0"[number >> 2 * i & 3];
            check(f, (struct smollm_text){text, size}, t);
        }
}

static void check_operations(struct fixture *f, struct smollm_text text, const term *t)
{
    const bool a = term_matches(&f->terms, t[0], text), b = term_matches(&f->terms, t[1], text);
    assert_int_equal(term_matches(&f->terms, t[2], text), a && b);
    assert_int_equal(term_matches(&f->terms, t[3], text), a || b);
    assert_int_equal(term_matches(&f->terms, t[4], text), !a);
    assert_int_equal(term_matches(&f->terms, t[5], text), a != b);
}

static void test_operations(void **state)
{
    static const char *const patterns[] = {"^a*b*$",         "^(ab|c)+$", "a",  "^.{2,3}$", "^[^c]*$",
                                           "^(a|ab)(c|bc)$", "b.*0",      "^$", "^(?!a)..$"};
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < 9; i++)
        for (size_t k = 0; k < 9; k++) {
            const term a = compile(&f, patterns[i], false), b = compile(&f, patterns[k], false);
            const term both = term_and(&f.terms, a, b), any = term_or(&f.terms, a, b);
            const term t[] = {
                a, b, both, any, term_not(&f.terms, a), term_and(&f.terms, any, term_not(&f.terms, both))};
            for_all_texts(check_operations, &f, t);
        }
    pool_destroy(&f.pool);
}

static void test_alive(void **state)
{
    struct fixture f;
    begin(&f);
    static const struct {
        const char *a, *b;
        bool alive;
    } pairs[] = {{"^a+$", "^b+$", false},        {"^a+$", "^.{5}$", true},
                 {"^(aa)+$", "^(a{3})+$", true}, {"^(aa)+$", "^a(aa)*$", false},
                 {"x", "^[^x]*$", false},        {"^.{3,}$", "^.{0,2}$", false},
                 {"^(a|b){10}$", "^a", true},    {"^\\d{4}-\\d\\d$", "^[^1-9]*$", true}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_int_equal(
            term_is_alive(&f.terms, term_and(&f.terms, compile(&f, pairs[i].a, false), compile(&f, pairs[i].b, false))),
            pairs[i].alive);
    pool_destroy(&f.pool);
}

/* After so many free characters, whatever they are, a text of the language can still follow. */
static void check_free(struct fixture *f, struct smollm_text text, const term *t)
{
    term rest = *t;
    if (text.size > term_free(&f->terms, *t))
        return;
    for (size_t i = 0; i < text.size; i++) {
        uint32_t first = 0, last = CODE_POINT_MAX;
        rest = term_derive(&f->terms, rest, (unsigned char)text.data[i], &first, &last);
    }
    assert_true(term_is_alive(&f->terms, rest));
}

static void test_free_characters(void **state)
{
    static const char *const patterns[] = {"^.{0,3}$", "a", "^[^]{2,4}$", "b|c$", "^[^]*$", "^a"};
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const term t = compile(&f, patterns[i], false);
        for_all_texts(check_free, &f, &t);
    }
    const struct smollm_text words[] = {text_of("a"), text_of("abc"), text_of("abc0"), text_of("")};
    const term others = term_not(&f.terms, term_one_of(&f.terms, words, 4));
    assert_true(term_at(&f.terms, others)->free == TERM_UNLIMITED);
    for_all_texts(check_free, &f, &others);
    pool_destroy(&f.pool);
}

/* ---- Numbers ---- */

static double value_of(const char *text)
{
    double value;
    assert_int_equal(sscanf(text, "%lf", &value), 1);
    return value;
}

static void test_numbers(void **state)
{
    static const char *const texts[] = {"0",      "1",    "-1",           "5",    "10",    "12.5",  "-12.5", "0.001",
                                        "99.999", "100",  "1e2",          "1e-3", "1.5e1", "-2e10", "12.50", "9e-1",
                                        "0.0",    "-0.5", "123456789012", "1E5",  "3.0",   "2.5e+2"};
    static const char *const bounds[] = {"0", "1", "-1", "12.5", "-12.5", "0.001", "100", "1e5", "-0.25", "99.9990"};
    struct fixture f;
    struct numbers n;
    begin(&f);
    assert_int_equal(numbers_begin(&n, &f.terms, NULL), 0);
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        const struct json_decimal d = json_decimal_of(&f.pool, text_of(bounds[b]));
        const term from = number_from(&n, &d, false), above = number_from(&n, &d, true), equal = number_equal(&n, &d);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            const double value = value_of(texts[i]), bound = value_of(bounds[b]);
            if (!term_matches(&f.terms, n.written, text_of(texts[i])))
                fail_msg("%s is not among the numbers", texts[i]);
            if (term_matches(&f.terms, from, text_of(texts[i])) != (value >= bound) ||
                term_matches(&f.terms, above, text_of(texts[i])) != (value > bound) ||
                term_matches(&f.terms, equal, text_of(texts[i])) != (value == bound))
                fail_msg("%s is compared with %s in another way", texts[i], bounds[b]);
        }
    }
    static const char *const no[] = {"", "-", "01", "1.", ".5", "1e", "+1", "--1", "1e400", "0x1", "-0", "10e1"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(term_matches(&f.terms, n.written, text_of(no[i])));
    pool_destroy(&f.pool);
}

static void test_multiples(void **state)
{
    static const char *const factors[] = {"1", "3", "7", "0.5", "0.01", "2.5", "100"};
    struct fixture f;
    struct numbers n;
    begin(&f);
    assert_int_equal(numbers_begin(&n, &f.terms, NULL), 0);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        const struct json_decimal d = json_decimal_of(&f.pool, text_of(factors[i]));
        term t;
        assert_int_equal(number_multiple(&n, &d, &t, NULL), 0);
        for (int hundredths = -1300; hundredths < 1300; hundredths++) {
            char text[32];
            snprintf(text, sizeof text, "%s%d.%02d", hundredths < 0 ? "-" : "", abs(hundredths) / 100,
                     abs(hundredths) % 100);
            const int factor = (int)(value_of(factors[i]) * 100 + 0.5);
            if (hundredths < 0 || hundredths > 0)
                assert_int_equal(term_matches(&f.terms, t, text_of(text)), hundredths % factor == 0);
        }
    }
    pool_destroy(&f.pool);
}

/* ---- Bytes ---- */

static bool reads(struct fixture *f, term t, enum lexeme_mode mode, const char *bytes, size_t size)
{
    lexeme at = lexeme_begin(&f->lexemes, mode, t);
    for (size_t i = 0; i < size && at != LEXEME_DEAD; i++)
        at = lexeme_step(&f->lexemes, at, (unsigned char)bytes[i]);
    return mode == LEXEME_STRING ? at == LEXEME_END : at != LEXEME_DEAD && lexeme_accepts(&f->lexemes, at);
}

static void test_spellings(void **state)
{
    struct fixture f;
    begin(&f);
    const term t = compile(&f, "^[é😀\"/x]$", false);
    static const char *const yes[] = {"é\"",
                                      "😀\"",
                                      "x\"",
                                      "\\u002f\"",
                                      "\\u0022\"",
                                      "\\u00E9\"",
                                      "\\u00e9\"",
                                      "\\ud83d\\ude00\"",
                                      "\\uD83D\\uDE00\"",
                                      "\\\"\"",
                                      "/\"",
                                      "\\/\""};
    static const char *const no[] = {
        "\"",    "e\"",  "\\u0078\"", "\\u0079\"",          "\\ud83d\"",        "\\ude00\"",
        "\\x\"", "xx\"", "\xc3\"",    "\xf0\x9f\x98\x81\"", "\\ud83d\\ude01\"", "\\n\""};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(reads(&f, t, LEXEME_STRING, yes[i], strlen(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(reads(&f, t, LEXEME_STRING, no[i], strlen(no[i])));
    /* Of ASCII, \\uXXXX stands for control characters and for what writers of JSON escape. */
    for (unsigned c = 0; c < 0x80; c++) {
        char spelled[8];
        snprintf(spelled, sizeof spelled, "\\u%04x\"", c);
        assert_int_equal(reads(&f, TERM_ALL, LEXEME_STRING, spelled, 7),
                         c < 0x20 || c == 0x7f || strchr("\"&'+/<=>\\`", (int)c));
    }
    /* Half a pair is no character of any language. */
    assert_false(reads(&f, TERM_ALL, LEXEME_STRING, "\\ude00\"", 7));
    assert_false(reads(&f, TERM_ALL, LEXEME_STRING, "\\ud83d\"", 7));
    /* Every byte that is not dead can be completed: no character of the class begins with these. */
    lexeme at = lexeme_begin(&f.lexemes, LEXEME_STRING, t);
    assert_int_equal(lexeme_step(&f.lexemes, at, 0xe4), LEXEME_DEAD);
    assert_int_equal(lexeme_step(&f.lexemes, at, '\n'), LEXEME_DEAD);
    assert_int_not_equal(lexeme_step(&f.lexemes, at, 0xf0), LEXEME_DEAD);
    pool_destroy(&f.pool);
}

static void test_broken_utf8(void **state)
{
    struct fixture f;
    begin(&f);
    static const char *const no[] = {
        "\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xff", "\xc3"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(reads(&f, TERM_ALL, LEXEME_TEXT, no[i], strlen(no[i])));
    assert_true(reads(&f, TERM_ALL, LEXEME_TEXT, "aé€😀", 10));
    pool_destroy(&f.pool);
}

/* ---- Bounds ---- */

static void test_work_is_bounded(void **state)
{
    struct fixture f;
    begin(&f);
    pool_allow(&f.pool, 2000);
    term t;
    struct smollm_error error;
    (void)regex_compile(&f.terms, text_of("^(?!(a|b)*c{50})(?!.*(x|y){3,40}z)((a|b|c){1,60}d?){1,50}$"), false, &t,
                        &error);
    (void)term_is_alive(&f.terms, t);
    assert_true(f.pool.work < 20000);
    assert_true(f.pool.used < (size_t)POOL_MEBIBYTES << 20);
    pool_destroy(&f.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),     cmocka_unit_test(test_refused_expressions),
        cmocka_unit_test(test_operations),      cmocka_unit_test(test_alive),
        cmocka_unit_test(test_free_characters), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_multiples),       cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_broken_utf8),     cmocka_unit_test(test_work_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
