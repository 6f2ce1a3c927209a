/* libFuzzer: any bytes as requests on one connection. Where they are cut must make no difference, a body never exceeds
 * its limit, and what is accepted keeps the rules that others rely on. */
#include "server/http_parser.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

enum { BODY_MAX = 4096 };

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

struct outcome {
    uint64_t hash; /* of all bodies */
    size_t requests, body;
    int status;
};

static void check_head(const struct http_head *head)
{
    const size_t hosts = http_head_count(head, "host");
    REQUIRE(head->method.size > 0 && head->path.size > 0);
    REQUIRE(hosts == 1 || (hosts == 0 && head->minor_version == 0)); /* health checks speak HTTP/1.0 without one */
    REQUIRE((head->host.size > 0) == (hosts == 1));
    REQUIRE(head->path.data[0] == '/' || head->path.size == 1);
    REQUIRE(http_head_count(head, "content-length") <= 1);
    REQUIRE(!(head->is_chunked && http_head_count(head, "content-length") > 0));
    REQUIRE(head->content_length <= BODY_MAX);
    for (size_t i = 0; i < head->field_count; i++)
        for (size_t k = 0; k < head->fields[i].value.size; k++)
            REQUIRE(head->fields[i].value.data[k] != '\r' && head->fields[i].value.data[k] != '\n');
}

/* One piece; false when the connection is broken. */
static bool feed(struct http_parser *parser, const char *data, size_t size, struct outcome *outcome)
{
    size_t at = 0, used;
    struct smollm_text body;
    for (;;) {
        enum http_result result = http_parser_feed(parser, data + at, size - at, &used, &body);
        at += used;
        REQUIRE(at <= size);
        if (result == HTTP_BROKEN) {
            outcome->status = parser->status;
            REQUIRE(parser->status >= 400 && parser->reason);
            return false;
        }
        for (size_t i = 0; i < body.size; i++)
            outcome->hash = outcome->hash * 31 + (unsigned char)body.data[i] + 1;
        outcome->body += body.size;
        REQUIRE(outcome->body <= BODY_MAX);
        if (result == HTTP_HEAD)
            check_head(&parser->head);
        if (result == HTTP_END) {
            outcome->requests++;
            outcome->body = 0;
            http_parser_reset(parser);
        }
        if (result == HTTP_MORE || (result == HTTP_END && at == size)) {
            REQUIRE(at == size);
            return true;
        }
    }
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size)
{
    struct http_parser *parser = malloc(sizeof *parser);
    if (!parser || size == 0) {
        free(parser);
        return 0;
    }
    struct outcome whole = {0}, pieces = {0};
    http_parser_init(parser, BODY_MAX);
    feed(parser, (const char *)data, size, &whole);
    http_parser_init(parser, BODY_MAX);
    for (size_t at = 0, step; at < size; at += step) {
        step = 1 + data[at] % 7;
        step = step < size - at ? step : size - at;
        if (!feed(parser, (const char *)data + at, step, &pieces))
            break;
    }
    REQUIRE(whole.status == pieces.status && whole.requests == pieces.requests);
    REQUIRE(whole.status != 0 || whole.hash == pieces.hash);
    free(parser);
    return 0;
}
