/* The average of each window, as TFLite rounds it: half away from zero. */
static void average_pool_plain(const window *w, const uint8_t *in, uint8_t *out)
{
    for (int y = 0; y < w->height; y++)
        for (int x = 0; x < w->width; x++)
            for (int channel = 0; channel < w->channels; channel++) {
                int sum = 0, count = 0;
                for (int row = 0; row < w->rows; row++)
                    for (int column = 0; column < w->columns; column++) {
                        int i = y * w->down + row - w->top, j = x * w->across + column - w->left;
                        if (i < 0 || i >= w->input_height || j < 0 || j >= w->input_width)
                            continue;
                        sum += in[i * w->input_line + j * w->channels + channel] - 128;
                        count++;
                    }
                int average = (sum > 0 ? sum + count / 2 : sum - count / 2) / count + 128;
                average = average < w->low ? w->low : average > w->high ? w->high : average;
                out[y * w->output_line + x * w->channels + channel] = (uint8_t)average;
            }
}
