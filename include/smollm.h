/* smollm: SmolLM3 and other Llama-architecture GGUF models on ordinary CPUs.
 *
 * In short:
 *
 *     struct smollm_model *model;
 *     struct smollm_engine *engine;
 *     struct smollm_request *request;
 *     smollm_model_open("model.gguf", NULL, &model, &error);
 *     smollm_engine_start(model, NULL, &engine, &error);
 *     smollm_submit(engine, &options, &request, &error);
 *     while (smollm_next_event(request, -1, &event) == 0 && event.type != SMOLLM_EVENT_FINISH) ...
 *     smollm_request_close(request);
 *     smollm_engine_close(engine);
 *     smollm_model_close(model);
 *
 * Functions return 0 or a negative code of smollm_error.h. Nothing here ends the process, prints, or reads the
 * environment. All text is UTF-8. A struct that is passed in may be freed as soon as the call returns.
 *
 * An options struct begins with its size and is initialized with its macro, which also sets defaults other than zero:
 *
 *     struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
 *
 * So a program keeps working with a newer library, whose structs may have more members at their ends: the library reads
 * and writes only the members that the program was compiled with (functions that fill a struct take its size, which an
 * inline function passes). A member that is zero has its default.
 *
 * Threads. Functions on an engine or a model may be called from any thread. Functions on one request may be called from
 * any one thread at a time; smollm_cancel, smollm_end_thinking and smollm_request_get_usage from any thread at any time
 * until the request is closed. One thread may close an engine while others are in functions on its requests. */
#ifndef SMOLLM_H
#define SMOLLM_H

#include "smollm_error.h"
#include "smollm_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SMOLLM_API __attribute__((visibility("default")))
#else
#define SMOLLM_API
#endif

/* The program's version, for example "0.1.0". */
SMOLLM_API const char *smollm_version(void);

/* ---- Model: the weights, the tokenizer and the chat format of one GGUF file ---- */

struct smollm_model;

struct smollm_model_options {
    size_t size;     /* of this struct: SMOLLM_MODEL_OPTIONS_INIT */
    const char *cpu; /* "auto" (NULL), "generic", "avx2", "avx512vnni", "amx": the kernels to use; the same bits. The
                      process asks Linux for the use of AMX tiles where the CPU has them. */
    const char *chat_format;  /* NULL: recognized from the file's template; otherwise "smollm3", "chatml", "llama3" */
    uint32_t threads;         /* for loading, up to 1024; 0: as many as the process may use */
    const char *rope_scaling; /* NULL: as the file says; "none", "yarn" */
    float rope_scale;         /* YaRN factor; 0: 2 */
    uint32_t yarn_original_context; /* 0: the context length in the file */
    /* Called while loading with 0 to 1, many times a second; false cancels: SMOLLM_ECANCELED. May be NULL. */
    bool (*progress)(void *user, double fraction);
    void *progress_user;
    /* Only the tokenizer is read: for smollm_tokenize and smollm_detokenize: fast, and with little memory. No
     * engine can be started on such a model. */
    bool vocabulary_only;
};
#define SMOLLM_MODEL_OPTIONS_INIT                                                                                      \
    {                                                                                                                  \
        .size = sizeof(struct smollm_model_options)                                                                    \
    }

SMOLLM_API int smollm_model_open(const char *path, const struct smollm_model_options *options,
                                 struct smollm_model **model, struct smollm_error *error);
/* A model in several files is opened by its first one, NAME-00001-of-00003.gguf, with the others in the same directory.
 * Returns the number of files in such a name, 1 for other names. *part: the number of this one, from 1; may be NULL. */
SMOLLM_API uint32_t smollm_model_parts(const char *path, uint32_t *part);
/* Changes the name of one part into that of another. */
SMOLLM_API void smollm_model_part_rename(char *path, uint32_t part);

/* After every engine on it has been closed. Accepts NULL. */
SMOLLM_API void smollm_model_close(struct smollm_model *model);

/* Whether the file is complete GGUF: header, metadata, and every tensor inside the file. Reads no weights. */
SMOLLM_API int smollm_check_file(const char *path, struct smollm_error *error);

