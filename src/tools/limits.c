#include "tools/limits.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "kernel/cpu.h"
#include "kernel/x86/tile_config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { UNIT_BYTES = 4 << 20, MIN_RUNS = 3, UNITS_PER_THREAD = 16, ROUNDS = 40000 };

static _Atomic uint64_t sink; /* keeps the compiler from removing the reads */

/* ---- Reading ---- */

static uint64_t read_plain(const uint8_t *data, size_t size)
{
    uint64_t sum[16] = {0}, word;
    for (size_t i = 0; i + sizeof sum <= size; i += sizeof sum)
        for (size_t k = 0; k < 16; k++) {
            memcpy(&word, data + i + k * sizeof word, sizeof word);
            sum[k] ^= word;
        }
    for (size_t k = 1; k < 16; k++)
        sum[0] ^= sum[k];
    return sum[0];
}

/* ---- Products in registers: twelve independent sums hide the latency of any CPU so far ---- */

#if defined(__x86_64__)
#include <immintrin.h>

#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CLEAR(n) "vpxor %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n"
#define TWELVE_REGISTERS                                                                                               \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", "xmm15"

/* One after the other as the hardware expects it, and four streams with prefetches: which is faster depends on the CPU
 * and on how busy its memory is. */
__attribute__((target("avx2"), always_inline)) static inline uint64_t read_streams(const uint8_t *data, size_t size,
                                                                                   size_t streams, size_t ahead)
{
    __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0; i + 128 <= size / streams; i += 128)
        for (size_t stream = 0; stream < streams; stream++) {
            const uint8_t *at = data + stream * (size / streams) + i;
            if (ahead > 0) {
                _mm_prefetch((const char *)at + ahead, _MM_HINT_T0);
                _mm_prefetch((const char *)at + ahead + 64, _MM_HINT_T0);
            }
            for (size_t k = 0; k < 4; k++)
                sum[k] = _mm256_xor_si256(sum[k], _mm256_load_si256((const __m256i *)(at + k * 32)));
        }
    for (int k = 1; k < 4; k++)
        sum[0] = _mm256_xor_si256(sum[0], sum[k]);
    return (uint64_t)_mm256_extract_epi64(sum[0], 0);
}

__attribute__((target("avx2"))) static uint64_t read_avx2(const uint8_t *data, size_t size)
{
    return read_streams(data, size, 1, 0);
}

__attribute__((target("avx2"))) static uint64_t read_avx2_ahead(const uint8_t *data, size_t size)
{
    return read_streams(data, size, 4, 512);
}

/* One unit: ROUNDS times the body. Registers are cleared first (what they hold could be denormal floats, which take
 * longer) and their upper halves afterwards (they would slow down code of the baseline). */
#define PEAK(name, body)                                                                                               \
    static void name(void *argument, uint32_t unit, unsigned thread)                                                   \
    {                                                                                                                  \
        long rounds = ROUNDS;                                                                                          \
        __asm__ volatile(TWELVE(CLEAR) CLEAR(14) CLEAR(15) "1:\n" body "dec %0\njnz 1b\nvzeroupper\n"                  \
                         : "+r"(rounds)                                                                                \
                         :                                                                                             \
                         : TWELVE_REGISTERS, "cc");                                                                    \
    }

#define VPDPBUSD(n) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #n "\n"
#define FMA_ZMM(n) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" #n "\n"
#define FMA_YMM(n) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #n "\n"
/* Six groups: products of pairs and their sum, as a kernel must do them. */
#define VPMADDUBSW                                                                                                     \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm6\n vpmaddubsw %%ymm14, %%ymm15, %%ymm7\n"                                      \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm8\n vpmaddubsw %%ymm14, %%ymm15, %%ymm9\n"                                      \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm10\n vpmaddubsw %%ymm14, %%ymm15, %%ymm11\n"                                    \
    "vpaddw %%ymm6, %%ymm0, %%ymm0\n vpaddw %%ymm7, %%ymm1, %%ymm1\n"                                                  \
    "vpaddw %%ymm8, %%ymm2, %%ymm2\n vpaddw %%ymm9, %%ymm3, %%ymm3\n"                                                  \
    "vpaddw %%ymm10, %%ymm4, %%ymm4\n vpaddw %%ymm11, %%ymm5, %%ymm5\n"

PEAK(int8_vnni, TWELVE(VPDPBUSD))
PEAK(int8_avx2, VPMADDUBSW)
PEAK(float_avx512, TWELVE(FMA_ZMM))
PEAK(float_avx2, TWELVE(FMA_YMM))
#endif

enum { TILE_ROUNDS = 4000, TILES = 6, TILE_MACS = 16 * 16 * 64 };

