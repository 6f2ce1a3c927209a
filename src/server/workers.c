#include "server/workers.h"

#include "base/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SERVED_KEYS = 64 }; /* whose turn is remembered; of the others the oldest work is first */

struct list {
    struct work *first, *last;
};

struct workers {
    void (*notify)(void *user);
    void *user;
    uint32_t count; /* of threads */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    bool is_closing;
    struct list waiting, done;
    struct work **running;        /* [count], NULL: the thread waits */
    uint64_t served[SERVED_KEYS]; /* the keys served last, the latest at served_count - 1 */
    uint32_t served_count;
    pthread_t threads[];
};

/* ---- Lists ---- */

static void append(struct list *list, struct work *work)
{
    work->next = NULL;
    *(list->last ? &list->last->next : &list->first) = work;
    list->last = work;
}

/* before: the work before it, or NULL. */
static void remove_after(struct list *list, struct work *before, struct work *work)
{
    *(before ? &before->next : &list->first) = work->next;
    if (list->last == work)
        list->last = before;
    work->next = NULL;
}

/* ---- Turns; under the mutex ---- */

static uint32_t count_running(const struct workers *w, uint64_t key)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->count; i++)
        count += w->running[i] && w->running[i]->key == key;
    return count;
}

/* How recently the key was served: 0, not remembered. */
static uint32_t served_at(const struct workers *w, uint64_t key)
{
    for (uint32_t i = w->served_count; i > 0; i--)
        if (w->served[i - 1] == key)
            return i;
    return 0;
}

static void note_served(struct workers *w, uint64_t key)
{
    uint32_t at = served_at(w, key);
    if (at == 0 && w->served_count == SERVED_KEYS)
        at = 1;
    if (at > 0)
        memmove(w->served + at - 1, w->served + at, (w->served_count-- - at) * sizeof *w->served);
    w->served[w->served_count++] = key;
}

static struct work *take_next(struct workers *w)
{
    struct work *best = NULL, *before_best = NULL, *before = NULL;
    uint32_t best_running = 0, best_served = 0;
    for (struct work *work = w->waiting.first; work; before = work, work = work->next) {
        const uint32_t running = count_running(w, work->key), served = served_at(w, work->key);
        if (best && (running > best_running || (running == best_running && served >= best_served)))
            continue;
        best = work;
        before_best = before;
        best_running = running;
        best_served = served;
    }
    if (best) {
        remove_after(&w->waiting, before_best, best);
        note_served(w, best->key);
    }
    return best;
}

/* ---- Threads ---- */

struct start {
    struct workers *workers;
    uint32_t index;
};

static void *worker_main(void *user)
{
    struct start *start = user;
    struct workers *w = start->workers;
    const uint32_t index = start->index;
    free(start);
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        struct work *work = w->is_closing ? NULL : take_next(w);
        if (!work && w->is_closing)
            break;
        if (!work) {
            pthread_cond_wait(&w->changed, &w->mutex);
            continue;
        }
        w->running[index] = work;
        work->state = WORK_RUNNING;
        pthread_mutex_unlock(&w->mutex);
        work->run(work);
        pthread_mutex_lock(&w->mutex);
        w->running[index] = NULL;
        work->state = WORK_DONE;
        append(&w->done, work);
        w->notify(w->user);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static int start_thread(struct workers *w, struct smollm_error *error)
{
    struct start *start = malloc(sizeof *start);
    RETURN_ERROR_IF(!start, error, SMOLLM_ENOMEM, "out of memory");
    *start = (struct start){w, w->count};
    const int failed = pthread_create(&w->threads[w->count], NULL, worker_main, start);
    if (failed)
        free(start);
    RETURN_ERROR_IF(failed, error, SMOLLM_ENOMEM, "cannot start a thread: %s", strerror(failed));
    return 0;
}

int workers_create(uint32_t threads, void (*notify)(void *user), void *user, struct workers **result,
                   struct smollm_error *error)
{
    struct workers *w = *result = calloc(1, sizeof *w + threads * sizeof *w->threads);
    RETURN_ERROR_IF(!w, error, SMOLLM_ENOMEM, "out of memory");
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->notify = notify;
    w->user = user;
    w->running = calloc(threads, sizeof(struct work *));
    int status = w->running ? 0 : error_set(error, SMOLLM_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < threads && status == 0; i++) {
        pthread_mutex_lock(&w->mutex); /* count is read by threads that run */
        status = start_thread(w, error);
        w->count += status == 0;
        pthread_mutex_unlock(&w->mutex);
    }
    if (status < 0) {
        workers_destroy(w);
        *result = NULL;
    }
    return status;
}

void workers_destroy(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->is_closing = true;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->running[i])
            atomic_store(&w->running[i]->is_canceled, true);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    for (uint32_t i = 0; i < w->count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->changed);
    free(w->running);
    free(w);
}

/* ---- The loop's thread ---- */

void workers_submit(struct workers *w, struct work *work)
{
    atomic_store(&work->is_canceled, false);
    pthread_mutex_lock(&w->mutex);
    work->state = WORK_WAITING;
    append(&w->waiting, work);
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

bool workers_cancel(struct workers *w, struct work *work)
{
    pthread_mutex_lock(&w->mutex);
    const bool waits = work->state == WORK_WAITING;
    struct work *before = NULL;
    for (struct work *i = w->waiting.first; waits && i != work; i = i->next)
        before = i;
    if (waits) {
        remove_after(&w->waiting, before, work);
        work->state = WORK_NONE;
    } else {
        atomic_store(&work->is_canceled, true);
    }
    pthread_mutex_unlock(&w->mutex);
    return waits;
}

struct work *workers_take(struct workers *w)
{
    pthread_mutex_lock(&w->mutex);
    struct work *work = w->done.first;
    if (work) {
        remove_after(&w->done, NULL, work);
        work->state = WORK_NONE;
    }
    pthread_mutex_unlock(&w->mutex);
    return work;
}
