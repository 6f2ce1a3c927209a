/* The HTTP API without sockets: a request in, an answer out.
 *
 * core/ is what all dialects share and knows none of them; each dialect (openai/, llama_server/, ...) is a folder with
 * its rows of routes, its requests and its answers; shared/ has what several of them have in common.
 *
 * An answer is pulled: the server asks for the next bytes when the client can take them. Until then the events wait in
 * the library, and when its ring is full the sequence waits: a slow client delays no other. A stream with a
 * conversation id is pulled by a thread of the api instead, and outlives its client (core/kept_streams.h). */
#ifndef API_API_H
#define API_API_H

#include "base/text.h"
#include "smollm.h"

struct api_options {
    /* Names of the model in requests and answers, separated by commas; the first is its name, the others are further
     * ones under which it is listed. NULL: its own name. */
    const char *alias;
    bool metrics;                    /* whether /metrics answers; otherwise it is 501 */
    bool hides_slots;                /* /slots is 501 */
    struct smollm_sampling sampling; /* defaults of requests; logit_bias is not used */
    bool has_seed;                   /* sampling.seed is used; otherwise each request without one gets a random seed */
    int32_t max_tokens;              /* default; -1: until the context is full */
    enum smollm_pooling pooling;     /* default of embeddings */
    double decision_temperature;     /* default of decisions; 0: 1 */
};

struct api;

/* Options are copied. Until api_attach every request is answered with 503 and the share of the model that is loaded.
 * SMOLLM_EINVAL: a name in alias is empty. SMOLLM_ENOMEM. */
int api_create(const struct api_options *options, struct api **api, struct smollm_error *error);
void api_destroy(struct api *api); /* after all its answers have been closed; accepts NULL */
/* The share of the model that is loaded, 0 to 1. From any thread. */
void api_set_loaded(struct api *api, double fraction);
/* From now on requests are answered. Once; from any thread. model and engine are borrowed until api_destroy.
 * SMOLLM_ENOMEM. */
int api_attach(struct api *api, struct smollm_model *model, struct smollm_engine *engine, struct smollm_error *error);
/* Refuses new conversations, and /health answers 503; open conversations go on. From any thread. */
void api_drain(struct api *api);
/* The model's name in answers, after api_attach; borrowed. */
const char *api_model_name(const struct api *api);
/* Counts a request that was answered with this status, for /metrics; statuses below 400 are ignored. From any thread.
 */
void api_count_answer(struct api *api, int status);

/* ---- Routes ---- */

enum api_method { API_GET = 1, API_POST = 2, API_DELETE = 4 }; /* HEAD counts as GET */

/* One row of the table of routes: core/route.h. */
struct route;

struct api_match {
    const struct route *route;    /* NULL: there is none */
    unsigned methods;             /* enum api_method of all rows with this path; 0: there is nothing at it */
    struct smollm_text parameter; /* the part of the path that a name in braces stands for, as it was sent */
    /* Of the route: */
    bool is_public;           /* answers without a key */
    bool takes_body;          /* JSON; api_answer_open may take time and belongs on a worker thread */
    bool type_may_be_missing; /* a body without Content-Type is taken for JSON */
};

/* The route for a method and a path as they were sent, the path without query. /v1 before a path may be left out or
 * added where that is not another route. */
struct api_match api_find(struct smollm_text method, struct smollm_text path);

/* An error of the server itself (no key, no such path, too large), in the form that clients of the path read. The
 * content type is application/json. */
void api_write_error(struct smollm_text path, int status, const char *message, const char *request_id,
                     struct buffer *out);

/* ---- Answers ---- */

struct api_call {
    const struct route *route;
    struct smollm_text path;
    struct smollm_text parameter; /* api_match.parameter */
    struct smollm_text query;     /* as it was sent, without '?' */
    /* The client's X-Conversation-Id: a stream is kept under it, to be read again by GET /v1/stream. Empty: none. */
    struct smollm_text conversation_id;
    struct smollm_text body; /* borrowed until api_answer_open has returned, as the other texts are */
    const char *request_id;  /* shown in errors where the dialect has a place for it */
    uint64_t key;            /* identity of the request's API key (smollm_request_options.key); 0: there are no keys */
    /* Called from another thread when the answer may have more bytes after it had none; must return at once. */
    void (*notify)(void *user);
    void *notify_user;
};

struct api_answer;

/* Reads the request and starts to answer it. An invalid request gets an answer too; NULL only when out of
 * memory. Reading a long prompt takes time (tokenizing: some megabytes a second): call it for routes that take a body
 * on a worker thread. Calls may run on several threads at once. */
struct api_answer *api_answer_open(struct api *api, const struct api_call *call);

struct api_head {
    int status;
    int retry_after;          /* seconds; 0: none */
    const char *content_type; /* constant */
    const char *field;        /* a further line of the head, with its line end; NULL: none. As long as the api */
    bool is_stream;           /* of unknown length, to be sent on as it comes */
};
/* false until the head is known, which happens only in api_answer_pull: a stream gets its head with its first bytes, so
 * that an earlier error has its own status. */
bool api_answer_head(const struct api_answer *answer, struct api_head *head);
/* Whether the answer is a stream if there is no error; also before the head is known. */
bool api_answer_is_stream(const struct api_answer *answer);
/* Makes a stream that still waits begin with the next api_answer_pull, because its client waits no longer for the
 * head. */
void api_answer_begin(struct api_answer *answer);

enum api_state {
    API_WAITING, /* nothing more now; notify is called when there is */
    API_READY,   /* there is more, ask again */
    API_DONE,    /* complete */
    API_LOST     /* what comes next is not there any more: the connection must be cut, so that the client sees it */
};
/* Appends the available bytes to out, and stops soon after out has `max` bytes. An answer that is not a stream is
 * complete before its head is known. out->failed is set when out of memory. */
enum api_state api_answer_pull(struct api_answer *answer, struct buffer *out, size_t max);

/* What has been generated for an answer, for a log: tokens of all choices together, times of the slowest choice.
 */
struct api_figures {
    uint64_t prompt_tokens;
    uint64_t cached_tokens; /* of these, from the prefix cache */
    uint64_t completion_tokens;
    double queue_ms;
    double first_token_ms; /* from the arrival in the queue; negative: there is no token yet */
    const char
        *finish; /* constant: "stop", "length", "tool_calls", "error", "canceled" (not at its end), "kept" (goes on) */
};
/* false: nothing is generated for this answer. */
bool api_answer_figures(const struct api_answer *answer, struct api_figures *figures);

/* Appends what keeps the connection of a stream alive, if the dialect has something that its clients ignore; for a kept
 * stream it comes with the next bytes instead. */
void api_answer_keep_alive(struct api_answer *answer, struct buffer *out);
/* Ends the generation because the server shuts down; the answer ends with this error, or is only the error if it has
 * not begun. */
void api_answer_abort(struct api_answer *answer);
/* Frees, and cancels what is under way and not kept. Accepts NULL. */
void api_answer_close(struct api_answer *answer);

#endif
