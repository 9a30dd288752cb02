/* The dot-product extension multiplies four signed bytes by four and adds, in one instruction. */
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

INLINE ON(sums8) ON(dot8)(ON(sums8) sums, ON(weights8) w, ON(bytes) x)
{
    return (ON(sums8)){vdotq_s32(sums.low, w.low, x), vdotq_s32(sums.high, w.high, x)};
}

INLINE ON(sums16) ON(dot16)(ON(sums16) sums, ON(weights16) w, ON(bytes) x)
{
    return (ON(sums16)){ON(dot8)(sums.low, w.low, x), ON(dot8)(sums.high, w.high, x)};
}
