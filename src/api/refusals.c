#include "api/refusals.h"

/* Fixed, so that each has its line in the metrics from the start, and a counter can be seen to leave 0. */
static const int statuses[REFUSAL_KINDS] = {400, 401, 403, 404, 405, 408, 413, 414, 415, 429, 431, 500, 503, 505};

int refusals_status(size_t kind)
{
    return kind < REFUSAL_KINDS ? statuses[kind] : 0;
}

void refusals_count(struct refusals *refusals, int status)
{
    for (size_t kind = 0; refusals_status(kind) != 0; kind++)
        if (statuses[kind] == status)
            atomic_fetch_add_explicit(&refusals->counts[kind], 1, memory_order_relaxed);
}
