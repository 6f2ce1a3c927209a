/* How much memory this process may still take. */
#ifndef BASE_SYSTEM_MEMORY_H
#define BASE_SYSTEM_MEMORY_H

#include <stdint.h>

/* Bytes that the system could give now without swapping, and no more than what the limits of the process's cgroups
 * (version 2 or 1, all levels) leave: who takes more in a container is killed, not refused. Files kept in memory count
 * as free. UINT64_MAX: nobody says.
 *
 * root: "" outside tests, which give a folder with files of their own. */
uint64_t system_memory_available(const char *root);

#endif
