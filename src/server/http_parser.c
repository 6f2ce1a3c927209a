#include "server/http_parser.h"

#include "base/text.h"

#include <string.h>
#include <strings.h>

enum state {
    BEFORE, /* nothing yet; one empty line may come first */
    HEAD,
    BODY,
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER,
    COMPLETE,
    BROKEN
};

static enum http_result broken(struct http_parser *parser, int status, const char *reason)
{
    parser->state = BROKEN;
    parser->status = status;
    parser->reason = reason;
    return HTTP_BROKEN;
}

void http_parser_init(struct http_parser *parser, uint64_t max_body)
{
    memset(parser, 0, offsetof(struct http_parser, bytes));
    parser->max_body = max_body;
}

void http_parser_reset(struct http_parser *parser)
{
    http_parser_init(parser, parser->max_body);
}

bool http_parser_has_begun(const struct http_parser *parser)
{
    return parser->state != BEFORE || parser->after_cr;
}

bool http_text_is(struct smollm_text text, const char *string)
{
    return text.size == strlen(string) && (text.size == 0 || strncasecmp(text.data, string, text.size) == 0);
}

struct smollm_text http_head_field(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (http_text_is(head->fields[i].name, name))
            return head->fields[i].value;
    return (struct smollm_text){0};
}

size_t http_head_count(const struct http_head *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++)
        count += http_text_is(head->fields[i].name, name);
    return count;
}

