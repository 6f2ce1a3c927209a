/* Tools in prompts: how calls and results of earlier turns are written, and tools for formats whose template has none.
 *
 * The generic prompt is the one that Hermes and Qwen 2.5 were trained with; llama-server offers such a prompt too. */
#include "chat/chat_prompt.h"

void prompt_append_tool_calls(struct chat_prompt *out, const struct smollm_message *message)
{
    for (size_t i = 0; i < message->tool_call_count; i++) {
        if (i > 0 || message->content.size > 0)
            prompt_append_format(out, "\n");
        prompt_append_format(out, "<tool_call>\n{\"name\": ");
        prompt_append_json_string(out, message->tool_calls[i].name);
        prompt_append_format(out, ", \"arguments\": ");
        if (message->tool_calls[i].arguments.size > 0)
            prompt_append_text(out, message->tool_calls[i].arguments);
        else
            prompt_append_format(out, "{}");
        prompt_append_format(out, "}\n</tool_call>");
    }
}

bool conversation_has_calls(const struct smollm_conversation *conversation)
{
    for (size_t i = 0; i < conversation->message_count; i++)
        if (conversation->messages[i].tool_call_count > 0)
            return true;
    return conversation->tool_count > 0;
}

void prompt_append_generic_tools(struct chat_prompt *out, const struct smollm_conversation *conversation)
{
    prompt_append_format(out, "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
                              "You are provided with function signatures within <tools></tools> XML tags:\n<tools>");
    for (size_t i = 0; i < conversation->tool_count; i++) {
        prompt_append_format(out, "\n{\"type\": \"function\", \"function\": ");
        prompt_append_text(out, conversation->tools[i]);
        prompt_append_format(out, "}");
    }
    prompt_append_format(out,
                         "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
                         "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
                         "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>");
}

static void append_result(struct chat_prompt *out, struct smollm_text content)
{
    prompt_append_format(out, "<tool_response>\n");
    prompt_append_text(out, content);
    prompt_append_format(out, "\n</tool_response>");
}

size_t prompt_append_tool_results(struct chat_prompt *out, const struct smollm_conversation *conversation, size_t i)
{
    for (;; i++) {
        append_result(out, conversation->messages[i].content);
        if (i + 1 == conversation->message_count || !text_is(conversation->messages[i + 1].role, "tool"))
            return i;
        prompt_append_format(out, "\n");
    }
}
