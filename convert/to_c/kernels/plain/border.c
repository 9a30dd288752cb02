/* The byte for 0 around an image; `start` is its first byte, widths are in bytes. */
static void border_plain(uint8_t *start, int height, int width, int line, int top, int left, int bottom, int right, int zero)
{
    if (top)
        memset(start - top * line - left, zero, (size_t)(top * line));
    for (int y = 0; y < height; y++) {
        memset(start + y * line - left, zero, (size_t)left);
        memset(start + y * line + width, zero, (size_t)right);
    }
    if (bottom)
        memset(start + height * line - left, zero, (size_t)(bottom * line));
}
