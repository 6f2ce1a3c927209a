#include "api/core/kept_streams.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE = 16 << 10 }; /* bytes of one pull */

struct kept_reader {
    struct kept_stream *stream;
    struct kept_reader *next;
    uint64_t position;
    bool is_first; /* of its stream */
    void (*notify)(void *user);
    void *notify_user;
};

struct kept_stream {
    struct kept_streams *kept;
    struct kept_stream *next;
    uint64_t key;
    struct smollm_text id;

    const struct stream_source *source;
    void *source_user;
    bool is_notified; /* the source may have more, or there is something to tell it */
    uint64_t turn;    /* of the pump, when it last pulled */
    bool must_begin;
    bool must_speak;        /* if it is silent: a reader's connection is to be kept alive */
    struct api_error error; /* the source is to end with it; status 0: none */

    struct byte_window window;
    struct api_head head; /* status 0: not known */
    struct api_figures figures;
    bool is_done;    /* the source is closed */
    bool is_broken;  /* it ended in the middle, because memory was out */
    bool is_removed; /* not to be found any more */
    struct kept_reader *readers;
    uint64_t unread_since; /* nanoseconds; while there are no readers */
    int64_t started_at, completed_at;
    char id_bytes[];
};

/* ---- The list; all of this with the mutex held ---- */

static uint64_t seconds(int count)
{
    return (uint64_t)count * 1000000000u;
}

static bool is_unread(const struct kept_stream *stream)
{
    return stream->is_done && !stream->readers;
}

static void drop(struct kept_streams *kept, struct kept_stream *stream)
{
    for (struct kept_stream **at = &kept->first; *at; at = &(*at)->next)
        if (*at == stream) {
            *at = stream->next;
            break;
        }
    kept->count--;
    kept->block_count -= stream->window.block_count;
    byte_window_free(&stream->window);
    free(stream);
}

/* Drops the finished stream that has gone unread for the longest time; false: there is none. */
static bool drop_oldest(struct kept_streams *kept)
{
    struct kept_stream *oldest = NULL;
    for (struct kept_stream *stream = kept->first; stream; stream = stream->next)
        if (is_unread(stream) && (!oldest || stream->unread_since < oldest->unread_since))
            oldest = stream;
    if (oldest)
        drop(kept, oldest);
    return oldest != NULL;
}

static bool shrink_largest(struct kept_streams *kept)
{
    struct kept_stream *largest = kept->first;
    for (struct kept_stream *stream = kept->first; stream; stream = stream->next)
        if (stream->window.block_count > largest->window.block_count)
            largest = stream;
    const bool has_shrunk = largest && byte_window_shrink(&largest->window);
    kept->block_count -= has_shrunk;
    return has_shrunk;
}

static void notify_readers(const struct kept_stream *stream)
{
    for (const struct kept_reader *reader = stream->readers; reader; reader = reader->next)
        reader->notify(reader->notify_user);
}

/* Appends to the window; what had to be dropped for it may have been whole streams, but not this one, which is not
 * done. false: out of memory. */
static bool append(struct kept_stream *stream, struct smollm_text bytes)
{
    struct kept_streams *kept = stream->kept;
    kept->block_count -= stream->window.block_count;
    const bool is_appended = byte_window_append(&stream->window, bytes);
    kept->block_count += stream->window.block_count;
    while (kept->block_count > KEPT_STREAMS_BYTES / BYTE_WINDOW_BLOCK && (drop_oldest(kept) || shrink_largest(kept)))
        ;
    return is_appended;
}

/* Has the pump look at the stream. */
static void wake_for(struct kept_stream *stream)
{
    stream->is_notified = true;
    pthread_cond_signal(&stream->kept->wake);
}

/* The first error counts. */
static void stop(struct kept_stream *stream, const struct api_error *error)
{
    if (stream->is_done || stream->error.status != 0)
        return;
    stream->error = *error;
    wake_for(stream);
}

