#include "tokenizer/tokenizer.h"

#include "base/cancellation.h"
#include "base/error.h"
#include "base/memory.h"
#include "tokenizer/merge.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/vocabulary.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Whether the merges turn a token's bytes into that token. Nearly all words of a text are tokens, and nearly all tokens
 * are what their bytes merge into; knowing it for a token saves the merging. Found out when a token is first met and
 * remembered: every thread that finds out writes the same. */
enum token_reach { REACH_UNKNOWN, REACH_WHOLE, REACH_PARTS };

struct tokenizer {
    struct vocabulary vocabulary;
    struct special_tokens special;
    const struct pre_tokenizer *pre;
    _Atomic uint8_t *reach; /* enum token_reach for each token */
    bool *ends;
    bool adds_bos;
    int32_t bos;
    int32_t eos;
    int32_t eot;
};

static int check_id(const char *name, int32_t id, size_t count, struct smollm_error *error)
{
    if (id >= -1 && (id < 0 || (size_t)id < count))
        return 0;
    return error_set(error, SMOLLM_EFORMAT, "tokenizer: the %s token is %d, but the vocabulary has %zu tokens", name,
                     id, count);
}

static void mark_ends(struct tokenizer *t, const struct tokenizer_vocabulary *v)
{
    const int32_t given[] = {v->eos, v->eot, v->eom};
    for (size_t i = 0; i < 3; i++)
        if (given[i] >= 0)
            t->ends[given[i]] = true;
    static const char *const names[] = {"<|im_end|>", "<|end_of_text|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>"};
    for (size_t i = 0; i < t->special.count; i++) {
        int32_t id = t->special.sorted[i];
        if (t->vocabulary.types[id] != TOKEN_CONTROL)
            continue;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (text_is(vocabulary_text(&t->vocabulary, id), names[k]))
                t->ends[id] = true;
    }
}

int tokenizer_create(const struct tokenizer_vocabulary *v, struct tokenizer **tokenizer, struct smollm_error *error)
{
    *tokenizer = NULL;
    const struct pre_tokenizer *pre = pre_tokenizer_find(v->pre);
    if (!pre && v->pre.size == 0)
        return error_set(error, SMOLLM_EUNSUPPORTED,
                         "tokenizer: the file names no pre-tokenizer (tokenizer.ggml.pre); it must be one of %s",
                         pre_tokenizer_names());
    if (!pre)
        return error_set(error, SMOLLM_EUNSUPPORTED,
                         "tokenizer: the pre-tokenizer '%.*s' is not supported; it must be one of %s",
                         (int)(v->pre.size < 64 ? v->pre.size : 64), v->pre.data, pre_tokenizer_names());
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory");
    int result =
        vocabulary_create(&t->vocabulary, v->tokens, v->types, v->token_count, v->merges, v->merge_count, error);
    if (result != 0)
        goto fail;
    const int32_t ids[] = {v->bos, v->eos, v->eot, v->eom, v->padding};
    static const char *const names[] = {"bos", "eos", "eot", "eom", "padding"};
    for (size_t i = 0; i < 5; i++) {
        result = check_id(names[i], ids[i], v->token_count, error);
        if (result != 0)
            goto fail;
    }
    result = special_tokens_create(&t->special, &t->vocabulary, error);
    if (result != 0)
        goto fail;
    t->reach = array_allocate(v->token_count, sizeof *t->reach);
    t->ends = array_allocate(v->token_count, sizeof *t->ends);
    if (!t->reach || !t->ends) {
        result = error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for %zu tokens", v->token_count);
        goto fail;
    }
    t->pre = pre;
    t->bos = v->bos;
    t->eos = v->eos;
    t->eot = v->eot;
    t->adds_bos = v->bos >= 0 && (v->add_bos < 0 ? pre->adds_bos : v->add_bos != 0);
    mark_ends(t, v);
    *tokenizer = t;
    return 0;
fail:
    tokenizer_free(t);
    return result;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    special_tokens_free(&t->special);
    vocabulary_free(&t->vocabulary);
    free(t->reach);
    free(t->ends);
    free(t);
}

int token_buffer_append(struct token_buffer *buffer, int32_t id)
{
    if (buffer->count == buffer->capacity) {
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity * 2;
        size_t size;
        int32_t *data = size_multiply(capacity, sizeof *data, &size) ? realloc(buffer->data, size) : NULL;
        if (!data)
            return SMOLLM_ENOMEM;
        buffer->data = data;
        buffer->capacity = capacity;
    }
    buffer->data[buffer->count++] = id;
    return 0;
}

void token_buffer_free(struct token_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct token_buffer){0};
}

static int append_id(struct token_buffer *out, int32_t id, struct smollm_error *error)
{
    if (token_buffer_append(out, id) != 0)
        return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for %zu tokens", out->count + 1);
    return 0;
}

