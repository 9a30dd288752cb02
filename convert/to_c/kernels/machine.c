/* What this machine has, where the compiler's __builtin_cpu_supports does not tell. */
#if FAST_PATHS && defined(__x86_64__)
#if (defined(__clang__) && __clang_major__ >= 13) || (!defined(__clang__) && __GNUC__ >= 11)
#define HAVE_AVXVNNI 1
#include <cpuid.h>
static int has_avxvnni(void)
{
    static int known; /* 1 no, 2 yes; asked once, because a virtual machine takes microseconds to answer */
    int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!answer) {
        unsigned a = 0, b, c, d;
        answer = __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) ? 2 : 1;
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer == 2;
}
#else
#define HAVE_AVXVNNI 0
#endif
#elif FAST_PATHS && defined(__clang__) && __clang_major__ < 16 && !defined(__ARM_FEATURE_DOTPROD)
#define HAVE_DOT_PRODUCTS 0 /* its arm_neon.h declares them only with -march */
#elif FAST_PATHS
#define HAVE_DOT_PRODUCTS 1
#if defined(__linux__)
#include <sys/auxv.h>
static int has_dot_products(void)
{
    return (getauxval(AT_HWCAP) >> 20 & 1) != 0; /* HWCAP_ASIMDDP */
}
#else
static int has_dot_products(void)
{
#if defined(__APPLE__)
    return 1; /* since the A11 */
#else
    return 0;
#endif
}
#endif
#endif
