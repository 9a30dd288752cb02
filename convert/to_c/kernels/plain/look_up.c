/* Each byte by a table of 256: one for all, or `by_row`, `by_column`, `by_channel` bytes from one to the next. */
static void look_up_plain(int height, int width, int channels, const uint8_t *tables, int by_row, int by_column, int by_channel,
    const uint8_t *in, int input_line, uint8_t *out, int output_line)
{
    for (int y = 0; y < height; y++, tables += by_row, in += input_line, out += output_line) {
        if (by_column == 0 && by_channel == 0) {
            for (int i = 0; i < width * channels; i++)
                out[i] = tables[in[i]];
            continue;
        }
        for (int x = 0, i = 0; x < width; x++) {
            const uint8_t *table = tables + x * by_column;
            for (int channel = 0; channel < channels; channel++, i++, table += by_channel)
                out[i] = table[in[i]];
        }
    }
}
