static void subtract_floats_plain(int n, const float *first, const float *second, float *out)
{
    for (int i = 0; i < n; i++)
        out[i] = first[i] - second[i];
}
