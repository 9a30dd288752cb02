"""One contender of benchmarks.peers: a model in one library, in whatever environment that library lives.

    PYTHON benchmarks/peers/contender.py LIBRARY MODEL PICTURES BYTES

PICTURES is a file of pictures of BYTES each, uint8 [H, W, C]. A line of JSON says what runs and the class of every picture;
then, for each line `WARM_UP CALLS MOST_S` on stdin, that many calls are made untimed and timed, no longer than MOST_S
seconds, and their median is printed in ns. Bare libraries are given tensors made ready beforehand: our predictor makes its
own within the time measured.
"""

import json
import os
import statistics
import sys
import time

# Of this very checkout, and none of its benchmarks.
sys.path[0] = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def ours(model, pictures, engine):
    """Our predictor: from the picture's bytes to its class."""
    from edge import predictor

    ready = predictor.load(model, engine_name=engine, trusted=True)
    return lambda picture: ready.answer(picture).index, pictures, f"{ready.engine.version}, {ready.engine.kernels}"


def interpreter(model, pictures, library):
    """A bare Interpreter: set the tensor, invoke, take the greatest output."""
    import numpy as np

    if library == "tensorflow":
        import tensorflow

        make, version = tensorflow.lite.Interpreter, tensorflow.__version__
    else:
        __import__(f"{library}.interpreter")
        make, version = sys.modules[f"{library}.interpreter"].Interpreter, sys.modules[library].__version__
    ready = make(model, num_threads=1)
    ready.allocate_tensors()
    (enters,), (leaves,) = ready.get_input_details(), ready.get_output_details()
    shift = 128 if enters["dtype"] is np.int8 else 0

    def call(tensor):
        ready.set_tensor(enters["index"], tensor)
        ready.invoke()
        return int(ready.get_tensor(leaves["index"])[0].argmax())

    tensors = [np.frombuffer(p, np.uint8).reshape(enters["shape"]) for p in pictures]
    return call, [(t.astype(np.int16) - shift).astype(enters["dtype"]) for t in tensors], version


def session(model, pictures, _):
    """A bare ONNX Runtime session."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    ready = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    enters, wanted = ready.get_inputs()[0], [ready.get_outputs()[0].name]
    dtype = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}[enters.type]
    tensors = [np.frombuffer(p, np.uint8).reshape(enters.shape).astype(dtype) for p in pictures]
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
    """The median call; `starts` in turn. At least five, however long they take."""
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
        print(__doc__ if asked else "contender.py: wanted LIBRARY MODEL PICTURES BYTES", file=None if asked else sys.stderr)
        sys.exit(0 if asked else 2)
    library, model, path, n_bytes = sys.argv[1:]
    with open(path, "rb") as file:
        data = file.read()
    pictures = [data[at : at + int(n_bytes)] for at in range(0, len(data), int(n_bytes))]
    load, argument = LIBRARIES[library]
    call, starts, about = load(model, pictures, argument)
    print(json.dumps({"about": about, "classes": [call(start) for start in starts]}), flush=True)
    for line in sys.stdin:
        warm_up, calls, most_s = line.split()
        print(median_ns(call, starts, warm_up=int(warm_up), calls=int(calls), most_s=float(most_s)), flush=True)


if __name__ == "__main__":
    main()
