/* Streams that outlive the connection that asked for them.
 *
 * A stream has an id, which its client chose, and belongs to an API key. A thread of its own, the pump, pulls bytes
 * from the stream's source (a generation) into a window (byte_window.h), whoever reads them. Readers take bytes from
 * the window, each at its own position and with its own notification: the connection that asked first is one, and later
 * connections with the same key are others. A reader that leaves changes nothing; one that is slow holds up neither the
 * stream nor other readers.
 *
 *     source --pull--> [ window ] --kept_reader_pull--> connection that asked
 *       (the pump)          |-----kept_reader_pull----> connection that came later, from position N
 *
 * A position counts bytes of the stream's body from its first byte, without the chunks of HTTP. What keeps a silent
 * stream alive becomes part of the stream, so that positions are the same for all readers.
 *
 * Everything is bounded:
 *
 *   - A window holds 4 MiB. A longer stream goes on and loses its oldest bytes; a reader at a position before them is
 *     refused, or cut off (API_LOST) when it falls behind.
 *   - All windows together hold KEPT_STREAMS_BYTES. Above that the finished stream that has gone unread for the longest
 *     time is dropped; when none is left, the largest window loses its oldest bytes.
 *   - There are up to KEPT_STREAMS_MAX streams. Above that a finished one is dropped as well; when all are under way, a
 *     new one is refused (429).
 *   - A finished stream is dropped after KEPT_STREAM_IDLE_SECONDS without a reader.
 *   - A stream that is under way ends by itself, at its max_tokens at the latest. After KEPT_STREAM_UNREAD_SECONDS
 *     without a reader it ends with an error.
 *
 * A new stream with the same id and key replaces the old one. The replaced one, like one that was removed, ends with an
 * error for those who still read it. A stream whose source fails before the first byte is not kept: its readers get the
 * error as their whole answer.
 *
 * Functions may be called from any thread and hold a mutex only to copy bytes; a reader belongs to one thread. Sources
 * are called by the pump alone, without the mutex. */
#ifndef API_KEPT_STREAMS_H
#define API_KEPT_STREAMS_H

#include "api/api.h"
#include "api/core/api_error.h"
#include "api/core/byte_window.h"

#include <pthread.h>

enum {
    KEPT_STREAMS_BYTES = 64 << 20,
    KEPT_STREAMS_MAX = 256,
    KEPT_STREAM_ID_MAX = 256, /* bytes */
    KEPT_STREAM_IDLE_SECONDS = 5 * 60,
    KEPT_STREAM_UNREAD_SECONDS = 30 * 60,
};

/* ---- Where bytes come from ---- */

struct stream_source {
    /* As api_answer_pull, in whole events. */
    enum api_state (*pull)(void *user, struct buffer *out, size_t max);
    struct api_head (*head)(const void *user); /* known once there are bytes */
    void (*get_figures)(const void *user, struct api_figures *figures);
    void (*begin)(void *user);                               /* as api_answer_begin */
    void (*fail)(void *user, const struct api_error *error); /* the next pull writes the error and is the last */
    void (*close)(void *user);
    /* Appends what clients ignore, between events while the stream is silent, if there is such a thing. */
    void (*keep_alive)(const void *user, struct buffer *out);
};

/* ---- All streams ---- */

struct kept_stream;
struct kept_reader;

struct kept_streams {
    pthread_mutex_t mutex;
    pthread_cond_t wake; /* of the pump */
    pthread_t pump;      /* started with the first stream */
    bool has_pump;
    bool is_closing;
    struct kept_stream *first;
    size_t count, block_count;
    uint64_t turns;          /* of the pump */
    uint64_t (*clock)(void); /* nanoseconds; tests have their own */
};

void kept_streams_init(struct kept_streams *kept);
/* Ends streams that are under way. After all readers have been closed. */
void kept_streams_destroy(struct kept_streams *kept);

/* Beginning a stream takes two steps, because a source needs the notification before it exists. NULL: out of memory.
 * The id is copied. */
struct kept_stream *kept_stream_create(struct kept_streams *kept, uint64_t key, struct smollm_text id);
/* The source has more. May be called with locks of the source's library held, from kept_stream_create on until the
 * source's close has returned. */
void kept_stream_notify(void *stream);
void kept_stream_discard(struct kept_stream *stream); /* one that was not started */
/* Takes stream and source over and gives the first reader, closed with kept_reader_close. On failure neither is taken:
 * 429 when there are too many, 503 without a thread or memory. */
int kept_stream_start(struct kept_stream *stream, const struct stream_source *source, void *source_user,
                      void (*notify)(void *user), void *notify_user, struct kept_reader **reader,
                      struct api_error *error);

/* A reader from position `from` on, which may lie beyond what there is: the reader then waits for it. 404: the key has
 * no stream with this id; 400: `from` lies before the window. */
int kept_streams_open(struct kept_streams *kept, uint64_t key, struct smollm_text id, uint64_t from,
                      void (*notify)(void *user), void *notify_user, struct kept_reader **reader,
                      struct api_error *error);
/* Stops the stream if it is under way, and forgets it. false: the key has none with this id. */
bool kept_streams_remove(struct kept_streams *kept, uint64_t key, struct smollm_text id);

struct kept_stream_info {
    struct smollm_text id;
    bool is_done;
    uint64_t begin, end;              /* positions in the window */
    int64_t started_at, completed_at; /* seconds since 1970; 0: under way */
};
/* Calls visit, with the mutex held, for each stream of the key whose id is `id` or begins with it and "::". */
void kept_streams_visit(struct kept_streams *kept, uint64_t key, struct smollm_text id,
                        void (*visit)(void *user, const struct kept_stream_info *info), void *user);

/* ---- Readers ---- */

/* As the functions of struct api_answer. */
enum api_state kept_reader_pull(struct kept_reader *reader, struct buffer *out, size_t max);
bool kept_reader_head(const struct kept_reader *reader, struct api_head *head);
void kept_reader_begin(struct kept_reader *reader);
void kept_reader_keep_alive(struct kept_reader *reader); /* has something written into a stream that is silent */
void kept_reader_abort(struct kept_reader *reader, const struct api_error *error); /* ends it for all readers */
/* false: the reader is not the stream's first one, so that each generation is logged once. */
bool kept_reader_figures(const struct kept_reader *reader, struct api_figures *figures);
/* The stream goes on. Afterwards notify is not called any more. Accepts NULL. */
void kept_reader_close(struct kept_reader *reader);

#endif
