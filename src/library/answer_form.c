#include "library/answer_form.h"

#include "base/error.h"
#include "base/memory.h"
#include "library/form_cache.h"
#include "library/request_state.h"
#include "library/sized.h"
#include "library/token_rules.h"
#include "library/tool_forms.h"

#include <stdlib.h>
#include <string.h>

enum { PREDICTED_BYTES = 256, LINE_BREAKS_MAX = 4, MARKERS_MAX = 8 };

static const char think_open[] = "<think>", think_close[] = "</think>";

struct answer_form {
    const struct smollm_model *model;
    const struct chat_parser *parser;
    const struct token_trie *trie;
    struct matcher *matcher; /* of the form; NULL: the answer is free but for its calls */
    struct matcher *call;    /* of a call that the model may make, from its marker on; or NULL */
    uint32_t *mask;          /* [words] of the model's vocabulary */
    bool has_begun;          /* the form, that is: no thinking any more */
    bool may_think;          /* the answer may begin with <think> */
    bool after_thinking;
    bool in_call;                 /* the call follows its grammar */
    bool was_in_call;             /* the call that the parser is in has been seen */
    char first[256];              /* of the call: what came with its marker */
    uint32_t line_breaks;         /* tokens of line breaks between thinking and form */
    int32_t markers[MARKERS_MAX]; /* special tokens of calls */
    uint32_t marker_count;
    const bool *ends; /* of the request; NULL: none ends it */
    bool has_rules;
    struct token_rules rules;
    struct token_buffer guessed;
    /* Thinking: its tokens so far, and those that close it once that is wanted. */
    const struct smollm_request *request;
    uint32_t max_thinking, thought;
    struct token_buffer closing;
    uint32_t closed; /* of these, drawn */
};

static int make_matcher(struct smollm_engine *engine, struct answer_form *f, const struct grammar_source *source,
                        struct matcher **matcher, struct smollm_error *error)
{
    struct grammar *grammar = NULL;
    int status = form_cache_trie(engine->forms, &f->trie, error);
    if (status == 0)
        status = form_cache_get(engine->forms, source, &grammar, error);
    if (status < 0)
        return status;
    *matcher = matcher_create(grammar, f->trie);
    grammar_release(grammar);
    RETURN_ERROR_IF(!*matcher, error, SMOLLM_ENOMEM, "out of memory for a form");
    return 0;
}

/* What the options ask for. */
static int make_matchers(struct smollm_engine *engine, const struct smollm_request_options *options,
                         struct answer_form *f, struct smollm_error *error)
{
    struct tool_memory memory = {0};
    struct grammar_source form, tools;
    const struct grammar_source *calls = NULL;
    struct smollm_conversation conversation = {0};
    int status = options->form ? form_cache_source(options->form, &form, error) : 0;
    if (status == 0 && options->conversation)
        status = sized_read(&conversation, sizeof conversation, options->conversation, options->conversation->size,
                            "smollm_conversation", error);
    if (status == 0)
        status =
            tool_source(&conversation,
                        engine->model->chat_format ? chat_format_calls(engine->model->chat_format) : CHAT_CALLS_TAGGED,
                        &memory, &tools, &calls, error);
    if (status == 0 && calls && tools.after_marker && !options->form) {
        status = make_matcher(engine, f, calls, &f->call, error);
    } else if (status == 0 && calls) {
        /* Beside a form, calls are one way of the answer from its beginning. */
        if (tools.after_marker) {
            tools.after_marker = false;
            tools.several = !conversation.one_tool_call;
            tools.otherwise = &form;
        }
        status = make_matcher(engine, f, &tools, &f->matcher, error);
    } else if (status == 0 && options->form) {
        status = make_matcher(engine, f, &form, &f->matcher, error);
    }
    tool_memory_free(&memory);
    return status;
}

