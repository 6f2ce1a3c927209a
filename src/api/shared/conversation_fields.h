/* The messages and tools of a conversation as OpenAI has them; llama-server's and vLLM's routes read them too. */
#ifndef API_CONVERSATION_FIELDS_H
#define API_CONVERSATION_FIELDS_H

#include "api/core/generation_request.h"

/* "messages", "tools", "tool_choice", "chat_template_kwargs", "reasoning_effort", "continue_final_message". Texts are
 * borrowed from the JSON or in the arena. */
int request_read_conversation(const struct smollm_model *model, const json_t *json, struct arena *arena,
                              struct smollm_conversation *conversation, struct api_error *error);

/* OpenAI's efforts ("none" to "max"), which only switch thinking on or off; data NULL: nothing is said. */
int request_take_effort(struct smollm_text effort, const char *field, struct smollm_conversation *conversation,
                        struct api_error *error);

#endif
