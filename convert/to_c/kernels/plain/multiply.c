/* The product of two planes, less their zeros; `width` in bytes. */
static void multiply_plain(int height, int width, const uint8_t *first, int first_line, int first_zero, const uint8_t *second,
    int second_line, int second_zero, float scale, uint8_t *out, int output_line, int zero, int low, int high)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int product = (first[y * first_line + x] - first_zero) * (second[y * second_line + x] - second_zero);
            out[y * output_line + x] = requantize(product, scale, zero, low, high);
        }
}
