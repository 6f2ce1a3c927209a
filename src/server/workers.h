/* Threads for what may take long in a request: parsing, tokenizing, templates, grammars. They are started before the
 * server serves, so none is missing later, and they are shared evenly: the next work is one of the key with the fewest
 * under way, of these the key that was served longest ago, of its works the oldest.
 *
 * All functions but workers_create and workers_destroy are for one thread, that of the event loop. */
#ifndef SERVER_WORKERS_H
#define SERVER_WORKERS_H

#include "smollm_error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum work_state { WORK_NONE, WORK_WAITING, WORK_RUNNING, WORK_DONE };

/* Owned by the caller, who keeps it until it is taken back or canceled. */
struct work {
    uint64_t key;
    void (*run)(struct work *work); /* on a thread */
    _Atomic bool is_canceled;       /* run looks at it where it takes long */
    /* Of workers. */
    struct work *next;
    enum work_state state;
};

struct workers;

/* notify is called on a thread when workers_take has something. SMOLLM_ENOMEM: a thread cannot be started. */
int workers_create(uint32_t threads, void (*notify)(void *user), void *user, struct workers **workers,
                   struct smollm_error *error);
/* Waits for what runs; works that wait are never run. Accepts NULL. */
void workers_destroy(struct workers *workers);

void workers_submit(struct workers *workers, struct work *work);
/* True: the work had not begun and is the caller's again. False: it runs, with is_canceled set, or is done;
 * workers_take gives it back. */
bool workers_cancel(struct workers *workers, struct work *work);
/* A work that is done, or NULL. */
struct work *workers_take(struct workers *workers);

#endif