struct smollm_model_info {
    const char *architecture; /* "smollm3", "llama"; strings are borrowed until the model is closed */
    const char *name;         /* general.name, or the file's name without directory and ending */
    const char *path;
    const char *chat_format; /* NULL when the file has no supported one and none was forced */
    bool chat_format_has_thinking;
    bool chat_format_has_tools;
    uint64_t parameters;
    uint64_t file_bytes;
    uint64_t weight_bytes;   /* in memory */
    uint32_t context_length; /* with the RoPE scaling in force */
    uint32_t vocabulary_size;
    uint32_t embedding_length;
    uint32_t layers;
    uint64_t kv_bytes_per_token; /* with a cache of f16 */
    int32_t bos_token;           /* -1: none */
    int32_t eos_token;
    const char *template_text; /* the file's chat template, or NULL */
    uint64_t content_hash;     /* of metadata and weights: equal for copies of a file under any name */
};
SMOLLM_API void smollm_model_get_info_sized(const struct smollm_model *model, struct smollm_model_info *info,
                                            size_t size);
static inline void smollm_model_get_info(const struct smollm_model *model, struct smollm_model_info *info)
{
    smollm_model_get_info_sized(model, info, sizeof *info);
}

/* ---- Text and tokens ---- */

struct smollm_tokenize_options {
    size_t size;        /* of this struct: SMOLLM_TOKENIZE_OPTIONS_INIT */
    bool add_special;   /* begin with BOS where the model's file asks for it */
    bool parse_special; /* text such as "<|im_end|>" becomes the special token; otherwise it stays text */
};
#define SMOLLM_TOKENIZE_OPTIONS_INIT                                                                                   \
    {                                                                                                                  \
        .size = sizeof(struct smollm_tokenize_options)                                                                 \
    }
/* *tokens is freed by the caller with smollm_free. */
SMOLLM_API int smollm_tokenize(const struct smollm_model *model, struct smollm_text text,
                               const struct smollm_tokenize_options *options, int32_t **tokens, size_t *count,
                               struct smollm_error *error);
/* The bytes of the tokens, special ones by their names. *text.data is freed by the caller with smollm_free. May hold
 * incomplete UTF-8 where the tokens do. */
SMOLLM_API int smollm_detokenize(const struct smollm_model *model, const int32_t *tokens, size_t count,
                                 struct smollm_text *text, struct smollm_error *error);
SMOLLM_API void smollm_free(void *block);

/* ---- Conversations ---- */

struct smollm_tool_call {
    struct smollm_text id;
    struct smollm_text name;
    struct smollm_text arguments; /* a JSON object as text */
};

struct smollm_message {
    struct smollm_text role; /* "system", "user", "assistant", "tool" */
    struct smollm_text content;
    struct smollm_text reasoning;              /* of an assistant turn; templates that drop it ignore it */
    const struct smollm_tool_call *tool_calls; /* of an assistant turn */
    size_t tool_call_count;
};

/* Whether an answer calls tools. Calls name one of the tools, and their arguments meet its schema ("parameters"), in
 * each case. */
enum smollm_tool_choice {
    SMOLLM_TOOL_AUTO,     /* the model decides */
    SMOLLM_TOOL_REQUIRED, /* it calls at least one */
    SMOLLM_TOOL_NAMED     /* it calls the one named */
};

enum smollm_thinking { SMOLLM_THINKING_DEFAULT, SMOLLM_THINKING_ON, SMOLLM_THINKING_OFF };

struct smollm_conversation {
    size_t size; /* of this struct: SMOLLM_CONVERSATION_INIT */
    const struct smollm_message *messages;
    size_t message_count;
    const struct smollm_text *tools; /* each a JSON object as text, offered for <tool_call> answers (xml_tools) */
    size_t tool_count;
    const struct smollm_text *python_tools; /* offered for <code> answers; strings or JSON objects as text */
    size_t python_tool_count;
    enum smollm_thinking thinking;
    bool continue_last;                  /* the last message is an assistant turn to go on with, not to close */
    const char *date;                    /* "23 November 2026", for templates that print one; NULL: today */
    enum smollm_tool_choice tool_choice; /* of `tools`; without tools it has no effect */
    struct smollm_text tool_name;        /* with SMOLLM_TOOL_NAMED */
    bool one_tool_call;                  /* the answer has at most one call */
    /* smollm3: results of tools stand between <tool_response> and </tool_response>, special tokens of the model, and
     * those of several calls in one turn. Otherwise as its template writes them: turns of the user. */
    bool marks_tool_results;
};
#define SMOLLM_CONVERSATION_INIT                                                                                       \
    {                                                                                                                  \
        .size = sizeof(struct smollm_conversation)                                                                     \
    }
