/* AVX-VNNI multiplies four bytes by four and adds, exactly, in one instruction. */
typedef __m256i ON(weights8);
typedef __m256i ON(bytes);

INLINE ON(weights8) ON(load8)(const int8_t *weights)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)weights);
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
