/* Chat formats: a conversation to the prompt that a model was trained on.
 *
 * Templates in model files are programs in a language of their own; none is run here. Each known format is C code that
 * writes, byte for byte, what Jinja2 makes of the template (tests/chat), and a file's template only chooses one. */
#ifndef CHAT_CHAT_FORMAT_H
#define CHAT_CHAT_FORMAT_H

#include "base/text.h"
#include "smollm.h"

#include <stdbool.h>

struct chat_format;

/* ---- Choosing ---- */

/* "smollm3", "chatml" (SmolLM2's, with its default system message), "llama3", "llama3.1" (3.3's too), "llama3.2"; NULL
 * for other names. */
const struct chat_format *chat_format_find(const char *name);
/* The names in one line, for messages. */
const char *chat_format_names(void);
/* The format of a file: by its template (size 0: none), or smollm3 for a file of that architecture without one.
 * SMOLLM_EUNSUPPORTED for a template that is not known, SMOLLM_ENOTFOUND when there is none; both name the formats. */
int chat_format_recognize(struct smollm_text template_text, struct smollm_text architecture,
                          const struct chat_format **format, struct smollm_error *error);

const char *chat_format_name(const struct chat_format *format);
bool chat_format_has_thinking(const struct chat_format *format);
bool chat_format_has_tools(const struct chat_format *format);
/* How a model writes calls of tools. */
enum chat_calls {
    CHAT_CALLS_TAGGED, /* <tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call>, any number of them, anywhere */
    CHAT_CALLS_BARE    /* {"name": ..., "parameters": {...}}: the whole answer, one call */
};
enum chat_calls chat_format_calls(const struct chat_format *format);

/* ---- Writing ---- */

/* Bytes of a prompt. */
struct chat_span {
    size_t offset;
    size_t size;
};

/* The prompt, and where in it special tokens may be recognized: in what the format itself writes. Whatever comes from
 * the conversation lies outside the spans, so that text which spells a special token stays text. Spans are in order and
 * do not touch. A zeroed struct is empty. */
struct chat_prompt {
    struct buffer text;
    struct chat_span *spans;
    size_t span_count;
    size_t span_capacity;
    /* Thinking was asked for, so that the answer may begin with it. */
    bool thinking;
    /* The prompt ends inside thinking that the answer goes on with. */
    bool starts_in_thinking;
};
void chat_prompt_free(struct chat_prompt *prompt);

/* All zero: as the templates do with add_generation_prompt. */
struct chat_options {
    /* End after the last message instead of opening the assistant's turn. */
    bool no_generation_prompt;
    /* Write what SmolLM3's template leaves out: tool calls of earlier assistant turns as the model wrote them, and
     * system messages after the first (those at the beginning become one, later ones are turns). */
    bool keep_all;
};

/* Writes a conversation. options may be NULL. out is cleared first; the caller frees it with chat_prompt_free, on
 * failure too.
 *
 * With continue_last the prompt ends after the last message's text, which must be an assistant turn (SMOLLM_EINVAL).
 * Refused with SMOLLM_EINVAL: no messages, or a role that the format does not know, where the template fails or would
 * lose the message silently; tools that are not JSON objects. SMOLLM_EUNSUPPORTED: tools for a format without them. */
int chat_render(const struct chat_format *format, const struct smollm_conversation *conversation,
                const struct chat_options *options, struct chat_prompt *out, struct smollm_error *error);

#endif
