/* TFLite's softmax of bytes: a table of exponentials, sums and quotients in float. */
static void softmax_plain(int places, int channels, const float *exponentials, const uint8_t *in, uint8_t *out)
{
    for (int place = 0; place < places; place++, in += channels, out += channels) {
        int greatest = 0;
        for (int i = 0; i < channels; i++)
            greatest = in[i] > greatest ? in[i] : greatest;
        const float *table = exponentials + 255 - greatest;
        float sum = 0.0f;
        for (int i = 0; i < channels; i++)
            sum += table[in[i]];
        float inverse = 256.0f / sum;
        for (int i = 0; i < channels; i++) {
            float scaled = table[in[i]] * inverse;
            int value = (int)scaled;
            value += scaled - (float)value >= 0.5f;
            out[i] = (uint8_t)(value > 255 ? 255 : value);
        }
    }
}
