/* LANES outputs at `n` neighbouring places, or, with pool 2, at n / 4 squares of four places. */
INLINE void LANED(strip)(const convolution *c, int first, int n, int pool, const uint8_t *in, uint8_t *out)
{
    const int8_t *weights = c->weights + first * c->rows * c->words * 4;
    const float *scales = c->scales + first;
    int used = c->channels - first < LANES ? c->channels - first : LANES;
    LANED(sums) sums[8];
    UNROLL
    for (int i = 0; i < n; i++)
        sums[i] = LANED(begin)(c->BIASES + first);
    for (int row = 0; row < c->rows; row++, in += c->input_line)
        for (int word = 0; word < c->words; word++, weights += 4 * LANES) {
            LANED(weights) w = LANED(load)(weights);
            UNROLL
            for (int i = 0; i < n; i++) {
                int at = pool == 2 ? (i / 4 * 2 + i % 2) * c->step + i % 4 / 2 * c->line : i * c->step;
                sums[i] = LANED(dot)(sums[i], w, ON(spread)(in + at + 4 * word));
            }
        }
    UNROLL
    for (int i = 0; i < n; i += pool * pool) {
        uint8_t *to = out + i / (pool * pool) * c->channels + first;
        LANED(sums) one = sums[i];
        if (pool == 2)
            one = LANED(greatest)(LANED(greatest)(one, sums[i + 1]), LANED(greatest)(sums[i + 2], sums[i + 3]));
        if (used == LANES) {
            LANED(store)(one, scales, c->zero, c->low, c->high, to);
        } else {
            uint8_t bytes[LANES];
            LANED(store)(one, scales, c->zero, c->low, c->high, bytes);
            memcpy(to, bytes, (size_t)used);
        }
    }
}

/* LANES outputs at all places; strips overlap at the end of a row. */
INLINE void LANED(block)(const convolution *c, int first, int pool, const uint8_t *in, uint8_t *out)
{
    int most = 64 / LANES, each = most / (pool * pool);
    for (int y = 0; y < c->height; y++, in += pool * c->line, out += c->output_line) {
        if (c->width >= each)
            for (int x = 0; x < c->width; x += each) {
                int from = x < c->width - each ? x : c->width - each;
                LANED(strip)(c, first, most, pool, in + from * pool * c->step, out + from * c->channels);
            }
        else
            for (int x = 0; x < c->width; x++)
                LANED(strip)(c, first, pool * pool, pool, in + x * pool * c->step, out + x * c->channels);
    }
}
