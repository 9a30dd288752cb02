/* Rows of `places` times `bytes`, each place so many bytes from the next. */
static void copy_plain(int rows, int places, int bytes, const uint8_t *in, int input_line, int input_step, uint8_t *out,
    int output_line, int output_step)
{
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < places; x++)
            memcpy(out + y * output_line + x * output_step, in + y * input_line + x * input_step, (size_t)bytes);
}
