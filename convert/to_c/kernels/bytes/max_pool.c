/* The greatest byte of each window, sixteen channels at a time. */
SPECIALIZED void max_pool_bytes(const window *w, const uint8_t *in, uint8_t *out)
{
    for (int y = 0; y < w->height; y++)
        for (int x = 0; x < w->width; x++) {
            int i = y * w->down - w->top, j = x * w->across - w->left;
            int up = i < 0 ? 0 : i, down = i + w->rows < w->input_height ? i + w->rows : w->input_height;
            int left = j < 0 ? 0 : j, right = j + w->columns < w->input_width ? j + w->columns : w->input_width;
            uint8_t *to = out + y * w->output_line + x * w->channels;
            for (int channel = 0; channel < w->channels; channel += 16) {
                bytes16 greatest = splat16(w->low);
                for (int row = up; row < down; row++)
                    for (int column = left; column < right; column++)
                        greatest = max16(greatest, load16(in + row * w->input_line + column * w->channels + channel));
                greatest = min16(greatest, splat16(w->high));
                if (w->channels - channel >= 16) {
                    store16(to + channel, greatest);
                } else {
                    uint8_t rest[16];
                    store16(rest, greatest);
                    memcpy(to + channel, rest, (size_t)(w->channels - channel));
                }
            }
        }
}
