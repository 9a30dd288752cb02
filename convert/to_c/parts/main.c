/* Why `image` is no light digit on dark ground, whose border is nearer the darkest value than the lightest; 0 where it may be. */
static const char *no_digit(void)
{
    int counts[256] = {0}, low = 255, high = 0, median = 0, below = 0;
    for (int at = 0; at < n_pixels; at++) {
        low = image[at] < low ? image[at] : low;
        high = image[at] > high ? image[at] : high;
    }
    for (int x = 0; x < NETWORK_WIDTH; x++) {
        counts[image[x]]++;
        counts[image[n_pixels - 1 - x]]++;
    }
    for (int y = 0; y < NETWORK_HEIGHT; y++) {
        counts[image[y * stride]]++;
        counts[image[y * stride + stride - 1]]++;
    }
    while ((below += counts[median]) <= NETWORK_WIDTH + NETWORK_HEIGHT)
        median++;
    if (low == high)
        return "no digit found: the picture is blank; give it one digit in clear ink";
    return 2 * median < low + high ? 0 : "not light on dark, as the network takes digits; edge-predict reads such pictures";
}

/* The picture in `file` as the network takes it, in `image`; else a line on stderr and the exit code. */
static int read_picture(const char *file)
{
    size_t size;
    int as_it_is;
    const char *why;
    const int code = read_file(file, &size);
    if (code)
        return code;
    if (size >= 8 && !memcmp(content, "\x89PNG\r\n\x1a\n", 8)) {
#ifdef EDGEPROOF_ZLIB
        as_it_is = NETWORK_UNCHANGED && read_png(size);
#else
        return refuse(bad_picture, file, "a PNG, which this build does not read: compile with -DEDGEPROOF_ZLIB -lz, or use edge-predict");
#endif
    } else if (content[0] == 'P' && content[1] >= '1' && content[1] <= '6' && is_space(content[2])) {
        as_it_is = NETWORK_UNCHANGED && content[1] == '5' && read_pgm(size);
    } else {
        const char *other = size == n_pixels ? other_than_pixels() : 0;
        if (other)
            return refuse(bad_picture, file, other);
        as_it_is = size == n_pixels;
        if (as_it_is)
            memcpy(image, content, n_pixels);
    }
    if (!as_it_is)
        return refuse(bad_picture, file, "damaged, or not " NETWORK_TAKES "; edge-predict reads other pictures");
    if (NETWORK_IS_DIGIT && (why = no_digit()))
        return refuse(bad_picture, file, why);
    return done;
}

static int always_answer;
static double coverage, quantile; /* of the set to print; 0: the nearest class alone */

/* Choose the least coverage that the file promises from the one in `text` up; the exit code. */
static int choose_set(const char *text)
{
    static const double sets[][2] = {NETWORK_SETS{1, 0}};
    char *end;
    const double asked = strtod(text, &end);
    int at = 0;
    if (end == text || *end || !(asked > 0 && asked < 1))
        return refuse(wrong_usage, "--coverage", "wants a number between 0 and 1, such as 0.99");
    while (sets[at][0] < asked)
        at++;
    if (sets[at][0] >= 1)
        return refuse(wrong_usage, text, "a coverage above those that the file promises: " NETWORK_PROMISED "; convert it again, on more test pictures for more");
    coverage = sets[at][0];
    quantile = sets[at][1];
    return done;
}

/* The classes whose minus log softmax is at most the quantile, the most probable first. */
static void put_set(const network_logit *logits)
{
    static uint8_t is_put[NETWORK_CLASSES];
    const double greatest = network_value(logits[network_greatest(logits)]);
    double total = 0;
    int best = network_greatest(logits);
    for (int class = 0; class < NETWORK_CLASSES; class++)
        total += exp(network_value(logits[class]) - greatest);
    total = greatest + log(total);
    memset(is_put, 0, sizeof is_put);
    for (int n = 0; best >= 0 && (!n || total - network_value(logits[best]) <= quantile); n++) {
        printf("%s%s", n ? " or " : "", network_label(best));
        is_put[best] = 1;
        best = -1;
        for (int class = 0; class < NETWORK_CLASSES; class++)
            best = !is_put[class] && (best < 0 || logits[class] > logits[best]) ? class : best;
    }
    printf(" (%g %% set)", 100 * coverage);
}

