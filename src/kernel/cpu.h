/* Which kernels this CPU and this operating system can run. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "base/error.h"

/* In ascending order: a CPU that runs one tier runs all earlier ones. */
enum cpu_tier { CPU_GENERIC, CPU_AVX2, CPU_AVX512VNNI, CPU_AMX, CPU_TIER_COUNT };

/* The best tier of this machine, by CPUID and XGETBV (the system must save the wide registers). Where the CPU has AMX
 * the system is asked to let this process use it (arch_prctl), as Linux wants; where it refuses, AVX-512 is the best.
 */
enum cpu_tier cpu_detect(void);

/* "generic", "avx2", "avx512vnni", "amx" */
const char *cpu_tier_name(enum cpu_tier tier);

/* "auto" or NULL, or the name of a tier. SMOLLM_EINVAL for an unknown name, SMOLLM_EUNSUPPORTED for a tier that this
 * machine cannot run. */
int cpu_tier_parse(const char *name, enum cpu_tier *tier, struct smollm_error *error);

#endif