#if defined(__x86_64__)
static void int8_tiles(void *argument, uint32_t unit, unsigned thread)
{
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    long rounds = TILE_ROUNDS;
    __asm__ volatile("ldtilecfg %1\n"
                     "1: tdpbssd %%tmm7, %%tmm6, %%tmm0\n tdpbssd %%tmm7, %%tmm6, %%tmm1\n"
                     "tdpbssd %%tmm7, %%tmm6, %%tmm2\n tdpbssd %%tmm7, %%tmm6, %%tmm3\n"
                     "tdpbssd %%tmm7, %%tmm6, %%tmm4\n tdpbssd %%tmm7, %%tmm6, %%tmm5\n"
                     "dec %0\njnz 1b\ntilerelease\n"
                     : "+r"(rounds)
                     : "m"(config)
                     : "cc");
}
#endif

/* How this CPU does each. */
struct ways {
    uint64_t (*read[2])(const uint8_t *data, size_t size); /* the faster one counts */
    thread_pool_function *int8, *tiles, *floats;           /* NULL: not known */
    double int8_macs, float_macs;                          /* of a unit */
    const char *int8_instruction;
};

static struct ways ways_of_this_cpu(void)
{
    struct ways ways = {.read = {read_plain, read_plain}, .int8_instruction = ""};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        ways = (struct ways){{read_avx2, read_avx2_ahead},
                             int8_avx2,
                             NULL,
                             float_avx2,
                             ROUNDS * 6.0 * 32,
                             ROUNDS * 12.0 * 8,
                             "vpmaddubsw"};
        if (__builtin_cpu_supports("avx512f")) {
            ways.floats = float_avx512;
            ways.float_macs = ROUNDS * 12.0 * 16;
        }
        if (__builtin_cpu_supports("avx512vnni")) {
            ways.int8 = int8_vnni;
            ways.int8_macs = ROUNDS * 12.0 * 64;
            ways.int8_instruction = "vpdpbusd";
        }
        if (cpu_detect() == CPU_AMX)
            ways.tiles = int8_tiles;
    }
#endif
    return ways;
}

/* ---- Measuring ---- */

struct reading {
    const uint8_t *data;
    uint64_t (*read)(const uint8_t *data, size_t size);
};

static void read_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct reading *reading = argument;
    atomic_fetch_xor_explicit(&sink, reading->read(reading->data + (size_t)unit * UNIT_BYTES, UNIT_BYTES),
                              memory_order_relaxed);
}

/* Seconds of the fastest run of all units. */
static double fastest(struct thread_pool *pool, thread_pool_function *run, void *argument, uint32_t units,
                      double seconds)
{
    double best = 0, end = clock_seconds() + seconds;
    for (int i = 0; i < MIN_RUNS || clock_seconds() < end; i++) {
        double begin = clock_seconds();
        thread_pool_run(pool, run, argument, units);
        double took = clock_seconds() - begin;
        best = i == 0 || took < best ? took : best;
    }
    return best;
}

struct limits limits_measure(const struct limits_meter *meter, double seconds)
{
    const struct ways ways = ways_of_this_cpu();
    struct limits limits = {.threads = thread_pool_size(meter->pool), .int8_instruction = ways.int8_instruction};
    const uint32_t units = limits.threads * UNITS_PER_THREAD;
    for (int i = 0; i < 2; i++) {
        struct reading reading = {meter->data, ways.read[i]};
        double took = fastest(meter->pool, read_unit, &reading, (uint32_t)(meter->bytes / UNIT_BYTES), seconds / 2);
        if ((double)meter->bytes / took > limits.bytes_per_second)
            limits.bytes_per_second = (double)meter->bytes / took;
    }
    if (ways.int8)
        limits.int8_macs_per_second = ways.int8_macs * units / fastest(meter->pool, ways.int8, NULL, units, seconds);
    if (ways.tiles)
        limits.tile_macs_per_second =
            (double)TILE_ROUNDS * TILES * TILE_MACS * units / fastest(meter->pool, ways.tiles, NULL, units, seconds);
    if (ways.floats)
        limits.float_macs_per_second =
            ways.float_macs * units / fastest(meter->pool, ways.floats, NULL, units, seconds);
    return limits;
}

double limits_seconds(const struct limits *limits, double bytes, double int8_macs, double float_macs)
{
    double min = bytes / limits->bytes_per_second, products = 0;
    if (limits->int8_macs_per_second > 0)
        products += int8_macs / limits->int8_macs_per_second;
    if (limits->float_macs_per_second > 0)
        products += float_macs / limits->float_macs_per_second;
    return products > min ? products : min;
}

size_t limits_default_bytes(void)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t wanted = cache > 0 ? 4 * (size_t)cache : 0, min = (size_t)256 << 20;
    return size_align(wanted > min ? wanted : min, UNIT_BYTES);
}

int limits_meter_create(struct limits_meter *meter, struct thread_pool *pool, size_t bytes, struct smollm_error *error)
{
    *meter = (struct limits_meter){pool, pages_allocate(bytes), bytes};
    RETURN_ERROR_IF(!meter->data, error, SMOLLM_ENOMEM, "out of memory for a buffer of %zu bytes", bytes);
    memset(meter->data, 1, bytes); /* otherwise every page would be the same page of zeros */
    return 0;
}

void limits_meter_destroy(struct limits_meter *meter)
{
    pages_free(meter->data, meter->bytes);
    *meter = (struct limits_meter){0};
}
