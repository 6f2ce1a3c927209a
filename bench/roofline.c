/* The limits of this machine: streaming read bandwidth, and the peaks of int8 and float multiply-accumulates in
 * registers, by one thread and by all.
 *
 * usage: roofline [--together] [THREADS]
 * --together: not by one thread alone. Takes half the time.
 * int8 uses vpdpbusd where the CPU has AVX-512 VNNI, otherwise vpmaddubsw on AVX2; tiles are AMX. */
#include "base/system_limits.h"
#include "tools/limits.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t BYTES = (size_t)1 << 30;

static int measure(unsigned threads)
{
    struct smollm_error error = {0};
    struct thread_pool *pool = NULL;
    struct limits_meter meter = {0};
    int status = thread_pool_create(threads, &pool, &error);
    if (status == 0)
        status = limits_meter_create(&meter, pool, BYTES, &error);
    if (status == 0) {
        struct limits limits = limits_measure(&meter, 0.2);
        printf("read, %u thread(s): %.1f GB/s\n", threads, limits.bytes_per_second / 1e9);
        if (limits.int8_macs_per_second > 0)
            printf("int8 (%s), %u thread(s): %.3f TMAC/s\n", limits.int8_instruction, threads,
                   limits.int8_macs_per_second / 1e12);
        if (limits.tile_macs_per_second > 0)
            printf("int8 in tiles (tdpbssd), %u thread(s): %.3f TMAC/s\n", threads, limits.tile_macs_per_second / 1e12);
        if (limits.float_macs_per_second > 0)
            printf("float (fma), %u thread(s): %.3f TMAC/s\n", threads, limits.float_macs_per_second / 1e12);
    } else {
        fprintf(stderr, "roofline: %s\n", error.message);
    }
    limits_meter_destroy(&meter);
    thread_pool_destroy(pool);
    return status < 0;
}

int main(int argc, char **argv)
{
    bool together = argc > 1 && strcmp(argv[1], "--together") == 0;
    int most = argc > 1 + together ? atoi(argv[1 + together]) : (int)system_processors_available("");
    if (most < 1 || most > 1024 || argc > 2 + together) {
        fprintf(stderr, "usage: roofline [--together] [THREADS (1 to 1024)]\n");
        return 2;
    }
    int failed = together ? 0 : measure(1);
    if ((most > 1 || together) && !failed)
        failed = measure((unsigned)most);
    return failed;
}
