/* smollm_tokenize and its relatives: text, conversations and tokens. */
#include "base/cancellation.h"
#include "base/error.h"
#include "library/handles.h"
#include "library/sized.h"

#include <stdlib.h>

/* Whether a text of so many bytes may have fewer than `context` tokens. */
static int check_size(const struct smollm_model *model, size_t bytes, uint32_t context, struct smollm_error *error)
{
    const size_t longest = tokenizer_longest_token(model->tokenizer), tokens = longest > 0 ? bytes / longest : 0;
    RETURN_ERROR_IF(tokens >= context, error, SMOLLM_ECONTEXT,
                    "prompt is too long: %zu tokens > %u maximum, at the least. This model's maximum context length is "
                    "%u tokens; please reduce the length of the messages.",
                    tokens, context, context);
    return 0;
}

static int tokenize_text(const struct smollm_model *model, struct smollm_text text,
                         const struct smollm_tokenize_options *given, struct token_buffer *ids,
                         struct smollm_error *error)
{
    struct smollm_tokenize_options copy = SMOLLM_TOKENIZE_OPTIONS_INIT;
    const struct smollm_tokenize_options *options = &copy;
    if (given) {
        int status = sized_read(&copy, sizeof copy, given, given->size, "smollm_tokenize_options", error);
        if (status < 0)
            return status;
    }
    if (options->add_special && tokenizer_adds_bos(model->tokenizer)) {
        int status = token_buffer_append(ids, tokenizer_bos(model->tokenizer));
        RETURN_ERROR_IF(status < 0, error, status, "out of memory for tokens");
    }
    return tokenizer_encode_text(model->tokenizer, text, options->parse_special, ids, error);
}

int smollm_tokenize(const struct smollm_model *model, struct smollm_text text,
                    const struct smollm_tokenize_options *options, int32_t **tokens, size_t *count,
                    struct smollm_error *error)
{
    struct token_buffer ids = {0};
    *tokens = NULL;
    *count = 0;
    int status = tokenize_text(model, text, options, &ids, error);
    if (status < 0) {
        token_buffer_free(&ids);
        return status;
    }
    *tokens = ids.data;
    *count = ids.count;
    return 0;
}

int smollm_detokenize(const struct smollm_model *model, const int32_t *tokens, size_t count, struct smollm_text *text,
                      struct smollm_error *error)
{
    struct buffer out = {0};
    *text = (struct smollm_text){0};
    buffer_reserve(&out, count * 4);
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || (size_t)tokens[i] >= tokenizer_token_count(model->tokenizer)) {
            buffer_free(&out);
            return error_set(error, SMOLLM_EINVAL, "token %d is not in the vocabulary of %zu", tokens[i],
                             tokenizer_token_count(model->tokenizer));
        }
        buffer_append_text(&out, tokenizer_token_text(model->tokenizer, tokens[i]));
    }
    if (out.failed) {
        buffer_free(&out);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for %zu tokens", count);
    }
    *text = buffer_text(&out);
    return 0;
}

static int render(const struct smollm_model *model, const struct smollm_conversation *given, struct chat_prompt *prompt,
                  struct smollm_error *error)
{
    struct smollm_conversation conversation;
    int status = sized_read(&conversation, sizeof conversation, given, given->size, "smollm_conversation", error);
    if (status < 0)
        return status;
    if (!model->chat_format) {
        if (error)
            *error = model->chat_format_error;
        return model->chat_format_error.code;
    }
    static const struct chat_options options = {.keep_all = true};
    return chat_render(model->chat_format, &conversation, &options, prompt, error);
}

int smollm_apply_template(const struct smollm_model *model, const struct smollm_conversation *conversation,
                          struct smollm_text *text, struct smollm_error *error)
{
    struct chat_prompt prompt = {0};
    *text = (struct smollm_text){0};
    int status = render(model, conversation, &prompt, error);
    if (status == 0) {
        *text = buffer_text(&prompt.text);
        prompt.text = (struct buffer){0};
    }
    chat_prompt_free(&prompt);
    return status;
}

static int tokenize_conversation(const struct smollm_model *model, const struct smollm_conversation *conversation,
                                 uint32_t context, struct prompt_tokens *out, struct smollm_error *error)
{
    struct chat_prompt prompt = {0};
    int status = render(model, conversation, &prompt, error);
    if (status == 0)
        status = check_size(model, prompt.text.size, context, error);
    /* chat/ and tokenizer/ do not include each other; their spans are the same two numbers. */
    struct tokenizer_span *spans = NULL;
    if (status == 0) {
        spans = calloc(prompt.span_count + 1, sizeof *spans);
        if (!spans)
            status = error_set(error, SMOLLM_ENOMEM, "out of memory for a conversation");
    }
    for (size_t i = 0; status == 0 && i < prompt.span_count; i++)
        spans[i] = (struct tokenizer_span){prompt.spans[i].offset, prompt.spans[i].size};
    /* Llama 3's format writes its begin-of-text itself. */
    if (status == 0)
        status =
            tokenizer_encode(model->tokenizer, buffer_text(&prompt.text), spans, prompt.span_count, &out->ids, error);
    out->is_chat = true;
    out->offers_tools = conversation->tool_count > 0;
    out->may_think = prompt.thinking;
    out->starts_in_thinking = prompt.starts_in_thinking;
    free(spans);
    chat_prompt_free(&prompt);
    return status;
}

int smollm_render(const struct smollm_model *model, const struct smollm_conversation *conversation, int32_t **tokens,
                  size_t *count, struct smollm_error *error)
{
    struct prompt_tokens prompt = {0};
    const int status = tokenize_conversation(model, conversation, UINT32_MAX, &prompt, error);
    *tokens = status == 0 ? prompt.ids.data : NULL;
    *count = status == 0 ? prompt.ids.count : 0;
    if (status < 0)
        token_buffer_free(&prompt.ids);
    return status;
}

int prompt_tokenize(const struct smollm_model *model, const struct smollm_request_options *options, uint32_t context,
                    struct prompt_tokens *prompt, struct smollm_error *error)
{
    *prompt = (struct prompt_tokens){0};
    if (options->conversation)
        return tokenize_conversation(model, options->conversation, context, prompt, error);
    if (!options->tokens && check_size(model, options->prompt.size, context, error) < 0)
        return SMOLLM_ECONTEXT;
    if (!options->tokens)
        return tokenize_text(model, options->prompt, options->prompt_options, &prompt->ids, error);
    for (size_t i = 0; i < options->token_count; i++) {
        int status = token_buffer_append(&prompt->ids, options->tokens[i]);
        RETURN_ERROR_IF(status < 0, error, status, "out of memory for %zu tokens", options->token_count);
    }
    return 0;
}

void smollm_set_cancellation(bool (*is_canceled)(void *user), void *user)
{
    cancellation_set(is_canceled, user);
}
