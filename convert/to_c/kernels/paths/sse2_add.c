/* Four sums of two planes, of 16-bit pairs (first, second). SSE2 multiplies 16 bits: the multipliers come in two parts. */
INLINE __m128i ON(add4)(const addition *p, __m128i pairs)
{
    __m128i fine = _mm_set1_epi32((p->a & 2047) | (int32_t)((uint32_t)(p->b & 2047) << 16));
    __m128i coarse = _mm_set1_epi32((((p->a & ~2047) / 2048) & 65535) | (int32_t)((uint32_t)((p->b & ~2047) / 2048) << 16));
    __m128i sum = _mm_add_epi32(_mm_madd_epi16(pairs, fine), _mm_slli_epi32(_mm_madd_epi16(pairs, coarse), 11));
    return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(p->bias)), p->shift);
}

INLINE __m128i ON(add8)(const addition *p, __m128i bytes)
{
    __m128i low = ON(add4)(p, _mm_unpacklo_epi8(bytes, _mm_setzero_si128()));
    __m128i high = ON(add4)(p, _mm_unpackhi_epi8(bytes, _mm_setzero_si128()));
    return _mm_adds_epi16(_mm_packs_epi32(low, high), _mm_set1_epi16((short)p->zero));
}

INLINE void ON(add16)(const addition *p, const uint8_t *first, const uint8_t *second, uint8_t *out)
{
    __m128i a = ON(read)(first), b = ON(read)(second);
    __m128i bytes = _mm_packus_epi16(ON(add8)(p, _mm_unpacklo_epi8(a, b)), ON(add8)(p, _mm_unpackhi_epi8(a, b)));
    bytes = _mm_min_epu8(_mm_max_epu8(bytes, _mm_set1_epi8((char)p->low)), _mm_set1_epi8((char)p->high));
    _mm_storeu_si128((__m128i *)(void *)out, bytes);
}
