int network_rejected(const network_logit *logits)
{
#ifdef NETWORK_THRESHOLD
    return network_score(logits) > NETWORK_THRESHOLD;
#else
    (void)logits;
    return 0;
#endif
}
