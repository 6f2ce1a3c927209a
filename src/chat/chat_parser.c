#include "chat/chat_parser.h"

#include "base/utf8.h"
#include "chat/chat_prompt.h"
#include "chat/json_text.h"

#include <string.h>

struct output {
    chat_sink *sink;
    void *user;
};

static char const think_open[] = "<think>", think_close[] = "</think>";
static char const call_open[] = "<tool_call>", call_close[] = "</tool_call>";
/* Stands before some bare calls. */
static char const python_tag[] = "<|python_tag|>";

void chat_parser_init(struct chat_parser *p, const struct chat_format *format, bool tools, bool starts_in_thinking)
{
    memset(p, 0, offsetof(struct chat_parser, held));
    p->thinks = format->has_thinking;
    p->calls = format->has_tools && tools;
    p->bare = p->calls && format->calls == CHAT_CALLS_BARE;
    p->state = p->thinks && starts_in_thinking ? CHAT_STATE_THINKING : CHAT_STATE_START;
}

/* Reports text in the part of the output that the parser is in; the first of an answer ends its start. */
static void report_piece(struct chat_parser *p, const char *data, size_t size, struct output out)
{
    if (p->state != CHAT_STATE_THINKING)
        p->state = CHAT_STATE_TEXT;
    struct chat_event event = {.type = p->state == CHAT_STATE_THINKING ? CHAT_EVENT_THINKING : CHAT_EVENT_TEXT,
                               .text = {data, size}};
    if (size > 0)
        out.sink(out.user, &event);
    p->drops = p->after_call = false;
}

static void report_newlines(struct chat_parser *p, struct output out)
{
    static char const newlines[] = "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n";
    while (p->newlines > 0) {
        size_t size = p->newlines < sizeof newlines - 1 ? p->newlines : sizeof newlines - 1;
        report_piece(p, newlines, size, out);
        p->newlines -= size;
    }
}

static void report_text(struct chat_parser *p, const char *data, size_t size, struct output out)
{
    report_newlines(p, out);
    report_piece(p, data, size, out);
}

/* The bytes held back turned out not to be a marker. */
static void report_marker(struct chat_parser *p, struct output out)
{
    size_t size = p->matched;
    p->matched = 0;
    if (size > 0)
        report_text(p, p->marker, size, out);
}

/* ---- Tool calls ---- */

static void call_start(struct chat_parser *p)
{
    p->state = CHAT_STATE_CALL;
    p->drops = false;
    p->scan = (struct json_scan){0};
    p->key = CHAT_KEY_OTHER;
    p->begun = p->in_arguments = false;
    p->key_start = p->value_start = p->arguments_start = p->arguments_end = p->name_size = 0;
    p->held_size = p->bare ? 0 : sizeof call_open - 1;
    memcpy(p->held, call_open, p->held_size);
}

static void report_call(struct chat_parser *p, enum chat_event_type type, const char *data, size_t size, bool complete,
                        struct output out)
{
    struct chat_event event = {.type = type, .text = {data, size}, .index = p->call_index, .complete = complete};
    out.sink(out.user, &event);
}

static void call_begin(struct chat_parser *p, struct output out)
{
    p->newlines = 0;
    p->begun = true;
    report_call(p, CHAT_EVENT_TOOL_BEGIN, p->name, p->name_size, false, out);
}

static void call_end(struct chat_parser *p, bool complete, struct output out)
{
    report_call(p, CHAT_EVENT_TOOL_END, NULL, 0, complete, out);
    p->call_index++;
    p->matched = 0;
    p->after_call = complete;
    p->state = complete ? CHAT_STATE_CALL_END : CHAT_STATE_TEXT;
}

/* The bytes are not a call, or no longer one. */
static void call_fail(struct chat_parser *p, struct output out)
{
    if (p->begun)
        call_end(p, false, out);
    else
        report_text(p, p->held, p->held_size, out);
}

/* Decodes the text between the quotes of a well-formed JSON string into the name of a call. False when the name is
 * empty, too long, or not Unicode: it has a surrogate without its partner. */