static void stop_because(struct kept_stream *stream, int status, const char *code, const char *message)
{
    struct api_error error;
    api_error_make(&error, status, code, message);
    stop(stream, &error);
}

static void remove_stream(struct kept_stream *stream, const char *code, const char *message)
{
    stream->is_removed = true;
    stop_because(stream, 410, code, message);
    if (is_unread(stream))
        drop(stream->kept, stream);
}

/* Nanoseconds until the stream has gone unread for too long. */
static uint64_t time_left(const struct kept_stream *stream, uint64_t now)
{
    const bool is_ending = !stream->is_done && stream->error.status != 0;
    if (stream->readers || is_ending)
        return UINT64_MAX;
    const uint64_t end =
        stream->unread_since + seconds(stream->is_done ? KEPT_STREAM_IDLE_SECONDS : KEPT_STREAM_UNREAD_SECONDS);
    return end > now ? end - now : 0;
}

/* Drops and stops what has gone unread for too long; returns the nanoseconds until this is needed again. */
static uint64_t expire(struct kept_streams *kept)
{
    const uint64_t now = kept->clock();
    uint64_t least = UINT64_MAX;
    for (struct kept_stream *next, *stream = kept->first; stream; stream = next) {
        next = stream->next;
        const uint64_t left = time_left(stream, now);
        if (left > 0)
            least = left < least ? left : least;
        else if (stream->is_done)
            drop(kept, stream);
        else
            stop_because(stream, 503, "unread", "nobody has read this stream for too long");
    }
    return least;
}

static struct kept_stream *find(struct kept_streams *kept, uint64_t key, struct smollm_text id)
{
    expire(kept);
    struct kept_stream *stream = kept->first;
    while (stream && (stream->is_removed || stream->key != key || !text_equal(stream->id, id)))
        stream = stream->next;
    return stream;
}

/* ---- The pump ---- */

/* The stream whose turn was the longest time ago, of those that wait for one; NULL: none. */
static struct kept_stream *next_turn(const struct kept_streams *kept)
{
    struct kept_stream *next = NULL;
    for (struct kept_stream *stream = kept->first; stream; stream = stream->next)
        if (stream->is_notified && !stream->is_done && (!next || stream->turn < next->turn))
            next = stream;
    return next;
}

/* What one pull gave. */
struct pulled {
    bool is_over;
    bool is_broken; /* memory was out: there are no bytes */
    bool has_more;
    struct api_head head;
    struct api_figures figures;
};

/* What a source is to be told before it is pulled. */
struct orders {
    struct api_error error; /* status 0: none */
    bool must_begin, must_speak;
};

/* Without the mutex: only the pump calls a source, and nobody else drops a stream that is not done. */
static struct pulled pull_source(const struct kept_stream *stream, const struct orders *orders, struct buffer *piece)
{
    const struct stream_source *source = stream->source;
    void *user = stream->source_user;
    if (orders->error.status != 0)
        source->fail(user, &orders->error);
    else if (orders->must_begin)
        source->begin(user);
    buffer_clear(piece);
    const enum api_state state = source->pull(user, piece, PIECE);
    if (orders->must_speak && state == API_WAITING && piece->size == 0)
        source->keep_alive(user, piece);
    struct pulled pulled = {
        .is_broken = piece->failed || state == API_LOST, .has_more = state == API_READY, .head = source->head(user)};
    source->get_figures(user, &pulled.figures);
    if (pulled.is_broken)
        buffer_free(piece);
    pulled.is_over = state == API_DONE || pulled.is_broken;
    if (pulled.is_over)
        source->close(user);
    return pulled;
}

/* The source is closed. */
static void finish(struct kept_stream *stream, bool is_broken)
{
    const bool is_error = stream->head.status != 200;
    stream->is_done = true;
    stream->is_broken = is_broken;
    stream->is_removed |= is_broken || is_error;
    stream->completed_at = time(NULL);
    stream->unread_since = stream->kept->clock();
    if (is_error) /* which is read as a whole, from whatever position the stream was to be read */
        for (struct kept_reader *reader = stream->readers; reader; reader = reader->next)
            reader->position = 0;
    notify_readers(stream);
    if (stream->is_removed && !stream->readers)
        drop(stream->kept, stream);
}

