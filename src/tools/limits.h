/* What this machine can do at most: read memory, multiply bytes, multiply floats. Figures are shares of these.
 *
 * Measured by the threads of a pool, each limit by itself, the fastest of several runs. Timings on shared machines vary
 * between runs, so limits are measured beside what is compared with them. */
#ifndef TOOLS_LIMITS_H
#define TOOLS_LIMITS_H

#include "base/thread_pool.h"

#include <stddef.h>
#include <stdint.h>

struct limits {
    unsigned threads;
    double bytes_per_second;      /* streaming reads of memory that is in no cache */
    double int8_macs_per_second;  /* products of bytes, summed, in vector registers; 0: not known on this CPU */
    double tile_macs_per_second;  /* the same in tiles of AMX; 0: this CPU has none, or may not use them */
    double float_macs_per_second; /* fused multiply-adds in registers; 0: not known */
    const char *int8_instruction; /* "vpdpbusd", "vpmaddubsw", or "" */
};

struct limits_meter {
    struct thread_pool *pool;
    uint8_t *data;
    size_t bytes;
};

/* Four times the last-level cache, and 256 MiB at least. */
size_t limits_default_bytes(void);

/* Takes `bytes` of memory to read, a multiple of 4 MiB; the pool is borrowed until limits_meter_destroy. */
int limits_meter_create(struct limits_meter *meter, struct thread_pool *pool, size_t bytes, struct smollm_error *error);
void limits_meter_destroy(struct limits_meter *meter); /* accepts a zeroed struct */

/* About `seconds` for each of the four; at least three runs each. */
struct limits limits_measure(const struct limits_meter *meter, double seconds);

/* Seconds that so many bytes and operations take at least without tiles, which can be faster: they can overlap. */
double limits_seconds(const struct limits *limits, double bytes, double int8_macs, double float_macs);

#endif
