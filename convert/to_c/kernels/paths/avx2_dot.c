/* AVX2 has no exact product of bytes: even and odd bytes are multiplied as 16-bit numbers, in pairs. */
typedef struct { __m256i even, odd; } ON(weights8);
typedef struct { __m256i even, odd; } ON(bytes);

INLINE ON(weights8) ON(load8)(const int8_t *weights)
{
    __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)weights);
    return (ON(weights8)){_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
}

INLINE ON(bytes) ON(spread)(const uint8_t *word)
{
    int32_t four;
    memcpy(&four, word, 4);
    __m256i x = _mm256_set1_epi32(four);
    return (ON(bytes)){_mm256_and_si256(x, _mm256_set1_epi16(255)), _mm256_srli_epi16(x, 8)};
}

INLINE ON(sums8) ON(dot8)(ON(sums8) sums, ON(weights8) w, ON(bytes) x)
{
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(w.even, x.even));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(w.odd, x.odd));
}
