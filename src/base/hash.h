/* A 64-bit hash for tables keyed by bytes from outside: FNV-1a with a seed and a final mix. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ h >> 33;
}

/* For large blocks: eight bytes at a time in four lanes, about as fast as memory is read. Not for tables with keys from
 * outside. */
static inline uint64_t hash_block(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *bytes = data;
    uint64_t lanes[4] = {seed, seed + 1, seed + 2, seed + 3};
    size_t i = 0;
    for (; size - i >= 32; i += 32)
        for (int lane = 0; lane < 4; lane++) {
            uint64_t word;
            __builtin_memcpy(&word, bytes + i + 8 * lane, 8);
            lanes[lane] = (lanes[lane] ^ word) * 0x9e3779b97f4a7c15u;
            lanes[lane] ^= lanes[lane] >> 32;
        }
    uint64_t h = size;
    for (int lane = 0; lane < 4; lane++)
        h = hash_mix(h ^ lanes[lane]);
    for (; i < size; i++)
        h = hash_mix(h ^ bytes[i]);
    return h;
}

static inline uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    unsigned const char *s = data;
    uint64_t h = 0xcbf29ce484222325ULL ^ seed;
    for (size_t i = 0; i < size; i++)
        h = (h ^ s[i]) * 0x100000001b3ULL;
    return hash_mix(h);
}

#endif
