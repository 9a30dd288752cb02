/* Sixteen bytes at a time: SSE2 and NEON are on every x86-64 and aarch64 machine. */
#if defined(__x86_64__)
typedef __m128i bytes16;
#define load16(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define store16(p, x) _mm_storeu_si128((__m128i *)(void *)(p), x)
#define splat16(x) _mm_set1_epi8((char)(x))
#define max16(a, b) _mm_max_epu8(a, b)
#define min16(a, b) _mm_min_epu8(a, b)
#else
typedef uint8x16_t bytes16;
#define load16(p) vld1q_u8(p)
#define store16(p, x) vst1q_u8(p, x)
#define splat16(x) vdupq_n_u8((uint8_t)(x))
#define max16(a, b) vmaxq_u8(a, b)
#define min16(a, b) vminq_u8(a, b)
#endif