/* The prompt as the model's chat format writes it. text->data is freed by the caller with smollm_free. */
SMOLLM_API int smollm_apply_template(const struct smollm_model *model, const struct smollm_conversation *conversation,
                                     struct smollm_text *text, struct smollm_error *error);

/* The tokens of that prompt, as smollm_submit would read them. *tokens is freed by the caller with smollm_free. */
SMOLLM_API int smollm_render(const struct smollm_model *model, const struct smollm_conversation *conversation,
                             int32_t **tokens, size_t *count, struct smollm_error *error);

/* ---- Engine: the KV cache and the thread that runs the model ---- */

struct smollm_engine;

struct smollm_engine_options {
    size_t size;       /* of this struct: SMOLLM_ENGINE_OPTIONS_INIT */
    uint32_t context;  /* positions per conversation, 2 to the model's context; 0: the model's, up to 8192 */
    uint32_t parallel; /* conversations open at once, 1 to 1024; 0: 4 */
    uint32_t queue;    /* requests that may wait beyond these, 1 to 65536; 0: 64 */
    uint32_t threads;  /* 1 to 1024; 0: as many as the process may use */
    uint32_t batch;    /* tokens per pass while a prompt is read, 1 to 8192; 0: 256 */
    /* Of keys and values: "f16" (NULL), or "q8_0", int8 with a scale per row: half the memory. */
    const char *cache_type;
    /* "on": activations in two int8 planes, as good as float; "off"; "auto" (NULL): on for small models. */
    const char *precise;
    /* Do not guess tokens where an answer repeats earlier text. The answer is the same either way. */
    bool no_speculation;
    /* Memory for the keys and values of all conversations together; 0: enough for `parallel` of them with `context`
     * positions each. With less, some answers pause while others need the memory. */
    uint64_t kv_bytes;
    /* Do not read the beginning of a conversation's next turn while the engine is idle. */
    bool no_read_ahead;
    /* Events of the prefix cache that are kept for smollm_next_cache_event, 2 to 1048576; 0: none. */
    uint32_t cache_events;
};
#define SMOLLM_ENGINE_OPTIONS_INIT                                                                                     \
    {                                                                                                                  \
        .size = sizeof(struct smollm_engine_options)                                                                   \
    }

SMOLLM_API int smollm_engine_start(struct smollm_model *model, const struct smollm_engine_options *options,
                                   struct smollm_engine **engine, struct smollm_error *error);
/* Ends every open request with an error event (SMOLLM_ECLOSED), then stops the threads and frees the engine. Requests
 * must still be closed, before or after; other threads may be in functions on them meanwhile, but not in functions on
 * the engine. Accepts NULL. */
SMOLLM_API void smollm_engine_close(struct smollm_engine *engine);

/* Memory in bytes. */
struct smollm_memory {
    uint64_t weights;
    uint64_t kv_cache;
    uint64_t work;      /* activations, logits and other memory of a pass */
    uint64_t available; /* within the limits of system and containers; UINT64_MAX: no limit found */
};
/* The memory for a model and an engine on it, computed from the header of the file alone, so that a model that is too
 * large for the machine is refused before its weights are read. SMOLLM_ENOMEM when that is more than is available;
 * *memory is written then too. NULL options: defaults. */
SMOLLM_API int smollm_measure_sized(const char *path, const struct smollm_model_options *model_options,
                                    const struct smollm_engine_options *engine_options, struct smollm_memory *memory,
                                    size_t size, struct smollm_error *error);
static inline int smollm_measure(const char *path, const struct smollm_model_options *model_options,
                                 const struct smollm_engine_options *engine_options, struct smollm_memory *memory,
                                 struct smollm_error *error)
{
    return smollm_measure_sized(path, model_options, engine_options, memory, sizeof *memory, error);
}

/* Refuses new requests (SMOLLM_ECLOSED); open ones go on. */
SMOLLM_API void smollm_engine_drain(struct smollm_engine *engine);

struct smollm_engine_info {
    uint32_t context;
    uint32_t parallel;
    uint32_t threads;
    uint64_t kv_bytes;
    uint32_t page_positions; /* of a page of the KV cache */
    const char *cpu;         /* the kernels in use: "generic", "avx2", "avx512vnni", "amx" */
};
SMOLLM_API void smollm_engine_get_info_sized(const struct smollm_engine *engine, struct smollm_engine_info *info,
                                             size_t size);
static inline void smollm_engine_get_info(const struct smollm_engine *engine, struct smollm_engine_info *info)
{
    smollm_engine_get_info_sized(engine, info, sizeof *info);
}

