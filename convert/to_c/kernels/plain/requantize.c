/* The byte of a sum: scaled in float, rounded half to even, offset and limited. */
static uint8_t requantize(int32_t sum, float scale, int zero, int low, int high)
{
    float value = (float)sum * scale;
    /* The limits also keep a compiler from joining the product and the sum below, which would round once where LiteRT rounds twice. */
    if (value < -1024.0f)
        value = -1024.0f;
    if (value > 1024.0f)
        value = 1024.0f;
    value += 12582912.0f; /* 1.5 * 2^23: what follows the binary point is rounded off */
    int32_t steps;
    memcpy(&steps, &value, sizeof steps);
    steps = steps - 0x4B400000 + zero;
    return (uint8_t)(steps < low ? low : steps > high ? high : steps);
}
