/* Structs of smollm.h that carry their size, between a program and a library of different versions. Internal to
 * library/.
 *
 * A struct grows only at its end, and zero in a new member means the behavior of the library before that member.
 */
#ifndef LIBRARY_SIZED_H
#define LIBRARY_SIZED_H

#include "base/error.h"

#include <stddef.h>
#include <string.h>

/* Copies the `given` bytes that a program passed to the library's struct of `size` bytes and zeroes the rest.
 * SMOLLM_EINVAL for a size that was not set, or for a newer program that sets a member this library does not have.
 */
static inline int sized_read(void *to, size_t size, const void *from, size_t given, const char *name,
                             struct smollm_error *error)
{
    RETURN_ERROR_IF(given < sizeof(size_t), error, SMOLLM_EINVAL,
                    "the size of struct %s is %zu; initialize the struct with its _INIT macro", name, given);
    for (size_t i = size; i < given; i++)
        RETURN_ERROR_IF(((const char *)from)[i] != 0, error, SMOLLM_EUNSUPPORTED,
                        "struct %s has a member that this version of the library does not know", name);
    memset(to, 0, size);
    memcpy(to, from, given < size ? given : size);
    return 0;
}

/* Copies the library's struct of `size` bytes to a program's of `given` bytes. */
static inline void sized_write(void *to, size_t given, const void *from, size_t size)
{
    memcpy(to, from, given < size ? given : size);
    if (given > size)
        memset((char *)to + size, 0, given - size);
}

#endif
