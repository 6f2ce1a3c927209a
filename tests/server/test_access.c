/* Who may ask: keys, hosts, origins. And the frames that responses come in. */
#include "cmocka_all.h"

#include "server/access.h"
#include "server/page.h"
#include "server/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ask(const struct access_rules *rules, const char *request, bool is_public)
{
    struct http_parser *parser = malloc(sizeof *parser);
    char text[1024];
    size_t used;
    struct smollm_text body;
    char reason[ACCESS_REASON_BYTES] = "";
    http_parser_init(parser, 1);
    snprintf(text, sizeof text, "%s\r\n", request);
    assert_int_equal(http_parser_feed(parser, text, strlen(text), &used, &body), HTTP_HEAD);
    int status = access_check(rules, &parser->head, "192.0.2.7", is_public, reason);
    assert_int_equal(status != 0, reason[0] != '\0');
    free(parser);
    return status;
}

static void test_hosts(void **state)
{
    const char *const hosts[] = {"box.example", NULL};
    const struct access_rules rules = {.hosts = hosts};
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        {"127.0.0.1", 0},     {"127.0.0.1:8080", 0}, {"localhost", 0},         {"LocalHost:1", 0},
        {"[::1]", 0},         {"[::1]:80", 0},       {"box.example", 0},       {"BOX.example:443", 0},
        {"192.0.2.7", 0},     {"192.0.2.7:80", 0},   {"evil.example", 403},    {"localhost.evil.example", 403},
        {"127.0.0.1.x", 403}, {"xbox.example", 403}, {"box.example.com", 403}, {"192.0.2.8", 403},
        {"[::2]", 403},       {"localhost.", 403},   {"127.0.0.2", 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[200];
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n", cases[i].host);
        if (ask(&rules, request, true) != cases[i].status)
            fail_msg("%s", cases[i].host);
    }
}

static void test_origins(void **state)
{
    const struct access_rules rules = {0};
    static const struct {
        const char *fields;
        int status;
    } cases[] = {
        {"", 0},
        {"Origin: http://localhost:8080\r\n", 0},
        {"Origin: https://LOCALHOST:8080\r\nSec-Fetch-Site: same-origin\r\n", 0},
        {"Origin: http://localhost\r\n", 403},
        {"Origin: http://localhost:80800\r\n", 403},
        {"Origin: http://evil.example\r\n", 403},
        {"Origin: null\r\n", 403},
        {"Origin: ftp://localhost:8080\r\n", 403},
        {"Origin:\r\n", 403},
        {"Sec-Fetch-Site: cross-site\r\n", 403},
        {"Sec-Fetch-Site: same-site\r\n", 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[300];
        snprintf(request, sizeof request, "POST / HTTP/1.1\r\nHost: localhost:8080\r\n%s", cases[i].fields);
        if (ask(&rules, request, true) != cases[i].status)
            fail_msg("%s", cases[i].fields);
        memcpy(request, "GET ", 4);
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: localhost:8080\r\n%s", cases[i].fields);
        assert_int_equal(ask(&rules, request, true), 0);
    }
}

static char *write_file(const char *text)
{
    char *path = strdup("/tmp/smollm-keys-XXXXXX");
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, strlen(text)), strlen(text));
    close(descriptor);
    return path;
}

/* A name, or a secret without one, makes the identity: not the place in the file. */
static void test_names_of_keys(void **state)
{
    struct access_keys *one = calloc(1, sizeof *one), *other = calloc(1, sizeof *other);
    char *first = write_file("ann:secret-1\nplain\n:odd\na b:c\n"),
         *second = write_file("plain\nx:y:z\nann:new-secret\n");
    struct smollm_error error;
    assert_int_equal(access_keys_read(one, first, &error), SMOLLM_EINVAL); /* a space */
    assert_int_equal(one->count, 3);
    assert_int_equal(access_keys_read(other, second, &error), 0);
    assert_string_equal(one->keys[0].name, "ann");
    assert_string_equal(one->keys[0].secret, "secret-1");
    assert_null(one->keys[1].name);
    assert_string_equal(one->keys[2].secret, ":odd");
    assert_string_equal(other->keys[1].secret, "y:z");
    assert_true(one->keys[0].id == other->keys[2].id);
    assert_true(one->keys[1].id == other->keys[0].id);
    assert_true(one->keys[0].id != one->keys[1].id && one->keys[0].id != 0);
    assert_int_equal(access_keys_add(other, "ann:third", &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "ann"));
    unlink(first);
    unlink(second);
    free(first);
    free(second);
    access_keys_free(one);
    access_keys_free(other);
    free(one);
    free(other);
}

