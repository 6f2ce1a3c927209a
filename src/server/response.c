#include "server/response.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *response_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

static void write_date(struct buffer *out)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm t = {0};
    gmtime_r(&now, &t);
    buffer_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
                  t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* CORS (https://fetch.spec.whatwg.org/#http-cors-protocol), without credentials: keys come in a header. "*" stands for
 * all headers but Authorization, such as those that SDKs send with each request; old browsers do not know it. */
static void write_origin(const struct response_head *head, struct buffer *out)
{
    if (head->has_origins)
        buffer_append_string(out, "Vary: Origin\r\n");
    if (head->origin.size == 0)
        return;
    buffer_append_string(out, "Access-Control-Allow-Origin: ");
    buffer_append_text(out, head->origin);
    buffer_append_string(out, "\r\nAccess-Control-Expose-Headers: X-Request-Id, Request-Id, Retry-After\r\n");
    if (head->is_preflight)
        buffer_append_string(out, "Access-Control-Allow-Methods: GET, POST, DELETE\r\n"
                                  "Access-Control-Allow-Headers: *, Authorization, Content-Type, X-Api-Key, "
                                  "X-Request-Id, X-Conversation-Id\r\n"
                                  "Access-Control-Max-Age: 600\r\n");
}

void response_write_head(const struct response_head *head, struct buffer *out)
{
    buffer_printf(out, "HTTP/1.1 %d %s\r\n", head->status, response_reason(head->status));
    write_date(out);
    if (head->content_type)
        buffer_printf(out, "Content-Type: %s\r\n", head->content_type);
    if (head->encoding)
        buffer_printf(out, "Content-Encoding: %s\r\n", head->encoding);
    if (head->etag)
        buffer_printf(out, "ETag: %s\r\nVary: Accept-Encoding\r\n", head->etag);
    write_origin(head, out);
    if (head->field)
        buffer_append_string(out, head->field);
    if (head->request_id)
        buffer_printf(out, "X-Request-Id: %s\r\nRequest-Id: %s\r\n", head->request_id, head->request_id);
    if (head->is_stream) /* nginx would hand on pieces of 4 KiB */
        buffer_append_string(out, "X-Accel-Buffering: no\r\n");
    if (!head->is_stream && head->status != 304 &&
        head->status != 204) /* which has no body; a length there would be the page's */
        buffer_printf(out, "Content-Length: %" PRIu64 "\r\n", head->length);
    if (head->is_stream && head->minor_version == 1)
        buffer_append_string(out, "Transfer-Encoding: chunked\r\n");
    if (!head->keep_alive)
        buffer_append_string(out, "Connection: close\r\n");
    else if (head->minor_version == 0)
        buffer_append_string(out, "Connection: keep-alive\r\n");
    if (head->retry_after > 0)
        buffer_printf(out, "Retry-After: %d\r\n", head->retry_after);
    if (head->allow)
        buffer_printf(out, "Allow: %s\r\n", head->allow);
    if (head->status == 401)
        buffer_append_string(out, "WWW-Authenticate: Bearer\r\n");
    buffer_printf(out, "Cache-Control: %s\r\n", head->may_be_cached ? "no-cache" : "no-store");
    buffer_append_string(out, "Content-Security-Policy: ");
    buffer_append_text(out,
                       head->policy.size > 0 ? head->policy : text_of("default-src 'none'; frame-ancestors 'none'"));
    buffer_append_string(out, "\r\n");
    buffer_printf(out, "Cross-Origin-Resource-Policy: %s\r\n", head->origin.size > 0 ? "cross-origin" : "same-origin");
    buffer_append_string(out, "X-Content-Type-Options: nosniff\r\n"
                              "X-Frame-Options: DENY\r\n"
                              "Referrer-Policy: no-referrer\r\n"
                              "Cross-Origin-Opener-Policy: same-origin\r\n"
                              "\r\n");
}

void response_frame_chunk(struct buffer *out, size_t begin)
{
    if (out->failed || out->size <= begin + RESPONSE_CHUNK_HEAD) {
        out->size = out->failed ? out->size : begin;
        return;
    }
    char head[RESPONSE_CHUNK_HEAD + 1];
    snprintf(head, sizeof head, "%08" PRIx32 "\r\n", (uint32_t)(out->size - begin - RESPONSE_CHUNK_HEAD));
    memcpy(out->data + begin, head, RESPONSE_CHUNK_HEAD);
    buffer_append(out, "\r\n", 2);
}

void response_end_chunks(struct buffer *out)
{
    buffer_append_string(out, "0\r\n\r\n");
}
