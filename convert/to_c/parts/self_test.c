int network_self_test(network_context *context)
{
    int wrong = 0;
    for (int path = 0; network_path(path); path++) {
        for (int picture = 0; picture < NETWORK_GOLDENS; picture++) {
            network_logit logits[NETWORK_CLASSES];
            int differs = 0;
            if (!network_predict_on(path, context, golden_pixels[picture], logits))
                break; /* this machine lacks the path's instructions */
            for (int class = 0; class < NETWORK_CLASSES; class++) {
                const double step = (double)logits[class] - (double)golden_logits[picture][class];
                differs |= !(step <= NETWORK_GOLDEN_STEPS && step >= -NETWORK_GOLDEN_STEPS);
            }
            wrong += differs;
        }
    }
    return wrong;
}
#endif
