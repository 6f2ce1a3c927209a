/* Which form of the page a client gets, and when it has that form already. */
#include "cmocka_all.h"

#include "base/text.h"
#include "server/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A parser that has read a request with these fields; the caller frees it. */
static struct http_parser *read_head(const char *fields)
{
    struct http_parser *parser = malloc(sizeof *parser);
    char text[1024];
    size_t used;
    struct smollm_text body;
    http_parser_init(parser, 1);
    snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: localhost\r\n%s\r\n", fields);
    assert_int_equal(http_parser_feed(parser, text, strlen(text), &used, &body), HTTP_HEAD);
    return parser;
}

static void test_accepts_gzip(void **state)
{
    static const struct {
        const char *fields;
        bool expected;
    } cases[] = {
        {"", false},
        {"Accept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: gzip, deflate, br, zstd\r\n", true},
        {"accept-encoding: deflate,GZip\r\n", true},
        {"Accept-Encoding: x-gzip\r\n", true},
        {"Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: *\r\n", true},
        {"Accept-Encoding: identity, *;q=0.1\r\n", true},
        {"Accept-Encoding: gzip;q=1.0\r\n", true},
        {"Accept-Encoding: gzip ; q=0.001\r\n", true},
        {"Accept-Encoding: ,, gzip ,\r\n", true},
        {"Accept-Encoding:\r\n", false},
        {"Accept-Encoding: ,\r\n", false},
        {"Accept-Encoding: identity\r\n", false},
        {"Accept-Encoding: br, deflate\r\n", false},
        {"Accept-Encoding: gzipped, agzip\r\n", false},
        {"Accept-Encoding: gzip;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0.000\r\n", false},
        {"Accept-Encoding: gzip; Q=0, *\r\n", false},
        {"Accept-Encoding: *, gzip;q=0\r\n", false},
        {"Accept-Encoding: *;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=\r\n", false},
        {"Accept-Encoding: gzip;q=high\r\n", false},
        {"Accept-Encoding: gzip;level=9\r\n", false},
        {"Accept: gzip\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_parser *parser = read_head(cases[i].fields);
        if (page_accepts_gzip(&parser->head) != cases[i].expected)
            print_error("case %zu: %s\n", i, cases[i].fields);
        assert_int_equal(page_accepts_gzip(&parser->head), cases[i].expected);
        free(parser);
    }
}

static void test_known(void **state)
{
    static const struct {
        const char *fields;
        bool expected;
    } cases[] = {
        {"", false},
        {"If-None-Match: \"abc\"\r\n", true},
        {"If-None-Match: W/\"abc\"\r\n", true},
        {"If-None-Match: *\r\n", true},
        {"If-None-Match: \"x\", \"abc\" , \"y\"\r\n", true},
        {"If-None-Match: W/\"x\",W/\"abc\"\r\n", true},
        {"If-None-Match: \"x\"\r\nif-none-match: \"abc\"\r\n", true},
        {"If-None-Match: abc\r\n", false},
        {"If-None-Match: \"ab\"\r\n", false},
        {"If-None-Match: \"abcd\"\r\n", false},
        {"If-None-Match: w/\"abc\"\r\n", false},
        {"If-None-Match: \"ABC\"\r\n", false},
        {"If-None-Match:\r\n", false},
        {"If-Match: \"abc\"\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_parser *parser = read_head(cases[i].fields);
        if (page_etag_matches(&parser->head, "\"abc\"") != cases[i].expected)
            print_error("case %zu: %s\n", i, cases[i].fields);
        assert_int_equal(page_etag_matches(&parser->head, "\"abc\""), cases[i].expected);
        free(parser);
    }
}

/* Each form has a tag of its own, and a tag of the other form does not count for it. */
static void test_forms(void **state)
{
    (void)state;
    struct http_parser *parser = read_head("");
    struct page plain = page_for(&parser->head);
    free(parser);
    parser = read_head("Accept-Encoding: gzip\r\n");
    struct page packed = page_for(&parser->head);
    free(parser);
    assert_null(plain.encoding);
    assert_string_equal(packed.encoding, "gzip");
    assert_true(text_starts_with(plain.html, "<!doctype html>"));
    assert_true(packed.html.size > 10 && packed.html.size < plain.html.size / 2);
    assert_memory_equal(packed.html.data, "\x1f\x8b\x08", 3);
    assert_memory_equal(packed.html.data + 4, "\0\0\0\0", 4); /* no time: the same page gives the same bytes */
    assert_string_not_equal(plain.etag, packed.etag);
    char fields[256];
    for (int gzip = 0; gzip < 2; gzip++)
        for (int tag = 0; tag < 2; tag++) {
            snprintf(fields, sizeof fields, "If-None-Match: %s\r\n%s", tag ? packed.etag : plain.etag,
                     gzip ? "Accept-Encoding: gzip\r\n" : "");
            parser = read_head(fields);
            assert_int_equal(page_for(&parser->head).is_cached, gzip == tag);
            free(parser);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_gzip),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
