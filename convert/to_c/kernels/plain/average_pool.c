/* The average of each window, as TFLite rounds it: half away from zero. */
SPECIALIZED void average_pool_plain(const window *w, const uint8_t *in, uint8_t *out)
{
    for (int y = 0; y < w->height; y++)
        for (int x = 0; x < w->width; x++) {
            int i = y * w->down - w->top, j = x * w->across - w->left;
            int up = i < 0 ? 0 : i, down = i + w->rows < w->input_height ? i + w->rows : w->input_height;
            int left = j < 0 ? 0 : j, right = j + w->columns < w->input_width ? j + w->columns : w->input_width;
            int count = (down - up) * (right - left), whole = w->rows * w->columns;
            for (int channel = 0; channel < w->channels; channel++) {
                int sum = 0;
                for (int row = up; row < down; row++)
                    for (int column = left; column < right; column++)
                        sum += in[row * w->input_line + column * w->channels + channel];
                sum -= 128 * count;
                /* Most windows are whole, and a division by a constant is a multiplication. */
                int average = count == whole ? (sum > 0 ? sum + whole / 2 : sum - whole / 2) / whole
                                             : (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                average += 128;
                average = average < w->low ? w->low : average > w->high ? w->high : average;
                out[y * w->output_line + x * w->channels + channel] = (uint8_t)average;
            }
        }
}
