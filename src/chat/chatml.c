/* ChatML as SmolLM2's template writes it, and Llama 3's format: every turn is a header with the role, the text, an end.
 * Roles are written as they are, as both templates do; but where tools are offered or were called, results are turns of
 * the user (chat/tool_prompt.c). */
#include "chat/chat_prompt.h"

static const char default_system[] = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/* How a format writes turns. */
struct turns {
    const char *begin, *after_role, *end;
    bool strips; /* Python's str.strip of every text */
};
static const struct turns chatml_turns = {"<|im_start|>", "\n", "<|im_end|>\n", false};
static const struct turns llama3_turns = {"<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", true};

static void begin_turn(struct chat_prompt *out, const struct turns *turns, struct smollm_text role)
{
    prompt_append_format(out, turns->begin);
    prompt_append_text(out, role);
    prompt_append_format(out, turns->after_role);
}

static void append_turns(const struct smollm_conversation *conversation, const struct chat_options *options,
                         const struct turns *turns, const char *system, struct chat_prompt *out)
{
    const bool has_tools = conversation->tool_count > 0, has_calls = conversation_has_calls(conversation);
    const bool has_system = conversation->message_count > 0 && text_is(conversation->messages[0].role, "system");
    if (!has_system && conversation->message_count > 0 && (system || has_tools)) {
        begin_turn(out, turns, text_of("system"));
        prompt_append_format(out, system ? system : "");
        prompt_append_format(out, system && has_tools ? "\n\n" : "");
        if (has_tools)
            prompt_append_generic_tools(out, conversation);
        prompt_append_format(out, turns->end);
    }
    for (size_t i = 0; i < conversation->message_count; i++) {
        const struct smollm_message *message = &conversation->messages[i];
        if (has_calls && text_is(message->role, "tool")) {
            begin_turn(out, turns, text_of("user"));
            i = prompt_append_tool_results(out, conversation, i);
            prompt_append_format(out, turns->end);
            continue;
        }
        begin_turn(out, turns, message->role);
        prompt_append_text(out, turns->strips ? python_strip(message->content) : message->content);
        if (is_continued(conversation, i))
            return;
        if (i == 0 && has_system && has_tools) {
            prompt_append_format(out, message->content.size > 0 ? "\n\n" : "");
            prompt_append_generic_tools(out, conversation);
        }
        if (options->keep_all)
            prompt_append_tool_calls(out, message);
        prompt_append_format(out, turns->end);
    }
    if (!options->no_generation_prompt)
        begin_turn(out, turns, text_of("assistant"));
}

int chatml_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                  struct chat_prompt *out, struct smollm_error *error)
{
    append_turns(conversation, options, &chatml_turns, default_system, out);
    return 0;
}

int chatml_plain_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                        struct chat_prompt *out, struct smollm_error *error)
{
    append_turns(conversation, options, &chatml_turns, NULL, out);
    return 0;
}

int llama3_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                  struct chat_prompt *out, struct smollm_error *error)
{
    if (conversation->message_count > 0)
        prompt_append_format(out, "<|begin_of_text|>");
    append_turns(conversation, options, &llama3_turns, NULL, out);
    return 0;
}
