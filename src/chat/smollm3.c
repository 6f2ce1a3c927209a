/* SmolLM3's format, with the quirks of its template: the sentences, and the turn of the system that is closed only
 * where tools are listed, are what the model was trained with. */
#include "base/error.h"
#include "chat/chat_prompt.h"
#include "chat/python_repr.h"

static char const thinking_instructions[] =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face. Your role as an assistant involves "
    "thoroughly "
    "exploring questions through a systematic thinking process before providing the final precise and accurate "
    "solutions. "
    "This requires engaging in a comprehensive cycle of analysis, summarizing, exploration, reassessment, reflection, "
    "backtracking, and iteration to develop well-considered thinking process. Please structure your response into two "
    "main "
    "sections: Thought and Solution using the specified format: <think> Thought section </think> Solution section. In "
    "the "
    "Thought section, detail your reasoning process in steps. Each step should include detailed considerations such as "
    "analysing questions, summarizing relevant findings, brainstorming new ideas, verifying the accuracy of the "
    "current "
    "steps, refining any errors, and revisiting previous steps. In the Solution section, based on various attempts, "
    "explorations, and reflections from the Thought section, systematically present the final solution that you deem "
    "correct. The Solution section should be logical, accurate, and concise and detail necessary steps needed to reach "
    "the "
    "conclusion.\n\n";

static char const xml_tools_before[] =
    "You may call one or more functions to assist with the user query.\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n\n<tools>\n";
static char const xml_tools_after[] =
    "</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n"
    "</tool_call>";

static char const python_tools_before[] =
    "When you send a message containing Python code between '<code>' and '</code>' tags, it will be executed in a "
    "stateful "
    "Jupyter notebook environment, and you will then be given the output to continued reasoning in an agentic loop.\n\n"
    "You can use the following tools in your python code like regular functions:\n<tools>\n";
static char const python_tools_after[] = "</tools>\n\nThe state persists between code executions: so variables that "
                                         "you define in one step are still available "
                                         "thereafter.";

static int append_xml_tools(struct chat_prompt *out, const struct smollm_conversation *conversation,
                            struct smollm_error *error)
{
    prompt_append_format(out, xml_tools_before);
    for (size_t i = 0; i < conversation->tool_count; i++) {
        int result = python_repr_object(conversation->tools[i], &out->text, error);
        if (result != 0) {
            error_prefix(error, "tool %zu", i);
            if (result == SMOLLM_EFORMAT && error)
                error->code = SMOLLM_EINVAL;
            return result == SMOLLM_EFORMAT ? SMOLLM_EINVAL : result;
        }
        prompt_append_format(out, "\n");
    }
    prompt_append_format(out, xml_tools_after);
    return 0;
}

/* A Python tool is an object, or any other text, which stands for itself. */
static int append_python_tools(struct chat_prompt *out, const struct smollm_conversation *conversation,
                               struct smollm_error *error)
{
    prompt_append_format(out, python_tools_before);
    for (size_t i = 0; i < conversation->python_tool_count; i++) {
        struct smollm_error reason;
        int result = python_repr_object(conversation->python_tools[i], &out->text, &reason);
        if (result == SMOLLM_EFORMAT)
            prompt_append_text(out, conversation->python_tools[i]);
        else if (result != 0)
            return error_set(error, result, "Python tool %zu: %s", i, reason.message);
        prompt_append_format(out, "\n");
    }
    prompt_append_format(out, python_tools_after);
    return 0;
}

/* System messages at the beginning, which become one. */
static size_t leading_systems(const struct smollm_conversation *conversation)
{
    size_t count = 0;
    while (count < conversation->message_count && text_is(conversation->messages[count].role, "system"))
        count++;
    return count;
}

