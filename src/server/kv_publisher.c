#include "server/kv_publisher.h"

#include "base/error.h"
#include "server/kv_batch.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WAIT_MS = 50, /* how long a request for missed batches, or the end, waits at most */
    KEPT_BATCHES_MAX = 8192,
    KEPT_BYTES_MAX = 8 << 20,
    UNSENT_MAX = 1024, /* batches in memory for one slow subscriber; it misses those beyond */
};

/* Of zmq.h, whose values never change within libzmq.so.5. */
enum {
    ZMQ_PUB = 1,
    ZMQ_ROUTER = 6,
    ZMQ_DONTWAIT = 1,
    ZMQ_SNDMORE = 2,
    ZMQ_RCVMORE = 13,
    ZMQ_LINGER = 17,
    ZMQ_SNDHWM = 23
};

struct zmq {
    void *library;
    void *(*ctx_new)(void);
    int (*ctx_term)(void *context);
    void *(*socket)(void *context, int type);
    int (*close)(void *socket);
    int (*bind)(void *socket, const char *endpoint);
    int (*setsockopt)(void *socket, int option, const void *value, size_t size);
    int (*getsockopt)(void *socket, int option, void *value, size_t *size);
    int (*send)(void *socket, const void *data, size_t size, int flags);
    int (*recv)(void *socket, void *data, size_t size, int flags);
    int (*get_errno)(void);
    const char *(*strerror)(int code);
};

struct kv_publisher {
    struct zmq zmq;
    void *context, *pub, *replay;
    char *topic;
    struct smollm_engine *engine;
    pthread_t thread;
    bool thread_started;
    _Atomic bool is_closing;
    /* Of the thread. */
    uint64_t next;                        /* number of the next batch */
    uint64_t oldest;                      /* of those kept */
    struct buffer kept[KEPT_BATCHES_MAX]; /* batch n is at n % KEPT_BATCHES_MAX */
    size_t kept_bytes;
};

/* ---- libzmq ---- */

static int load(struct zmq *zmq, struct smollm_error *error)
{
    const struct {
        const char *name;
        void *function; /* a pointer to the member */
    } functions[] = {
        {"zmq_ctx_new", &zmq->ctx_new},       {"zmq_ctx_term", &zmq->ctx_term}, {"zmq_socket", &zmq->socket},
        {"zmq_close", &zmq->close},           {"zmq_bind", &zmq->bind},         {"zmq_setsockopt", &zmq->setsockopt},
        {"zmq_getsockopt", &zmq->getsockopt}, {"zmq_send", &zmq->send},         {"zmq_recv", &zmq->recv},
        {"zmq_errno", &zmq->get_errno},       {"zmq_strerror", &zmq->strerror},
    };
    zmq->library = dlopen("libzmq.so.5", RTLD_NOW | RTLD_LOCAL);
    RETURN_ERROR_IF(!zmq->library, error, SMOLLM_EUNSUPPORTED,
                    "--kv-events needs ZeroMQ's library, libzmq.so.5; on Debian: apt install libzmq5");
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *address = dlsym(zmq->library, functions[i].name);
        RETURN_ERROR_IF(!address, error, SMOLLM_EUNSUPPORTED, "libzmq.so.5 has no %s", functions[i].name);
        memcpy(functions[i].function, &address, sizeof address);
    }
    return 0;
}

static int bind_socket(struct kv_publisher *p, int type, const char *endpoint, void **result,
                       struct smollm_error *error)
{
    const int linger = 0, unsent = UNSENT_MAX;
    *result = p->zmq.socket(p->context, type);
    RETURN_ERROR_IF(!*result, error, SMOLLM_ENOMEM, "cannot make a ZeroMQ socket: %s",
                    p->zmq.strerror(p->zmq.get_errno()));
    p->zmq.setsockopt(*result, ZMQ_LINGER, &linger, sizeof linger);
    p->zmq.setsockopt(*result, ZMQ_SNDHWM, &unsent, sizeof unsent);
    RETURN_ERROR_IF(p->zmq.bind(*result, endpoint) != 0, error, SMOLLM_EIO,
                    "cannot publish at %s: %s (an endpoint looks like tcp://127.0.0.1:5557)", endpoint,
                    p->zmq.strerror(p->zmq.get_errno()));
    return 0;
}

int kv_publisher_open(const struct kv_publisher_options *options, struct kv_publisher **result,
                      struct smollm_error *error)
{
    struct kv_publisher *p = *result = calloc(1, sizeof *p);
    RETURN_ERROR_IF(!p, error, SMOLLM_ENOMEM, "out of memory");
    p->topic = strdup(options->topic ? options->topic : "");
    int status = p->topic ? load(&p->zmq, error) : error_set(error, SMOLLM_ENOMEM, "out of memory");
    if (status == 0) {
        p->context = p->zmq.ctx_new();
        if (!p->context)
            status = error_set(error, SMOLLM_ENOMEM, "cannot start ZeroMQ");
    }
    if (status == 0)
        status = bind_socket(p, ZMQ_PUB, options->endpoint, &p->pub, error);
    if (status == 0 && options->replay_endpoint)
        status = bind_socket(p, ZMQ_ROUTER, options->replay_endpoint, &p->replay, error);
    if (status < 0) {
        kv_publisher_close(p);
        *result = NULL;
    }
    return status;
}

/* ---- Batches ---- */

static void put_number(unsigned char bytes[8], uint64_t number)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> 8 * (7 - i));
}

