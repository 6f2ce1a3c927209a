/* Makes compilers keep small arrays of vectors in registers. A compilation may define these macros itself beforehand,
 * as the tests with emulated instructions do. */
#ifndef KERNEL_WIDE_UNROLL_H
#define KERNEL_WIDE_UNROLL_H

#ifndef ALWAYS_INLINE
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#endif
#if defined(UNROLL)
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* gcc would load values that several tokens or groups share only once, and spill them; loading again is cheaper. */
#define FORGET_LOADS() __asm__ volatile("" ::: "memory")

#endif
