/* One request, between the engine's thread and its reader. Internal to library/: token_events.c is the engine's side,
 * smollm_request.c the reader's.
 *
 * The engine's thread passes each token through decoder, parser and stop strings into the ring; the reader takes events
 * out on its own thread. Both hold the request, and the last one frees it; it holds its sequence, and so the engine's
 * locks, for as long as it lives. Nothing is allocated after smollm_submit. */
#ifndef LIBRARY_REQUEST_STATE_H
#define LIBRARY_REQUEST_STATE_H

#include "chat/chat_parser.h"
#include "library/answer_form.h"
#include "library/event_ring.h"
#include "library/handles.h"
#include "library/next_turn.h"
#include "library/stop_matcher.h"
#include "library/vector_ring.h"
#include "tokenizer/token_decoder.h"

#include <pthread.h>
#include <stdatomic.h>

struct smollm_request {
    struct engine *engine;
    const struct smollm_model *model;
    struct engine_sequence *sequence; /* held by the reader */
    uint64_t id;
    uint32_t prompt_tokens; /* constant after smollm_submit */
    _Atomic int holders;    /* the reader and the engine */

    /* Of the engine's thread, after smollm_submit. */
    struct token_decoder decoder;
    struct chat_parser parser;
    struct stop_matcher stops;
    struct buffer text; /* decoded, with room for any token */
    bool is_chat;
    bool want_logprobs;
    bool want_progress;
    uint32_t tool_calls;
    uint64_t call_id; /* random: the ids of its tool calls begin with it */
    uint64_t seed;
    struct answer_form *form;   /* or NULL */
    _Atomic bool ends_thinking; /* smollm_end_thinking was called */
    bool *ends;                 /* [vocabulary]: its end tokens, when they are not the model's; or NULL */
    struct turn *turn;          /* of a conversation, for its next one; NULL: none is prepared */
    uint32_t silent_tokens;     /* the first tokens of the answer, of which no events tell */
    uint32_t taken_tokens;      /* of the answer */
    uint32_t told_tokens;       /* of these, up to the last one whose last event is written */
    bool is_silent;             /* no event is written now */
    bool is_lost;               /* an event did not fit into the ring: the answer ends with an error */
    /* Text of one kind that has not become an event yet; written before any other event and at the end of a token. */
    enum smollm_event_type pending_type;
    uint32_t pending_index; /* of the tool call */
    size_t pending_size;
    char pending[EVENT_TEXT_MAX];

    /* Whether the ring has room for another token. Written under the mutex: false by the engine's thread when there is
     * no room left, true by the reader when it has read nearly everything. Read by the engine. */
    _Atomic bool has_room;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    struct event_ring ring;
    bool has_queued;
    bool has_progress;
    bool canceled;
    bool ended;                    /* `last` is set */
    bool delivered;                /* `last` has been read */
    struct engine_account account; /* a copy of the sequence's */
    uint32_t reasoning_tokens;
    struct vector_ring vectors; /* of an embedding or of scores; zeroed: the request gives an answer */
    bool has_scores;            /* they are scores */
    struct smollm_event queued; /* only the last of its kind is kept; likewise of the next one */
    struct smollm_event progress;
    struct smollm_event last;
    void (*notify)(void *user);
    void *notify_user;
};

/* The engine's callbacks for this request. The engine's hold ends with `finished`. */
struct engine_client answer_client(struct smollm_request *request);

/* Takes the tokens that the answer begins with, without events, before the engine has the request. ends: its end
 * tokens, or NULL. */
int answer_resume(struct smollm_request *request, const int32_t *tokens, size_t count, const bool *ends,
                  struct smollm_error *error);

/* From the account and the counts of the answer, with times up to now. */
struct smollm_usage request_usage(const struct smollm_request *request);

void request_release(struct smollm_request *request);

#endif
