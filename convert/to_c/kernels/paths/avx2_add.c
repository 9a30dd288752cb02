/* Eight sums of two planes. */
INLINE __m256i ON(add8)(const addition *p, const uint8_t *first, const uint8_t *second)
{
    __m256i a = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)first));
    __m256i b = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)second));
    a = _mm256_add_epi32(_mm256_mullo_epi32(a, _mm256_set1_epi32(p->a)), _mm256_set1_epi32(p->bias));
    b = _mm256_add_epi32(_mm256_mullo_epi32(b, _mm256_set1_epi32(p->b)), a);
    return _mm256_srai_epi32(b, p->shift);
}

INLINE void ON(add16)(const addition *p, const uint8_t *first, const uint8_t *second, uint8_t *out)
{
    __m256i steps = _mm256_packs_epi32(ON(add8)(p, first, second), ON(add8)(p, first + 8, second + 8));
    steps = _mm256_permute4x64_epi64(_mm256_adds_epi16(steps, _mm256_set1_epi16((short)p->zero)), 0xD8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(steps), _mm256_extracti128_si256(steps, 1));
    bytes = _mm_min_epu8(_mm_max_epu8(bytes, _mm_set1_epi8((char)p->low)), _mm_set1_epi8((char)p->high));
    _mm_storeu_si128((__m128i *)(void *)out, bytes);
}
