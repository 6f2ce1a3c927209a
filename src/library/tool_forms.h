/* The grammar of the calls that an answer may, or must, contain. Internal to library/. */
#ifndef LIBRARY_TOOL_FORMS_H
#define LIBRARY_TOOL_FORMS_H

#include "chat/chat_format.h"
#include "grammar/grammar.h"
#include "smollm.h"

/* What the source borrows beside the conversation. A zeroed struct is empty. */
struct tool_memory {
    struct grammar_tool *tools;
    struct pool *pool; /* the tools' JSON */
};
void tool_memory_free(struct tool_memory *memory);

/* *wanted: source, or NULL when the conversation offers no tools. With SMOLLM_TOOL_AUTO it is the grammar of a call
 * from its marker (a bare one from its first byte) on, otherwise of an answer that calls. otherwise (may be NULL): of
 * answers that need not call. SMOLLM_EINVAL for a tool without a name, or a choice that names none of them. */
int tool_source(const struct smollm_conversation *conversation, enum chat_calls calls, struct tool_memory *memory,
                struct grammar_source *source, const struct grammar_source **wanted, struct smollm_error *error);

#endif
