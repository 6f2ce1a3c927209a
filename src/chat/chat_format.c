#include "chat/chat_format.h"

#include "base/error.h"
#include "base/hash.h"
#include "chat/chat_prompt.h"

#include <string.h>

static const struct chat_format smollm3 = {"smollm3", true, true, CHAT_CALLS_TAGGED, smollm3_render};
static const struct chat_format chatml = {"chatml", false, true, CHAT_CALLS_TAGGED, chatml_render};
static const struct chat_format chatml_plain = {"chatml", false, true, CHAT_CALLS_TAGGED, chatml_plain_render};
static const struct chat_format llama3 = {"llama3", false, true, CHAT_CALLS_TAGGED, llama3_render};
static const struct chat_format llama31 = {"llama3.1", false, true, CHAT_CALLS_BARE, llama31_render};
static const struct chat_format llama32 = {"llama3.2", false, true, CHAT_CALLS_BARE, llama32_render};

/* Templates that are recognized by their exact bytes. */
static const struct {
    const struct chat_format *format;
    size_t size;
    uint64_t hash;
} known[] = {
    {&smollm3, 5446, 0xee0698126ad51c24ULL},
    {&chatml, 368, 0x7fcebbe67a44d2e6ULL},
    {&llama3, 389, 0x349993c2e5ac4e70ULL},
};

/* What Llama 3.1's and 3.2's templates have in common. */
#define LLAMA31_PARTS                                                                                                  \
    "{{-bos_token}}{%-ifcustom_toolsisdefined%}", "{%-settools_in_user_message=true%}",                                \
        "{%-setsystem_message=messages[0]['content']|trim%}",                                                          \
        "{{-'CuttingKnowledgeDate:December2023\\n'}}{{-'TodayDate:'+date_string+'\\n\\n'}}",                           \
        "{%-setfirst_user_message=messages[0]['content']|trim%}",                                                      \
        "+message['role']+'<|end_header_id|>\\n\\n'+message['content']|trim+'<|eot_id|>'}}",                           \
        "{{-'{'name':''+tool_call.name+'','}}{{-''parameters':'}}{{-tool_call.arguments|tojson}}{{-'}'}}"

/* Templates that are recognized by their parts: versions of one that differ in comments, layout or quotes. All of `has`
 * and none of `lacks` must occur once white space is removed and quotes are single. What a template of the same family
 * does beyond its version here (tools, dates, other roles) shows in `lacks`. */
static const struct {
    const struct chat_format *format;
    const char *has[8];
    const char *lacks[8];
} recognized[] = {
    {&smollm3,
     {"'##Metadata", "KnowledgeCutoffDate:June2025", "strftime_now('%d%B%Y')", "'/system_override'insystem_message",
      "fortoolinxml_tools[:]", "fortoolinpython_tools[:]", "content.lstrip('\\n')"},
     {NULL}},
    {&chatml,
     {"{%formessageinmessages%}{%ifloop.firstandmessages[0]['role']!='system'%}{{'<|im_start|>system\\nYouareahelpfulAI"
      "assistantnamedSmolLM,trainedbyHuggingFace<|im_end|>\\n'}}{%endif%}",
      "{{'<|im_start|>'+message['role']+'\\n'+message['content']+'<|im_end|>'+'\\n'}}{%endfor%}",
      "{%ifadd_generation_prompt%}{{'<|im_start|>assistant\\n'}}{%endif%}"},
     {"tool", "think", "raise_exception", "strftime_now", "trim", "{%-", "-%}"}},
    {&chatml_plain,
     {"{%formessageinmessages%}{{'<|im_start|>'+message['role']+'\\n'+message['content']+'<|im_end|>'+'\\n'}}{%endfor%"
      "}",
      "{%ifadd_generation_prompt%}{{'<|im_start|>assistant\\n'}}{%endif%}"},
     {"tool", "think", "raise_exception", "strftime_now", "trim", "system", "{%-", "-%}"}},
    {&llama3,
     {"{%setcontent='<|start_header_id|>'+message['role']+'<|end_header_id|>\\n\\n'+message['content']|trim+'<|eot_id|>"
      "'%}",
      "{%ifloop.index0==0%}{%setcontent=bos_token+content%}{%endif%}{{content}}{%endfor%}",
      "{{'<|start_header_id|>assistant<|end_header_id|>\\n\\n'}}"},
     {"tool", "raise_exception", "strftime_now", "date_string", "{%-", "-%}"}},
    {&llama31,
     {LLAMA31_PARTS, "{%-setdate_string='26Jul2024'%}{%-endif%}{%-ifnottoolsisdefined%}"},
     {"strftime_now", "image", "think"}},
    {&llama32, {LLAMA31_PARTS, "{%-setdate_string=strftime_now('%d%b%Y')%}"}, {"builtin_tools", "image", "think"}},
};
#undef LLAMA31_PARTS

