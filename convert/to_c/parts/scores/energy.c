static double network_score(const network_logit *logits)
{
    const double greatest = network_value(logits[network_greatest(logits)]);
    double total = 0;
    for (int class = 0; class < NETWORK_CLASSES; class++)
        total += exp(network_value(logits[class]) - greatest);
    return -(greatest + log(total));
}