/* What the engine is doing now; reads atomics, never waits. */
struct smollm_engine_stats {
    uint32_t requests_running;
    uint32_t requests_waiting;
    uint64_t requests_finished;
    double seconds_between_ends; /* between ends of requests while others wait, smoothed; 0: none yet */
    uint64_t prompt_tokens;
    uint64_t cached_tokens; /* of these, taken from the prefix cache */
    uint64_t generated_tokens;
    uint64_t drafted_tokens;    /* guessed ahead */
    uint64_t accepted_tokens;   /* of these, that were right */
    uint64_t read_ahead_tokens; /* of prompts that may come next, computed while idle */
    uint64_t pauses;            /* times that a sequence lost its slot for a while */
    uint32_t kv_pages_total;
    uint32_t kv_pages_used;
    uint32_t kv_pages_cached;  /* beside these: unused pages whose content can be reused */
    uint64_t kv_pages_evicted; /* cached pages whose memory was needed, since the start */
};
SMOLLM_API void smollm_engine_get_stats_sized(const struct smollm_engine *engine, struct smollm_engine_stats *stats,
                                              size_t size);
static inline void smollm_engine_get_stats(const struct smollm_engine *engine, struct smollm_engine_stats *stats)
{
    smollm_engine_get_stats_sized(engine, stats, sizeof *stats);
}

/* What the prefix cache gains and loses, for a scheduler that sends requests to where their prompts are cached. */
enum smollm_cache_event_type {
    SMOLLM_CACHE_CLEARED, /* nothing that was told before counts: the first event, and after a reader was too slow */
    SMOLLM_CACHE_STORED,  /* a page of tokens can be reused by prompts that begin with its ancestors' and its own */
    SMOLLM_CACHE_REMOVED
};
struct smollm_cache_event {
    enum smollm_cache_event_type type;
    uint64_t key;       /* of the requests that can reuse the page */
    uint64_t page;      /* a hash of the key and of all tokens up to the page's last one: the same on every machine */
    uint64_t parent;    /* of STORED: the page with the tokens before */
    bool has_parent;    /* false: the page begins a prompt */
    int32_t tokens[32]; /* of STORED */
};
/* Waits up to timeout_ms (-1: without limit) for the next event: 0, SMOLLM_ETIMEDOUT, or SMOLLM_EINVAL when the engine
 * keeps none. By one thread at a time, and not while the engine is closed. */
SMOLLM_API int smollm_next_cache_event_sized(struct smollm_engine *engine, int timeout_ms,
                                             struct smollm_cache_event *event, size_t size);
static inline int smollm_next_cache_event(struct smollm_engine *engine, int timeout_ms,
                                          struct smollm_cache_event *event)
{
    return smollm_next_cache_event_sized(engine, timeout_ms, event, sizeof *event);
}

/* What is measured of each request, pass or guess. Times are measured in the engine, without the network. */
enum smollm_measure {
    SMOLLM_MEASURE_FIRST_TOKEN_SECONDS, /* from smollm_submit to the first token, of requests that got one */
    /* Between the tokens of an answer. When guesses were right, one pass gives several tokens: each counts with its
     * share of the time since the last pass. Time in which the reader took no events is left out. */
    SMOLLM_MEASURE_INTER_TOKEN_SECONDS,
    SMOLLM_MEASURE_QUEUE_SECONDS,   /* in the queue, also of requests that ended there */
    SMOLLM_MEASURE_REQUEST_SECONDS, /* from smollm_submit to the end of the request, of any kind */
    SMOLLM_MEASURE_STEP_SECONDS,    /* a pass, drawing and events included */
    SMOLLM_MEASURE_BATCH_TOKENS,    /* in a pass: of prompts, streams and guesses */
    SMOLLM_MEASURE_CACHED_TOKENS,   /* of a prompt, taken from the prefix cache */
    SMOLLM_MEASURE_ACCEPTED_TOKENS, /* of a guess, that were right */
    SMOLLM_MEASURES                 /* how many there are */
};

enum { SMOLLM_HISTOGRAM_BOUNDS_MAX = 20 };
struct smollm_histogram {
    size_t bound_count;
    double bounds[SMOLLM_HISTOGRAM_BOUNDS_MAX]; /* ascending */
    /* Counts of values above the previous bound, up to this one; [bound_count]: above all bounds. */
    uint64_t counts[SMOLLM_HISTOGRAM_BOUNDS_MAX + 1];
    double sum; /* of all values */
};
/* What has been measured since the start; reads atomics, never waits. */
SMOLLM_API void smollm_engine_get_histogram(const struct smollm_engine *engine, enum smollm_measure measure,
                                            struct smollm_histogram *histogram);

