#include "library/token_rules.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

bool token_rules_are_given(const struct smollm_request_options *o)
{
    return o->allowed_token_count > 0 || o->bad_word_count > 0 || o->min_tokens > 0;
}

static void clear(uint32_t *mask, int32_t token)
{
    mask[token / 32] &= ~(1u << (uint32_t)token % 32);
}

/* A word at the beginning of a text and within one is cut into other tokens. */
static int add_word(const struct smollm_model *model, struct smollm_text word, bool within, struct token_rules *rules,
                    struct smollm_error *error)
{
    struct buffer text = {0};
    const size_t before = rules->words.count;
    buffer_append_string(&text, within ? " " : "");
    buffer_append_text(&text, word);
    int status = text.failed ? error_set(error, SMOLLM_ENOMEM, "out of memory for a bad word")
                             : tokenizer_encode_text(model->tokenizer, buffer_text(&text), false, &rules->words, error);
    buffer_free(&text);
    if (status == 0 && rules->words.count - before > BAD_WORD_TOKENS_MAX)
        status = error_set(error, SMOLLM_EINVAL, "a bad word has %zu tokens; it can have up to %d",
                           rules->words.count - before, BAD_WORD_TOKENS_MAX);
    if (status == 0 && rules->words.count > before)
        status = token_buffer_append(&rules->ends_of_words, (int32_t)rules->words.count);
    return status;
}

int token_rules_create(const struct smollm_model *model, const struct smollm_request_options *o, const bool *ends,
                       struct token_rules *rules, struct smollm_error *error)
{
    const uint32_t vocabulary = model->weights.config.vocabulary;
    *rules = (struct token_rules){.ends = ends, .min_tokens = o->min_tokens, .vocabulary = vocabulary};
    if (o->allowed_token_count > 0) {
        rules->allowed = array_allocate((vocabulary + 31) / 32, sizeof *rules->allowed);
        RETURN_ERROR_IF(!rules->allowed, error, SMOLLM_ENOMEM, "out of memory for allowed tokens");
    }
    for (size_t i = 0; i < o->allowed_token_count; i++) {
        const int32_t token = o->allowed_tokens[i];
        RETURN_ERROR_IF(token < 0 || (uint32_t)token >= vocabulary, error, SMOLLM_EINVAL,
                        "token %d is not in the vocabulary of %u", token, vocabulary);
        rules->allowed[token / 32] |= 1u << (uint32_t)token % 32;
    }
    for (size_t i = 0; i < o->bad_word_count; i++)
        for (int within = 0; within < 2; within++) {
            const int status = add_word(model, o->bad_words[i], within, rules, error);
            if (status < 0)
                return status;
        }
    return 0;
}

void token_rules_free(struct token_rules *rules)
{
    free(rules->allowed);
    token_buffer_free(&rules->words);
    token_buffer_free(&rules->ends_of_words);
    *rules = (struct token_rules){0};
}

/* Whether the last tokens are all of the word but its end. */
static bool is_about_to_end(const struct token_rules *rules, const int32_t *word, uint32_t count)
{
    if (count - 1 > rules->generated)
        return false;
    for (uint32_t i = 0; i + 1 < count; i++)
        if (rules->recent[(rules->generated - (count - 1) + i) % BAD_WORD_TOKENS_MAX] != word[i])
            return false;
    return true;
}

void token_rules_apply(const struct token_rules *rules, uint32_t *mask)
{
    for (uint32_t i = 0; rules->allowed && i < (rules->vocabulary + 31) / 32; i++)
        mask[i] &= rules->allowed[i];
    for (uint32_t id = 0; rules->ends && rules->generated < rules->min_tokens && id < rules->vocabulary; id++)
        if (rules->ends[id])
            clear(mask, (int32_t)id);
    for (size_t i = 0, begin = 0; i < rules->ends_of_words.count; i++) {
        const size_t end = (size_t)rules->ends_of_words.data[i];
        if (is_about_to_end(rules, rules->words.data + begin, (uint32_t)(end - begin)))
            clear(mask, rules->words.data[end - 1]);
        begin = end;
    }
}

void token_rules_advance(struct token_rules *rules, int32_t token)
{
    rules->recent[rules->generated++ % BAD_WORD_TOKENS_MAX] = token;
}
