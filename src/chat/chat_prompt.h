/* Writing a prompt: used by the formats, one file each. */
#ifndef CHAT_CHAT_PROMPT_H
#define CHAT_CHAT_PROMPT_H

#include "chat/chat_format.h"

struct chat_format {
    const char *name;
    bool has_thinking;
    bool has_tools;
    enum chat_calls calls;
    int (*render)(const struct smollm_conversation *conversation, const struct chat_options *options,
                  struct chat_prompt *out, struct smollm_error *error);
};

int smollm3_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                   struct chat_prompt *out, struct smollm_error *error);
int chatml_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                  struct chat_prompt *out, struct smollm_error *error);
/* ChatML without a default system message. */
int chatml_plain_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                        struct chat_prompt *out, struct smollm_error *error);
int llama3_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                  struct chat_prompt *out, struct smollm_error *error);

/* Llama 3.1's and 3.2's, which differ in the date when none is given. */
int llama31_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                   struct chat_prompt *out, struct smollm_error *error);
int llama32_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                   struct chat_prompt *out, struct smollm_error *error);

/* Text of the format, where special tokens may be recognized. */
void prompt_append_format(struct chat_prompt *prompt, const char *string);
/* Text of the conversation, where none is. */
void prompt_append_text(struct chat_prompt *prompt, struct smollm_text text);
/* date, or today's: "23 November 2026", or with the month's first three letters. */
void prompt_append_date(struct chat_prompt *prompt, const char *date, bool is_short);

/* Python's str.isspace, str.strip and str.rstrip, and what is left of text without leading line breaks. */
bool python_is_space(uint32_t code_point);
struct smollm_text python_strip(struct smollm_text text);
struct smollm_text python_rstrip(struct smollm_text text);
struct smollm_text strip_leading_newlines(struct smollm_text text);
/* Replaces every occurrence of what by nothing, from the left, in place. */
void buffer_remove_all(struct buffer *buffer, const char *what);

/* ---- Tools (tool_prompt.c) ---- */

/* The calls of an assistant's turn, as SmolLM3 and the generic prompt write them. */
void prompt_append_tool_calls(struct chat_prompt *prompt, const struct smollm_message *message);
/* The tools of a conversation, for formats whose template has none. */
void prompt_append_generic_tools(struct chat_prompt *prompt, const struct smollm_conversation *conversation);
/* Those of message i and of the results behind it, as one turn has them; returns the last one's index. */
size_t prompt_append_tool_results(struct chat_prompt *prompt, const struct smollm_conversation *conversation, size_t i);
/* Whether tools are offered or were called. */
bool conversation_has_calls(const struct smollm_conversation *conversation);

/* JSON string with quotes, as Python's json.dumps(ensure_ascii=False) writes it. */
void prompt_append_json_string(struct chat_prompt *prompt, struct smollm_text text);

/* Whether message i is the one that continue_last speaks of. */
static inline bool is_continued(const struct smollm_conversation *conversation, size_t i)
{
    return conversation->continue_last && i + 1 == conversation->message_count;
}

#endif
