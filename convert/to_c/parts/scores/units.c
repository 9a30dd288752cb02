static double network_score(const network_logit *logits)
{
    const int half = NETWORK_CLASSES + (NETWORK_OUTPUTS - NETWORK_CLASSES) / 2;
    double unlike = 0, like = 0;
    for (int at = NETWORK_CLASSES; at < NETWORK_OUTPUTS; at++) {
        const double value = NETWORK_EXTRA_SCALE * (logits[at] - NETWORK_EXTRA_ZERO_POINT);
        unlike += at < half && value > 0 ? value : 0;
        like += at >= half && value > 0 ? value : 0;
    }
    return unlike - like;
}