/* An answer of no tokens is none: its prompt is only read. */
static int check_room(const struct answer_form *f, size_t max_tokens, struct smollm_error *error)
{
    const uint32_t least = f->matcher ? matcher_least_tokens(f->matcher) : 0;
    RETURN_ERROR_IF(max_tokens > 0 && max_tokens < least, error, SMOLLM_EINVAL,
                    "the answer may have %zu tokens (max_tokens, or the room in the context), and its form needs at "
                    "least %u",
                    max_tokens, least);
    return 0;
}

static void find_markers(struct answer_form *f)
{
    const struct tokenizer *tokenizer = f->model->tokenizer;
    for (int32_t id = 0; (size_t)id < tokenizer_token_count(tokenizer) && f->marker_count < MARKERS_MAX; id++) {
        const struct smollm_text text = tokenizer_token_text(tokenizer, id);
        if (tokenizer_is_special(tokenizer, id) && (text_is(text, "<tool_call>") || text_is(text, "</tool_call>")))
            f->markers[f->marker_count++] = id;
    }
}

int answer_form_create(struct smollm_engine *engine, const struct smollm_request_options *options,
                       const struct prompt_tokens *prompt, const struct smollm_request *request, const bool *ends,
                       size_t max_tokens, struct answer_form **result, struct smollm_error *error)
{
    *result = NULL;
    const bool thinks = prompt->is_chat && request->parser.thinks && (prompt->may_think || prompt->starts_in_thinking);
    if (!options->form && !prompt->offers_tools && !token_rules_are_given(options) && !thinks)
        return 0;
    struct answer_form *f = calloc(1, sizeof *f);
    RETURN_ERROR_IF(!f, error, SMOLLM_ENOMEM, "out of memory for a form");
    f->model = engine->model;
    f->request = request;
    f->parser = &request->parser;
    f->max_thinking = options->max_thinking_tokens;
    f->ends = ends;
    f->has_rules = token_rules_are_given(options);
    f->may_think = thinks && prompt->may_think;
    f->has_begun = !f->may_think && !prompt->starts_in_thinking;
    find_markers(f);
    int status = token_rules_create(engine->model, options, ends, &f->rules, error);
    if (status == 0)
        status = make_matchers(engine, options, f, error);
    if (status == 0)
        status = check_room(f, max_tokens, error);
    if (status == 0) {
        f->mask = array_allocate((engine->model->weights.config.vocabulary + 31) / 32, sizeof *f->mask);
        if (!f->mask)
            status = error_set(error, SMOLLM_ENOMEM, "out of memory for a form");
    }
    if (status < 0) {
        answer_form_destroy(f);
        return status;
    }
    *result = f;
    return 0;
}

void answer_form_destroy(struct answer_form *f)
{
    if (!f)
        return;
    matcher_destroy(f->matcher);
    matcher_destroy(f->call);
    token_rules_free(&f->rules);
    token_buffer_free(&f->guessed);
    token_buffer_free(&f->closing);
    free(f->mask);
    free(f);
}

static struct smollm_text text_at(const struct answer_form *f, int32_t token)
{
    return tokenizer_token_text(f->model->tokenizer, token);
}

static void allow(struct answer_form *f, int32_t token)
{
    f->mask[token / 32] |= 1u << (uint32_t)token % 32;
}

static bool is_line_breaks(struct smollm_text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] != '\n')
            return false;
    return text.size > 0;
}

/* Thinking that ends spelled out must end with its token: what followed in the same token would escape the form. */
static void end_thinking_cleanly(struct answer_form *f)
{
    const size_t matched = f->parser->matched, missing = sizeof think_close - 1 - matched;
    memset(f->mask, 0xff, (f->model->weights.config.vocabulary + 31) / 32 * sizeof *f->mask);
    for (uint32_t id = 0; id < f->trie->vocabulary; id++) {
        const struct smollm_text text = f->trie->texts[id];
        if (text.size <= missing || memcmp(text.data, think_close + matched, missing) != 0)
            continue;
        if (!is_line_breaks((struct smollm_text){text.data + missing, text.size - missing}))
            f->mask[id / 32] &= ~(1u << id % 32);
    }
}