/* Answer the picture in `file` on stdout; the exit code. */
static int answer(const char *file)
{
    static network_context context;
    network_logit logits[NETWORK_OUTPUTS];
    int best, rejected;
    const int code = read_picture(file);
    if (code)
        return code;
    network_predict(&context, image, logits);
    best = network_greatest(logits);
    rejected = !always_answer && network_rejected(logits);
    put(stdout, file);
    fputs(rejected ? ": none of these (nearest: " : ": ", stdout);
    if (coverage > 0)
        put_set(logits);
    else if (rejected)
        fputs(network_label(best), stdout);
    else
        printf("%s (%.1f %%)", network_label(best), 100 * network_probability(logits, best));
    puts(rejected ? ")" : "");
    return done;
}

static int help(void)
{
    puts("usage: " NETWORK_NAME " PICTURE... [options]\n\n"
         "Classify each picture, which must be " NETWORK_TAKES ".\n\n"
         "  --coverage P      answer with the smallest set of classes that holds the true one in at least P (say 0.99) of pictures;\n"
         "                    this file promises: " NETWORK_PROMISED "\n"
         "  --always-answer   name the nearest class of a picture that is none of the classes\n"
#ifdef EDGEPROOF_SELF_TEST
         "  --self-test       answer the pictures in the program itself and compare with the answers expected\n"
#endif
         "\nExit codes: 0 done, 1 self-test failed, 2 usage, 65 bad picture, 66 no such input, 74 I/O.");
    return done;
}

static int self_test(void)
{
#ifdef EDGEPROOF_SELF_TEST
    static network_context context;
    const int wrong = network_self_test(&context);
    if (wrong) {
        fprintf(stderr, NETWORK_NAME ": self-test failed: %d wrong answers\n", wrong);
        return 1;
    }
    printf(NETWORK_NAME ": passed: %d pictures", NETWORK_GOLDENS);
    for (int path = 0, n = 0; network_path(path); path++)
        if (network_predict_on(path, &context, golden_pixels[0], (network_logit[NETWORK_OUTPUTS]){0}))
            printf("%s%s", n++ ? ", " : " on each of: ", network_path(path));
    puts("");
    return done;
#else
    fputs(NETWORK_NAME ": no self-test in this build: compile with -DEDGEPROOF_SELF_TEST\n", stderr);
    return wrong_usage;
#endif
}

static int answer_all(int count, char **arguments)
{
    int code = done, pictures = 0, only_pictures = 0;
    for (int at = 1; at < count && strcmp(arguments[at], "--"); at++)
        if (!strcmp(arguments[at], "--help") || !strcmp(arguments[at], "-h"))
            return help();
    if (count == 2 && !strcmp(arguments[1], "--self-test"))
        return self_test();
    for (int at = 1; at < count; at++) { /* the pictures' names move to the front */
        char *text = arguments[at];
        if (!text[0])
            return refuse(wrong_usage, "\"\"", "a picture's name is empty; see --help");
        if (only_pictures || text[0] != '-')
            arguments[pictures++] = text;
        else if (!strcmp(text, "--"))
            only_pictures = 1;
        else if (!strcmp(text, "--always-answer"))
            always_answer = 1;
        else if (!strcmp(text, "--coverage") || !strncmp(text, "--coverage=", 11))
            code = choose_set(text[10] ? text + 11 : at + 1 < count ? arguments[++at] : "");
        else
            return refuse(wrong_usage, text, "no such option; see --help");
        if (code)
            return code;
    }
    if (!pictures) {
        fputs(NETWORK_NAME ": name at least one picture; see --help\n", stderr);
        return wrong_usage;
    }
    for (int at = 0; at < pictures && !ferror(stdout); at++) {
        const int failed = answer(arguments[at]);
        code = code ? code : failed;
    }
    return code;
}

int main(int count, char **arguments)
{
    int code;
    signal(SIGPIPE, SIG_IGN); /* the reader (`| head`) has what it wanted */
    code = answer_all(count, arguments);
    if (!fflush(stdout) && !ferror(stdout))
        return code;
    return errno == EPIPE ? code : code ? code : refuse(storage, "stdout", strerror(errno));
}
#endif
