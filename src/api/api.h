/* The HTTP API without HTTP: a path and a body in, an answer out. Knows no sockets.
 *
 * An answer is pulled: whoever writes it to a client asks for the next bytes when the client can take them. While
 * nobody asks, the events wait in the library, and when its ring is full the conversation itself waits: a slow reader
 * holds up nobody else. */
#ifndef API_API_H
#define API_API_H

#include "api/api_error.h"
#include "smollm.h"

struct api_options {
    const char *alias;               /* the model's name in answers; NULL: its own */
    bool metrics;                    /* whether /metrics is served */
    struct smollm_sampling sampling; /* where a request says nothing; logit_bias is not used */
    bool has_seed;                   /* sampling.seed is used; otherwise each request without one gets a random seed */
    int32_t max_tokens;              /* the same; -1: until the context is full */
};

struct api;

/* Options are copied. Until api_attach every request is answered with 503 and the share of the model that is loaded.
 * SMOLLM_ENOMEM. */
int api_create(const struct api_options *options, struct api **api, struct smollm_error *error);
void api_destroy(struct api *api); /* after all its answers have been closed; accepts NULL */
/* How much of the model is loaded, 0 to 1. From any thread. */
void api_set_loaded(struct api *api, double fraction);
/* From now on requests are answered. Once; from any thread. model and engine are borrowed until api_destroy.
 * SMOLLM_ENOMEM. */
int api_attach(struct api *api, struct smollm_model *model, struct smollm_engine *engine, struct smollm_error *error);
/* No new conversations; /health says so, with 503. Those that are open go on. From any thread. */
void api_drain(struct api *api);
/* The model's name in answers, after api_attach; borrowed. */
const char *api_model_name(const struct api *api);
/* Counts a request that was answered with this status, for /metrics; what is no refusal is passed over. From any
 * thread. */
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
    uint64_t key;            /* whose key it is: what one has asked cannot be felt by another; 0: there are no keys */
    /* Called from another thread when the answer may have more bytes after it had none; must return at once. */
    void (*notify)(void *user);
    void *notify_user;
};

struct api_answer;

/* Reads the request and starts to answer it. What is wrong with a request makes an answer too; NULL only when out of
 * memory. Reading a long prompt takes time (tokenizing: some megabytes a second): POST routes are for a thread that may
 * be busy. Different calls may run on different threads at once. */
struct api_answer *api_answer_open(struct api *api, const struct api_call *call);

struct api_head {
    int status;
    int retry_after;          /* seconds; 0: none */
    const char *content_type; /* constant */
    bool is_stream;           /* of unknown length, to be sent on as it comes */
};
/* false while the head is not known yet, which changes only in api_answer_pull: a stream has its head with its first
 * bytes, so that what goes wrong before is an error with its own status. */
bool api_answer_head(const struct api_answer *answer, struct api_head *head);
/* Whether it is meant to be one, also before the head is known. */
bool api_answer_is_stream(const struct api_answer *answer);
/* A stream that still waits is to begin, with the next api_answer_pull: whoever reads it will not wait any longer for
 * its head. */
void api_answer_begin(struct api_answer *answer);

enum api_state {
    API_WAITING, /* nothing more now; notify is called when there is */
    API_READY,   /* there is more, ask again */
    API_DONE     /* complete */
};
/* Appends what there is to out, and stops soon after out holds `most` bytes. An answer that is no stream is complete
 * before its head is known. When memory ran out, out->failed is set. */
enum api_state api_answer_pull(struct api_answer *answer, struct buffer *out, size_t max);

/* What has been generated for an answer, for a log; of several choices tokens add up, times are those of the slowest.
 */
struct api_figures {
    uint64_t prompt_tokens;
    uint64_t cached_tokens; /* of these, not computed again */
    uint64_t completion_tokens;
    double queue_ms;
    double first_token_ms; /* from the arrival in the queue; negative: there is no token yet */
    const char *finish;    /* constant: "stop", "length", "tool_calls", "error", "canceled" (not at its end) */
};
/* false: the answer generates nothing. */
bool api_answer_figures(const struct api_answer *answer, struct api_figures *figures);

/* Appends bytes of a stream that mean nothing, to keep it from looking dead. */
void api_answer_keep_alive(struct api_answer *answer, struct buffer *out);
/* Ends what is generated; the rest of the answer is this error, or, where nothing was said yet, only that. */
void api_answer_abort(struct api_answer *answer, const struct api_error *error);
/* Cancels if need be and frees. Accepts NULL. */
void api_answer_close(struct api_answer *answer);

#endif
