#include "server/log_writer.h"

#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 256 * 1024, DROPPED_LINE = 96, CLOSE_SECONDS = 1 };

struct log_writer {
    int descriptor;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    bool is_closing;
    bool is_over; /* the thread has written all and ends */
    uint64_t dropped;
    size_t size;      /* of `lines` */
    char lines[ROOM]; /* whole ones */
    /* Of the thread. */
    char out[ROOM];
};

/* False: the descriptor is broken. */
static bool write_all(int descriptor, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t written = write(descriptor, data, size);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (written < 0 && errno == EAGAIN) /* another program made the pipe non-blocking */
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        data += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

static void *writer_main(void *user)
{
    struct log_writer *w = user;
    bool is_good = true;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (w->size == 0 && w->dropped == 0 && !w->is_closing)
            pthread_cond_wait(&w->changed, &w->mutex);
        if (w->size == 0 && w->dropped == 0)
            break;
        const size_t size = w->size;
        const uint64_t dropped = w->dropped;
        memcpy(w->out, w->lines, size);
        w->size = w->dropped = 0;
        pthread_mutex_unlock(&w->mutex);
        char line[DROPPED_LINE];
        const int length = snprintf(line, sizeof line,
                                    "smollm: %" PRIu64 " lines of the log were dropped: it was not read\n", dropped);
        is_good = is_good && write_all(w->descriptor, w->out, size);
        is_good = is_good && (dropped == 0 || write_all(w->descriptor, line, (size_t)length));
        pthread_mutex_lock(&w->mutex);
    }
    w->is_over = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

int log_writer_create(int descriptor, struct log_writer **result, struct smollm_error *error)
{
    pthread_condattr_t attributes;
    struct log_writer *w = *result = calloc(1, sizeof *w);
    RETURN_ERROR_IF(!w, error, SMOLLM_ENOMEM, "out of memory");
    w->descriptor = descriptor;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    const int failed = pthread_create(&w->thread, NULL, writer_main, w);
    if (!failed)
        return 0;
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->changed);
    free(w);
    *result = NULL;
    return error_set(error, SMOLLM_ENOMEM, "cannot start a thread: %s", strerror(failed));
}

void log_writer_add(struct log_writer *w, struct smollm_text line)
{
    pthread_mutex_lock(&w->mutex);
    if (line.size <= sizeof w->lines - w->size) {
        memcpy(w->lines + w->size, line.data, line.size);
        w->size += line.size;
    } else {
        w->dropped++;
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

void log_writer_close(struct log_writer *w)
{
    if (!w)
        return;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += CLOSE_SECONDS;
    pthread_mutex_lock(&w->mutex);
    w->is_closing = true;
    pthread_cond_broadcast(&w->changed);
    while (!w->is_over && pthread_cond_timedwait(&w->changed, &w->mutex, &until) == 0) {
    }
    const bool is_over = w->is_over;
    pthread_mutex_unlock(&w->mutex);
    if (!is_over) { /* it hangs in write(), and would go on to use its memory if that returned */
        pthread_detach(w->thread);
        return;
    }
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->changed);
    free(w);
}
