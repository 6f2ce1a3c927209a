/* The generation for one request: one or several choices, whose events a format turns into bytes. */
#ifndef API_GENERATION_H
#define API_GENERATION_H

#include "api/core/generation_request.h"
#include "api/core/json_writer.h"
#include "api/core/kept_streams.h"
#include "api/core/protocol.h"

#include <time.h>

enum {
    GENERATION_LISTS = 5,
    GENERATION_WINDOW = 32, /* choices that are submitted at once: the others follow as these end */
};

/* The parts of an answer in their order: thinking, text, and each call of a tool. */
enum item_kind { ITEM_THINKING, ITEM_TEXT, ITEM_CALL };
struct answer_item {
    enum item_kind kind;
    struct buffer text; /* of a call: its arguments. In a stream it is kept only with generation_format.keeps_items */
    struct buffer id, name; /* of a call */
};

struct choice {
    uint32_t index;
    struct smollm_request *request;
    uint32_t prompt_tokens;
    bool is_first_of_prompt; /* its prompt counts in the usage */
    bool done;
    struct smollm_text prompt; /* with keep_prompt; in the generation's arena */

    /* The answer so far. */
    struct answer_item *items;
    size_t item_count, item_room;
    uint32_t call_count;
    struct buffer lists[GENERATION_LISTS]; /* JSON values with commas between; the format defines them */
    size_t text_offset;                    /* characters before the next token */
    uint32_t tokens;                       /* events with a token so far */
    uint32_t complete_tokens;              /* as struct smollm_event has it, of the last event */
    bool has_new_line;
    float *values; /* an embedding, or scores: [vector_count][value_count] */
    size_t value_count, vector_count;

    /* After its end. */
    enum smollm_finish_reason reason;
    struct smollm_usage usage;
    uint64_t seed;
    struct buffer stop; /* the stop string that was found */
};

struct generation;

/* The answers of one route. In a stream each function writes whole events; a route that never streams has none of
 * begin, event, finish and end. */
struct generation_format {
    const struct protocol *protocol;
    const char *id_prefix;
    bool keeps_items; /* in streams too */
    /* Reads the body into the request, which has its defaults; the arena is freed by the caller, on failure too. */
    int (*read)(struct api *api, const struct api_call *call, const json_t *json, struct generation_request *request,
                struct api_error *error);
    void (*begin)(struct generation *generation, struct choice *choice, struct buffer *out);
    /* QUEUED, PROGRESS, THINKING, TEXT, TOOL_CALL, TOOL_ARGUMENTS. begins_item: the event is the first of the choice's
     * last item. */
    void (*event)(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                  bool begins_item, struct buffer *out);
    void (*finish)(struct generation *generation, struct choice *choice, struct buffer *out);
    void (*end)(struct generation *generation, struct buffer *out);
    /* For answers that are not streams: keeps the token's log-probabilities in choice->lists (NULL: there are none),
     * and writes the body. */
    void (*keep_token)(struct generation *generation, struct choice *choice, const struct smollm_token *token);
    /* A token of the prompt with its log-probability, in streams too; NULL: not offered. */
    void (*prompt_token)(struct generation *generation, struct choice *choice, const struct smollm_token *token,
                         struct buffer *out);
    void (*whole)(struct generation *generation, struct buffer *out);
};

struct generation {
    struct api *api;
    const struct generation_format *format;
    struct generation_request request; /* its arena holds what is kept; what it borrows from the JSON is gone */
    struct choice *choices;            /* [choice_count] */
    uint32_t choice_count;             /* all of the request */
    uint32_t submitted_count;          /* the first of them */
    uint32_t done_count;
    json_t *json; /* which the request borrows from, while choices are to be submitted */
    struct smollm_sampling sampling;
    void (*notify)(void *user);
    void *notify_user;
    bool begun;      /* of a stream: bytes have been written */
    bool must_begin; /* at the next pull, with or without an event */
    char id[64];
    uint64_t events; /* written so far, for protocols that number them */
    time_t created;
    struct timespec started;
    struct api_error error; /* status 0: none */
    char request_id[80];
    uint64_t key;
    struct open_generations *open; /* where it can be found; or NULL */
    struct generation *next_open;
};

/* Submits what request asks for; the generation owns the request and its arena from then on, also on failure. The
 * caller frees *generation with generation_close; it is set on failure too, unless out of memory. */
int generation_open(struct api *api, const struct generation_format *format, struct generation_request *request,
                    json_t *json, const struct api_call *call, struct generation **generation, struct api_error *error);
void generation_close(struct generation *generation); /* accepts NULL */

/* As api_answer_pull. After API_DONE generation->error says whether it failed; a stream then ends with an error event.
 */
enum api_state generation_pull(struct generation *generation, struct buffer *out, size_t max);
/* The head of the answer. It is final once bytes have been pulled: until then an error may take the place of a 200. */
struct api_head generation_head(const struct generation *generation);
/* Ends all choices; the next pull returns the error. */
void generation_fail(struct generation *generation, const struct api_error *error);

/* The generation as the source of a kept stream (user: the generation). */
extern const struct stream_source generation_source;

/* Writes {"object", "input_tokens"}: how many tokens the prompt of a chat request would have. object NULL: left out. */
int generation_write_count(struct api *api, const struct generation_format *format, const char *object,
                           const struct api_call *call, const json_t *json, struct buffer *out,
                           struct api_error *error);

void generation_get_figures(const struct generation *generation, struct api_figures *figures);

/* ---- For formats ---- */

/* Over all choices. */
struct generation_totals {
    uint64_t prompt, cached, completion, reasoning;
};
struct generation_totals generation_total(const struct generation *generation);
/* The items of one kind, joined; the caller frees it. */
struct buffer generation_join(const struct choice *choice, enum item_kind kind);
/* An id with a prefix and 24 random hexadecimal digits. */
void generation_make_id(const char *prefix, char *id, size_t size);
/* A writer for the next value of a list in a buffer, comma included. */
struct json_writer generation_list(struct buffer *list);

#endif
