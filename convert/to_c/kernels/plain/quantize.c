static void quantize_plain(int height, int width, const float *in, int input_line, uint8_t *out, int output_line, int zero,
    float inverse)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            float value = in[y * input_line + x] * inverse;
            value = value > -1024.0f ? value : -1024.0f; /* not a number becomes the least */
            value = value < 1024.0f ? value : 1024.0f;
            value += 12582912.0f;
            int32_t steps;
            memcpy(&steps, &value, sizeof steps);
            steps = steps - 0x4B400000 + zero;
            out[y * output_line + x] = (uint8_t)(steps < 0 ? 0 : steps > 255 ? 255 : steps);
        }
}
