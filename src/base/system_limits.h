/* How much memory and how many processors this process may use. */
#ifndef BASE_SYSTEM_LIMITS_H
#define BASE_SYSTEM_LIMITS_H

#include "smollm_error.h"

#include <stdint.h>

/* Limits of cgroups are read in both versions and at all levels: those of a container, its pod, a unit and its slice.
 *
 * root: "" outside tests, which give a folder with files of their own. */

/* The number of bytes that the system could provide now without swapping, limited to what the process's cgroups leave,
 * since a process that takes more in a container is killed, not refused. Cached files count as free. UINT64_MAX when
 * this is unknown. */
uint64_t system_memory_available(const char *root);

/* The bytes that are about to be allocated. */
struct memory_need {
    uint64_t weights, kv_cache, work; /* work: activations, logits and other memory of a pass */
};
/* SMOLLM_ENOMEM when they are more than system_memory_available; the message has the parts and what is free. */
int memory_need_check(const struct memory_need *need, struct smollm_error *error);

/* The number of processors in the affinity mask, limited to the CPU quota, rounded up. At least 1. */
unsigned system_processors_available(const char *root);

#endif
