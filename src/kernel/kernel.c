#include "kernel/kernel.h"

void kernel_table_fill(struct kernel_table *table, enum cpu_tier tier)
{
    table->tier = CPU_GENERIC;
#define KERNEL_FILL(name) table->name = name##_generic;
    KERNEL_LIST(KERNEL_FILL)
#undef KERNEL_FILL
    if (tier < CPU_AVX2)
        return;
#if defined(__x86_64__)
    table->tier = CPU_AVX2;
#define KERNEL_FILL(name) table->name = name##_avx2;
    KERNEL_AVX2_LIST(KERNEL_FILL)
#undef KERNEL_FILL
    if (tier < CPU_AVX512VNNI)
        return;
    table->tier = CPU_AVX512VNNI;
#define KERNEL_FILL(name) table->name = name##_avx512vnni;
    KERNEL_AVX512VNNI_LIST(KERNEL_FILL)
#undef KERNEL_FILL
    if (tier < CPU_AMX)
        return;
    table->tier = CPU_AMX;
#define KERNEL_FILL(name) table->name = name##_amx;
    KERNEL_AMX_LIST(KERNEL_FILL)
#undef KERNEL_FILL
#endif
}