static int encode_word(const struct tokenizer *t, struct smollm_text word, struct merge_workspace *workspace,
                       struct token_buffer *out, struct smollm_error *error)
{
    const struct vocabulary *v = &t->vocabulary;
    int32_t id = vocabulary_find(v, word.data, word.size);
    if (id >= 0 && v->types[id] != TOKEN_NORMAL)
        id = -1;
    unsigned reach = REACH_PARTS;
    if (id >= 0)
        reach = t->pre->ignores_merges ? REACH_WHOLE : atomic_load_explicit(&t->reach[id], memory_order_relaxed);
    if (reach == REACH_WHOLE)
        return append_id(out, id, error);
    int64_t count = merge_word(v, word, workspace, error);
    if (count < 0)
        return (int)count;
    if (reach == REACH_UNKNOWN)
        atomic_store_explicit(&t->reach[id],
                              count == 1 && workspace->symbols[0].token == id ? REACH_WHOLE : REACH_PARTS,
                              memory_order_relaxed);
    for (int32_t i = count > 0 ? 0 : -1; i >= 0; i = workspace->symbols[i].next) {
        int result = append_id(out, workspace->symbols[i].token, error);
        if (result != 0)
            return result;
    }
    return 0;
}

/* Text without special tokens. */
static int encode_ordinary(const struct tokenizer *t, struct smollm_text text, struct merge_workspace *workspace,
                           struct token_buffer *out, struct smollm_error *error)
{
    struct word_cursor cursor = word_cursor_start(t->pre, text);
    struct cancellation_count work = {0};
    struct smollm_text word;
    while (word_cursor_next(&cursor, &word)) {
        RETURN_ERROR_IF(cancellation_after(&work, word.size), error, SMOLLM_ECANCELED,
                        "the text is not wanted any more");
        int result = encode_word(t, word, workspace, out, error);
        if (result != 0)
            return result;
    }
    return 0;
}

int tokenizer_encode(const struct tokenizer *t, struct smollm_text text, const struct tokenizer_span *spans,
                     size_t span_count, struct token_buffer *out, struct smollm_error *error)
{
    size_t end = 0;
    for (size_t i = 0; i < span_count; i++) {
        if (spans[i].offset < end || spans[i].offset > text.size || spans[i].size > text.size - spans[i].offset)
            return error_set(error, SMOLLM_EINVAL, "tokenizer: span %zu is out of order or outside the text", i);
        end = spans[i].offset + spans[i].size;
    }
    if (text.size == 0)
        return 0;
    size_t count_before = out->count;
    struct merge_workspace workspace = {0};
    size_t done = 0;
    int result = 0;
    for (size_t i = 0; i < span_count && result == 0; i++) {
        struct smollm_text upto = {text.data, spans[i].offset + spans[i].size};
        size_t position = spans[i].offset;
        size_t start;
        int32_t id;
        while (result == 0 && (id = special_tokens_find(&t->special, upto, position, &start)) >= 0) {
            result = encode_ordinary(t, (struct smollm_text){text.data + done, start - done}, &workspace, out, error);
            if (result == 0)
                result = append_id(out, id, error);
            position = done = start + vocabulary_text(&t->vocabulary, id).size;
        }
    }
    if (result == 0 && done < text.size)
        result = encode_ordinary(t, (struct smollm_text){text.data + done, text.size - done}, &workspace, out, error);
    merge_workspace_free(&workspace);
    if (result != 0)
        out->count = count_before;
    return result;
}

int tokenizer_encode_text(const struct tokenizer *t, struct smollm_text text, bool parse_special,
                          struct token_buffer *out, struct smollm_error *error)
{
    struct tokenizer_span all = {0, text.size};
    return tokenizer_encode(t, text, &all, parse_special ? 1 : 0, out, error);
}

struct smollm_text tokenizer_token_text(const struct tokenizer *t, int32_t id)
{
    if (id < 0 || id >= t->vocabulary.token_count)
        return (struct smollm_text){"", 0};
    return vocabulary_text(&t->vocabulary, id);
}

size_t tokenizer_token_count(const struct tokenizer *t)
{
    return (size_t)t->vocabulary.token_count;
}

size_t tokenizer_longest_token(const struct tokenizer *t)
{
    return t->vocabulary.longest;
}

const char *tokenizer_pre(const struct tokenizer *t)
{
    return t->pre->name;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}

bool tokenizer_adds_bos(const struct tokenizer *t)
{
    return t->adds_bos;
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
    if (id < 0 || id >= t->vocabulary.token_count)
        return false;
    return t->vocabulary.types[id] == TOKEN_CONTROL || t->vocabulary.types[id] == TOKEN_USER_DEFINED;
}

bool tokenizer_is_end(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocabulary.token_count && t->ends[id];
}
