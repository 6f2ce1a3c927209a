/* Requests as they should be and as they should not: each is fed whole, byte by byte, and cut in two at every place,
 * and must give the same result every time. */
#include "cmocka_all.h"

#include "base/text.h"
#include "server/http_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 64 };

struct outcome {
    int status; /* 0: complete; -1: more is needed; otherwise refused with it */
    int requests;
    char path[64];
    struct buffer body; /* of all requests */
    bool keep_alive;
};

/* Feeds what is there of one piece. */
static bool feed(struct http_parser *parser, const char *data, size_t size, struct outcome *outcome)
{
    size_t at = 0, used;
    struct smollm_text body;
    for (;;) {
        /* A copy of exactly these bytes, so that the sanitizer sees a read beyond them. */
        char *copy = malloc(size - at + 1);
        memcpy(copy, data + at, size - at);
        enum http_result result = http_parser_feed(parser, copy, size - at, &used, &body);
        assert_true(used <= size - at);
        buffer_append_text(&outcome->body, body);
        free(copy);
        at += used;
        switch (result) {
        case HTTP_MORE:
            assert_int_equal(at, size);
            outcome->status = -1;
            return true;
        case HTTP_HEAD:
            snprintf(outcome->path, sizeof outcome->path, "%.*s", (int)parser->head.path.size, parser->head.path.data);
            outcome->keep_alive = parser->head.keep_alive;
            break;
        case HTTP_BODY:
            break;
        case HTTP_END:
            outcome->requests++;
            http_parser_reset(parser);
            outcome->status = 0;
            if (at == size)
                return true;
            break;
        case HTTP_BROKEN:
            outcome->status = parser->status;
            assert_non_null(parser->reason);
            assert_int_equal(http_parser_feed(parser, "x", 1, &used, &body), HTTP_BROKEN);
            return false;
        }
    }
}

static struct outcome run(const char *data, size_t size, size_t cut, bool bytes)
{
    struct outcome outcome = {.status = -1};
    struct http_parser *parser = malloc(sizeof *parser);
    http_parser_init(parser, BODY_MAX);
    bool going = true;
    if (bytes) {
        for (size_t i = 0; i < size && going; i++)
            going = feed(parser, data + i, 1, &outcome);
    } else {
        if (cut > 0)
            going = feed(parser, data, cut, &outcome);
        if (going && cut < size)
            feed(parser, data + cut, size - cut, &outcome);
    }
    free(parser);
    return outcome;
}

static void check(const char *data, size_t size, int status, const char *path, const char *body, int requests)
{
    for (size_t cut = 0; cut <= size; cut++) {
        struct outcome o = run(data, size, cut, cut == size);
        if (o.status != status)
            print_error("status %d instead of %d, cut at %zu: %.*s\n", o.status, status, cut, (int)size, data);
        assert_int_equal(o.status, status);
        if (status == 0) {
            assert_string_equal(o.path, path);
            assert_int_equal(o.requests, requests);
            assert_string_equal(o.body.data ? o.body.data : "", body);
        }
        buffer_free(&o.body);
    }
}

#define HOST "Host: a\r\n"
#define POST "POST /p HTTP/1.1\r\n" HOST

