static void dequantize_plain(int height, int width, const uint8_t *in, int input_line, float *out, int output_line, int zero,
    float scale)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            out[y * output_line + x] = (float)(in[y * input_line + x] - zero) * scale;
}
