static double network_score(const network_logit *logits)
{
    const int best = network_greatest(logits);
    int second = !best;
    for (int class = 0; class < NETWORK_CLASSES; class++)
        second = class != best && logits[class] > logits[second] ? class : second;
    return network_value(logits[second]) - network_value(logits[best]);
}
