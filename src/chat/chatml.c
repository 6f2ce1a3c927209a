/* ChatML as SmolLM2's template writes it, and Llama 3's format: every turn is a header with the role, the text, an end.
 * Roles are written as they are, as both templates do. */
#include "chat/chat_prompt.h"

static void render_turns(const struct smollm_conversation *conversation, const struct chat_options *options,
                         struct chat_prompt *out)
{
    for (size_t i = 0; i < conversation->message_count; i++) {
        const struct smollm_message *message = &conversation->messages[i];
        prompt_append_format(out, "<|im_start|>");
        prompt_append_text(out, message->role);
        prompt_append_format(out, "\n");
        prompt_append_text(out, message->content);
        if (is_continued(conversation, i))
            return;
        prompt_append_format(out, "<|im_end|>\n");
    }
    if (!options->no_generation_prompt)
        prompt_append_format(out, "<|im_start|>assistant\n");
}

int chatml_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                  struct chat_prompt *out, struct smollm_error *error)
{
    if (conversation->message_count > 0 && !text_is(conversation->messages[0].role, "system"))
        prompt_append_format(out, "<|im_start|>system\n"
                                  "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n");
    render_turns(conversation, options, out);
    return 0;
}

int chatml_plain_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                        struct chat_prompt *out, struct smollm_error *error)
{
    render_turns(conversation, options, out);
    return 0;
}

int llama3_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                  struct chat_prompt *out, struct smollm_error *error)
{
    for (size_t i = 0; i < conversation->message_count; i++) {
        const struct smollm_message *message = &conversation->messages[i];
        if (i == 0)
            prompt_append_format(out, "<|begin_of_text|>");
        prompt_append_format(out, "<|start_header_id|>");
        prompt_append_text(out, message->role);
        prompt_append_format(out, "<|end_header_id|>\n\n");
        prompt_append_text(out, python_strip(message->content));
        if (is_continued(conversation, i))
            return 0;
        prompt_append_format(out, "<|eot_id|>");
    }
    if (!options->no_generation_prompt)
        prompt_append_format(out, "<|start_header_id|>assistant<|end_header_id|>\n\n");
    return 0;
}
