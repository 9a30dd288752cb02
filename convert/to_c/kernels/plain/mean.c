/* The mean over all places of each channel. */
static void mean_plain(int height, int width, int channels, const uint8_t *in, int line, int input_zero, float scale,
    uint8_t *out, int zero)
{
    for (int channel = 0; channel < channels; channel++) {
        int32_t sum = 0;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                sum += in[y * line + x * channels + channel] - input_zero;
        out[channel] = requantize(sum, scale, zero, 0, 255);
    }
}
