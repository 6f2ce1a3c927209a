/* Llama 3.1's format, which 3.2 and 3.3 share: the date in the system turn, tools before the first text of the user, a
 * call as a turn of its own in bare JSON, results as turns of "ipython" in JSON. */
#include "base/error.h"
#include "chat/chat_prompt.h"
#include "chat/python_repr.h"

static char const tools_before[] =
    "Given the following functions, please respond with a JSON for a function call with its proper arguments that best "
    "answers the given prompt.\n\nRespond in the format {\"name\": function name, \"parameters\": dictionary of "
    "argument "
    "name and its value}.Do not use variables.\n\n";

static void begin_turn(struct chat_prompt *out, struct smollm_text role)
{
    prompt_append_format(out, "<|start_header_id|>");
    prompt_append_text(out, role);
    prompt_append_format(out, "<|end_header_id|>\n\n");
}

/* A tool as OpenAI's clients send it, of which a conversation has the inner object. */
static int append_tools(struct chat_prompt *out, const struct smollm_conversation *conversation,
                        struct smollm_error *error)
{
    prompt_append_format(out, tools_before);
    for (size_t i = 0; i < conversation->tool_count; i++) {
        prompt_append_format(out, "{\n    \"type\": \"function\",\n    \"function\": ");
        const int result = python_json_indented(conversation->tools[i], 1, &out->text, error);
        if (result != 0) {
            error_prefix(error, "tool %zu", i);
            if (result == SMOLLM_EFORMAT && error)
                error->code = SMOLLM_EINVAL;
            return result == SMOLLM_EFORMAT ? SMOLLM_EINVAL : result;
        }
        prompt_append_format(out, "\n}\n\n");
    }
    return 0;
}

static int append_call(struct chat_prompt *out, const struct smollm_tool_call *call)
{
    prompt_append_format(out, "{\"name\": \"");
    prompt_append_text(out, call->name);
    prompt_append_format(out, "\", \"parameters\": ");
    struct smollm_error reason;
    const int result = call->arguments.size > 0 ? python_json_object(call->arguments, &out->text, &reason) : 0;
    if (call->arguments.size == 0)
        prompt_append_format(out, "{}");
    else if (result == SMOLLM_EFORMAT || result == SMOLLM_ELIMIT) /* to the template, text is a string */
        prompt_append_json_string(out, call->arguments);
    prompt_append_format(out, "}<|eot_id|>");
    return result == SMOLLM_ENOMEM ? result : 0;
}

/* The template has one call a turn, and nothing beside it. */
static int append_calls(struct chat_prompt *out, const struct smollm_conversation *conversation, size_t i,
                        const struct chat_options *options, struct smollm_error *error)
{
    const struct smollm_message *message = &conversation->messages[i];
    const struct smollm_text text = python_strip(message->content);
    RETURN_ERROR_IF(message->tool_call_count > 1 && !options->keep_all, error, SMOLLM_EINVAL,
                    "message %zu has %zu tool calls; Llama 3.1's format has one in a message", i,
                    message->tool_call_count);
    int result = 0;
    for (size_t k = 0; result == 0 && k < message->tool_call_count; k++) {
        begin_turn(out, text_of("assistant"));
        if (k == 0 && text.size > 0 && options->keep_all) {
            prompt_append_text(out, text);
            prompt_append_format(out, "\n");
        }
        result = append_call(out, &message->tool_calls[k]);
    }
    return result == 0 ? 0 : error_set(error, result, "no memory for the prompt");
}

static int append_message(struct chat_prompt *out, const struct smollm_conversation *conversation, size_t i,
                          const struct chat_options *options, struct smollm_error *error)
{
    const struct smollm_message *message = &conversation->messages[i];
    const bool is_last = is_continued(conversation, i);
    if (message->tool_call_count > 0 && !is_last)
        return append_calls(out, conversation, i, options, error);
    if (text_is(message->role, "tool") || text_is(message->role, "ipython")) {
        begin_turn(out, text_of("ipython"));
        prompt_append_json_string(out, message->content);
    } else {
        begin_turn(out, message->role);
        prompt_append_text(out, python_strip(message->content));
    }
    if (!is_last)
        prompt_append_format(out, "<|eot_id|>");
    return 0;
}

static int render(const struct smollm_conversation *conversation, const struct chat_options *options,
                  const char *default_date, struct chat_prompt *out, struct smollm_error *error)
{
    const size_t count = conversation->message_count;
    const struct smollm_message *messages = conversation->messages;
    RETURN_ERROR_IF(count == 0, error, SMOLLM_EINVAL, "the conversation has no messages");
    const bool has_tools = conversation->tool_count > 0;
    size_t next = text_is(messages[0].role, "system") && !is_continued(conversation, 0) ? 1 : 0;
    prompt_append_format(out, "<|begin_of_text|>");
    begin_turn(out, text_of("system"));
    prompt_append_format(out, has_tools ? "Environment: ipython\n" : "");
    prompt_append_format(out, "Cutting Knowledge Date: December 2023\nToday Date: ");
    prompt_append_date(out, conversation->date ? conversation->date : default_date, true);
    prompt_append_format(out, "\n\n");
    if (next > 0)
        prompt_append_text(out, python_strip(messages[0].content));
    prompt_append_format(out, "<|eot_id|>");
    int result = 0;
    if (has_tools) {
        RETURN_ERROR_IF(next == count, error, SMOLLM_EINVAL,
                        "a conversation with tools needs a message of the user, before which they are written");
        begin_turn(out, text_of("user"));
        result = append_tools(out, conversation, error);
        /* The template takes whatever comes first for the user's text. */
        const bool is_user = text_is(messages[next].role, "user");
        if (is_user || !(options->keep_all || is_continued(conversation, next)))
            prompt_append_text(out, python_strip(messages[next++].content));
        prompt_append_format(out, "<|eot_id|>");
    }
    for (size_t i = next; result == 0 && i < count; i++)
        result = append_message(out, conversation, i, options, error);
    if (result == 0 && !conversation->continue_last && !options->no_generation_prompt)
        begin_turn(out, text_of("assistant"));
    return result;
}

int llama31_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                   struct chat_prompt *out, struct smollm_error *error)
{
    return render(conversation, options, "26 Jul 2024", out, error);
}

int llama32_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                   struct chat_prompt *out, struct smollm_error *error)
{
    return render(conversation, options, NULL, out, error);
}
