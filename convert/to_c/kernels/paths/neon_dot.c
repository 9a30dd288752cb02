/* Products of eight signed bytes, added in pairs and again in pairs. */
INLINE int32x4_t ON(four)(int8x16_t w, int8x16_t x)
{
    int32x4_t one = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)));
    return vpaddq_s32(one, vpaddlq_s16(vmull_high_s8(w, x)));
}

INLINE ON(sums8) ON(dot8)(ON(sums8) sums, ON(weights8) w, ON(bytes) x)
{
    return (ON(sums8)){vaddq_s32(sums.low, ON(four)(w.low, x)), vaddq_s32(sums.high, ON(four)(w.high, x))};
}