static bool decode_name(struct chat_parser *p, const char *s, size_t size)
{
    p->name_size = 0;
    for (size_t i = 0; i < size;) {
        char out[4] = {s[i]};
        size_t length = 1;
        if (s[i] == '\\') {
            const struct json_escape escape = json_escape_read(s + i, size - i);
            if (escape.problem || (escape.code_point >= 0xd800 && escape.code_point < 0xe000))
                return false;
            length = utf8_encode(escape.code_point, out);
            i += escape.size;
        } else {
            i++;
        }
        if (length > sizeof p->name - p->name_size)
            return false;
        memcpy(p->name + p->name_size, out, length);
        p->name_size += length;
    }
    return p->name_size > 0;
}

static enum chat_call_key key_of(const struct chat_parser *p, struct smollm_text key)
{
    if (text_is(key, "name"))
        return CHAT_KEY_NAME;
    return text_is(key, "arguments") || (p->bare && text_is(key, "parameters")) ? CHAT_KEY_ARGUMENTS : CHAT_KEY_OTHER;
}

/* Handles a byte, which the scanner has just taken, of a call that has not begun; `at` is its place in held. False when
 * this cannot become a call. */
static bool call_look(struct chat_parser *p, enum json_scan_state before, unsigned depth_before, char c, size_t at,
                      struct output out)
{
    enum json_scan_state now = p->scan.state;
    if (before == JSON_SCAN_VALUE && depth_before == 0)
        return now == JSON_SCAN_VALUE || c == '{';
    if (depth_before == 1 && now == JSON_SCAN_STRING && p->scan.string_is_key &&
        (before == JSON_SCAN_FIRST || before == JSON_SCAN_KEY))
        p->key_start = at + 1;
    if (depth_before == 1 && before == JSON_SCAN_STRING && now == JSON_SCAN_COLON) {
        const struct smollm_text key = {p->held + p->key_start, at - p->key_start};
        p->key = key_of(p, key);
        /* Other JSON is an answer, and need not wait for its end. */
        if (p->bare && p->key == CHAT_KEY_OTHER && !text_is(key, "type"))
            return false;
    }
    if (depth_before == 1 && before == JSON_SCAN_VALUE && now != JSON_SCAN_VALUE) {
        p->value_start = at;
        if (p->key == CHAT_KEY_NAME)
            return c == '"';
        if (p->key == CHAT_KEY_ARGUMENTS) {
            p->arguments_start = at;
            p->arguments_end = 0;
            if (c == '{' && p->name_size > 0) {
                call_begin(p, out);
                p->in_arguments = true;
            }
            return c == '{';
        }
    }
    if (p->scan.depth == 1 && now == JSON_SCAN_NEXT && p->key == CHAT_KEY_ARGUMENTS && depth_before == 2)
        p->arguments_end = at + 1;
    if (depth_before == 1 && before == JSON_SCAN_STRING && now == JSON_SCAN_NEXT && p->key == CHAT_KEY_NAME) {
        if (!decode_name(p, p->held + p->value_start + 1, at - p->value_start - 1))
            return false;
        if (p->arguments_end > 0) {
            call_begin(p, out);
            report_call(p, CHAT_EVENT_TOOL_ARGUMENTS, p->held + p->arguments_start,
                        p->arguments_end - p->arguments_start, false, out);
        }
    }
    if (now == JSON_SCAN_DONE) {
        if (p->name_size == 0 || p->bare)
            return false;
        call_begin(p, out);
        report_call(p, CHAT_EVENT_TOOL_ARGUMENTS, "{}", 2, false, out);
    }
    return true;
}

/* Reads bytes of a call; returns how many were taken. The bytes that show that it is not a call are left to be read as
 * text. */
static size_t feed_call(struct chat_parser *p, const char *data, size_t size, struct output out)
{
    size_t piece = 0; /* where the arguments not yet reported begin */
    for (size_t i = 0; i < size; i++) {
        enum json_scan_state before = p->scan.state;
        unsigned depth_before = p->scan.depth;
        bool was_in_arguments = p->in_arguments;
        json_scan_byte(&p->scan, (unsigned char)data[i]);
        bool fine = p->scan.state != JSON_SCAN_BROKEN;
        if (fine && !p->begun) {
            fine = p->held_size < sizeof p->held;
            if (fine) {
                p->held[p->held_size] = data[i];
                fine = call_look(p, before, depth_before, data[i], p->held_size, out);
                p->held_size += fine;
            }
        }
        if (!was_in_arguments && p->in_arguments)
            piece = i;
        if (!fine) {
            if (p->in_arguments && i > piece)
                report_call(p, CHAT_EVENT_TOOL_ARGUMENTS, data + piece, i - piece, false, out);
            call_fail(p, out);
            return i;
        }
        if (p->in_arguments && was_in_arguments && p->scan.depth == 1 && p->scan.state == JSON_SCAN_NEXT) {
            report_call(p, CHAT_EVENT_TOOL_ARGUMENTS, data + piece, i + 1 - piece, false, out);
            p->in_arguments = false;
        }
        if (p->scan.state == JSON_SCAN_DONE) {
            call_end(p, true, out);
            return i + 1;
        }
    }
    if (p->in_arguments)
        report_call(p, CHAT_EVENT_TOOL_ARGUMENTS, data + piece, size - piece, false, out);
    return size;
}

