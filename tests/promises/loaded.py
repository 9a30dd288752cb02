"""Look at what a prediction loaded: nothing of Keras, TensorFlow or pickle, whatever the engine.

    python -m tests.promises.loaded

With the C engine, on every example, no such module is in `sys.modules`, numpy is not either. The other engines need numpy,
which imports pickle for its own arrays' sake; there an audit hook counts what is unpickled: nothing.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.promises.asking import ROOT, SHIPPED, Tally, ask, environment, examples
from tests.promises.damaged import sealed_onnx

PROGRAM = """
import sys
unpickled = []
sys.addaudithook(lambda event, details: unpickled.append(details) if event == "pickle.find_class" else None)
from edge import cli
apart = cli.load  # the engines that need numpy run in a child, where the hook is not heard; here they run in this process
cli.load = lambda *names, **options: apart(*names, **options | {"apart": False})
code = cli.main(sys.argv[2:])
print(sorted({name.split(".")[0] for name in sys.modules} & set(sys.argv[1].split())), len(unpickled))
sys.exit(code)
"""
UNWANTED = "keras tf_keras tensorflow torch jax h5py pickle _pickle dill cloudpickle joblib"
BROUGHT_BY_NUMPY = "['_pickle', 'pickle']"


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.promises.loaded", description=(__doc__ or "").splitlines()[0]).parse_args()
    tally = Tally()
    pictures = [path for path, _ in examples()]
    with tempfile.TemporaryDirectory() as scratch:
        onnx = Path(scratch, "dense.onnx")
        onnx.write_bytes(sealed_onnx())
        surroundings = environment(scratch) | {"PYTHONPATH": ROOT}
        for engine, arguments, allowed in (
            ("litert-c", [], "[]"),
            ("litert", ["--model", SHIPPED, "--engine", "litert"], BROUGHT_BY_NUMPY),
            ("onnxruntime", ["--model", str(onnx)], BROUGHT_BY_NUMPY),
        ):
            ended = ask([sys.executable, "-c", PROGRAM, UNWANTED, *pictures, *arguments], surroundings)
            tally.add(ended, engine)
            if ended.code or ended.out.splitlines()[-1:] != [f"{allowed} 0"]:
                tally.broken.append(f"{engine}: {ended}")
    return tally.tell(f"{', '.join(tally.seen)} on {len(pictures)} pictures each: sys.modules and unpickling looked at")


if __name__ == "__main__":
    sys.exit(main())
