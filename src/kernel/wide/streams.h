/* Weights to come, asked for ahead of the kernel that reads them.
 *
 * A core reads two streams faster than one (docs/performance.md, "Reading memory"). Where tokens are few, STREAMS
 * panels are worked on by turns, chunk by chunk; meanwhile the next chunks of both are asked for by turns, a few lines
 * at a time, since a burst of prefetches stalls. */
#ifndef KERNEL_WIDE_STREAMS_H
#define KERNEL_WIDE_STREAMS_H

#include "kernel/wide/panel_shape.h"

enum { STREAMS = 2 };

struct fetch {
    const uint8_t *from[STREAMS]; /* the first is next */
    size_t lines;                 /* of a step, where all steps are alike */
};

/* What to ask for while panel `turn` of `together` is worked on, half of it of each stream. next: the chunk to come of
 * the first panel; panel_bytes: from there to the second one's. Of a panel alone the streams are its chunk's halves. */
ALWAYS_INLINE struct fetch fetch_start(const uint8_t *next, size_t panel_bytes, size_t chunk_bytes, uint32_t turn,
                                       uint32_t together, size_t lines)
{
    const size_t half = chunk_bytes / 2 / 64 * 64;
    const uint8_t *other = next + (together == STREAMS ? panel_bytes : half);
    return (struct fetch){.from = {turn == 0 ? next : other + half, turn == 0 ? other : next + half}, .lines = lines};
}

/* Lines of one have been asked for: goes on with the other. */
ALWAYS_INLINE void fetch_other(struct fetch *fetch, size_t lines)
{
    const uint8_t *next = fetch->from[0] + lines * 64;
    fetch->from[0] = fetch->from[1];
    fetch->from[1] = next;
}

#endif