/* ---- Markers ---- */

/* The markers that count where the parser is. */
static size_t markers_of(const struct chat_parser *p, const char *markers[2])
{
    size_t count = 0;
    if (p->state == CHAT_STATE_THINKING)
        markers[count++] = think_close;
    if (p->state == CHAT_STATE_START && p->thinks)
        markers[count++] = think_open;
    if (p->state == CHAT_STATE_CALL_END && !p->bare)
        markers[count++] = call_close;
    if (p->bare && p->state == CHAT_STATE_START)
        markers[count++] = python_tag;
    if (p->calls && !p->bare && p->state != CHAT_STATE_THINKING)
        markers[count++] = call_open;
    return count;
}

static void marker_found(struct chat_parser *p, const char *marker)
{
    p->matched = 0;
    if (marker == call_open) {
        call_start(p);
        return;
    }
    if (marker == python_tag)
        return;
    if (marker == call_close) {
        p->state = CHAT_STATE_TEXT;
        return;
    }
    p->state = marker == think_open ? CHAT_STATE_THINKING : CHAT_STATE_TEXT;
    p->newlines = 0;
    p->drops = true;
}

/* Takes a byte that begins or continues a marker; false when it does neither, and the bytes so far were not a marker.
 */
static bool feed_marker(struct chat_parser *p, char c, struct output out)
{
    const char *markers[2];
    size_t count = markers_of(p, markers);
    p->marker[p->matched] = c;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(markers[i], p->marker, p->matched + 1) != 0)
            continue;
        p->matched++;
        if (markers[i][p->matched] == '\0')
            marker_found(p, markers[i]);
        return true;
    }
    report_marker(p, out);
    return false;
}

/* Reads text outside of calls; returns how many bytes were taken. */
static size_t feed_text(struct chat_parser *p, const char *data, size_t size, struct output out)
{
    const char *markers[2];
    bool any = markers_of(p, markers) > 0;
    if (p->matched > 0)
        return feed_marker(p, data[0], out) ? 1 : 0;
    if (any && data[0] == '<' && feed_marker(p, data[0], out))
        return 1;
    if (p->state == CHAT_STATE_CALL_END && memchr(" \t\r\n", data[0], 4))
        return 1;
    if (p->bare && data[0] == '{' && (p->state == CHAT_STATE_START || p->state == CHAT_STATE_CALL_END)) {
        call_start(p);
        return 0;
    }
    if ((any || p->drops) && data[0] == '\n') {
        if (p->newlines == CHAT_PARSER_HOLD)
            report_newlines(p, out);
        p->newlines += !p->drops;
        return 1;
    }
    size_t end = 1;
    if (any)
        while (end < size && data[end] != '<' && data[end] != '\n')
            end++;
    else
        end = size;
    report_text(p, data, end, out);
    return end;
}

bool chat_parser_is_calling(const struct chat_parser *p)
{
    return p->state == CHAT_STATE_CALL && !p->begun && (!p->bare || p->key == CHAT_KEY_NAME);
}

void chat_parser_feed(struct chat_parser *p, const char *data, size_t size, chat_sink *sink, void *user)
{
    struct output out = {sink, user};
    for (size_t i = 0; i < size;)
        i +=
            p->state == CHAT_STATE_CALL ? feed_call(p, data + i, size - i, out) : feed_text(p, data + i, size - i, out);
}

void chat_parser_finish(struct chat_parser *p, chat_sink *sink, void *user)
{
    struct output out = {sink, user};
    if (p->state == CHAT_STATE_CALL) {
        call_fail(p, out);
        return;
    }
    report_marker(p, out);
    if (!p->after_call)
        report_newlines(p, out);
}
