"""One contender of benchmarks.peers: a model in one library, run by the Python that has this library.

    PYTHON benchmarks/peers/contender.py LIBRARY MODEL IMAGES BYTES

IMAGES is a file of images of BYTES each, uint8 [H, W, C]. The first line of output is JSON: the version that runs and the class
of every image. Each line `WARM_UP CALLS MOST_S` on stdin then makes WARM_UP untimed and CALLS timed calls, for at most MOST_S
seconds, and prints the median in ns. Bare libraries get prepared tensors; our predictor prepares its own in the time measured.
A bare Interpreter named LIBRARY@THREADSxBATCH uses so many threads, and a call answers so many images.
"""

import json
import os
import statistics
import sys
import time

# `edge` is this checkout's; the modules beside this file are not importable.
sys.path[0] = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def ours(model, images, engine):
    """Our predictor: from the bytes of an image to its class."""
    from edge import predictor

    ready = predictor.load(model, engine_name=engine, trusted=True)
    return lambda image: ready.answer(image).index, images, f"{ready.engine.version}, {ready.engine.kernels}"


def interpreter(model, images, library, threads=1, batch=1):
    """A bare Interpreter: set the tensor, invoke, take the greatest output of the first image."""
    import numpy as np

    if library == "tensorflow":
        import tensorflow

        make, version = tensorflow.lite.Interpreter, tensorflow.__version__
    else:
        __import__(f"{library}.interpreter")
        make, version = sys.modules[f"{library}.interpreter"].Interpreter, sys.modules[library].__version__
    ready = make(model, num_threads=threads)
    if batch > 1:
        (enters,) = ready.get_input_details()
        ready.resize_tensor_input(enters["index"], [batch, *enters["shape"][1:]])
    ready.allocate_tensors()
    enters, leaves = ready.get_input_details()[0], ready.get_output_details()[0]
    shift = 128 if enters["dtype"] is np.int8 else 0

    def call(tensor):
        ready.set_tensor(enters["index"], tensor)
        ready.invoke()
        return int(ready.get_tensor(leaves["index"])[0].argmax())

    pixels = [np.frombuffer(image, np.uint8).reshape(enters["shape"][1:]) for image in images]
    tensors = [np.stack([pixels[(start + at) % len(pixels)] for at in range(batch)]) for start in range(len(pixels))]
    return call, [(t.astype(np.int16) - shift).astype(enters["dtype"]) for t in tensors], version


def session(model, images, _):
    """A bare ONNX Runtime session."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    ready = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    enters, wanted = ready.get_inputs()[0], [ready.get_outputs()[0].name]
    dtype = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}[enters.type]
    tensors = [np.frombuffer(image, np.uint8).reshape(enters.shape).astype(dtype) for image in images]
    return lambda tensor: int(ready.run(wanted, {enters.name: tensor})[0][0].argmax()), tensors, onnxruntime.__version__


LIBRARIES = {
    "litert-c": (ours, "litert-c"),
    "litert": (ours, "litert"),
    "onnxruntime": (ours, "onnxruntime"),
    "ai_edge_litert": (interpreter, "ai_edge_litert"),
    "tflite_runtime": (interpreter, "tflite_runtime"),
    "tensorflow": (interpreter, "tensorflow"),
    "bare onnxruntime": (session, ""),
}


def median_ns(call, starts, *, warm_up, calls, most_s):
    """The median of at least five timed calls, in ns; `starts` are their arguments, in turn."""
    for number in range(warm_up):
        call(starts[number % len(starts)])
    times, end = [], time.perf_counter() + most_s
    for number in range(calls):
        started = time.perf_counter_ns()
        call(starts[number % len(starts)])
        times.append(time.perf_counter_ns() - started)
        if number >= 4 and time.perf_counter() > end:
            break
    return statistics.median(times)


def main():
    if len(sys.argv) != 5:
        asked = sys.argv[1:] in (["--help"], ["-h"])
        print(__doc__ if asked else "contender.py: wanted LIBRARY MODEL IMAGES BYTES", file=None if asked else sys.stderr)
        sys.exit(0 if asked else 2)
    library, model, path, n_bytes = sys.argv[1:]
    with open(path, "rb") as file:
        data = file.read()
    images = [data[at : at + int(n_bytes)] for at in range(0, len(data), int(n_bytes))]
    library, _, setting = library.partition("@")
    load, argument = LIBRARIES[library]
    call, starts, about = load(model, images, argument, *map(int, setting.split("x") if setting else ()))
    print(json.dumps({"about": about, "classes": [call(start) for start in starts]}), flush=True)
    for line in sys.stdin:
        warm_up, calls, most_s = line.split()
        print(median_ns(call, starts, warm_up=int(warm_up), calls=int(calls), most_s=float(most_s)), flush=True)


if __name__ == "__main__":
    main()
