"""Run pictures through one engine and keep its raw answers: the same program on the device and on x86-64.

    python program.py MODEL ENGINE PICTURES ANSWERS

PICTURES holds uint8 pictures of the model's size, one after the other; ANSWERS gets as many raw output tensors.
stdout: a JSON object that says which processor, engine, version and kernels answered. No times: emulated ones mean nothing.
"""

import json
import os
import sys

from edge import artifact, engines
from edge.device import host

path, name, pictures, answers = sys.argv[1:]
model = artifact.read(path)
running = engines.load(model, name=name, trusted=True).engine
n = model.contract.input.n_values
with open(pictures, "rb") as source, open(answers, "wb") as sink:
    while pixels := source.read(n):
        sink.write(running.run(pixels))
machine = host.read()
account = {
    "machine": os.uname().machine,
    "cpu_model": machine.cpu_model,
    "cpu_features": machine.cpu_features,
    "engine": running.name,
    "version": running.version,
    "kernels": running.kernels,
}
print(json.dumps(account))