/* ---- Characters ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_token_char(char c)
{
    return is_digit(c) || is_letter(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct smollm_text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_token_char(text.data[i]))
            return false;
    return text.size > 0;
}

/* What a field value or a chunk extension may hold. */
static bool is_value_char(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static struct smollm_text slice(const char *begin, const char *end)
{
    return (struct smollm_text){begin, (size_t)(end - begin)};
}

static struct smollm_text trimmed(struct smollm_text text)
{
    while (text.size > 0 && (*text.data == ' ' || *text.data == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* host [":" port], RFC 9110 section 7.2: a name, an IPv4 address or an IPv6 address in brackets. */
static bool is_host(struct smollm_text text)
{
    size_t i = 0;
    if (text.size > 255)
        return false;
    if (text.size > 0 && text.data[0] == '[') {
        for (i = 1; i < text.size && (hex_value(text.data[i]) >= 0 || text.data[i] == ':' || text.data[i] == '.'); i++)
            ;
        if (i < 3 || i == text.size || text.data[i++] != ']')
            return false;
    } else {
        while (i < text.size && (is_letter(text.data[i]) || is_digit(text.data[i]) ||
                                 (text.data[i] != '\0' && strchr("-._~", text.data[i]))))
            i++;
        if (i == 0)
            return false;
    }
    if (i == text.size)
        return true;
    if (text.data[i++] != ':' || i == text.size || text.size - i > 5)
        return false;
    for (; i < text.size; i++)
        if (!is_digit(text.data[i]))
            return false;
    return true;
}

/* ---- Head ---- */

static enum http_result parse_target(struct http_parser *parser, struct smollm_text target,
                                     struct smollm_text *authority)
{
    struct http_head *head = &parser->head;
    if (target.size > HTTP_TARGET_BYTES)
        return broken(parser, 414, "the request target is longer than 8 KiB");
    for (size_t i = 0; i < target.size; i++) {
        char c = target.data[i];
        if (c <= 0x20 || c >= 0x7f || strchr("#\"<>\\^`{|}", c))
            return broken(parser, 400, "the request target holds a character that must be percent-encoded");
        if (c == '%' && (target.size - i < 3 || hex_value(target.data[i + 1]) < 0 || hex_value(target.data[i + 2]) < 0))
            return broken(parser, 400, "the request target holds a '%' without two hexadecimal digits");
    }
    if (text_is(target, "*") && text_is(head->method, "OPTIONS")) {
        head->path = target;
        return HTTP_MORE;
    }
    /* The absolute form, which proxies use. */
    if (target.size > 7 && strncasecmp(target.data, "http://", 7) == 0) {
        const char *begin = target.data + 7, *end = target.data + target.size;
        const char *slash = memchr(begin, '/', (size_t)(end - begin));
        if (!slash)
            return broken(parser, 400, "the request target has no path");
        *authority = slice(begin, slash);
        target = slice(slash, end);
    }
    if (target.size == 0 || target.data[0] != '/')
        return broken(parser, 400, "the request target does not begin with '/'");
    const char *question = memchr(target.data, '?', target.size), *end = target.data + target.size;
    head->path = slice(target.data, question ? question : end);
    head->query = question ? slice(question + 1, end) : (struct smollm_text){0};
    return HTTP_MORE;
}

static enum http_result parse_request_line(struct http_parser *parser, struct smollm_text line,
                                           struct smollm_text *authority)
{
    struct http_head *head = &parser->head;
    const char *end = line.data + line.size, *space = memchr(line.data, ' ', line.size);
    const char *last = memrchr(line.data, ' ', line.size);
    if (!space || space == last)
        return broken(parser, 400, "the request line is not METHOD TARGET VERSION");
    struct smollm_text method = slice(line.data, space), target = slice(space + 1, last);
    struct smollm_text version = slice(last + 1, end);
    if (!is_token(method) || method.size > 32)
        return broken(parser, 400, "the request's method is not a word");
    head->method = method;
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0 || !is_digit(version.data[5]) ||
        version.data[6] != '.' || !is_digit(version.data[7]))
        return broken(parser, 400, "the request line does not end in HTTP/1.1");
    if (version.data[5] != '1' || version.data[7] > '1')
        return broken(parser, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    head->minor_version = version.data[7] - '0';
    return parse_target(parser, target, authority);
}

static enum http_result parse_field(struct http_parser *parser, struct smollm_text line)
{
    struct http_head *head = &parser->head;
    if (*line.data == ' ' || *line.data == '\t')
        return broken(parser, 400, "a header line begins with white space");
    const char *colon = memchr(line.data, ':', line.size);
    if (!colon)
        return broken(parser, 400, "a header line has no colon");
    struct http_field field = {slice(line.data, colon), trimmed(slice(colon + 1, line.data + line.size))};
    if (!is_token(field.name))
        return broken(parser, 400, "the name of a header field is not a word directly before its colon");
    for (size_t i = 0; i < field.value.size; i++)
        if (!is_value_char(field.value.data[i]))
            return broken(parser, 400, "a header field holds a control character");
    if (head->field_count == HTTP_FIELDS_MAX)
        return broken(parser, 431, "the request has more than 100 header fields");
    head->fields[head->field_count++] = field;
    return HTTP_MORE;
}

static enum http_result parse_content_length(struct http_parser *parser)
{
    struct http_head *head = &parser->head;
    struct smollm_text value = http_head_field(head, "content-length");
    if (value.size == 0)
        return broken(parser, 400, "Content-Length is empty");
    for (size_t i = 0; i < value.size; i++)
        if (!is_digit(value.data[i]))
            return broken(parser, 400, "Content-Length is not one whole number");
    if (value.size > 18)
        return broken(parser, 413, "the body is too large");
    for (size_t i = 0; i < value.size; i++)
        head->content_length = head->content_length * 10 + (uint64_t)(value.data[i] - '0');
    if (head->content_length > parser->max_body)
        return broken(parser, 413, "the body is too large");
    head->has_body = head->content_length > 0;
    return HTTP_MORE;
}

static enum http_result parse_framing(struct http_parser *parser)
{
    struct http_head *head = &parser->head;
    size_t lengths = http_head_count(head, "content-length"), codings = http_head_count(head, "transfer-encoding");
    if (lengths > 1)
        return broken(parser, 400, "Content-Length is given more than once");
    if (codings > 0 && lengths > 0)
        return broken(parser, 400, "Content-Length and Transfer-Encoding are given together");
    if (codings > 0) {
        if (codings > 1 || head->minor_version == 0 ||
            !http_text_is(http_head_field(head, "transfer-encoding"), "chunked"))
            return broken(parser, 400, "the only Transfer-Encoding understood here is chunked");
        head->is_chunked = head->has_body = true;
    }
    return lengths > 0 ? parse_content_length(parser) : HTTP_MORE;
}

/* Whether a comma-separated list holds a word. */
static bool list_has(struct smollm_text list, const char *word)
{
    while (list.size > 0) {
        const char *comma = memchr(list.data, ',', list.size), *end = list.data + list.size;
        if (http_text_is(trimmed(slice(list.data, comma ? comma : end)), word))
            return true;
        list = comma ? slice(comma + 1, end) : (struct smollm_text){0};
    }
    return false;
}

static bool fields_have(const struct http_head *head, const char *name, const char *word)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (http_text_is(head->fields[i].name, name) && list_has(head->fields[i].value, word))
            return true;
    return false;
}

static enum http_result parse_host(struct http_parser *parser, struct smollm_text authority)
{
    struct http_head *head = &parser->head;
    size_t count = http_head_count(head, "host");
    if (count == 0 && head->minor_version == 0)
        return HTTP_MORE;
    if (count != 1)
        return broken(parser, 400, count ? "Host is given more than once" : "Host is missing");
    head->host = http_head_field(head, "host");
    if (!is_host(head->host))
        return broken(parser, 400, "Host is not a host name");
    if (authority.data &&
        (authority.size != head->host.size || strncasecmp(authority.data, head->host.data, authority.size) != 0))
        return broken(parser, 400, "Host and the request target name different hosts");
    return HTTP_MORE;
}

/* All lines are there; each ends in CR LF and holds no other CR or LF. */
static enum http_result parse_head(struct http_parser *parser)
{
    struct http_head *head = &parser->head;
    struct smollm_text authority = {0};
    const char *at = parser->bytes, *end = parser->bytes + parser->size - 2;
    for (bool is_first = true; at < end; is_first = false) {
        const char *stop = memchr(at, '\r', (size_t)(end - at) + 1);
        enum http_result result =
            is_first ? parse_request_line(parser, slice(at, stop), &authority) : parse_field(parser, slice(at, stop));
        if (result == HTTP_BROKEN)
            return result;
        at = stop + 2;
    }
    if (parse_host(parser, authority) == HTTP_BROKEN || parse_framing(parser) == HTTP_BROKEN)
        return HTTP_BROKEN;
    head->keep_alive = head->minor_version == 1
                           ? !fields_have(head, "connection", "close")
                           : fields_have(head, "connection", "keep-alive") && !fields_have(head, "connection", "close");
    struct smollm_text expect = http_head_field(head, "expect");
    if (expect.data && !http_text_is(expect, "100-continue"))
        return broken(parser, 417, "the only expectation understood here is 100-continue");
    head->expects_continue = expect.data && head->has_body && head->minor_version == 1;
    parser->left = head->content_length;
    parser->state = head->is_chunked ? CHUNK_SIZE : head->has_body ? BODY : COMPLETE;
    return HTTP_HEAD;
}

static enum http_result feed_head(struct http_parser *parser, const char *data, size_t size, size_t *used)
{
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        *used = i + 1;
        if ((c == '\n') != parser->after_cr)
            return broken(parser, 400, "a line of the head does not end in CR LF");
        parser->after_cr = c == '\r';
        if (parser->state == BEFORE && c == '\r')
            continue;
        if (parser->state == BEFORE && c == '\n') {
            if (parser->line++ > 0)
                return broken(parser, 400, "the request begins with empty lines");
            continue;
        }
        if (c == '\0')
            return broken(parser, 400, "the head holds a NUL");
        parser->state = HEAD;
        if (parser->size == sizeof parser->bytes)
            return broken(parser, 431, "the head of the request is longer than 16 KiB");
        parser->bytes[parser->size++] = c;
        if (c == '\n' && parser->size >= 4 && memcmp(parser->bytes + parser->size - 4, "\r\n\r\n", 4) == 0) {
            parser->line = 0;
            return parse_head(parser);
        }
    }
    *used = size;
    return HTTP_MORE;
}

/* ---- Body ---- */

static enum http_result take_body(struct http_parser *parser, const char *data, size_t size, size_t *used,
                                  struct smollm_text *body)
{
    size_t part = size < parser->left ? size : (size_t)parser->left;
    *body = (struct smollm_text){data, part};
    *used += part;
    parser->left -= part;
    if (parser->left == 0)
        parser->state = parser->state == BODY ? COMPLETE : CHUNK_DATA_CR;
    return HTTP_BODY;
}

static enum http_result chunk_size_ends(struct http_parser *parser)
{
    if (parser->digits == 0)
        return broken(parser, 400, "a chunk has no size");
    if (parser->left > parser->max_body - parser->total)
        return broken(parser, 413, "the body is too large");
    parser->total += parser->left;
    return HTTP_MORE;
}

static enum http_result feed_chunk_size(struct http_parser *parser, char c)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        if (++parser->digits > 8)
            return broken(parser, 400, "the size of a chunk has more than 8 digits");
        parser->left = parser->left * 16 + (uint64_t)digit;
        return HTTP_MORE;
    }
    if (c != '\r' && c != ';')
        return broken(parser, 400, "the size of a chunk is not a hexadecimal number");
    parser->line = 0;
    parser->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
    return chunk_size_ends(parser);
}

