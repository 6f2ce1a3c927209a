/* The HTTP API without sockets: a path and a body in, an answer out.
 *
 * An answer is pulled: the server asks for the next bytes when the client can take them. Until then the events wait in
 * the library, and when its ring is full the sequence waits: a slow client delays no other. */
#ifndef API_API_H
#define API_API_H

#include "api/api_error.h"
#include "smollm.h"

struct api_options {
    const char *alias;               /* the model's name in answers; NULL: its own */
    bool metrics;                    /* whether /metrics is served */
    struct smollm_sampling sampling; /* defaults of requests; logit_bias is not used */
    bool has_seed;                   /* sampling.seed is used; otherwise each request without one gets a random seed */
    int32_t max_tokens;              /* default; -1: until the context is full */
};

struct api;

/* Options are copied. Until api_attach every request is answered with 503 and the share of the model that is loaded.
 * SMOLLM_ENOMEM. */
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

enum api_method { API_GET, API_POST };

struct api_route {
    const char *path;
    enum api_method method;
    bool is_public; /* answers without a key */
    int kind;       /* internal */
};

/* The route for a path as it was sent, without query; NULL: there is none. /v1 before a path may be left out. */
const struct api_route *api_route_find(const struct api *api, struct smollm_text path);

/* ---- Answers ---- */

struct api_call {
    const struct api_route *route;
    struct smollm_text path;
    struct smollm_text body; /* borrowed until api_answer_open has returned */
    uint64_t key;            /* number of the request's API key (smollm_request_options.key); 0: there are no keys */
    /* Called from another thread when the answer may have more bytes after it had none; must return at once. */
    void (*notify)(void *user);
    void *notify_user;
};

struct api_answer;

/* Reads the request and starts to answer it. An invalid request gets an answer too; NULL only when out of
 * memory. Reading a long prompt takes time (tokenizing: some megabytes a second): call it for POST routes on a
 * worker thread. Calls may run on several threads at once. */
struct api_answer *api_answer_open(struct api *api, const struct api_call *call);

struct api_head {
    int status;
    int retry_after;          /* seconds; 0: none */
    const char *content_type; /* constant */
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
    API_DONE     /* complete */
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
    const char *finish;    /* constant: "stop", "length", "tool_calls", "error", "canceled" (not at its end) */
};
/* false: nothing is generated for this answer. */
bool api_answer_figures(const struct api_answer *answer, struct api_figures *figures);

/* Appends a comment line of a stream, which keeps the connection alive. */
void api_answer_keep_alive(struct api_answer *answer, struct buffer *out);
/* Ends the generation; the answer ends with this error, or is only the error if it has not begun. */
void api_answer_abort(struct api_answer *answer, const struct api_error *error);
/* Cancels if necessary and frees. Accepts NULL. */
void api_answer_close(struct api_answer *answer);

#endif