/* The system turn; *thinking is what its flags make of it. */
static int append_system(struct chat_prompt *out, const struct smollm_conversation *conversation,
                         const struct chat_options *options, bool *thinking, struct buffer *custom,
                         struct smollm_error *error)
{
    bool override = false;
    prompt_append_format(out, "<|im_start|>system\n");
    if (text_is(conversation->messages[0].role, "system")) {
        struct buffer joined = {0};
        for (size_t i = 0; i < (options->keep_all ? leading_systems(conversation) : 1); i++) {
            buffer_append_string(&joined, i > 0 ? "\n\n" : "");
            buffer_append_text(&joined, conversation->messages[i].content);
        }
        custom->failed |= joined.failed;
        const struct smollm_text system = buffer_text(&joined);
        if (text_contains(system, "/no_think"))
            *thinking = false;
        else if (text_contains(system, "/think"))
            *thinking = true;
        override = text_contains(system, "/system_override");
        buffer_append_text(custom, system);
        buffer_remove_all(custom, "/no_think");
        buffer_remove_all(custom, "/think");
        custom->size = python_rstrip(buffer_text(custom)).size;
        buffer_free(&joined);
    }
    if (override) {
        buffer_remove_all(custom, "/system_override");
        prompt_append_text(out, python_rstrip(buffer_text(custom)));
        prompt_append_format(out, "<|im_end|>\n");
        return 0;
    }
    prompt_append_format(out, "## Metadata\n\nKnowledge Cutoff Date: June 2025\nToday Date: ");
    prompt_append_date(out, conversation->date, false);
    prompt_append_format(out, *thinking ? "\nReasoning Mode: /think\n\n" : "\nReasoning Mode: /no_think\n\n");
    prompt_append_format(out, "## Custom Instructions\n\n");
    if (custom->size > 0) {
        prompt_append_text(out, buffer_text(custom));
        prompt_append_format(out, "\n\n");
    } else if (*thinking) {
        prompt_append_format(out, thinking_instructions);
    } else {
        prompt_append_format(out, "You are a helpful AI assistant named SmolLM, trained by Hugging Face.\n\n");
    }
    if (conversation->tool_count == 0 && conversation->python_tool_count == 0)
        return 0;
    prompt_append_format(out, "### Tools\n\n");
    int result = 0;
    if (conversation->tool_count > 0)
        result = append_xml_tools(out, conversation, error);
    if (result == 0 && conversation->python_tool_count > 0)
        result = append_python_tools(out, conversation, error);
    prompt_append_format(out, "\n\n<|im_end|>\n");
    return result;
}

static const char *assistant_start(bool thinking)
{
    return thinking ? "<|im_start|>assistant\n" : "<|im_start|>assistant\n<think>\n\n</think>\n";
}

static int append_message(struct chat_prompt *out, const struct smollm_conversation *conversation, size_t i,
                          const struct chat_options *options, struct smollm_error *error)
{
    const struct smollm_message *message = &conversation->messages[i];
    if (text_is(message->role, "system")) {
        /* The first ones are in the header. The template drops later ones; they are turns here, so that none is lost.
         */
        if (!options->keep_all || i < leading_systems(conversation))
            return 0;
        prompt_append_format(out, "<|im_start|>system\n");
        prompt_append_text(out, message->content);
    } else if (text_is(message->role, "user") || text_is(message->role, "tool")) {
        prompt_append_format(out, "<|im_start|>user\n");
        prompt_append_text(out, message->content);
    } else if (text_is(message->role, "assistant")) {
        prompt_append_format(out, assistant_start(out->thinking));
        prompt_append_text(out, strip_leading_newlines(message->content));
        if (is_continued(conversation, i)) {
            out->starts_in_thinking =
                text_starts_with(message->content, "<think>") && !text_contains(message->content, "</think>");
            return 0;
        }
        if (options->keep_all)
            prompt_append_tool_calls(out, message);
    } else {
        return error_set(error, SMOLLM_EINVAL,
                         "message %zu has the role '%.*s'; smollm3 supports system, user, assistant "
                         "and tool",
                         i, (int)(message->role.size < 64 ? message->role.size : 64),
                         message->role.data ? message->role.data : "");
    }
    prompt_append_format(out, "<|im_end|>\n");
    return 0;
}

int smollm3_render(const struct smollm_conversation *conversation, const struct chat_options *options,
                   struct chat_prompt *out, struct smollm_error *error)
{
    RETURN_ERROR_IF(conversation->message_count == 0, error, SMOLLM_EINVAL, "the conversation has no messages");
    bool thinking = conversation->thinking != SMOLLM_THINKING_OFF;
    struct buffer custom = {0};
    int result = append_system(out, conversation, options, &thinking, &custom, error);
    if (custom.failed)
        out->text.failed = true;
    buffer_free(&custom);
    out->thinking = thinking;
    for (size_t i = 0; result == 0 && i < conversation->message_count; i++) {
        if (conversation->marks_tool_results && text_is(conversation->messages[i].role, "tool")) {
            prompt_append_format(out, "<|im_start|>user\n");
            i = prompt_append_tool_results(out, conversation, i);
            prompt_append_format(out, "<|im_end|>\n");
        } else {
            result = append_message(out, conversation, i, options, error);
        }
    }
    if (result == 0 && !conversation->continue_last && !options->no_generation_prompt)
        prompt_append_format(out, assistant_start(thinking));
    return result;
}
