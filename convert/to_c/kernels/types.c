/* A convolution or dense layer. Activations are bytes, q + 128; a place beyond the image holds the byte that stands for 0. */
typedef struct {
    const int8_t *weights;         /* [block of 16 outputs, the last of 16 or 8][rows][words][output][4] */
    const int32_t *biases;         /* of sums over bytes */
    const int32_t *signed_biases;  /* of sums over bytes less 128 */
    const float *scales;           /* of a sum, to steps of the output */
    int height, width, channels;   /* of the output */
    int rows, words, taps;         /* of the kernel: rows, words in a row; depthwise: words in all, and places */
    int columns;                   /* of the kernel */
    int step, line, input_line;    /* input bytes between outputs of a row, between rows of outputs, between rows of input */
    int output_line;               /* output bytes between rows */
    int zero, low, high;           /* the output's byte for 0, and its least and greatest */
} convolution;

/* Windows over the places of an image. */
typedef struct {
    int height, width, channels;   /* of the output */
    int input_height, input_width; /* of the input */
    int rows, columns;             /* of the window */
    int down, across;              /* strides */
    int top, left;                 /* places before the image */
    int input_line, output_line;   /* bytes between rows */
    int low, high;                 /* the least and greatest byte of the output */
} window;

/* Two planes added: (bias + a * first + b * second) >> shift. */
typedef struct {
    int height, width;             /* width in bytes */
    int first_line, second_line, output_line;
    int32_t a, b, bias;
    int shift, zero, low, high;
} addition;
