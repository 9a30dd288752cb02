/* A convolution or dense layer; with pool 2, the greatest of each 2x2 outputs. */
INLINE void ON(convolve)(const convolution *c, int pool, const uint8_t *in, uint8_t *out)
{
    int wide = c->channels % 16 == 0 || c->channels % 16 > 8 ? c->channels : c->channels - c->channels % 16;
    for (int first = 0; first < wide; first += 16)
        ON(block16)(c, first, pool, in, out);
    if (wide < c->channels)
        ON(block8)(c, wide, pool, in, out);
}