enum smollm_slot_state { SMOLLM_SLOT_IDLE, SMOLLM_SLOT_PREFILL, SMOLLM_SLOT_DECODE };
struct smollm_slot {
    enum smollm_slot_state state;
    uint64_t request_id; /* 0: none */
    uint32_t prompt_tokens;
    uint32_t processed_tokens;
    uint32_t generated_tokens;
};
/* Fills up to count slots; returns how many there are. */
SMOLLM_API size_t smollm_engine_get_slots_sized(const struct smollm_engine *engine, struct smollm_slot *slots,
                                                size_t count, size_t size);
static inline size_t smollm_engine_get_slots(const struct smollm_engine *engine, struct smollm_slot *slots,
                                             size_t count)
{
    return smollm_engine_get_slots_sized(engine, slots, count, sizeof *slots);
}

/* ---- Sampling ---- */

struct smollm_logit_bias {
    int32_t token;
    float bias; /* added to the logit; -infinity forbids the token */
};

/* Applied in this order: logit bias, repetition, presence and frequency penalty, temperature, top-k, top-p, min-p,
 * draw. */
struct smollm_sampling {
    size_t size;               /* of this struct: SMOLLM_SAMPLING_INIT */
    float temperature;         /* 0: greedy, ties to the lowest id */
    int32_t top_k;             /* 0 or -1: off */
    float top_p;               /* 1: off */
    float min_p;               /* 0: off */
    float repetition_penalty;  /* 1: off; over the last repetition_window tokens, prompt included */
    int32_t repetition_window; /* -1: all */
    float presence_penalty;    /* over the generated tokens */
    float frequency_penalty;
    uint64_t seed; /* same seed, same text on any machine */
    const struct smollm_logit_bias *logit_bias;
    size_t logit_bias_count;
};
/* temperature 0.6, top_p 0.95, the rest off, seed 0. */
#define SMOLLM_SAMPLING_INIT                                                                                           \
    {                                                                                                                  \
        .size = sizeof(struct smollm_sampling), .temperature = 0.6f, .top_p = 0.95f, .repetition_penalty = 1.0f,       \
        .repetition_window = 64                                                                                        \
    }
static inline struct smollm_sampling smollm_sampling_default(void)
{
    const struct smollm_sampling sampling = SMOLLM_SAMPLING_INIT;
    return sampling;
}
/* The numbers of struct smollm_sampling that have a range: member, minimum, maximum. A program may make its own checks
 * and help texts from it; smollm_submit checks them in any case. */
#define SMOLLM_SAMPLING_RANGES(X)                                                                                      \
    X(temperature, 0, 100)                                                                                             \
    X(top_k, -1, 16777216)                                                                                             \
    X(top_p, 0, 1)                                                                                                     \
    X(min_p, 0, 1)                                                                                                     \
    X(repetition_penalty, 0.01, 100)                                                                                   \
    X(repetition_window, -1, 16777216)                                                                                 \
    X(presence_penalty, -2, 2)                                                                                         \
    X(frequency_penalty, -2, 2)

/* ---- Forms: answers that are always valid ---- */

enum smollm_form_kind {
    SMOLLM_FORM_JSON,    /* a JSON object */
    SMOLLM_FORM_SCHEMA,  /* text: a JSON schema, drafts 4 to 2020-12 */
    SMOLLM_FORM_GRAMMAR, /* text: rules as llama.cpp writes them (GBNF) */
    SMOLLM_FORM_REGEX,   /* text: a regular expression of ECMAScript for the whole answer */
    SMOLLM_FORM_CHOICE   /* one of `choices` */
};

/* The answer has this form, whatever the model would rather write; it can be incomplete only with
 * SMOLLM_FINISH_LENGTH. In a conversation the form begins after the thinking. docs/constrained.md says what is
 * supported and how JSON is written. */
struct smollm_form {
    size_t size; /* of this struct: SMOLLM_FORM_INIT */
    enum smollm_form_kind kind;
    struct smollm_text text;
    const struct smollm_text *choices;
    size_t choice_count;
};
#define SMOLLM_FORM_INIT                                                                                               \
    {                                                                                                                  \
        .size = sizeof(struct smollm_form)                                                                             \
    }
