int network_self_test(network_context *context)
{
    int wrong = 0;
    for (int path = 0; network_path(path); path++) {
        for (int picture = 0; picture < NETWORK_GOLDENS; picture++) {
            network_logit logits[NETWORK_OUTPUTS];
            int differs = 0;
            if (!network_predict_on(path, context, golden_pixels[picture], logits))
                break; /* this machine lacks the path's instructions */
            for (int at = 0; at < NETWORK_OUTPUTS; at++) {
                const double step = (double)logits[at] - (double)golden_logits[picture][at];
                differs |= !(step <= NETWORK_GOLDEN_STEPS && step >= -NETWORK_GOLDEN_STEPS);
            }
            wrong += differs;
        }
    }
    return wrong;
}
#endif
