/* ---- What an answer is worth ---- */

static double network_value(network_logit logit)
{
    return NETWORK_OUTPUT_SCALE * (logit - NETWORK_OUTPUT_ZERO_POINT);
}

/* The index of the greatest logit; of equal ones the lowest. */
static int network_greatest(const network_logit *logits)
{
    int best = 0;
    for (int class = 1; class < NETWORK_CLASSES; class++)
        best = logits[class] > logits[best] ? class : best;
    return best;
}

double network_probability(const network_logit *logits, int index)
{
    const double greatest = network_value(logits[network_greatest(logits)]);
    double total = 0;
    if (index < 0 || index >= NETWORK_CLASSES)
        return 0;
    for (int class = 0; class < NETWORK_CLASSES; class++)
        total += exp((network_value(logits[class]) - greatest) / NETWORK_TEMPERATURE);
    return exp((network_value(logits[index]) - greatest) / NETWORK_TEMPERATURE) / total;
}
