/* Stop strings: every way of cutting a text into pieces gives what precedes the first match, and nothing is withdrawn.
 */
#include "library/stop_matcher.h"

#include "cmocka_all.h"

#include <string.h>

static void append(void *user, const char *data, size_t size)
{
    buffer_append(user, data, size);
}

static void check(const char *text, const char *const *stops, size_t count, const char *want)
{
    struct smollm_text strings[STOP_MAX];
    for (size_t i = 0; i < count; i++)
        strings[i] = text_of(stops[i]);
    size_t size = strlen(text);
    for (size_t step = 1; step <= size; step++) {
        struct stop_matcher matcher;
        struct buffer out = {0};
        assert_int_equal(stop_matcher_create(&matcher, strings, count, NULL), 0);
        for (size_t at = 0; at < size && !matcher.matched; at += step)
            stop_matcher_feed(&matcher, text + at, size - at < step ? size - at : step, append, &out);
        stop_matcher_finish(&matcher, append, &out);
        buffer_append(&out, "", 0);
        assert_string_equal(out.data, want);
        stop_matcher_destroy(&matcher);
        buffer_free(&out);
    }
}

static void first_match_wins(void **state)
{
    check("one two three", (const char *[]){"two"}, 1, "one ");
    check("one two three", (const char *[]){"four"}, 1, "one two three");
    check("aaab", (const char *[]){"aab"}, 1, "a");
    check("ababac", (const char *[]){"abac"}, 1, "ab");
    check("xabcy", (const char *[]){"ab", "abc"}, 2, "x");
    check("xab", (const char *[]){"ab", "abc"}, 2, "x");
    check("tw", (const char *[]){"two"}, 1, "tw");
    check("a\nUser: b", (const char *[]){"\nUser:", "User"}, 2, "a");
}

static void nothing_certain_is_held_back(void **state)
{
    struct stop_matcher matcher;
    struct buffer out = {0};
    struct smollm_text stop = text_of("END");
    stop_matcher_create(&matcher, &stop, 1, NULL);
    stop_matcher_feed(&matcher, "hello E", 7, append, &out);
    assert_string_equal(out.data, "hello ");
    stop_matcher_feed(&matcher, "x", 1, append, &out);
    assert_string_equal(out.data, "hello Ex");
    stop_matcher_destroy(&matcher);
    buffer_free(&out);
}

static void limits(void **state)
{
    struct stop_matcher matcher;
    char longer[STOP_BYTES_MAX + 2];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct smollm_text bad[3] = {text_of(""), text_of(longer), text_of("x")};
    assert_int_equal(stop_matcher_create(&matcher, &bad[0], 1, NULL), SMOLLM_EINVAL);
    assert_int_equal(stop_matcher_create(&matcher, &bad[1], 1, NULL), SMOLLM_EINVAL);
    longer[STOP_BYTES_MAX] = '\0';
    check("b", (const char *[]){longer}, 1, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_match_wins),
        cmocka_unit_test(nothing_certain_is_held_back),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests_name("stop_matcher", tests, NULL, NULL);
}