static void test_keys(void **state)
{
    struct access_keys *keys = calloc(1, sizeof *keys);
    char *path = write_file("# ours\n\ntwo:k2\r\nk3\n");
    assert_int_equal(access_keys_add(keys, "first-key", NULL), 0);
    assert_int_equal(access_keys_read(keys, path, NULL), 0);
    unlink(path);
    free(path);
    const struct access_rules rules = {.keys = keys};
    static const struct {
        const char *fields;
        int status;
    } cases[] = {
        {"Authorization: Bearer first-key\r\n", 0},
        {"authorization: bearer k2\r\n", 0},
        {"x-api-key: k2\r\n", 0},
        {"", 401},
        {"Authorization: Bearer\r\n", 401},
        {"Authorization: Bearer first-ke\r\n", 401},
        {"Authorization: Bearer first-keyy\r\n", 401},
        {"Authorization: Bearer First-key\r\n", 401},
        {"Authorization: Basic k2\r\n", 401},
        {"Authorization: k2\r\n", 401},
        {"x-api-key:\r\n", 401},
        {"x-api-key: k2k2\r\n", 401},
        {"x-api-key: k\r\n", 401},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[300];
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: localhost\r\n%s", cases[i].fields);
        if (ask(&rules, request, false) != cases[i].status)
            fail_msg("%s", cases[i].fields);
        assert_int_equal(ask(&rules, request, true), 0);
    }
    access_keys_free(keys);
    free(keys);
    assert_true(access_is_loopback("127.0.0.1"));
    assert_true(access_is_loopback("127.8.8.8"));
    assert_true(access_is_loopback("::1"));
    assert_false(access_is_loopback("0.0.0.0"));
    assert_false(access_is_loopback("::"));
    assert_false(access_is_loopback("192.0.2.7"));
}

static void test_chunks(void **state)
{
    struct buffer out = {0};
    buffer_append_string(&out, "head");
    size_t begin = out.size;
    buffer_append(&out, "          ", RESPONSE_CHUNK_HEAD);
    response_frame_chunk(&out, begin);
    assert_int_equal(out.size, begin);
    buffer_append(&out, "          ", RESPONSE_CHUNK_HEAD);
    buffer_append_string(&out, "seventeen letters");
    response_frame_chunk(&out, begin);
    response_end_chunks(&out);
    assert_string_equal(out.data, "head00000011\r\nseventeen letters\r\n0\r\n\r\n");
    buffer_free(&out);
}

/* The page's own policy: nothing by default, nothing unsafe, nobody else, on one line. */
static void test_policy(void **state)
{
    struct smollm_text policy = page_policy();
    assert_true(text_starts_with(policy, "default-src 'none'; script-src 'sha256-"));
    assert_true(text_contains(policy, "frame-ancestors 'none'"));
    assert_true(text_contains(policy, "connect-src 'self'"));
    assert_false(text_contains(policy, "unsafe"));
    assert_false(text_contains(policy, "http"));
    assert_null(memchr(policy.data, '\n', policy.size));
    static const struct http_head head; /* asks for nothing in particular */
    assert_true(text_contains(page_for(&head).html, "<script"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts),  cmocka_unit_test(test_origins),
                                       cmocka_unit_test(test_keys),   cmocka_unit_test(test_names_of_keys),
                                       cmocka_unit_test(test_chunks), cmocka_unit_test(test_policy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
