#include "api/core/byte_window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t smaller(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static char **block_at(struct byte_window *window, uint64_t position)
{
    return &window->blocks[position / BYTE_WINDOW_BLOCK % BYTE_WINDOW_BLOCKS];
}

/* The block that begins at `end`: the oldest one when there are all, or a new one. */
static bool begin_block(struct byte_window *window)
{
    char **block = block_at(window, window->end);
    if (*block) {
        window->begin = window->end - BYTE_WINDOW_BYTES + BYTE_WINDOW_BLOCK;
        return true;
    }
    *block = malloc(BYTE_WINDOW_BLOCK);
    window->block_count += *block != NULL;
    return *block != NULL;
}

bool byte_window_append(struct byte_window *window, struct smollm_text bytes)
{
    while (bytes.size > 0) {
        const size_t used = window->end % BYTE_WINDOW_BLOCK;
        if (used == 0 && !begin_block(window))
            return false;
        const size_t size = smaller(bytes.size, BYTE_WINDOW_BLOCK - used);
        memcpy(*block_at(window, window->end) + used, bytes.data, size);
        window->end += size;
        bytes = (struct smollm_text){bytes.data + size, bytes.size - size};
    }
    return true;
}

size_t byte_window_read(const struct byte_window *window, uint64_t from, size_t max, struct buffer *out)
{
    assert(from >= window->begin);
    size_t total = 0;
    while (from < window->end && total < max) {
        const size_t used = from % BYTE_WINDOW_BLOCK;
        size_t size = smaller(window->end - from, BYTE_WINDOW_BLOCK - used);
        size = smaller(max - total, size);
        buffer_append(out, window->blocks[from / BYTE_WINDOW_BLOCK % BYTE_WINDOW_BLOCKS] + used, size);
        total += size;
        from += size;
    }
    return total;
}

bool byte_window_shrink(struct byte_window *window)
{
    if (window->block_count < 2)
        return false;
    char **oldest = block_at(window, window->begin);
    free(*oldest);
    *oldest = NULL;
    window->block_count--;
    window->begin = (window->begin / BYTE_WINDOW_BLOCK + 1) * BYTE_WINDOW_BLOCK;
    return true;
}

void byte_window_free(struct byte_window *window)
{
    for (size_t i = 0; i < BYTE_WINDOW_BLOCKS; i++)
        free(window->blocks[i]);
    *window = (struct byte_window){0};
}
