/* chat/json_text.h: the escapes of JSON strings, cut at every length. */
#include "chat/json_text.h"
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

/* Reads the first `size` bytes of text from memory of just that size, so that a sanitizer sees a read beyond it. */
static struct json_escape read_cut(const char *text, size_t size)
{
    char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, text, size);
    const struct json_escape escape = json_escape_read(copy, size);
    free(copy);
    return escape;
}

static void assert_escape(const char *text, size_t size, uint32_t code_point)
{
    const struct json_escape escape = read_cut(text, strlen(text));
    assert_null(escape.problem);
    assert_int_equal(escape.size, size);
    assert_int_equal(escape.code_point, code_point);
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    static char const letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    for (size_t i = 0; letters[i]; i++)
        assert_escape((char[]){'\\', letters[i], 'x', 0}, 2, (uint32_t)meanings[i]);
    assert_escape("\\u0000x", 6, 0);
    assert_escape("\\u00e9", 6, 0xe9);
    assert_escape("\\uFfFf0", 6, 0xffff);
}

static void surrogates_form_pairs(void **state)
{
    (void)state;
    assert_escape("\\ud83d\\ude00x", 12, 0x1f600);
    assert_escape("\\uD800\\uDC00", 12, 0x10000);
    assert_escape("\\uDBFF\\uDFFF", 12, 0x10ffff);
    /* Without a partner they are returned as they are, and what follows is left to be read. */
    assert_escape("\\ud83d", 6, 0xd83d);
    assert_escape("\\ud83dx", 6, 0xd83d);
    assert_escape("\\ud83d\\n1234", 6, 0xd83d);
    assert_escape("\\ud83d\\u0041", 6, 0xd83d);
    assert_escape("\\ud83d\\ud83d", 6, 0xd83d);
    assert_escape("\\ude00\\ud83d", 6, 0xde00);
}

static void assert_problem(const char *text, size_t size, size_t at, const char *problem)
{
    const struct json_escape escape = read_cut(text, size);
    assert_non_null(escape.problem);
    assert_string_equal(escape.problem, problem);
    assert_int_equal(escape.size, at);
}

static void problems_are_located(void **state)
{
    (void)state;
    static char const digits[] = "expected four hexadecimal digits";
    assert_problem("\\", 1, 1, "unknown escape");
    assert_problem("\\x41", 4, 1, "unknown escape");
    assert_problem("\\U0041", 6, 1, "unknown escape");
    assert_problem("\\\0", 2, 1, "unknown escape");
    assert_problem("\\u00g0", 6, 4, digits);
    for (size_t size = 2; size < 6; size++)
        assert_problem("\\u0041", size, size, digits);
    assert_problem("\\ud83d\\u12x4", 12, 10, digits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(surrogates_form_pairs),
        cmocka_unit_test(problems_are_located),
    };
    return cmocka_run_group_tests_name("JSON text", tests, NULL, NULL);
}
