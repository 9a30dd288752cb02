/* LANES channels at `n` neighbouring places: two places of the kernel at a time. */
INLINE void LANED(depthwise)(const convolution *c, int first, int n, const uint8_t *in, uint8_t *out)
{
    int used = c->channels - first < LANES ? c->channels - first : LANES;
    LANED(sums) sums[4];
    UNROLL
    for (int i = 0; i < n; i++)
        sums[i] = LANED(begin)(c->biases + first);
    UNROLL
    for (int word = 0; word < c->words; word++) {
        int a = 2 * word, b = a + 1 < c->taps ? a + 1 : a; /* behind the last place, its weight is 0 */
        const uint8_t *one = in + a / c->columns * c->input_line + a % c->columns * c->channels + first;
        const uint8_t *two = in + b / c->columns * c->input_line + b % c->columns * c->channels + first;
        LANED(pairs) w = LANED(load_pairs)(c->weights + first * c->words * 2 + word * 2 * LANES);
        UNROLL
        for (int i = 0; i < n; i++)
            sums[i] = LANED(dot_pairs)(sums[i], w, one + i * c->step, two + i * c->step);
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        uint8_t *to = out + i * c->channels + first;
        if (used == LANES) {
            LANED(store)(sums[i], c->scales + first, c->zero, c->low, c->high, to);
        } else {
            uint8_t bytes[LANES];
            LANED(store)(sums[i], c->scales + first, c->zero, c->low, c->high, bytes);
            memcpy(to, bytes, (size_t)used);
        }
    }
}

/* LANES channels at all places; strips overlap at the end of a row. */
INLINE void LANED(depthwise_block)(const convolution *c, int first, const uint8_t *in, uint8_t *out)
{
    int most = 32 / LANES;
    for (int y = 0; y < c->height; y++, in += c->line, out += c->output_line) {
        if (c->width >= most)
            for (int x = 0; x < c->width; x += most) {
                int from = x < c->width - most ? x : c->width - most;
                LANED(depthwise)(c, first, most, in + from * c->step, out + from * c->channels);
            }
        else
            for (int x = 0; x < c->width; x++)
                LANED(depthwise)(c, first, 1, in + x * c->step, out + x * c->channels);
    }
}
