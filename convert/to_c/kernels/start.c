/* -DFAST_PATHS=0 leaves plain C99 alone. GCC before 8 lacks instructions of the fast paths. */
#ifndef FAST_PATHS
#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 8) && (defined(__x86_64__) || defined(__AARCH64EL__))
#define FAST_PATHS 1
#else
#define FAST_PATHS 0
#endif
#endif

#if FAST_PATHS && defined(__x86_64__)
#include <immintrin.h>
#elif FAST_PATHS
#include <arm_neon.h>
#endif

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(64)))
#define SPECIALIZED static inline __attribute__((always_inline, unused))
#else
#define ALIGNED
#define SPECIALIZED static
#endif

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Woverlength-strings" /* weights are strings longer than the 4095 bytes that C99 promises */
#endif

#if defined(__FAST_MATH__)
#error "-ffast-math changes how numbers are rounded: compile without it"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ == 2 && !defined(__STRICT_ANSI__)
#error "the x87 unit keeps more digits and rounds otherwise: compile with -std=c99, or with -msse2 -mfpmath=sse"
#endif
