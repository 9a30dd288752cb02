/* The dot-product extension multiplies four signed bytes by four and adds, in one instruction. */
INLINE ON(sums8) ON(dot8)(ON(sums8) sums, ON(weights8) w, ON(bytes) x)
{
    return (ON(sums8)){vdotq_s32(sums.low, w.low, x), vdotq_s32(sums.high, w.high, x)};
}
