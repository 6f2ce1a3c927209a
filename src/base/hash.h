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

static inline uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    unsigned const char *s = data;
    uint64_t h = 0xcbf29ce484222325ULL ^ seed;
    for (size_t i = 0; i < size; i++)
        h = (h ^ s[i]) * 0x100000001b3ULL;
    return hash_mix(h);
}

#endif
