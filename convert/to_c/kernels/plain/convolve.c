/* The sums of one block of outputs at one place. */
static void sum_block(const convolution *c, int first, int lanes, const uint8_t *in, int32_t sums[16])
{
    const int8_t *weights = c->weights + first * c->rows * c->words * 4;
    for (int lane = 0; lane < lanes; lane++)
        sums[lane] = c->biases[first + lane];
    for (int row = 0; row < c->rows; row++, in += c->input_line)
        for (int word = 0; word < c->words; word++, weights += 4 * lanes) {
            const uint8_t *x = in + 4 * word;
            for (int lane = 0; lane < lanes; lane++) {
                const int8_t *w = weights + 4 * lane;
                sums[lane] += w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3];
            }
        }
}

/* A convolution or dense layer; with pool 2, the greatest of each 2x2 outputs. */
static void convolve_plain(const convolution *c, int pool, const uint8_t *in, uint8_t *out)
{
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->width; x++)
            for (int first = 0; first < c->channels; first += 16) {
                int rest = c->channels - first, lanes = rest > 8 ? 16 : 8, used = rest < lanes ? rest : lanes;
                int32_t greatest[16], sums[16];
                sum_block(c, first, lanes, in + y * pool * c->line + x * pool * c->step, greatest);
                for (int at = 1; at < pool * pool; at++) {
                    const uint8_t *from = in + (y * pool + at / 2) * c->line + (x * pool + at % 2) * c->step;
                    sum_block(c, first, lanes, from, sums);
                    for (int lane = 0; lane < lanes; lane++)
                        greatest[lane] = sums[lane] > greatest[lane] ? sums[lane] : greatest[lane];
                }
                uint8_t *to = out + y * c->output_line + x * c->channels + first;
                for (int lane = 0; lane < used; lane++)
                    to[lane] = requantize(greatest[lane], c->scales[first + lane], c->zero, c->low, c->high);
            }
}
