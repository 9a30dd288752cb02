/* AVX2 has no exact product of bytes: even and odd bytes are multiplied as 16-bit numbers, in pairs. */
typedef __m256i sums8_avx2;
typedef struct { __m256i low, high; } sums16_avx2;
typedef struct { __m256i even, odd; } weights8_avx2;
typedef struct { weights8_avx2 low, high; } weights16_avx2;
typedef struct { __m256i even, odd; } bytes_avx2;

INLINE sums8_avx2 begin8_avx2(const int32_t *biases)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)biases);
}

INLINE sums16_avx2 begin16_avx2(const int32_t *biases)
{
    return (sums16_avx2){begin8_avx2(biases), begin8_avx2(biases + 8)};
}

INLINE weights8_avx2 load8_avx2(const int8_t *weights)
{
    __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)weights);
    return (weights8_avx2){_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
}

INLINE weights16_avx2 load16_avx2(const int8_t *weights)
{
    return (weights16_avx2){load8_avx2(weights), load8_avx2(weights + 32)};
}

INLINE bytes_avx2 spread_avx2(const uint8_t *word)
{
    int32_t four;
    memcpy(&four, word, 4);
    __m256i x = _mm256_set1_epi32(four);
    return (bytes_avx2){_mm256_and_si256(x, _mm256_set1_epi16(255)), _mm256_srli_epi16(x, 8)};
}

INLINE sums8_avx2 dot8_avx2(sums8_avx2 sums, weights8_avx2 w, bytes_avx2 x)
{
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(w.even, x.even));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(w.odd, x.odd));
}

INLINE sums16_avx2 dot16_avx2(sums16_avx2 sums, weights16_avx2 w, bytes_avx2 x)
{
    return (sums16_avx2){dot8_avx2(sums.low, w.low, x), dot8_avx2(sums.high, w.high, x)};
}

INLINE sums8_avx2 greatest8_avx2(sums8_avx2 a, sums8_avx2 b)
{
    return _mm256_max_epi32(a, b);
}

INLINE sums16_avx2 greatest16_avx2(sums16_avx2 a, sums16_avx2 b)
{
    return (sums16_avx2){_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)};
}

INLINE __m256i scale_avx2(__m256i sums, const float *scales)
{
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scales)));
}

INLINE __m128i limit_avx2(__m256i steps, int zero, int low, int high)
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

INLINE void store8_avx2(sums8_avx2 sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    __m256i steps = scale_avx2(sums, scales);
    _mm_storel_epi64((__m128i *)(void *)out, limit_avx2(_mm256_packs_epi32(steps, steps), zero, low, high));
}

INLINE void store16_avx2(sums16_avx2 sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    __m256i steps = _mm256_packs_epi32(scale_avx2(sums.low, scales), scale_avx2(sums.high, scales + 8));
    _mm_storeu_si128((__m128i *)(void *)out, limit_avx2(steps, zero, low, high));
}
