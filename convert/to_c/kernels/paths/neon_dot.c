/* Products of eight signed bytes, added in pairs and again in pairs. */
typedef struct { int8x16_t low, high; } ON(weights8);
typedef struct { ON(weights8) low, high; } ON(weights16);
typedef int8x16_t ON(bytes);

INLINE ON(weights8) ON(load8)(const int8_t *weights)
{
    return (ON(weights8)){vld1q_s8(weights), vld1q_s8(weights + 16)};
}

INLINE ON(weights16) ON(load16)(const int8_t *weights)
{
    return (ON(weights16)){ON(load8)(weights), ON(load8)(weights + 32)};
}

INLINE ON(bytes) ON(spread)(const uint8_t *word)
{
    uint32_t four;
    memcpy(&four, word, 4);
    return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
}

INLINE int32x4_t ON(four)(int8x16_t w, int8x16_t x)
{
    int32x4_t one = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)));
    return vpaddq_s32(one, vpaddlq_s16(vmull_high_s8(w, x)));
}

INLINE ON(sums8) ON(dot8)(ON(sums8) sums, ON(weights8) w, ON(bytes) x)
{
    return (ON(sums8)){vaddq_s32(sums.low, ON(four)(w.low, x)), vaddq_s32(sums.high, ON(four)(w.high, x))};
}

INLINE ON(sums16) ON(dot16)(ON(sums16) sums, ON(weights16) w, ON(bytes) x)
{
    return (ON(sums16)){ON(dot8)(sums.low, w.low, x), ON(dot8)(sums.high, w.high, x)};
}
