/* The generation for one request: one or several choices, whose events a format turns into JSON. */
#ifndef API_GENERATION_H
#define API_GENERATION_H

#include "api/event_stream.h"
#include "api/generation_request.h"

#include <time.h>

enum { GENERATION_LOGPROB_LISTS = 4 };

struct choice {
    uint32_t index;
    struct smollm_request *request;
    uint32_t prompt_tokens;
    bool is_first_of_prompt; /* its prompt counts in the usage */
    bool done;
    struct smollm_text prompt; /* shown before the answer or beside it; in the generation's arena */

    /* The answer so far. Streams keep no text. */
    struct buffer text, reasoning;
    struct buffer tool_calls; /* JSON objects with commas between */
    struct buffer arguments;  /* of the call that is open */
    bool tool_call_is_open;
    uint32_t tool_call_count;
    struct buffer lists[GENERATION_LOGPROB_LISTS]; /* JSON values with commas between; the format defines them */
    size_t text_offset;                            /* characters before the next token */
    uint32_t tokens;                               /* events with a token so far */
    bool has_new_line;

    /* After its end. */
    enum smollm_finish_reason reason;
    struct smollm_usage usage;
    uint64_t seed;
    struct buffer stop; /* the stop string that was found */
};

struct generation;

/* The answers of one API. In a stream each function writes whole SSE events. */
struct generation_format {
    void (*begin)(struct generation *generation, struct choice *choice, struct buffer *out);
    /* QUEUED, PROGRESS, THINKING, TEXT, TOOL_CALL, TOOL_ARGUMENTS */
    void (*event)(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                  struct buffer *out);
    void (*finish)(struct generation *generation, struct choice *choice, struct buffer *out);
    void (*end)(struct generation *generation, struct buffer *out);
    /* For answers that are not streams: keeps the token's log-probabilities in choice->lists, and writes the body. */
    void (*keep_token)(struct generation *generation, struct choice *choice, const struct smollm_token *token);
    void (*whole)(struct generation *generation, struct buffer *out);
};
extern const struct generation_format chat_format;
extern const struct generation_format completion_format;
extern const struct generation_format native_format;

struct generation {
    const struct api *api;
    const struct generation_format *format;
    struct generation_request request; /* its arena holds what is kept; json is gone after the start */
    struct choice choices[GENERATION_CHOICES_MAX];
    uint32_t choice_count;
    uint32_t done_count;
    bool begun;      /* of a stream: bytes have been written */
    bool must_begin; /* at the next pull, with or without an event */
    char id[40];
    time_t created;
    struct api_error error; /* status 0: none */
    uint64_t key;
    struct open_generations *open; /* where it can be found; or NULL */
    struct generation *next_open;
};

/* Submits what request asks for; the generation owns the request and its arena from then on, also on failure. The
 * caller frees *generation with generation_close; it is set on failure too, unless out of memory. */
int generation_open(struct api *api, struct generation_request *request, const struct api_call *call,
                    struct generation **generation, struct api_error *error);
void generation_close(struct generation *generation); /* accepts NULL */

/* As api_answer_pull. After API_DONE generation->error says whether it failed; a stream then ends with an error event.
 */
enum api_state generation_pull(struct generation *generation, struct buffer *out, size_t max);
/* Ends all choices; the next pull returns the error. */
void generation_fail(struct generation *generation, const struct api_error *error);

void generation_get_figures(const struct generation *generation, struct api_figures *figures);

/* ---- Parts that formats share ---- */

/* "usage": {...} over all choices. */
void generation_write_usage(const struct generation *generation, struct json_writer *writer);
/* "timings": {...} as llama-server names them. */
void generation_write_timings(const struct choice *choice, struct json_writer *writer);
/* "id", "object", "created", "model", "system_fingerprint" */
void generation_write_envelope(const struct generation *generation, const char *object, struct json_writer *writer);
/* As a JSON number: OpenAI writes -9999 for minus infinity. */
double generation_logprob(float logprob);
/* "stop", "length", "tool_calls" */
const char *generation_reason(const struct choice *choice);
/* A writer for the next value of a list in a buffer, comma included. */
struct json_writer generation_list(struct buffer *list);
/* The progress before the first token, QUEUED or PROGRESS: "queue": {...} or "prompt_progress": {...}; nothing for
 * other events. */
void generation_write_progress(const struct smollm_event *event, struct json_writer *writer);

#endif
