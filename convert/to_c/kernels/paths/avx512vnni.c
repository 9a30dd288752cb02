/* Sixteen sums in a vector of 512 bits; VNNI multiplies four bytes by four and adds, exactly, in one instruction. */
#define BIASES biases
typedef __m256i ON(sums8);
typedef __m512i ON(sums16);
typedef __m256i ON(weights8);
typedef __m512i ON(weights16);
typedef struct { __m512i all; } ON(bytes);
typedef __m256i ON(pairs8);
typedef __m512i ON(pairs16);

INLINE ON(sums8) ON(begin8)(const int32_t *biases)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)biases);
}

INLINE ON(sums16) ON(begin16)(const int32_t *biases)
{
    return _mm512_loadu_si512(biases);
}

INLINE ON(weights8) ON(load8)(const int8_t *weights)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)weights);
}

INLINE ON(weights16) ON(load16)(const int8_t *weights)
{
    return _mm512_loadu_si512(weights);
}

INLINE ON(bytes) ON(spread)(const uint8_t *word)
{
    int32_t four;
    memcpy(&four, word, 4);
    return (ON(bytes)){_mm512_set1_epi32(four)};
}

INLINE ON(sums8) ON(dot8)(ON(sums8) sums, ON(weights8) w, ON(bytes) x)
{
    return _mm256_dpbusd_epi32(sums, _mm512_castsi512_si256(x.all), w);
}

INLINE ON(sums16) ON(dot16)(ON(sums16) sums, ON(weights16) w, ON(bytes) x)
{
    return _mm512_dpbusd_epi32(sums, x.all, w);
}

INLINE ON(sums8) ON(greatest8)(ON(sums8) a, ON(sums8) b)
{
    return _mm256_max_epi32(a, b);
}

INLINE ON(sums16) ON(greatest16)(ON(sums16) a, ON(sums16) b)
{
    return _mm512_max_epi32(a, b);
}

INLINE __m128i ON(limit)(__m128i bytes, int low, int high)
{
    return _mm_min_epu8(_mm_max_epu8(bytes, _mm_set1_epi8((char)low)), _mm_set1_epi8((char)high));
}

INLINE void ON(store16)(ON(sums16) sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    __m512i steps = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(scales)));
    /* To 16 bits first, so that adding the zero cannot overflow; then what is below 0 becomes 0. */
    __m256i words = _mm256_adds_epi16(_mm512_cvtsepi32_epi16(steps), _mm256_set1_epi16((short)zero));
    words = _mm256_max_epi16(words, _mm256_setzero_si256());
    _mm_storeu_si128((__m128i *)(void *)out, ON(limit)(_mm256_cvtusepi16_epi8(words), low, high));
}

INLINE void ON(store8)(ON(sums8) sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    __m256i steps = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scales)));
    __m128i words = _mm_adds_epi16(_mm256_cvtsepi32_epi16(steps), _mm_set1_epi16((short)zero));
    words = _mm_packus_epi16(words, words);
    _mm_storel_epi64((__m128i *)(void *)out, ON(limit)(words, low, high));
}

INLINE ON(pairs8) ON(load_pairs8)(const int8_t *weights)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)weights));
}

INLINE ON(pairs16) ON(load_pairs16)(const int8_t *weights)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)weights));
}

INLINE ON(sums8) ON(dot_pairs8)(ON(sums8) sums, ON(pairs8) w, const uint8_t *one, const uint8_t *two)
{
    __m128i a = _mm_loadl_epi64((const __m128i *)(const void *)one), b = _mm_loadl_epi64((const __m128i *)(const void *)two);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(w, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b))));
}

INLINE ON(sums16) ON(dot_pairs16)(ON(sums16) sums, ON(pairs16) w, const uint8_t *one, const uint8_t *two)
{
    __m128i a = _mm_loadu_si128((const __m128i *)(const void *)one), b = _mm_loadu_si128((const __m128i *)(const void *)two);
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi8(a, b)), _mm_unpackhi_epi8(a, b), 1);
    return _mm512_add_epi32(sums, _mm512_madd_epi16(w, _mm512_cvtepu8_epi16(both)));
}