static void drop_oldest(struct kv_publisher *p)
{
    struct buffer *batch = &p->kept[p->oldest++ % KEPT_BATCHES_MAX];
    p->kept_bytes -= batch->size;
    buffer_free(batch);
}

/* Takes the batch. */
static void keep(struct kv_publisher *p, struct buffer *batch)
{
    while (p->next - p->oldest >= KEPT_BATCHES_MAX || (p->next > p->oldest && p->kept_bytes > KEPT_BYTES_MAX))
        drop_oldest(p);
    p->kept[p->next % KEPT_BATCHES_MAX] = *batch;
    p->kept_bytes += batch->size;
    p->next++;
}

/* A PUB socket never waits: a subscriber that is too slow misses the message. */
static void publish(struct kv_publisher *p, const struct smollm_cache_event *events, size_t count)
{
    struct buffer batch = {0};
    struct timespec now;
    unsigned char number[8];
    clock_gettime(CLOCK_REALTIME, &now);
    kv_batch_write(&batch, (double)now.tv_sec + (double)now.tv_nsec * 1e-9, events, count);
    put_number(number, p->next);
    /* Without memory the number is used up: subscribers see that they missed a batch. */
    if (batch.failed) {
        buffer_free(&batch);
        batch = (struct buffer){0};
    } else {
        p->zmq.send(p->pub, p->topic, strlen(p->topic), ZMQ_SNDMORE);
        p->zmq.send(p->pub, number, sizeof number, ZMQ_SNDMORE);
        p->zmq.send(p->pub, batch.data, batch.size, 0);
    }
    keep(p, &batch);
}

/* ---- Missed batches ---- */

struct frame {
    unsigned char data[64];
    int size; /* may be more than data holds; negative: there is none */
};

/* The frames of one request, of which the first `max` are kept; how many there were, 0: no request waits. */
static int receive(struct kv_publisher *p, struct frame *frames, int max)
{
    int count = 0, more = 1;
    for (; more; count++) {
        struct frame frame;
        frame.size = p->zmq.recv(p->replay, frame.data, sizeof frame.data, ZMQ_DONTWAIT);
        if (frame.size < 0)
            return count;
        if (count < max)
            frames[count] = frame;
        size_t size = sizeof more;
        if (p->zmq.getsockopt(p->replay, ZMQ_RCVMORE, &more, &size) != 0)
            more = 0;
    }
    return count;
}

/* False: the subscriber cannot take more now. */
static bool reply(struct kv_publisher *p, const struct frame *client, uint64_t number, const struct buffer *batch)
{
    unsigned char bytes[8];
    put_number(bytes, number);
    return p->zmq.send(p->replay, client->data, (size_t)client->size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
           p->zmq.send(p->replay, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
           p->zmq.send(p->replay, bytes, sizeof bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
           p->zmq.send(p->replay, batch ? batch->data : "", batch ? batch->size : 0, ZMQ_DONTWAIT) >= 0;
}

static void answer_requests(struct kv_publisher *p)
{
    enum { CLIENT, EMPTY, FIRST, FRAMES };
    struct frame frames[FRAMES];
    for (int count; p->replay && (count = receive(p, frames, FRAMES)) > 0;) {
        if (count != FRAMES || frames[FIRST].size != 8 || frames[CLIENT].size > (int)sizeof frames[CLIENT].data)
            continue;
        uint64_t first = 0;
        for (int i = 0; i < 8; i++)
            first = first << 8 | frames[FIRST].data[i];
        bool taken = true;
        for (uint64_t n = first > p->oldest ? first : p->oldest; n < p->next && taken; n++)
            if (p->kept[n % KEPT_BATCHES_MAX].size > 0)
                taken = reply(p, &frames[CLIENT], n, &p->kept[n % KEPT_BATCHES_MAX]);
        if (taken)
            reply(p, &frames[CLIENT], UINT64_MAX, NULL);
    }
}

/* ---- The thread ---- */

static void *publisher_main(void *user)
{
    struct kv_publisher *p = user;
    struct smollm_cache_event events[KV_BATCH_EVENTS_MAX];
    while (!atomic_load(&p->is_closing)) {
        size_t count = 0;
        while (count < KV_BATCH_EVENTS_MAX &&
               smollm_next_cache_event(p->engine, count == 0 ? WAIT_MS : 0, &events[count]) == 0)
            count++;
        if (count > 0)
            publish(p, events, count);
        answer_requests(p);
    }
    return NULL;
}

int kv_publisher_start(struct kv_publisher *publisher, struct smollm_engine *engine, struct smollm_error *error)
{
    publisher->engine = engine;
    const int failed = pthread_create(&publisher->thread, NULL, publisher_main, publisher);
    RETURN_ERROR_IF(failed, error, SMOLLM_ENOMEM, "cannot start a thread: %s", strerror(failed));
    publisher->thread_started = true;
    return 0;
}

void kv_publisher_close(struct kv_publisher *p)
{
    if (!p)
        return;
    atomic_store(&p->is_closing, true);
    if (p->thread_started)
        pthread_join(p->thread, NULL);
    while (p->oldest < p->next)
        drop_oldest(p);
    if (p->pub)
        p->zmq.close(p->pub);
    if (p->replay)
        p->zmq.close(p->replay);
    if (p->context)
        p->zmq.ctx_term(p->context);
    if (p->zmq.library)
        dlclose(p->zmq.library);
    free(p->topic);
    free(p);
}
