#include "kernel/cpu.h"

#include <string.h>

static const char *const names[CPU_TIER_COUNT] = {"generic", "avx2"};

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned long long extended_control_register(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}

enum cpu_tier cpu_detect(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return CPU_GENERIC;
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    const unsigned need = fma | osxsave | avx | f16c;
    if ((c & need) != need || (extended_control_register() & 6) != 6)
        return CPU_GENERIC;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & 1u << 5))
        return CPU_GENERIC;
    return CPU_AVX2;
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
    return error_set(error, SMOLLM_EINVAL, "unknown kernels '%s' (auto, generic, avx2)", name);
}