/* Whether a form can be followed: SMOLLM_EINVAL, SMOLLM_EUNSUPPORTED or SMOLLM_ELIMIT, and the message names the place
 * in the schema, the grammar or the expression. */
SMOLLM_API int smollm_check_form(const struct smollm_form *form, struct smollm_error *error);

/* ---- Cancellation ---- */

/* Of the calling thread: while functions of this header tokenize on it, in smollm_submit for instance, is_canceled is
 * asked about every 64 KiB; once it is true they end with SMOLLM_ECANCELED. NULL: nothing cancels them. */
SMOLLM_API void smollm_set_cancellation(bool (*is_canceled)(void *user), void *user);

/* ---- Requests ---- */

struct smollm_request;

/* What a request is for. Scores are asked for with score_tokens. */
enum smollm_output {
    SMOLLM_OUTPUT_TEXT,     /* an answer */
    SMOLLM_OUTPUT_EMBEDDING /* a vector that stands for the prompt */
};

/* What the vector of an embedding is made of: the model's final hidden states, after its last norm and before the
 * matrix that makes logits of them. A position knows the tokens before it, not those behind it. */
enum smollm_pooling {
    SMOLLM_POOLING_LAST, /* that of the last token */
    SMOLLM_POOLING_MEAN, /* the mean over all tokens of the prompt */
    SMOLLM_POOLING_NONE  /* a vector for each token */
};

struct smollm_request_options {
    size_t size; /* of this struct: SMOLLM_REQUEST_OPTIONS_INIT */
    /* Exactly one of these three is the prompt. */
    const struct smollm_conversation *conversation;
    struct smollm_text prompt;                            /* raw text */
    const struct smollm_tokenize_options *prompt_options; /* how it becomes tokens; NULL: neither special */
    const int32_t *tokens;
    size_t token_count;

