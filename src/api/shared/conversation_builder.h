/* Builds a conversation message by message, for protocols whose messages are not OpenAI's. Everything is in an arena or
 * borrowed from the JSON of the request. */
#ifndef API_CONVERSATION_BUILDER_H
#define API_CONVERSATION_BUILDER_H

#include "api/core/generation_request.h"

enum { MESSAGES_MAX = 16384, TOOLS_MAX = 512 };

struct conversation_builder {
    struct arena *arena;
    struct api_error *error;
    struct smollm_message *messages;
    size_t count, room;
    struct smollm_text *tools;
    size_t tool_count, tool_room;
};

/* A new message at the end, with a role of smollm_message; its content is empty. NULL: refused. */
struct smollm_message *conversation_add(struct conversation_builder *builder, const char *role);
/* A new call at the end of an assistant's message. */
int conversation_add_call(struct conversation_builder *builder, struct smollm_message *message,
                          struct smollm_tool_call call);
/* Appends a piece to a text, after a separator unless the text is empty. */
int conversation_append(struct conversation_builder *builder, struct smollm_text *text, const char *separator,
                        struct smollm_text piece);
/* Offers a tool. parameters NULL: an object of any kind. */
int conversation_add_tool(struct conversation_builder *builder, struct smollm_text name, struct smollm_text description,
                          const json_t *parameters);
/* What has been built. An empty conversation becomes one empty message of the user. */
int conversation_finish(struct conversation_builder *builder, struct smollm_conversation *conversation);
/* Refuses with 400 a choice (SMOLLM_TOOL_NAMED) that names none of the tools. */
int conversation_check_choice(const struct smollm_conversation *conversation, struct api_error *error);

/* A JSON value as text in an arena. */
int json_dump_to_arena(const json_t *value, struct arena *arena, struct smollm_text *text, struct api_error *error);

/* The name of a place in the request: "messages[3].content". */
struct json_place {
    char text[96];
};
struct json_place json_place(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
