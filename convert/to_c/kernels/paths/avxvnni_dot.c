/* AVX-VNNI multiplies four bytes by four and adds, exactly, in one instruction. */
typedef __m256i ON(weights8);
typedef struct { ON(weights8) low, high; } ON(weights16);
typedef __m256i ON(bytes);

INLINE ON(weights8) ON(load8)(const int8_t *weights)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)weights);
}

INLINE ON(weights16) ON(load16)(const int8_t *weights)
{
    return (ON(weights16)){ON(load8)(weights), ON(load8)(weights + 32)};
}

INLINE ON(bytes) ON(spread)(const uint8_t *word)
{
    int32_t four;
    memcpy(&four, word, 4);
    return _mm256_set1_epi32(four);
}

INLINE ON(sums8) ON(dot8)(ON(sums8) sums, ON(weights8) w, ON(bytes) x)
{
    return _mm256_dpbusd_avx_epi32(sums, x, w);
}

INLINE ON(sums16) ON(dot16)(ON(sums16) sums, ON(weights16) w, ON(bytes) x)
{
    return (ON(sums16)){ON(dot8)(sums.low, w.low, x), ON(dot8)(sums.high, w.high, x)};
}
