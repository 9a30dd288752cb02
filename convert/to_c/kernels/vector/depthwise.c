/* A depthwise convolution: each channel by itself. */
INLINE void ON(depthwise)(const convolution *c, const uint8_t *in, uint8_t *out)
{
    int wide = c->channels % 16 == 0 || c->channels % 16 > 8 ? c->channels : c->channels - c->channels % 16;
    for (int first = 0; first < wide; first += 16)
        ON(depthwise_block16)(c, first, in, out);
    if (wide < c->channels)
        ON(depthwise_block8)(c, wide, in, out);
}
