#include "kernel/cpu.h"

#include <stdbool.h>
#include <string.h>

static const char *const names[CPU_TIER_COUNT] = {"generic", "avx2", "avx512vnni", "amx"};

#if defined(__x86_64__)
#include <asm/prctl.h>
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long long extended_control_register(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}

/* Linux saves the 8 KiB of tiles only for processes that have asked for permission. */
static bool may_use_tiles(void)
{
    enum { TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

enum cpu_tier cpu_detect(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return CPU_GENERIC;
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    const unsigned need = fma | osxsave | avx | f16c;
    if ((c & need) != need)
        return CPU_GENERIC;
    /* The state that the system saves: xmm and ymm; for AVX-512 the opmasks, the upper halves of zmm 0 to 15, and zmm
     * 16 to 31.
     */
    const unsigned long long saved = extended_control_register(), ymm = 0x06, zmm = 0xe6;
    const unsigned avx2 = 1u << 5;
    if ((saved & ymm) != ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & avx2))
        return CPU_GENERIC;
    const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, vnni = 1u << 11;
    const unsigned avx512 = f | dq | bw | vl;
    if ((saved & zmm) != zmm || (b & avx512) != avx512 || !(c & vnni))
        return CPU_AVX2;
    const unsigned tile = 1u << 24, int8 = 1u << 25;
    const unsigned long long tiles = 0x60000;
    if ((saved & tiles) != tiles || (d & (tile | int8)) != (tile | int8) || !may_use_tiles())
        return CPU_AVX512VNNI;
    return CPU_AMX;
}
#else
enum cpu_tier cpu_detect(void)
{
    return CPU_GENERIC;
}
#endif

const char *cpu_tier_name(enum cpu_tier tier)
{
    return names[tier];
}

int cpu_tier_parse(const char *name, enum cpu_tier *tier, struct smollm_error *error)
{
    enum cpu_tier best = cpu_detect();
    if (!name || strcmp(name, "auto") == 0) {
        *tier = best;
        return 0;
    }
    for (int i = 0; i < CPU_TIER_COUNT; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        RETURN_ERROR_IF(i > (int)best, error, SMOLLM_EUNSUPPORTED, "this CPU cannot run the %s kernels (best: %s)",
                        name, names[best]);
        *tier = (enum cpu_tier)i;
        return 0;
    }
    return error_set(error, SMOLLM_EINVAL, "unknown kernels '%s'; they must be auto, generic, avx2, avx512vnni or amx",
                     name);
}
