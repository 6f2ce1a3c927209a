/* What LDTILECFG reads: the shapes of AMX's tiles, of which there are eight. Intel's Architecture Instruction Set
 * Extensions, chapter 3. */
#ifndef KERNEL_X86_TILE_CONFIG_H
#define KERNEL_X86_TILE_CONFIG_H

#include <stdint.h>

struct tile_config {
    uint8_t palette; /* 1 */
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t row_bytes[16]; /* 64 at most */
    uint8_t rows[16];       /* 16 at most */
};

#endif
