/* Eight sums in a vector of 256 bits. */
#define BIASES biases
typedef __m256i ON(sums8);
typedef struct { __m256i low, high; } ON(sums16);

INLINE ON(sums8) ON(begin8)(const int32_t *biases)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)biases);
}

INLINE ON(sums8) ON(greatest8)(ON(sums8) a, ON(sums8) b)
{
    return _mm256_max_epi32(a, b);
}

INLINE __m256i ON(scale)(__m256i sums, const float *scales)
{
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scales)));
}

INLINE __m128i ON(limit)(__m256i steps, int zero, int low, int high)
{
    steps = _mm256_adds_epi16(steps, _mm256_set1_epi16((short)zero));
    steps = _mm256_packus_epi16(steps, steps);
    steps = _mm256_permutevar8x32_epi32(steps, _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5));
    __m128i bytes = _mm256_castsi256_si128(steps);
    if (low > 0)
        bytes = _mm_max_epu8(bytes, _mm_set1_epi8((char)low));
    if (high < 255)
        bytes = _mm_min_epu8(bytes, _mm_set1_epi8((char)high));
    return bytes;
}

INLINE void ON(store8)(ON(sums8) sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    __m256i steps = ON(scale)(sums, scales);
    _mm_storel_epi64((__m128i *)(void *)out, ON(limit)(_mm256_packs_epi32(steps, steps), zero, low, high));
}

INLINE void ON(store16)(ON(sums16) sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    __m256i steps = _mm256_packs_epi32(ON(scale)(sums.low, scales), ON(scale)(sums.high, scales + 8));
    _mm_storeu_si128((__m128i *)(void *)out, ON(limit)(steps, zero, low, high));
}

typedef __m256i ON(pairs8);
typedef struct { __m256i low, high; } ON(pairs16);

INLINE ON(pairs8) ON(load_pairs8)(const int8_t *weights)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)weights));
}

INLINE ON(sums8) ON(dot_pairs8)(ON(sums8) sums, ON(pairs8) w, const uint8_t *one, const uint8_t *two)
{
    __m128i a = _mm_loadl_epi64((const __m128i *)(const void *)one), b = _mm_loadl_epi64((const __m128i *)(const void *)two);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(w, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b))));
}

INLINE ON(sums16) ON(dot_pairs16)(ON(sums16) sums, ON(pairs16) w, const uint8_t *one, const uint8_t *two)
{
    __m128i a = _mm_loadu_si128((const __m128i *)(const void *)one), b = _mm_loadu_si128((const __m128i *)(const void *)two);
    __m256i low = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), high = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
    return (ON(sums16)){_mm256_add_epi32(sums.low, _mm256_madd_epi16(w.low, low)),
                        _mm256_add_epi32(sums.high, _mm256_madd_epi16(w.high, high))};
}
