/* Eight sums in two vectors of 128 bits. Even and odd bytes are multiplied as 16-bit numbers, in pairs. */
#define BIASES biases
typedef struct { __m128i low, high; } ON(sums8);
typedef struct { ON(sums8) low, high; } ON(sums16);
typedef struct { __m128i even[2], odd[2]; } ON(weights8);
typedef struct { __m128i even, odd; } ON(bytes);
typedef struct { __m128i low, high; } ON(pairs8);
typedef struct { ON(pairs8) low, high; } ON(pairs16);

INLINE __m128i ON(read)(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

INLINE ON(sums8) ON(begin8)(const int32_t *biases)
{
    return (ON(sums8)){ON(read)(biases), ON(read)(biases + 4)};
}

INLINE ON(weights8) ON(load8)(const int8_t *weights)
{
    __m128i a = ON(read)(weights), b = ON(read)(weights + 16);
    return (ON(weights8)){
        {_mm_srai_epi16(_mm_slli_epi16(a, 8), 8), _mm_srai_epi16(_mm_slli_epi16(b, 8), 8)},
        {_mm_srai_epi16(a, 8), _mm_srai_epi16(b, 8)},
    };
}

INLINE ON(bytes) ON(spread)(const uint8_t *word)
{
    int32_t four;
    memcpy(&four, word, 4);
    __m128i x = _mm_set1_epi32(four);
    return (ON(bytes)){_mm_and_si128(x, _mm_set1_epi16(255)), _mm_srli_epi16(x, 8)};
}

INLINE ON(sums8) ON(dot8)(ON(sums8) sums, ON(weights8) w, ON(bytes) x)
{
    sums.low = _mm_add_epi32(sums.low, _mm_add_epi32(_mm_madd_epi16(w.even[0], x.even), _mm_madd_epi16(w.odd[0], x.odd)));
    sums.high = _mm_add_epi32(sums.high, _mm_add_epi32(_mm_madd_epi16(w.even[1], x.even), _mm_madd_epi16(w.odd[1], x.odd)));
    return sums;
}

INLINE __m128i ON(greater)(__m128i a, __m128i b)
{
    __m128i first = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(first, a), _mm_andnot_si128(first, b));
}

INLINE ON(sums8) ON(greatest8)(ON(sums8) a, ON(sums8) b)
{
    return (ON(sums8)){ON(greater)(a.low, b.low), ON(greater)(a.high, b.high)};
}

INLINE __m128i ON(scale)(ON(sums8) sums, const float *scales, int zero)
{
    __m128i low = _mm_cvtps_epi32(_mm_mul_ps(_mm_cvtepi32_ps(sums.low), _mm_loadu_ps(scales)));
    __m128i high = _mm_cvtps_epi32(_mm_mul_ps(_mm_cvtepi32_ps(sums.high), _mm_loadu_ps(scales + 4)));
    return _mm_adds_epi16(_mm_packs_epi32(low, high), _mm_set1_epi16((short)zero));
}

INLINE __m128i ON(limit)(__m128i steps, __m128i more, int low, int high)
{
    __m128i bytes = _mm_packus_epi16(steps, more);
    return _mm_min_epu8(_mm_max_epu8(bytes, _mm_set1_epi8((char)low)), _mm_set1_epi8((char)high));
}

INLINE void ON(store8)(ON(sums8) sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    __m128i steps = ON(scale)(sums, scales, zero);
    _mm_storel_epi64((__m128i *)(void *)out, ON(limit)(steps, steps, low, high));
}

INLINE void ON(store16)(ON(sums16) sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    __m128i steps = ON(scale)(sums.low, scales, zero), more = ON(scale)(sums.high, scales + 8, zero);
    _mm_storeu_si128((__m128i *)(void *)out, ON(limit)(steps, more, low, high));
}

INLINE ON(pairs8) ON(load_pairs8)(const int8_t *weights)
{
    __m128i w = ON(read)(weights);
    return (ON(pairs8)){_mm_srai_epi16(_mm_unpacklo_epi8(w, w), 8), _mm_srai_epi16(_mm_unpackhi_epi8(w, w), 8)};
}

INLINE ON(sums8) ON(dot_pairs8)(ON(sums8) sums, ON(pairs8) w, const uint8_t *one, const uint8_t *two)
{
    __m128i a = _mm_loadl_epi64((const __m128i *)(const void *)one), b = _mm_loadl_epi64((const __m128i *)(const void *)two);
    __m128i both = _mm_unpacklo_epi8(a, b), nothing = _mm_setzero_si128();
    sums.low = _mm_add_epi32(sums.low, _mm_madd_epi16(w.low, _mm_unpacklo_epi8(both, nothing)));
    sums.high = _mm_add_epi32(sums.high, _mm_madd_epi16(w.high, _mm_unpackhi_epi8(both, nothing)));
    return sums;
}

INLINE ON(sums16) ON(dot_pairs16)(ON(sums16) sums, ON(pairs16) w, const uint8_t *one, const uint8_t *two)
{
    return (ON(sums16)){ON(dot_pairs8)(sums.low, w.low, one, two), ON(dot_pairs8)(sums.high, w.high, one + 8, two + 8)};
}
