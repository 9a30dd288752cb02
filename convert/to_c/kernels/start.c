/* -DFAST_PATHS=0 leaves plain C99 alone. */
#ifndef FAST_PATHS
#if defined(__GNUC__)
#define FAST_PATHS 1
#else
#define FAST_PATHS 0
#endif
#endif

#if FAST_PATHS
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#define ALIGNED __attribute__((aligned(64)))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#else
#define ALIGNED
#endif

#if defined(__FAST_MATH__)
#error "-ffast-math changes how numbers are rounded: compile without it"
#endif
