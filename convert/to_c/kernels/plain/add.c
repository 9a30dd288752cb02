/* The sum of two planes. Right shifts of negative numbers are spelled out: C99 leaves them open. */
static void add_plain(const addition *p, const uint8_t *first, const uint8_t *second, uint8_t *out)
{
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            int32_t sum = p->bias + p->a * first[y * p->first_line + x] + p->b * second[y * p->second_line + x];
            int value = (sum < 0 ? ~(~sum >> p->shift) : sum >> p->shift) + p->zero;
            out[y * p->output_line + x] = (uint8_t)(value < p->low ? p->low : value > p->high ? p->high : value);
        }
}
