/* The structs behind the public handles. Internal to library/. */
#ifndef LIBRARY_HANDLES_H
#define LIBRARY_HANDLES_H

#include "chat/chat_format.h"
#include "engine/engine.h"
#include "model/weights.h"
#include "smollm.h"
#include "tokenizer/tokenizer.h"

struct smollm_model {
    struct weights weights;
    struct tokenizer *tokenizer;
    const struct chat_format *chat_format; /* NULL: none that is supported */
    struct smollm_error chat_format_error; /* why, in that case */
    enum cpu_tier tier;
    bool *end_token; /* [vocabulary] */
    char *name;
    char *path;
    char *template_text; /* or NULL */
    uint64_t file_bytes;
};

struct smollm_engine {
    struct engine *engine;
    const struct smollm_model *model;
    uint32_t batch;                /* tokens of prompts in one pass */
    struct next_turns *next_turns; /* NULL: with no_read_ahead */
    struct form_cache *forms;
};

/* Converts a program's options (NULL: all defaults) to complete ones for the engine; all but the tier are checked. */
int engine_options_resolve(const struct smollm_engine_options *options, const struct model_config *config,
                           uint64_t parameters, struct engine_options *wanted, struct smollm_error *error);

/* The prompt of a request as tokens, and what the parser of the answer needs. */
struct prompt_tokens {
    struct token_buffer ids;
    bool is_chat;
    bool offers_tools;
    bool may_think; /* the answer may begin with <think> */
    bool starts_in_thinking;
};

/* Tokens of the conversation, the text or the ids in options. A text that cannot have fewer than `context` tokens is
 * refused before it is tokenized (SMOLLM_ECONTEXT). The caller frees prompt->ids, on failure too. */
int prompt_tokenize(const struct smollm_model *model, const struct smollm_request_options *options, uint32_t context,
                    struct prompt_tokens *prompt, struct smollm_error *error);

#endif
