/* The logits as int8. */
static void leave_plain(int n, const uint8_t *in, int8_t *logits)
{
    for (int i = 0; i < n; i++)
        logits[i] = (int8_t)(in[i] - 128);
}
