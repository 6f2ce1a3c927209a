/* base/: errors, checked sizes, buffers, UTF-8. */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

static void error_messages_are_cut_and_cleaned(void **state)
{
    struct smollm_error error;
    assert_int_equal(error_set(&error, SMOLLM_EINVAL, "bad \x1b[31m %d", 7), SMOLLM_EINVAL);
    assert_string_equal(error.message, "bad \\x1b[31m 7");
    char longer[600];
    for (size_t i = 0; i < sizeof longer - 1; i += 2)
        memcpy(longer + i, "é", 2);
    longer[sizeof longer - 1] = '\0';
    error_set(&error, SMOLLM_EINVAL, "x%s", longer);
    assert_true(utf8_is_valid(error.message, strlen(error.message)));
}

static void error_messages_hold_no_foreign_bytes(void **state)
{
    struct smollm_error error;
    for (int first = 1; first < 256; first++)
        for (int second = 1; second < 256; second++) {
            const char bytes[] = {(char)first, (char)second, 'x', '\0'};
            error_set(&error, SMOLLM_EFORMAT, "%s", bytes);
            error_prefix(&error, "%s", bytes);
            const size_t size = strlen(error.message);
            assert_true(utf8_is_valid(error.message, size));
            for (size_t i = 0; i < size; i++) {
                const unsigned char c = (unsigned char)error.message[i];
                assert_true(c >= 0x20 && c != 0x7f);
                assert_false(c == 0xc2 && (unsigned char)error.message[i + 1] < 0xa0);
            }
        }
    error_set(&error, SMOLLM_EFORMAT,
              "a\xc2\x9b"
              "b \xe2\x80\xae \xff \xc3\xa9");
    assert_string_equal(error.message, "a\\x9bb \\u202e \\xff \xc3\xa9");
}

static void sizes_do_not_wrap(void **state)
{
    size_t size;
    assert_false(size_multiply(SIZE_MAX / 2, 3, &size));
    assert_false(size_add(SIZE_MAX, 1, &size));
    assert_null(array_allocate(SIZE_MAX / 8, 16));
    assert_null(pages_allocate(SIZE_MAX - 5));
    struct arena arena = {0};
    assert_null(arena_array(&arena, SIZE_MAX / 2, 4));
    char *copy = arena_copy(&arena, "abc", 3);
    assert_string_equal(copy, "abc");
    for (int i = 0; i < 1000; i++)
        assert_non_null(arena_allocate(&arena, 100));
    arena_free(&arena);
    unsigned char *pages = pages_allocate(5000);
    assert_non_null(pages);
    assert_int_equal((uintptr_t)pages % (2 << 20), 0);
    assert_int_equal(pages[4999], 0);
    pages_free(pages, 5000);
}

static void buffers_grow(void **state)
{
    struct buffer b = {0};
    for (int i = 0; i < 1000; i++)
        buffer_printf(&b, "%d,", i);
    assert_int_equal(b.size, 10 * 2 + 90 * 3 + 900 * 4);
    buffer_consume(&b, 4);
    assert_memory_equal(b.data, "2,3,", 4);
    buffer_reserve(&b, SIZE_MAX);
    assert_true(b.failed);
    buffer_free(&b);
}

static void utf8_follows_rfc_3629(void **state)
{
    uint32_t c;
    char out[4];
    for (uint32_t i = 0; i < 0x110000; i += 7) {
        if (i >= 0xd800 && i < 0xe000)
            continue;
        size_t n = utf8_encode(i, out);
        assert_int_equal(utf8_decode(out, n, &c), n);
        assert_int_equal(c, i);
        for (size_t cut = 1; cut < n; cut++) {
            assert_int_equal(utf8_decode(out, cut, &c), 0);
            assert_int_equal(utf8_incomplete_tail(out, cut), cut);
        }
        assert_int_equal(utf8_incomplete_tail(out, n), 0);
    }
    assert_false(utf8_is_valid("\xc0\x80", 2));
    assert_false(utf8_is_valid("\xed\xa0\x80", 3));
    assert_false(utf8_is_valid("\xf4\x90\x80\x80", 4));
    assert_false(utf8_is_valid("\xf8\x88\x80\x80\x80", 5));
    assert_int_equal(utf8_incomplete_tail("\xed\xa0", 2), 0);
    assert_int_equal(utf8_incomplete_tail("a\xff", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_messages_are_cut_and_cleaned),
        cmocka_unit_test(error_messages_hold_no_foreign_bytes),
        cmocka_unit_test(sizes_do_not_wrap),
        cmocka_unit_test(buffers_grow),
        cmocka_unit_test(utf8_follows_rfc_3629),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