/* Takes what the source has. Called and returns with the mutex held, and releases it meanwhile. */
static void serve(struct kept_streams *kept, struct kept_stream *stream, struct buffer *piece)
{
    const struct orders orders = {.error = stream->error,
                                  .must_begin = stream->must_begin,
                                  .must_speak = stream->must_speak && stream->head.status == 200};
    stream->is_notified = stream->must_begin = stream->must_speak = false;
    stream->turn = ++kept->turns;
    pthread_mutex_unlock(&kept->mutex);
    const struct pulled pulled = pull_source(stream, &orders, piece);
    pthread_mutex_lock(&kept->mutex);

    stream->figures = pulled.figures;
    stream->is_notified |= pulled.has_more;
    const bool is_appended = append(stream, buffer_text(piece));
    if (stream->head.status == 0 && (piece->size > 0 || pulled.is_over))
        stream->head = pulled.head;
    if (!pulled.is_over && !is_appended) { /* out of memory: the end of what can be read */
        pthread_mutex_unlock(&kept->mutex);
        stream->source->close(stream->source_user);
        pthread_mutex_lock(&kept->mutex);
    }
    if (pulled.is_over || !is_appended)
        finish(stream, pulled.is_broken || !is_appended);
    else
        notify_readers(stream);
}

static void sleep_for(struct kept_streams *kept, uint64_t nanoseconds)
{
    struct timespec until;
    if (nanoseconds == UINT64_MAX) {
        pthread_cond_wait(&kept->wake, &kept->mutex);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(nanoseconds / 1000000000u) + 1; /* rounded up */
    pthread_cond_timedwait(&kept->wake, &kept->mutex, &until);
}

static void *pump_main(void *user)
{
    struct kept_streams *kept = user;
    struct buffer piece = {0};
    pthread_mutex_lock(&kept->mutex);
    while (!kept->is_closing) {
        const uint64_t left = expire(kept);
        struct kept_stream *stream = next_turn(kept);
        if (stream)
            serve(kept, stream, &piece);
        else
            sleep_for(kept, left);
    }
    pthread_mutex_unlock(&kept->mutex);
    buffer_free(&piece);
    return NULL;
}

/* ---- All streams ---- */

void kept_streams_init(struct kept_streams *kept)
{
    pthread_condattr_t attributes;
    *kept = (struct kept_streams){.clock = clock_nanoseconds};
    pthread_mutex_init(&kept->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&kept->wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

void kept_streams_destroy(struct kept_streams *kept)
{
    pthread_mutex_lock(&kept->mutex);
    kept->is_closing = true;
    pthread_cond_signal(&kept->wake);
    pthread_mutex_unlock(&kept->mutex);
    if (kept->has_pump)
        pthread_join(kept->pump, NULL);
    while (kept->first) {
        if (!kept->first->is_done)
            kept->first->source->close(kept->first->source_user);
        drop(kept, kept->first);
    }
    pthread_cond_destroy(&kept->wake);
    pthread_mutex_destroy(&kept->mutex);
}

struct kept_stream *kept_stream_create(struct kept_streams *kept, uint64_t key, struct smollm_text id)
{
    struct kept_stream *stream = calloc(1, sizeof *stream + id.size);
    if (!stream)
        return NULL;
    memcpy(stream->id_bytes, id.data, id.size);
    stream->kept = kept;
    stream->key = key;
    stream->id = (struct smollm_text){stream->id_bytes, id.size};
    stream->started_at = time(NULL);
    return stream;
}

void kept_stream_notify(void *user)
{
    struct kept_stream *stream = user;
    pthread_mutex_lock(&stream->kept->mutex);
    wake_for(stream);
    pthread_mutex_unlock(&stream->kept->mutex);
}

void kept_stream_discard(struct kept_stream *stream)
{
    free(stream);
}

static struct kept_reader *add_reader(struct kept_stream *stream, uint64_t position, void (*notify)(void *user),
                                      void *notify_user)
{
    struct kept_reader *reader = malloc(sizeof *reader);
    if (!reader)
        return NULL;
    *reader = (struct kept_reader){
        .stream = stream, .next = stream->readers, .position = position, .notify = notify, .notify_user = notify_user};
    stream->readers = reader;
    return reader;
}

/* Makes sure that there is room for one more stream, and a thread. */
static int prepare(struct kept_streams *kept, struct api_error *error)
{
    expire(kept);
    if (kept->count >= KEPT_STREAMS_MAX && !drop_oldest(kept)) {
        api_error_make(error, 429, "too_many_streams", "too many streams with X-Conversation-Id are under way");
        return -1;
    }
    if (!kept->has_pump && pthread_create(&kept->pump, NULL, pump_main, kept) != 0)
        return api_refuse_memory(error);
    kept->has_pump = true;
    return 0;
}

int kept_stream_start(struct kept_stream *stream, const struct stream_source *source, void *source_user,
                      void (*notify)(void *user), void *notify_user, struct kept_reader **reader,
                      struct api_error *error)
{
    struct kept_streams *kept = stream->kept;
    stream->source = source;
    stream->source_user = source_user;
    source->get_figures(source_user, &stream->figures);
    pthread_mutex_lock(&kept->mutex);
    int status = prepare(kept, error);
    if (status == 0) {
        *reader = add_reader(stream, 0, notify, notify_user);
        status = *reader ? 0 : api_refuse_memory(error);
    }
    if (status == 0) {
        struct kept_stream *old = find(kept, stream->key, stream->id);
        if (old)
            remove_stream(old, "replaced", "a new request with the same X-Conversation-Id replaced this stream");
        (*reader)->is_first = true;
        stream->next = kept->first;
        kept->first = stream;
        kept->count++;
        wake_for(stream);
    }
    pthread_mutex_unlock(&kept->mutex);
    return status;
}

static int open_reader(struct kept_stream *stream, uint64_t from, void (*notify)(void *user), void *notify_user,
                       struct kept_reader **reader, struct api_error *error)
{
    if (!stream) {
        api_error_make(error, 404, "not_found", "no stream is kept under this id");
        return -1;
    }
    if (from < stream->window.begin)
        return api_refuse(error, "from", "the stream's bytes before %llu are no longer kept",
                          (unsigned long long)stream->window.begin);
    *reader = add_reader(stream, from, notify, notify_user);
    return *reader ? 0 : api_refuse_memory(error);
}

int kept_streams_open(struct kept_streams *kept, uint64_t key, struct smollm_text id, uint64_t from,
                      void (*notify)(void *user), void *notify_user, struct kept_reader **reader,
                      struct api_error *error)
{
    pthread_mutex_lock(&kept->mutex);
    const int status = open_reader(find(kept, key, id), from, notify, notify_user, reader, error);
    pthread_mutex_unlock(&kept->mutex);
    return status;
}

bool kept_streams_remove(struct kept_streams *kept, uint64_t key, struct smollm_text id)
{
    pthread_mutex_lock(&kept->mutex);
    struct kept_stream *stream = find(kept, key, id);
    if (stream)
        remove_stream(stream, "deleted", "the stream was deleted");
    pthread_mutex_unlock(&kept->mutex);
    return stream != NULL;
}

/* "id" or "id::..." */
static bool is_meant(struct smollm_text id, struct smollm_text wanted)
{
    return text_equal(id, wanted) || (id.size > wanted.size + 2 && memcmp(id.data, wanted.data, wanted.size) == 0 &&
                                      memcmp(id.data + wanted.size, "::", 2) == 0);
}

void kept_streams_visit(struct kept_streams *kept, uint64_t key, struct smollm_text id,
                        void (*visit)(void *user, const struct kept_stream_info *info), void *user)
{
    pthread_mutex_lock(&kept->mutex);
    expire(kept);
    for (const struct kept_stream *stream = kept->first; stream; stream = stream->next)
        if (!stream->is_removed && stream->key == key && is_meant(stream->id, id))
            visit(user, &(struct kept_stream_info){.id = stream->id,
                                                   .is_done = stream->is_done,
                                                   .begin = stream->window.begin,
                                                   .end = stream->window.end,
                                                   .started_at = stream->started_at,
                                                   .completed_at = stream->completed_at});
    pthread_mutex_unlock(&kept->mutex);
}

/* ---- Readers ---- */

static enum api_state pull(struct kept_reader *reader, struct buffer *out, size_t max)
{
    const struct kept_stream *stream = reader->stream;
    const struct byte_window *window = &stream->window;
    if (stream->head.status == 0)
        return API_WAITING;
    if (reader->position < window->begin)
        return API_LOST;
    if (out->size < max)
        reader->position += byte_window_read(window, reader->position, max - out->size, out);
    return reader->position < window->end ? API_READY
           : !stream->is_done             ? API_WAITING
           : stream->is_broken            ? API_LOST
                                          : API_DONE;
}

enum api_state kept_reader_pull(struct kept_reader *reader, struct buffer *out, size_t max)
{
    struct kept_streams *kept = reader->stream->kept;
    pthread_mutex_lock(&kept->mutex);
    const enum api_state state = pull(reader, out, max);
    pthread_mutex_unlock(&kept->mutex);
    return state;
}

bool kept_reader_head(const struct kept_reader *reader, struct api_head *head)
{
    struct kept_streams *kept = reader->stream->kept;
    pthread_mutex_lock(&kept->mutex);
    *head = reader->stream->head;
    pthread_mutex_unlock(&kept->mutex);
    return head->status != 0;
}

void kept_reader_begin(struct kept_reader *reader)
{
    struct kept_stream *stream = reader->stream;
    pthread_mutex_lock(&stream->kept->mutex);
    stream->must_begin = true;
    wake_for(stream);
    pthread_mutex_unlock(&stream->kept->mutex);
}

void kept_reader_keep_alive(struct kept_reader *reader)
{
    struct kept_stream *stream = reader->stream;
    pthread_mutex_lock(&stream->kept->mutex);
    stream->must_speak = true;
    wake_for(stream);
    pthread_mutex_unlock(&stream->kept->mutex);
}

void kept_reader_abort(struct kept_reader *reader, const struct api_error *error)
{
    struct kept_streams *kept = reader->stream->kept;
    pthread_mutex_lock(&kept->mutex);
    stop(reader->stream, error);
    pthread_mutex_unlock(&kept->mutex);
}

bool kept_reader_figures(const struct kept_reader *reader, struct api_figures *figures)
{
    struct kept_streams *kept = reader->stream->kept;
    pthread_mutex_lock(&kept->mutex);
    *figures = reader->stream->figures;
    if (!reader->stream->is_done)
        figures->finish = "kept";
    pthread_mutex_unlock(&kept->mutex);
    return reader->is_first;
}

void kept_reader_close(struct kept_reader *reader)
{
    if (!reader)
        return;
    struct kept_stream *stream = reader->stream;
    struct kept_streams *kept = stream->kept;
    pthread_mutex_lock(&kept->mutex);
    struct kept_reader **at = &stream->readers;
    while (*at != reader)
        at = &(*at)->next;
    *at = reader->next;
    if (!stream->readers) {
        stream->unread_since = kept->clock();
        pthread_cond_signal(&kept->wake); /* the time without a reader begins */
    }
    if (stream->is_removed && is_unread(stream))
        drop(kept, stream);
    pthread_mutex_unlock(&kept->mutex);
    free(reader);
}
