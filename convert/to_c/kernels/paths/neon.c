/* Eight sums in two vectors of four. */
#define BIASES signed_biases /* NEON's products are of signed bytes: q, not q + 128 */
typedef struct { int32x4_t low, high; } ON(sums8);
typedef struct { ON(sums8) low, high; } ON(sums16);

INLINE ON(sums8) ON(begin8)(const int32_t *biases)
{
    return (ON(sums8)){vld1q_s32(biases), vld1q_s32(biases + 4)};
}

INLINE ON(sums8) ON(greatest8)(ON(sums8) a, ON(sums8) b)
{
    return (ON(sums8)){vmaxq_s32(a.low, b.low), vmaxq_s32(a.high, b.high)};
}

INLINE uint8x8_t ON(scale)(ON(sums8) sums, const float *scales, int zero, int low, int high)
{
    int32x4_t a = vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums.low), vld1q_f32(scales)));
    int32x4_t b = vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums.high), vld1q_f32(scales + 4)));
    int16x8_t steps = vqaddq_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)), vdupq_n_s16((int16_t)zero));
    return vmin_u8(vmax_u8(vqmovun_s16(steps), vdup_n_u8((uint8_t)low)), vdup_n_u8((uint8_t)high));
}

INLINE void ON(store8)(ON(sums8) sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    vst1_u8(out, ON(scale)(sums, scales, zero, low, high));
}

INLINE void ON(store16)(ON(sums16) sums, const float *scales, int zero, int low, int high, uint8_t *out)
{
    vst1_u8(out, ON(scale)(sums.low, scales, zero, low, high));
    vst1_u8(out + 8, ON(scale)(sums.high, scales + 8, zero, low, high));
}

typedef struct { int16x8_t one, two; } ON(pairs8);
typedef struct { ON(pairs8) low, high; } ON(pairs16);

INLINE ON(pairs8) ON(load_pairs8)(const int8_t *weights)
{
    int8x8x2_t w = vld2_s8(weights);
    return (ON(pairs8)){vmovl_s8(w.val[0]), vmovl_s8(w.val[1])};
}

INLINE ON(sums8) ON(dot_pairs8)(ON(sums8) sums, ON(pairs8) w, const uint8_t *one, const uint8_t *two)
{
    int16x8_t a = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(one))), b = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(two)));
    sums.low = vmlal_s16(sums.low, vget_low_s16(w.one), vget_low_s16(a));
    sums.high = vmlal_high_s16(sums.high, w.one, a);
    sums.low = vmlal_s16(sums.low, vget_low_s16(w.two), vget_low_s16(b));
    sums.high = vmlal_high_s16(sums.high, w.two, b);
    return sums;
}

INLINE ON(sums16) ON(dot_pairs16)(ON(sums16) sums, ON(pairs16) w, const uint8_t *one, const uint8_t *two)
{
    return (ON(sums16)){ON(dot_pairs8)(sums.low, w.low, one, two), ON(dot_pairs8)(sums.high, w.high, one + 8, two + 8)};
}

typedef struct { int8x16_t low, high; } ON(weights8);
typedef int8x16_t ON(bytes);

INLINE ON(weights8) ON(load8)(const int8_t *weights)
{
    return (ON(weights8)){vld1q_s8(weights), vld1q_s8(weights + 16)};
}

INLINE ON(bytes) ON(spread)(const uint8_t *word)
{
    uint32_t four;
    memcpy(&four, word, 4);
    return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
}
