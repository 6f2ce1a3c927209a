/* How much memory and how many processors this process may use. */
#ifndef BASE_SYSTEM_LIMITS_H
#define BASE_SYSTEM_LIMITS_H

#include "smollm_error.h"

#include <stdint.h>

/* Limits of cgroups hold in both versions and at all levels: that of a container, of its pod, of a unit and its slice.
 *
 * root: "" outside tests, which give a folder with files of their own. */

/* Bytes that the system could give now without swapping, and no more than what the limits of the process's cgroups
 * leave: who takes more in a container is killed, not refused. Files kept in memory count as free. UINT64_MAX: nobody
 * says. */
uint64_t system_memory_available(const char *root);

/* What is about to be taken: bytes of each kind. */
struct memory_need {
    uint64_t weights, kv_cache, work; /* work: activations, logits and what else a pass needs */
};
/* SMOLLM_ENOMEM when it is more than system_memory_available: the message has the parts and what is free. */
int memory_need_check(const struct memory_need *need, struct smollm_error *error);

/* Processors: those that the affinity allows, and no more than the CPU quota, rounded up. At least 1. */
unsigned system_processors_available(const char *root);

#endif
