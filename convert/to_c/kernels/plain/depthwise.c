/* A depthwise convolution: each channel by itself. */
static void depthwise_plain(const convolution *c, const uint8_t *in, uint8_t *out)
{
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->width; x++)
            for (int channel = 0; channel < c->channels; channel++) {
                int first = channel & ~15, lanes = c->channels - first > 8 ? 16 : 8;
                const int8_t *w = c->weights + first * c->words * 2 + (channel - first) * 2;
                const uint8_t *from = in + y * c->line + x * c->step + channel;
                int32_t sum = c->biases[channel];
                for (int tap = 0; tap < c->taps; tap++)
                    sum += w[tap / 2 * lanes * 2 + tap % 2]
                        * from[tap / c->columns * c->input_line + tap % c->columns * c->channels];
                out[y * c->output_line + x * c->channels + channel] =
                    requantize(sum, c->scales[channel], c->zero, c->low, c->high);
            }
}
