/* Text to token ids and back: byte-level BPE as GPT-2, Llama 3 and SmolLM use it, with ids equal to those of HF
 * tokenizers.
 *
 * A tokenizer does not change once created and may be used from any number of threads. Bytes that are not UTF-8 are
 * encoded as they are, byte by byte, and come back as they were; HF tokenizers never sees such bytes. Bytes that the
 * vocabulary has no token for are left out, as HF tokenizers does: SmolLM2 lacks some control characters and bytes that
 * only rare characters are made of. */
#ifndef TOKENIZER_TOKENIZER_H
#define TOKENIZER_TOKENIZER_H

#include "base/text.h"
#include "smollm_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a model file says about its tokens; borrowed during tokenizer_create. Ids are -1 where the file has none. */
struct tokenizer_vocabulary {
    const struct smollm_text *tokens; /* as the file spells them, in GPT-2's alphabet */
    const int32_t *types;             /* tokenizer.ggml.token_type; NULL: all ordinary */
    size_t token_count;
    const struct smollm_text *merges; /* "left right", most important first */
    size_t merge_count;
    struct smollm_text pre; /* tokenizer.ggml.pre */
    int add_bos;            /* 0, 1, or -1: the file does not say */
    int32_t bos;
    int32_t eos;
    int32_t eot;
    int32_t eom;
    int32_t padding;
};

struct tokenizer;

/* SMOLLM_EUNSUPPORTED for an unknown pre-tokenizer, SMOLLM_EFORMAT for a vocabulary that contradicts itself (a special
 * id out of range, a merge of what is not a token, no tokens at all). Duplicate tokens are allowed: text becomes the
 * first of them. */
int tokenizer_create(const struct tokenizer_vocabulary *vocabulary, struct tokenizer **tokenizer,
                     struct smollm_error *error);
/* Accepts NULL. */
void tokenizer_free(struct tokenizer *tokenizer);

/* Ids that grow. A zeroed struct is empty. Memory is kept from call to call, so that encoding into the same buffer
 * stops allocating for it. */
struct token_buffer {
    int32_t *data;
    size_t count;
    size_t capacity;
};
/* 0 or SMOLLM_ENOMEM. */
int token_buffer_append(struct token_buffer *buffer, int32_t id);
void token_buffer_free(struct token_buffer *buffer);

/* A run of bytes in a text. */
struct tokenizer_span {
    size_t offset;
    size_t size;
};

/* Appends the tokens of text to out. A special token is recognized only where it lies wholly inside one span (the
 * longest that fits, from the left); everywhere else its spelling is ordinary text. What lies between two recognized
 * special tokens is cut into words as one text, whether inside spans or not: spans end nothing by themselves. Spans are
 * in order, do not overlap and lie inside the text (otherwise SMOLLM_EINVAL). No BOS is added. On failure out->count is
 * as before. Scratch memory is allocated for words that are not tokens, at most 20 bytes for a byte of the longest.
 * SMOLLM_ELIMIT: a word of more than 1 MiB; SMOLLM_ECANCELED (base/cancellation.h). */
int tokenizer_encode(const struct tokenizer *tokenizer, struct smollm_text text, const struct tokenizer_span *spans,
                     size_t span_count, struct token_buffer *out, struct smollm_error *error);
/* The same with special tokens recognized everywhere, or nowhere. */
int tokenizer_encode_text(const struct tokenizer *tokenizer, struct smollm_text text, bool parse_special,
                          struct token_buffer *out, struct smollm_error *error);

/* The bytes of a token, a special one's name; borrowed until the tokenizer is freed. They may begin or end inside a
 * UTF-8 character. Empty for an id out of range. */
struct smollm_text tokenizer_token_text(const struct tokenizer *tokenizer, int32_t id);

size_t tokenizer_token_count(const struct tokenizer *tokenizer);
/* The bytes of the longest token: a text of n bytes has at least n divided by this many tokens. */
size_t tokenizer_longest_token(const struct tokenizer *tokenizer);
const char *tokenizer_pre(const struct tokenizer *tokenizer);
int32_t tokenizer_bos(const struct tokenizer *tokenizer); /* -1 when there is none */
int32_t tokenizer_eos(const struct tokenizer *tokenizer); /* the same */
/* Whether prompts that are not a conversation begin with BOS; false without a BOS token. */
bool tokenizer_adds_bos(const struct tokenizer *tokenizer);
/* Whether this is a control or user-defined token. */
bool tokenizer_is_special(const struct tokenizer *tokenizer, int32_t id);
/* Whether generation ends with this token: the file's eos, eot and eom, and control tokens that are called <|im_end|>,
 * <|end_of_text|>, <|endoftext|>, <|eot_id|> or <|eom_id|>. */
bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t id);

#endif
