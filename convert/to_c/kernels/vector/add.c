/* The sum of two planes, sixteen bytes at a time; the last of a row overlap. */
INLINE void ON(add)(const addition *p, const uint8_t *first, const uint8_t *second, uint8_t *out)
{
    for (int y = 0; y < p->height; y++, first += p->first_line, second += p->second_line, out += p->output_line) {
        if (p->width < 16) {
            uint8_t bytes[16];
            ON(add16)(p, first, second, bytes);
            memcpy(out, bytes, (size_t)p->width);
        } else {
            for (int x = 0; x < p->width; x += 16) {
                int from = x < p->width - 16 ? x : p->width - 16;
                ON(add16)(p, first + from, second + from, out + from);
            }
        }
    }
}
