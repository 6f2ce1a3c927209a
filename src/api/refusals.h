/* How many requests were refused, by HTTP status. Counted and read from any thread; nothing waits. */
#ifndef API_REFUSALS_H
#define API_REFUSALS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { REFUSAL_KINDS = 16 };

struct refusals {
    _Atomic uint64_t counts[REFUSAL_KINDS];
};

/* Statuses below 400, and such as no request of ours can get, are not counted. */
void refusals_count(struct refusals *refusals, int status);

/* The status that counts[kind] is for; 0: no further kinds. */
int refusals_status(size_t kind);

#endif