/* Adds what may come instead of the form's first token. */
static void allow_before(struct answer_form *f)
{
    const struct tokenizer *tokenizer = f->model->tokenizer;
    const bool breaks = f->after_thinking && f->line_breaks < LINE_BREAKS_MAX;
    const bool think = !f->after_thinking && f->may_think && f->parser->state == CHAT_STATE_START;
    for (int32_t id = 0; (breaks || think) && (size_t)id < tokenizer_token_count(tokenizer); id++) {
        const struct smollm_text text = text_at(f, id);
        if ((breaks && is_line_breaks(text)) || (think && text_is(text, think_open)))
            allow(f, id);
    }
}

/* Special tokens that spell what may come. In a string they do not stand for their spelling. */
static void allow_markers(struct answer_form *f, struct matcher *m)
{
    for (uint32_t i = 0; i < f->marker_count && !matcher_is_in_string(m); i++)
        if (matcher_advance(m, text_at(f, f->markers[i]))) {
            matcher_retreat(m, 1);
            allow(f, f->markers[i]);
        }
}

/* The mask of a matcher; *any: whether it has a token that is no end. */
static int mask_of(struct answer_form *f, struct matcher *m, bool *any, struct smollm_error *error)
{
    const uint32_t words = (f->model->weights.config.vocabulary + 31) / 32;
    memset(f->mask + f->trie->words, 0, (words - f->trie->words) * sizeof *f->mask);
    matcher_mask(m, f->mask);
    allow_markers(f, m);
    RETURN_ERROR_IF(!matcher_is_sound(m), error, SMOLLM_ELIMIT,
                    "the answer's form became too complex to be followed after %u tokens", matcher_length(m));
    *any = false;
    for (uint32_t i = 0; i < f->trie->words && !*any; i++)
        *any = f->mask[i] != 0;
    RETURN_ERROR_IF(!*any && !matcher_may_end(m), error, SMOLLM_EUNSUPPORTED,
                    "the model has no token with which its answer could go on in the form");
    return 0;
}

/* A call that the model may make has begun, perhaps with more of it in the same token. */
static void begin_call(struct answer_form *f)
{
    const struct chat_parser *p = f->parser;
    const size_t marker = p->bare ? 0 : sizeof "<tool_call>" - 1;
    matcher_restart(f->call);
    const size_t size = p->held_size - marker;
    f->in_call = size == 0;
    if (size > 0 && size <= sizeof f->first) {
        memcpy(f->first, p->held + marker, size);
        f->in_call = matcher_advance(f->call, (struct smollm_text){f->first, size});
    }
    f->was_in_call = true;
}

/* Whether the thinking is to be closed now, and has not been. */
static bool must_close(struct answer_form *f)
{
    static const char text[] = "\n</think>\n";
    if (f->closed < f->closing.count)
        return true;
    if (f->closing.count > 0 ||
        ((f->max_thinking == 0 || f->thought < f->max_thinking) && !atomic_load(&f->request->ends_thinking)))
        return false;
    return tokenizer_encode_text(f->model->tokenizer, text_of(text), true, &f->closing, NULL) == 0 &&
           f->closing.count > 0;
}

