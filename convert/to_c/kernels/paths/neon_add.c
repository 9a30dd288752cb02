/* Four sums of two planes. */
INLINE int32x4_t ON(add4)(const addition *p, uint16x4_t first, uint16x4_t second)
{
    int32x4_t sum = vmlaq_n_s32(vdupq_n_s32(p->bias), vreinterpretq_s32_u32(vmovl_u16(first)), p->a);
    return vshlq_s32(vmlaq_n_s32(sum, vreinterpretq_s32_u32(vmovl_u16(second)), p->b), vdupq_n_s32(-p->shift));
}

INLINE uint8x8_t ON(add8)(const addition *p, const uint8_t *first, const uint8_t *second)
{
    uint16x8_t a = vmovl_u8(vld1_u8(first)), b = vmovl_u8(vld1_u8(second));
    int16x4_t low = vqmovn_s32(ON(add4)(p, vget_low_u16(a), vget_low_u16(b)));
    int16x4_t high = vqmovn_s32(ON(add4)(p, vget_high_u16(a), vget_high_u16(b)));
    int16x8_t steps = vqaddq_s16(vcombine_s16(low, high), vdupq_n_s16((int16_t)p->zero));
    return vmin_u8(vmax_u8(vqmovun_s16(steps), vdup_n_u8((uint8_t)p->low)), vdup_n_u8((uint8_t)p->high));
}

INLINE void ON(add16)(const addition *p, const uint8_t *first, const uint8_t *second, uint8_t *out)
{
    vst1_u8(out, ON(add8)(p, first, second));
    vst1_u8(out + 8, ON(add8)(p, first + 8, second + 8));
}