const struct chat_format *chat_format_find(const char *name)
{
    static const struct chat_format *const formats[] = {&smollm3, &chatml, &llama3, &llama31, &llama32};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(name, formats[i]->name) == 0)
            return formats[i];
    return NULL;
}

const char *chat_format_names(void)
{
    return "smollm3, chatml, llama3, llama3.1, llama3.2";
}

/* Without white space and with one kind of quotes; line breaks inside a string are written as Jinja's escape. */
static void append_compact(struct buffer *out, struct smollm_text text)
{
    bool in_string = false;
    char quote = '\0';
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (in_string ? c == quote : c == '\'' || c == '"') {
            in_string = !in_string;
            quote = c;
        }
        if (c == '\n' && in_string)
            buffer_append_string(out, "\\n");
        else if (!memchr(" \t\r\n", c, 4))
            buffer_append_char(out, c == '"' ? '\'' : c);
    }
}

static bool matches(size_t i, struct smollm_text compact)
{
    for (size_t k = 0; k < 8 && recognized[i].has[k]; k++)
        if (!text_contains(compact, recognized[i].has[k]))
            return false;
    for (size_t k = 0; k < 8 && recognized[i].lacks[k]; k++)
        if (text_contains(compact, recognized[i].lacks[k]))
            return false;
    return true;
}

int chat_format_recognize(struct smollm_text template_text, struct smollm_text architecture,
                          const struct chat_format **format, struct smollm_error *error)
{
    *format = NULL;
    if (template_text.size == 0 && text_is(architecture, "smollm3")) {
        *format = &smollm3;
        return 0;
    }
    if (template_text.size == 0)
        return error_set(error, SMOLLM_ENOTFOUND, "the file has no chat template; set the chat format to one of %s",
                         chat_format_names());
    uint64_t hash = hash_bytes(template_text.data, template_text.size, 0);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].size == template_text.size && known[i].hash == hash) {
            *format = known[i].format;
            return 0;
        }
    }
    struct buffer compact = {0};
    append_compact(&compact, template_text);
    int result = 0;
    if (compact.failed)
        result = error_set(error, SMOLLM_ENOMEM, "no memory for a chat template of %zu bytes", template_text.size);
    for (size_t i = 0; result == 0 && !*format && i < sizeof recognized / sizeof *recognized; i++)
        if (matches(i, buffer_text(&compact)))
            *format = recognized[i].format;
    buffer_free(&compact);
    if (result == 0 && !*format)
        result = error_set(error, SMOLLM_EUNSUPPORTED,
                           "the file's chat template is not supported; set the chat format to one of %s",
                           chat_format_names());
    return result;
}

const char *chat_format_name(const struct chat_format *format)
{
    return format->name;
}

bool chat_format_has_thinking(const struct chat_format *format)
{
    return format->has_thinking;
}

bool chat_format_has_tools(const struct chat_format *format)
{
    return format->has_tools;
}

enum chat_calls chat_format_calls(const struct chat_format *format)
{
    return format->calls;
}

int chat_render(const struct chat_format *format, const struct smollm_conversation *conversation,
                const struct chat_options *options, struct chat_prompt *out, struct smollm_error *error)
{
    static const struct chat_options defaults = {0};
    buffer_clear(&out->text);
    out->text.failed = false;
    out->span_count = 0;
    out->thinking = out->starts_in_thinking = false;
    RETURN_ERROR_IF(format->render != smollm3_render && conversation->python_tool_count > 0, error, SMOLLM_EUNSUPPORTED,
                    "the chat format %s does not support tools in Python", format->name);
    size_t count = conversation->message_count;
    RETURN_ERROR_IF(
        conversation->continue_last && (count == 0 || !text_is(conversation->messages[count - 1].role, "assistant")),
        error, SMOLLM_EINVAL, "only a conversation that ends with a message of the assistant can be continued");
    int result = format->render(conversation, options ? options : &defaults, out, error);
    if (result == 0 && out->text.failed)
        result = error_set(error, SMOLLM_ENOMEM, "no memory for the prompt");
    return result;
}