/* Lines after the last chunk are checked and dropped. */
static enum http_result feed_trailer(struct http_parser *parser, char c)
{
    if (++parser->trailers > HTTP_TRAILER_BYTES)
        return broken(parser, 431, "the trailer of the body is longer than 4 KiB");
    if ((c == '\n') != parser->after_cr || (c != '\n' && c != '\r' && !is_value_char(c)))
        return broken(parser, 400, "the trailer of the body holds a bare line end or a control character");
    parser->after_cr = c == '\r';
    if (c == '\r')
        return HTTP_MORE;
    if (c != '\n') {
        /* The head's bytes may be in use still: the line is collected nowhere, only its beginning is checked. */
        if (parser->digits == 0 && (c == ':' ? parser->line == 0 : !is_token_char(c)))
            return broken(parser, 400, "the trailer of the body is not made of header fields");
        parser->digits |= c == ':';
        parser->line++;
        return HTTP_MORE;
    }
    if (parser->line > 0 && parser->digits == 0)
        return broken(parser, 400, "the trailer of the body is not made of header fields");
    if (parser->line == 0)
        parser->state = COMPLETE;
    parser->line = 0;
    parser->digits = 0;
    return HTTP_MORE;
}

static enum http_result feed_chunk_byte(struct http_parser *parser, char c)
{
    switch (parser->state) {
    case CHUNK_SIZE:
        return feed_chunk_size(parser, c);
    case CHUNK_EXTENSION:
        if (c == '\r')
            parser->state = CHUNK_SIZE_LF;
        else if (!is_value_char(c) || ++parser->line > HTTP_EXTENSION_BYTES)
            return broken(parser, 400, "the extension of a chunk is too long or holds a control character");
        return HTTP_MORE;
    case CHUNK_DATA_CR:
        parser->state = CHUNK_DATA_LF;
        return c == '\r' ? HTTP_MORE : broken(parser, 400, "a chunk is not followed by CR LF");
    case CHUNK_DATA_LF:
        parser->state = CHUNK_SIZE;
        parser->digits = 0;
        parser->left = 0;
        return c == '\n' ? HTTP_MORE : broken(parser, 400, "a chunk is not followed by CR LF");
    case CHUNK_SIZE_LF:
        parser->state = parser->left > 0 ? CHUNK_DATA : TRAILER;
        parser->line = 0;
        parser->digits = 0;
        return c == '\n' ? HTTP_MORE : broken(parser, 400, "the size of a chunk is not followed by CR LF");
    default:
        return feed_trailer(parser, c);
    }
}

enum http_result http_parser_feed(struct http_parser *parser, const char *data, size_t size, size_t *used,
                                  struct smollm_text *body)
{
    *used = 0;
    *body = (struct smollm_text){0};
    if (parser->state == BROKEN)
        return HTTP_BROKEN;
    if (parser->state == BEFORE || parser->state == HEAD)
        return feed_head(parser, data, size, used);
    while (parser->state != COMPLETE && *used < size) {
        if (parser->state == BODY || parser->state == CHUNK_DATA)
            return take_body(parser, data + *used, size - *used, used, body);
        if (feed_chunk_byte(parser, data[(*used)++]) == HTTP_BROKEN)
            return HTTP_BROKEN;
    }
    return parser->state == COMPLETE ? HTTP_END : HTTP_MORE;
}
