/* Prefetching of weights ahead of the kernel that reads them.
 *
 * A core reads two streams faster than one (docs/performance.md, "Reading memory"). With few tokens, kernels alternate
 * between STREAMS panels, chunk by chunk. Meanwhile they prefetch the next chunks of both in alternation, a few lines
 * at a time, since bursts of prefetches stall. */
#ifndef KERNEL_WIDE_STREAMS_H
#define KERNEL_WIDE_STREAMS_H

#include "kernel/wide/panel_shape.h"

enum { STREAMS = 2 };

struct fetch {
    const uint8_t *from[STREAMS]; /* where each stream goes on; the first one is next */
    size_t lines;                 /* prefetched in each step, when all steps prefetch equally many */
};

/* What to prefetch during panel `turn` of `together`: half of the lines from each stream. next: the next chunk of the
 * first panel; panel_bytes: the distance from there to that of the second panel. With a single panel, the streams are
 * the halves of its chunk. */
ALWAYS_INLINE struct fetch fetch_start(const uint8_t *next, size_t panel_bytes, size_t chunk_bytes, uint32_t turn,
                                       uint32_t together, size_t lines)
{
    const size_t half = chunk_bytes / 2 / 64 * 64;
    const uint8_t *other = next + (together == STREAMS ? panel_bytes : half);
    return (struct fetch){.from = {turn == 0 ? next : other + half, turn == 0 ? other : next + half}, .lines = lines};
}

/* Advances the stream of which `lines` lines have been prefetched, and switches to the other one. */
ALWAYS_INLINE void fetch_other(struct fetch *fetch, size_t lines)
{
    const uint8_t *next = fetch->from[0] + lines * 64;
    fetch->from[0] = fetch->from[1];
    fetch->from[1] = next;
}

#endif