    const struct smollm_sampling *sampling; /* NULL: SMOLLM_SAMPLING_INIT */
    /* Tokens of the answer; -1: until the context is full. 0: the prompt is read, so that a later request finds it in
     * the prefix cache, and the answer is empty. */
    int32_t max_tokens;
    bool ignore_eos;
    /* The answer ends before the first of these; no part of one is sent. Up to 16, of 1 to 1024 bytes.
     */
    const struct smollm_text *stop;
    size_t stop_count;
    bool want_logprobs;
    int logprobs; /* alternatives to each token, 0 to 20; used only with want_logprobs */
    /* SMOLLM_EVENT_QUEUED while the request waits, SMOLLM_EVENT_PROGRESS while its prompt is read. */
    bool want_progress;
    /* A number for the API key of the request. A prompt reuses the longest prefix that the same key has sent before;
     * requests of other keys neither use it nor can measure that it is cached. Keys share the engine evenly. */
    uint64_t key;
    /* Among the requests of one key those with a lower priority are served first. */
    int32_t priority;
    uint32_t deadline_ms; /* after that the request ends with SMOLLM_ETIMEDOUT; 0: never */
    /* Called when there are new events, usually on the engine's thread, and never after smollm_request_close has
     * returned. The library holds locks during the call: it must return at once and call no function of this header.
     * It may call uv_async_send, write to a pipe, or signal a condition. May be NULL. */
    void (*notify)(void *user);
    void *notify_user;
    const struct smollm_form *form; /* NULL: any text. Beside tools that the model may call, it is of answers without
                                     * calls. Errors as smollm_check_form has them. */
    /* Only these tokens may be drawn, end tokens among them or not. Count 0: all. */
    const int32_t *allowed_tokens;
    size_t allowed_token_count;
    /* Words that the answer does not contain, as the tokenizer cuts them at the beginning of a text and after a space;
     * of up to 32 tokens. */
    const struct smollm_text *bad_words;
    size_t bad_word_count;
    /* The answer has at least so many tokens: no end token is drawn before. A stop string can end it earlier. */
    uint32_t min_tokens;
    /* The answer ends before one of these tokens, as it does before the model's end tokens, also with ignore_eos. */
    const int32_t *stop_tokens;
    size_t stop_token_count;
    /* Tokens of thinking, after which it is closed and the answer begins; 0: no limit. */
    uint32_t max_thinking_tokens;
    /* With SMOLLM_OUTPUT_EMBEDDING the prompt is read, and an SMOLLM_EVENT_EMBEDDING with its vector, of the model's
     * `embedding_length` numbers, precedes the last event, FINISH with SMOLLM_FINISH_STOP. There is no answer.
     * max_tokens must be -1 or 0; form, stop, stop_tokens, allowed_tokens, bad_words, min_tokens, max_thinking_tokens,
     * answer_tokens, silent_tokens, want_logprobs, want_prompt_logprobs and a tool_choice other than SMOLLM_TOOL_AUTO
     * are refused (SMOLLM_EINVAL); sampling and ignore_eos have no effect. The same prompt gives the same bits, however
     * busy the engine is. */
    enum smollm_output output;
    /* The last token's hidden state takes all that the prefix cache has of the prompt. The others need the hidden
     * states of all tokens, which are not cached, so their prompt is computed from the first token on. With
     * SMOLLM_POOLING_NONE each token of the prompt has an SMOLLM_EVENT_EMBEDDING, in order; the prompt waits while its
     * reader takes none. */
    enum smollm_pooling pooling;
    bool no_normalization; /* vectors as they are; otherwise each is scaled to length 1 */
    /* Log-probabilities of the prompt: each of its tokens after the first arrives in an SMOLLM_EVENT_PROMPT_TOKENS, in
     * order, before the first token of the answer. With max_tokens 0 there is nothing else. They have the bits that the
     * same tokens would have in an answer. Logits are not cached, so the prompt is computed from the first token on.
     * While the reader takes no events the prompt waits; nothing is dropped. */
    bool want_prompt_logprobs;
    int prompt_logprobs; /* alternatives to each token, 0 to 20; used only with want_prompt_logprobs */
    /* Scores: with 1 to 4096 tokens here the prompt is read, and an SMOLLM_EVENT_SCORES has, for each of them and in
     * this order, its log-probability as the token after the prompt: natural logarithm, before temperature and filters.
     * A token may occur more than once. There is no answer, and the same members are refused as with
     * SMOLLM_OUTPUT_EMBEDDING, which cannot be combined with it. All that the prefix cache has of the prompt is used,
     * so many questions about one text read the text once. In a conversation with a model that thinks,
     * SMOLLM_THINKING_OFF makes the next token the first one of the answer. The same prompt gives the same bits,
     * however busy the engine is. */
    const int32_t *score_tokens;
    size_t score_token_count;
    /* The answer goes on where an earlier one was cut off: it begins with these tokens, which are read with the prompt,
     * and events tell what follows them. With the options and the seed of the earlier request it goes on as that answer
     * would have, bit for bit. Limits, penalties and usage count these tokens. SMOLLM_EINVAL names the first one that
     * cannot stand where it does: an end token, one that the form does not allow, one after a stop string. */
    const int32_t *answer_tokens;
    size_t answer_token_count;
    /* The same where only their number is known: the first so many tokens of the answer are drawn again, and no events
     * tell of them. Cannot be combined with answer_tokens. */
    uint32_t silent_tokens;
    /* Log-probabilities of the answer's tokens are those that the tokens were drawn with: after the form, biases,
     * penalties, temperature and filters. Alternatives are tokens that could have been drawn, so there may be fewer
     * than `logprobs` (at temperature 0 only the chosen one, with 0). Used only with want_logprobs. */
    bool sampled_logprobs;
};
#define SMOLLM_REQUEST_OPTIONS_INIT                                                                                    \
    {                                                                                                                  \
        .size = sizeof(struct smollm_request_options), .max_tokens = -1                                                \
    }

/* Checks everything that can be checked (SMOLLM_ECONTEXT names both numbers) and queues the request; SMOLLM_EBUSY when
 * the queue is full. */
SMOLLM_API int smollm_submit(struct smollm_engine *engine, const struct smollm_request_options *options,
                             struct smollm_request **request, struct smollm_error *error);

enum smollm_event_type {
    SMOLLM_EVENT_QUEUED,         /* queue: the new place in the queue; only the last one is kept for the reader */
    SMOLLM_EVENT_PROGRESS,       /* progress */
    SMOLLM_EVENT_THINKING,       /* text, tokens */
    SMOLLM_EVENT_TEXT,           /* text, tokens */
    SMOLLM_EVENT_TOOL_CALL,      /* a call begins: tool.index, tool.id, tool.name */
    SMOLLM_EVENT_TOOL_ARGUMENTS, /* the next piece of its arguments: tool.index, text */
    SMOLLM_EVENT_FINISH,         /* finish: the last event */
    SMOLLM_EVENT_ERROR,          /* error: the last event */
    /* Only of requests that ask for them: */
    SMOLLM_EVENT_PROMPT_TOKENS, /* tokens: the next ones of the prompt, the first one left out */
    SMOLLM_EVENT_EMBEDDING,     /* values: the vector, or that of the prompt's next token */
    SMOLLM_EVENT_SCORES         /* values: log-probabilities of score_tokens, in their order */
};

