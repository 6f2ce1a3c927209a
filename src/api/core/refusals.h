/* How many requests were refused, by HTTP status: each from 400 to 599. Counted and read from any thread; nothing
 * waits. */
#ifndef API_REFUSALS_H
#define API_REFUSALS_H

#include <stdatomic.h>
#include <stdint.h>

enum { REFUSAL_MIN = 400, REFUSAL_MAX = 599 };

struct refusals {
    _Atomic uint64_t counts[REFUSAL_MAX - REFUSAL_MIN + 1];
};

/* Statuses outside of the range are not counted. */
void refusals_count(struct refusals *refusals, int status);
uint64_t refusals_get(const struct refusals *refusals, int status);

/* The statuses that the metrics show from the start, so that a counter can be seen to leave 0; 0 ends the list. Others
 * are shown once they have been counted. */
const int *refusals_shown(void);

#endif