static void test_accepted(void **state)
{
    static const struct {
        const char *request, *path, *body;
        int requests;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", "/", "", 1},
        {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "/", "", 1},
        {"\r\nGET /x?a=b HTTP/1.1\r\n" HOST "\r\n", "/x", "", 1},
        {"GET http://A/x HTTP/1.1\r\n" HOST "\r\n", "/x", "", 1},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "*", "", 1},
        {"GET /%41 HTTP/1.1\r\nHost: [::1]:80\r\nX:\r\nY: \t v\xc3\xa9 \t\r\n\r\n", "/%41", "", 1},
        {POST "Content-Length: 5\r\n\r\nhello", "/p", "hello", 1},
        {POST "content-length:0\r\n\r\n", "/p", "", 1},
        {POST "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\n\r\n", "/p", "abcde", 1},
        {POST "Transfer-Encoding: chunked\r\n\r\n0003\r\nabc\r\n0\r\nTrailer: x\r\nB: y\r\n\r\n", "/p", "abc", 1},
        {POST "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", "/p", "0123456789", 1},
        {POST "Content-Length: 2\r\n\r\nabGET /q HTTP/1.1\r\n" HOST "\r\n", "/q", "ab", 2},
        {POST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" POST "Content-Length: 1\r\n\r\nb", "/p", "ab", 2},
        {POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nz", "/p", "z", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].request, strlen(cases[i].request), 0, cases[i].path, cases[i].body, cases[i].requests);
}

static void test_refused(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        /* two ways to tell where the body ends */
        {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
        {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
        {POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", 400},
        {POST "Content-Length: 5, 5\r\n\r\n", 400},
        {POST "Content-Length: +5\r\n\r\n", 400},
        {POST "Content-Length: -5\r\n\r\n", 400},
        {POST "Content-Length: 0x5\r\n\r\n", 400},
        {POST "Content-Length: 5 5\r\n\r\n", 400},
        {POST "Content-Length:\r\n\r\n", 400},
        {POST "Content-Length: 65\r\n\r\n", 413},
        {POST "Content-Length: 18446744073709551617\r\n\r\n", 413},
        {POST "Content-Length: 99999999999999999999999999\r\n\r\n", 413},
        {POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: identity\r\n\r\n", 400},
        {POST "Transfer-Encoding: xchunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
        {POST "Transfer-Encoding:\r\n\r\n", 400},
        {"POST /p HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400},
        /* lines */
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01z\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fz\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa9: a\r\n\r\n", 400},
        {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
        /* Host */
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
        {"GET http://b/ HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET http://a HTTP/1.1\r\n" HOST "\r\n", 400},
        /* request line */
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / x HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
        {" GET / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"G(T / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET x HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
        {"CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /a\"b HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /a\tb HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /a\x80 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /%4 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /%zz HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / http/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/11\r\n" HOST "\r\n", 400},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
        {"GET / HTTP/1.2\r\n" HOST "\r\n", 505},
        {"GET / HTTP/0.9\r\n" HOST "\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        /* chunks */
        {POST "Transfer-Encoding: chunked\r\n\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n;x\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n3\rabc\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc0\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n41\r\n", 413},
        {POST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n40\r\n", 413},
        {POST "Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", 413},
        {POST "Transfer-Encoding: chunked\r\n\r\n100000000\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n0\r\nx y: z\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n0\r\n folded\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n0\r\nnocolon\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n0\r\n: z\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n0\r\na: z\n\r\n", 400},
        {POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].request, strlen(cases[i].request), cases[i].status, NULL, NULL, 0);
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
    check(nul, sizeof nul - 1, 400, NULL, NULL, 0);
}

static void test_unfinished(void **state)
{
    static const char *const cases[] = {"", "G", "GET / HTTP/1.1\r\nHost: a\r\n", POST "Content-Length: 5\r\n\r\nhell",
                                        POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (*cases[i])
            check(cases[i], strlen(cases[i]), -1, NULL, NULL, 0);
}

/* A head whose field has `size` bytes, so that all lengths around the limits can be tried. */
static int status_with(const char *before, size_t size, char fill, const char *after)
{
    struct buffer request = {0};
    buffer_append_string(&request, before);
    for (size_t i = 0; i < size; i++)
        buffer_append_char(&request, fill);
    buffer_append_string(&request, after);
    struct outcome o = run(request.data, request.size, request.size / 2, false);
    buffer_free(&request);
    buffer_free(&o.body);
    return o.status;
}

static void test_limits(void **state)
{
    const char *before = "GET / HTTP/1.1\r\n" HOST "X: ", *after = "\r\n\r\n";
    size_t room = HTTP_HEAD_BYTES - strlen(before) - strlen(after);
    assert_int_equal(status_with(before, room, 'a', after), 0);
    assert_int_equal(status_with(before, room + 1, 'a', after), 431);
    assert_int_equal(status_with("GET /", HTTP_TARGET_BYTES - 1, 'a', " HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_int_equal(status_with("GET /", HTTP_TARGET_BYTES, 'a', " HTTP/1.1\r\n" HOST "\r\n"), 414);
    before = POST "Transfer-Encoding: chunked\r\n\r\n0;";
    assert_int_equal(status_with(before, HTTP_EXTENSION_BYTES, 'a', "\r\n\r\n"), 0);
    assert_int_equal(status_with(before, HTTP_EXTENSION_BYTES + 1, 'a', "\r\n\r\n"), 400);
    before = POST "Transfer-Encoding: chunked\r\n\r\n0\r\nA:";
    assert_int_equal(status_with(before, HTTP_TRAILER_BYTES - 6, 'a', "\r\n\r\n"), 0);
    assert_int_equal(status_with(before, HTTP_TRAILER_BYTES - 5, 'a', "\r\n\r\n"), 431);

    struct buffer fields = {0};
    buffer_append_string(&fields, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 1; i < HTTP_FIELDS_MAX; i++)
        buffer_append_string(&fields, "a:\r\n");
    struct outcome o;
    for (int i = 0; i < 2; i++) {
        buffer_append_string(&fields, i ? "a:\r\n\r\n" : "\r\n");
        o = run(fields.data, fields.size, 0, false);
        assert_int_equal(o.status, i ? 431 : 0);
        buffer_free(&o.body);
        fields.size -= 2;
    }
    buffer_free(&fields);
}

static void test_keep_alive(void **state)
{
    static const struct {
        const char *request;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", true},
        {"GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n" HOST "\r\n", false},
        {"GET / HTTP/1.0\r\n" HOST "Connection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = run(cases[i].request, strlen(cases[i].request), 0, false);
        assert_int_equal(o.status, 0);
        assert_int_equal(o.keep_alive, cases[i].keep_alive);
        buffer_free(&o.body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused),    cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_keep_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