enum smollm_finish_reason {
    SMOLLM_FINISH_STOP,   /* end of turn, or a stop string; or the embedding or the scores are complete */
    SMOLLM_FINISH_LENGTH, /* max_tokens, or the context is full */
    SMOLLM_FINISH_TOOL_CALLS,
    SMOLLM_FINISH_CANCELED
};

struct smollm_token_logprob {
    int32_t token;
    float logprob;            /* natural logarithm; before temperature and filters without sampled_logprobs */
    struct smollm_text bytes; /* may be incomplete UTF-8 */
};
struct smollm_token {
    struct smollm_token_logprob chosen;
    const struct smollm_token_logprob *top; /* the best alternatives, best first */
    size_t top_count;
};

struct smollm_usage {
    uint32_t prompt_tokens;
    uint32_t cached_tokens; /* of the prompt, taken from the prefix cache */
    uint32_t completion_tokens;
    uint32_t reasoning_tokens; /* of these */
    uint32_t drafted_tokens;   /* guessed ahead */
    uint32_t accepted_tokens;  /* of these, that were right */
    double queue_ms;
    double prompt_ms;  /* reading the prompt */
    double predict_ms; /* from the first token to the last */
};

struct smollm_event {
    enum smollm_event_type type;
    struct smollm_text text; /* borrowed until the next call of smollm_next_event on this request, as is all below */
    /* With want_logprobs: the token that is complete with this event. Of PROMPT_TOKENS: those of the prompt.
     */
    const struct smollm_token *tokens;
    size_t token_count;
    struct {
        uint32_t index;
        struct smollm_text id;
        struct smollm_text name;
    } tool;
    struct {
        uint32_t ahead; /* requests that are served before this one */
        double seconds; /* estimate until its prompt is read; negative: none yet */
    } queue;
    struct {
        uint32_t total, cached, processed;
        double ms;
    } progress;
    struct {
        enum smollm_finish_reason reason;
        struct smollm_text stop; /* the stop string that was met, or empty */
        struct smollm_usage usage;
        uint64_t seed;
    } finish;
    struct smollm_error error;
    const float *values; /* of EMBEDDING and SCORES */
    size_t value_count;
    /* Of THINKING, TEXT, TOOL_CALL and TOOL_ARGUMENTS: the number of the answer's tokens that the events up to this one
     * tell of completely. An answer that is cut off goes on after so many silent_tokens; events since the number last
     * grew are then told again. */
    uint32_t complete_tokens;
};

/* Waits up to timeout_ms (-1: without limit, 0: not at all) for the next event. 0, or SMOLLM_ETIMEDOUT, or
 * SMOLLM_ECLOSED after the last event. */
SMOLLM_API int smollm_next_event_sized(struct smollm_request *request, int timeout_ms, struct smollm_event *event,
                                       size_t size);
static inline int smollm_next_event(struct smollm_request *request, int timeout_ms, struct smollm_event *event)
{
    return smollm_next_event_sized(request, timeout_ms, event, sizeof *event);
}
/* Ends the request within one step of the engine; the last event is FINISH with SMOLLM_FINISH_CANCELED. */
SMOLLM_API void smollm_cancel(struct smollm_request *request);
/* Closes the model's thinking, if it thinks now: it answers with what it has thought so far. From any thread until the
 * request is closed. */
SMOLLM_API void smollm_end_thinking(struct smollm_request *request);
/* Cancels if need be and frees the request. Never waits for the engine. Accepts NULL. */
SMOLLM_API void smollm_request_close(struct smollm_request *request);
/* What the request has come to so far, with the time of what is under way up to now; after the end, what the last event
 * says. */
SMOLLM_API void smollm_request_get_usage_sized(struct smollm_request *request, struct smollm_usage *usage, size_t size);
static inline void smollm_request_get_usage(struct smollm_request *request, struct smollm_usage *usage)
{
    smollm_request_get_usage_sized(request, usage, sizeof *usage);
}
SMOLLM_API uint64_t smollm_request_id(const struct smollm_request *request);
/* Tokens in the prompt. */
SMOLLM_API uint32_t smollm_request_prompt_tokens(const struct smollm_request *request);

#ifdef __cplusplus
}
#endif

#endif
