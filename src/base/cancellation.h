/* Long work on a thread asks whether it is still wanted: smollm_set_cancellation says by whom it is told. */
#ifndef BASE_CANCELLATION_H
#define BASE_CANCELLATION_H

#include <stdbool.h>
#include <stddef.h>

/* Of the calling thread; NULL: nothing cancels its work. */
void cancellation_set(bool (*is_canceled)(void *user), void *user);
bool cancellation_wanted(void);

/* Counts work in bytes, or whatever is about as fast; true when it is time to end, asked every 64 Ki. */
struct cancellation_count {
    size_t done;
};
static inline bool cancellation_after(struct cancellation_count *count, size_t bytes)
{
    count->done += bytes;
    if (count->done < 64 * 1024)
        return false;
    count->done = 0;
    return cancellation_wanted();
}

#endif
