/* What float operators give for each byte, by a table of 256. */
static void look_up_floats_plain(int height, int width, const float *table, const uint8_t *in, int input_line, float *out,
    int output_line)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            out[y * output_line + x] = table[in[y * input_line + x]];
}
