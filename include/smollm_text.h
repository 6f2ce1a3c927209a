/* The text of smollm's interfaces. */
#ifndef SMOLLM_TEXT_H
#define SMOLLM_TEXT_H

#include <stddef.h>

/* Bytes with a length; not NUL-terminated. */
struct smollm_text {
    const char *data;
    size_t size;
};

#endif