/* The mask of the next token; *is_free: every token may come, and there is none. */
static int mask_of_form(struct answer_form *f, bool *is_free, struct smollm_error *error)
{
    bool any;
    int status;
    *is_free = true;
    if (f->closed < f->closing.count || (!f->has_begun && f->parser->state == CHAT_STATE_THINKING)) {
        f->after_thinking = true;
        if (must_close(f)) {
            memset(f->mask, 0, (f->model->weights.config.vocabulary + 31) / 32 * sizeof *f->mask);
            allow(f, f->closing.data[f->closed]);
            *is_free = false;
        } else if (f->parser->matched > 0 && f->matcher) {
            end_thinking_cleanly(f);
            *is_free = false;
        }
        return 0;
    }
    if (f->call) {
        if (f->parser->state != CHAT_STATE_CALL)
            f->was_in_call = f->in_call && !matcher_may_end(f->call);
        else if (!f->was_in_call && chat_parser_is_calling(f->parser))
            begin_call(f);
        if (!f->in_call || matcher_may_end(f->call)) {
            f->in_call = false;
            return 0;
        }
        *is_free = false;
        return mask_of(f, f->call, &any, error);
    }
    if (!f->matcher)
        return 0;
    status = mask_of(f, f->matcher, &any, error);
    if (status < 0)
        return status;
    if (matcher_may_end(f->matcher)) {
        if (!any)
            return 1;
        for (uint32_t id = 0; f->ends && id < f->trie->vocabulary; id++)
            if (f->ends[id])
                allow(f, (int32_t)id);
    }
    if (!f->has_begun)
        allow_before(f);
    *is_free = false;
    return 0;
}

static int mask(void *user, const uint32_t **allowed, struct smollm_error *error)
{
    struct answer_form *f = user;
    const uint32_t words = (f->model->weights.config.vocabulary + 31) / 32;
    bool is_free;
    const int status = mask_of_form(f, &is_free, error);
    *allowed = is_free ? NULL : f->mask;
    if (status != 0 || !f->has_rules)
        return status;
    if (f->closed < f->closing.count)
        return 0;
    if (is_free)
        memset(f->mask, 0xff, words * sizeof *f->mask);
    token_rules_apply(&f->rules, f->mask);
    *allowed = f->mask;
    for (uint32_t i = 0; i < words; i++)
        if (f->mask[i])
            return 0;
    /* A form that is complete ends; otherwise the rules contradict it. */
    if (f->matcher && matcher_may_end(f->matcher))
        return 1;
    return error_set(error, SMOLLM_EUNSUPPORTED, "allowed tokens, bad words and the form leave no token to go on with");
}

static void advance(void *user, int32_t token)
{
    struct answer_form *f = user;
    if (f->has_rules)
        token_rules_advance(&f->rules, token);
    if (f->closed < f->closing.count) {
        f->closed++;
        return;
    }
    f->thought += f->parser->state == CHAT_STATE_THINKING;
    if (!f->call && !f->matcher)
        return;
    const struct smollm_text text = text_at(f, token);
    if (f->call) {
        if (f->in_call)
            matcher_advance(f->call, text);
        return;
    }
    if (!f->has_begun) {
        if (f->parser->state == CHAT_STATE_THINKING)
            return;
        if (!f->after_thinking && f->may_think && text_is(text, think_open))
            return;
        if (f->after_thinking && is_line_breaks(text) && f->line_breaks++ < LINE_BREAKS_MAX)
            return;
    }
    f->has_begun = true;
    matcher_advance(f->matcher, text);
}

/* The tokens of the bytes that are likely to come, as the tokenizer cuts them; the last one may go on with bytes that
 * are not known yet. */
static uint32_t guess(void *user, int32_t *tokens, uint32_t max)
{
    struct answer_form *f = user;
    char bytes[PREDICTED_BYTES];
    struct matcher *m = f->call ? (f->in_call ? f->call : NULL) : f->has_begun ? f->matcher : NULL;
    if (!m || max == 0)
        return 0;
    const size_t size = matcher_predict(m, bytes, sizeof bytes);
    f->guessed.count = 0;
    if (size < 2 ||
        tokenizer_encode_text(f->model->tokenizer, (struct smollm_text){bytes, size}, false, &f->guessed, NULL) < 0 ||
        f->guessed.count < 2)
        return 0;
    const size_t sure = f->guessed.count - 1 < max ? f->guessed.count - 1 : max;
    memcpy(tokens, f->guessed.data, sure * sizeof *tokens);
    return (uint32_t)sure;
}

struct engine_form answer_form_hook(struct answer_form *f)
{
    return (struct engine_form){.user = f, .mask = mask, .advance = advance, .guess = guess};
}
