/* The way back: what a model writes, split into thinking, answer and tool calls as it arrives.
 *
 * The markers are those of SmolLM3: <think> ... </think> at the start of an answer, and
 *
 *     <tool_call>
 *     {"name": ..., "arguments": {...}}
 *     </tool_call>
 *
 * anywhere after it, any number of times. Whether they come as special tokens or spelled out does not matter, nor how
 * the bytes are cut into pieces: the events, pieces of one kind put together, are the same.
 *
 *   - <think> is a marker only before any text of the answer but line breaks; later it is text, as is a </think> that
 *     closes nothing. Inside thinking nothing but </think> counts.
 *   - Line breaks around <think> and around </think> are dropped; thinking of nothing but line breaks gives no event.
 *   - Line breaks around tool calls are dropped: before <tool_call>, and after </tool_call> up to the next call or the
 *     end of the answer.
 *   - A call begins (TOOL_BEGIN) as soon as its name is known and its arguments have begun; these follow in pieces,
 * just as the model wrote them. A call without arguments has "{}". Name and arguments may come in either order, other
 *     members are ignored.
 *   - More than CHAT_PARSER_HOLD line breaks in a row are text, wherever they stand.
 *   - What is not such an object is reported as text, as it stands, with its markers: when it is not JSON or lacks a
 *     name, when the name has more than 128 bytes, when more than CHAT_PARSER_HOLD bytes would have to be held back,
 * when the output ends before the call has begun. Once it has begun, a call that turns out broken or cut short ends
 * with `complete` false, and what follows in it is text.
 *   - Thinking that does not end is thinking.
 *
 * Llama 3.1's calls are bare: an answer that begins with {"name": ..., "parameters": {...}}, perhaps behind
 * <|python_tag|>, which is dropped. A "type" may stand there too, and "arguments" for "parameters". An object with
 * another member, or without one of the two, is an answer in JSON. White space after a call is dropped, and another
 * call may follow.
 *
 * A parser allocates nothing; it is about 9 KiB large. */
#ifndef CHAT_CHAT_PARSER_H
#define CHAT_CHAT_PARSER_H

#include "chat/chat_format.h"
#include "chat/json_scan.h"

#include <stddef.h>
#include <stdint.h>

enum { CHAT_PARSER_HOLD = 8192, CHAT_PARSER_NAME = 128 };

enum chat_event_type {
    CHAT_EVENT_THINKING,       /* text: a piece */
    CHAT_EVENT_TEXT,           /* text: a piece */
    CHAT_EVENT_TOOL_BEGIN,     /* index, text: the name */
    CHAT_EVENT_TOOL_ARGUMENTS, /* index, text: a piece of JSON */
    CHAT_EVENT_TOOL_END        /* index, complete */
};

struct chat_event {
    enum chat_event_type type;
    struct smollm_text text; /* borrowed during the call; never empty for a piece */
    uint32_t index;          /* of the tool call in this answer, from 0 */
    bool complete;
};

typedef void chat_sink(void *user, const struct chat_event *event);

/* What the parser is in. */
enum chat_parser_state { CHAT_STATE_START, CHAT_STATE_THINKING, CHAT_STATE_TEXT, CHAT_STATE_CALL, CHAT_STATE_CALL_END };

struct chat_parser {
    enum chat_parser_state state;
    bool thinks; /* <think> is a marker */
    bool calls;  /* <tool_call> is a marker, or calls are bare */
    bool bare;
    bool drops;      /* line breaks are dropped until something else comes */
    bool after_call; /* nothing but line breaks since </tool_call> */
    size_t newlines; /* held back, up to CHAT_PARSER_HOLD */
    size_t matched;  /* bytes of a marker that the output ends with, held back in marker */
    char marker[16];
    uint32_t call_index;

    /* The current call. held has it from <tool_call> on until it begins; the offsets are in held, 0: none. */
    struct json_scan scan;
    enum chat_call_key { CHAT_KEY_OTHER, CHAT_KEY_NAME, CHAT_KEY_ARGUMENTS } key;
    bool begun;        /* TOOL_BEGIN has been reported */
    bool in_arguments; /* they are being reported */
    size_t key_start;
    size_t value_start;
    size_t arguments_start;
    size_t arguments_end;
    size_t name_size; /* 0: not known yet */
    char name[CHAT_PARSER_NAME];
    size_t held_size;
    char held[CHAT_PARSER_HOLD];
};

/* tools: whether the conversation offers any; otherwise calls are text. starts_in_thinking: the prompt ends inside
 * <think>. A format without thinking or tools has no markers: all output is text, as it is. */
void chat_parser_init(struct chat_parser *parser, const struct chat_format *format, bool tools,
                      bool starts_in_thinking);
/* The next bytes of the output: whole UTF-8 characters, so that the pieces are. Calls sink for what is certain now. */
void chat_parser_feed(struct chat_parser *parser, const char *data, size_t size, chat_sink *sink, void *user);
/* Whether the output is in a call of which no more than its name is known: a bare one once its first key says so. */
bool chat_parser_is_calling(const struct chat_parser *parser);
/* The output has ended: reports what was held back. The parser may then be used no more. */
void chat_parser_finish(struct chat_parser *parser, chat_sink *sink, void *user);

#endif
