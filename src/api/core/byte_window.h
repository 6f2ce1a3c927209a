/* The last bytes of a stream that is appended to at its end and read at any position.
 *
 *     position   0 ...... begin ............................ end
 *                dropped  |  block  |  block  |  block  | bl|
 *
 * Positions count from the first byte ever appended. Bytes lie in blocks, so appending moves nothing. When all blocks
 * are in use the oldest one is used again, and `begin` moves on by a block. A zeroed struct is empty. */
#ifndef API_BYTE_WINDOW_H
#define API_BYTE_WINDOW_H

#include "base/text.h"

#include <stdint.h>

enum {
    BYTE_WINDOW_BLOCK = 16 << 10,
    BYTE_WINDOW_BLOCKS = 256,
    BYTE_WINDOW_BYTES = BYTE_WINDOW_BLOCK * BYTE_WINDOW_BLOCKS, /* 4 MiB */
};

struct byte_window {
    uint64_t begin, end;
    size_t block_count;               /* in memory */
    char *blocks[BYTE_WINDOW_BLOCKS]; /* that of position p is number p / BLOCK modulo BLOCKS */
};

/* false: out of memory; a part may have been appended. */
bool byte_window_append(struct byte_window *window, struct smollm_text bytes);
/* Appends up to `max` bytes from a position on to out and returns their number. `from` is at least begin; there is
 * nothing from end on. */
size_t byte_window_read(const struct byte_window *window, uint64_t from, size_t max, struct buffer *out);
/* Drops the oldest block unless it is the last one; false: it is. */
bool byte_window_shrink(struct byte_window *window);
/* The window is empty afterwards. */
void byte_window_free(struct byte_window *window);

#endif
