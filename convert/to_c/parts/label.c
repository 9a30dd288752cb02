/* ---- The classes ---- */

const char *network_label(int class)
{
    return class >= 0 && class < NETWORK_CLASSES ? network_labels[class] : 0;
}

int network_context_bytes(void)
{
    return (int)sizeof(network_context);
}
