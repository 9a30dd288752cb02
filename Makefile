# What each target does is the sentence above it. Everything is installed into .venv; only a Debian without Python's venv
# module gets that from apt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python

# Settings of the demo; its test makes them small.
ARCH ?= deep-mnist
DEMO_FLAGS ?= --background

# Trainings side by side.
LANES ?= 1

# Of the operations that `make benchmarks` times, such as --benchmark-max-time=0.2 (seconds each; default: 1).
TIMING_FLAGS ?=

.PHONY: help demo test test-arm test-pythons benchmarks cold-start results matrix gate-errors pixels pictures check-full lint shipped-model examples constraints clean

# List the targets.
help:
	@awk '/^# /{text=substr($$0,3)} /^[a-z-]+:/{split($$1,t,":"); printf "make %-14s %s\n", t[1], text}' Makefile

# Train a network, quantize it, prove it, and ask it about a picture: the whole job, from nothing.
demo: $(VENV)/installed
	rm -rf demo
	$(RUN) -m train.mnist --arch $(ARCH) --out demo/run $(DEMO_FLAGS)
	$(RUN) -m convert --int8 --checkpoint demo/run --out demo
	for model in demo/*-int8.*; do \
	  $(RUN) -m edge verify $$model && $(BIN)/edge-predict --model $$model examples/five.png || exit; done
	@echo "Report: demo/report.md; curves and pictures: demo/run/; as one C file: --formats c (docs/c.md)."

# Run the tests; what they need is installed first.
test: $(VENV)/installed
	$(RUN) -m pytest -m "not arm and not pythons and not long" --numprocesses auto --dist loadfile --no-loadscope-reorder

# Run the installed wheel on emulated Raspberry Pi cores; its answers must equal x86-64's (.arm holds the device, 0.5 GB).
test-arm: $(VENV)/installed
	$(RUN) -m pytest -m "not long" tests/arm

# Run the installed wheel on the Pythons of Debian's newer releases, 3.13 and 3.14 (.pythons holds them, 0.5 GB).
test-pythons: $(VENV)/installed
	$(RUN) -m pytest tests/test_pythons.py

# Time each operation, then every model here, and write reports/report.html (minutes; BENCHMARK_FLAGS="--short --compare main").
benchmarks: $(VENV)/installed
	@mkdir -p reports
	$(RUN) -m pytest benchmarks --benchmark-json=reports/benchmarks.json $(TIMING_FLAGS)
	$(RUN) -m benchmarks $(BENCHMARK_FLAGS)

# Time whole `edge-predict` processes in an environment like a device's, beside the scripts people write.
cold-start: $(VENV)/installed
	rm -rf .venv-device && $(PYTHON) -m venv .venv-device
	git archive --format=tar --prefix=source/ HEAD | tar -x -C .venv-device
	.venv-device/bin/pip install --quiet --constraint constraints/ci.txt '.venv-device/source[onnx]'
	$(RUN) -m benchmarks.processes.cold_start --device .venv-device/bin
	$(RUN) -m benchmarks.processes.phases --device .venv-device/bin
	$(RUN) -m benchmarks.processes.warm

# Train every line of the table in docs/results.md that is not done (hours; LANES=2 runs two at a time; needs EDGEPROOF_DATA).
results: $(VENV)/installed
	$(RUN) -m benchmarks.studies.training --lanes $(LANES)

# Convert every trained network at every precision in both formats, and write docs/matrix.md (an hour; after `make results`).
matrix: $(VENV)/installed
	$(RUN) -m benchmarks.studies.matrix

# Simulate how often the gate is wrong and write the tables in docs/gate.md (two minutes).
gate-errors: $(VENV)/installed
	$(RUN) -m benchmarks.studies.gate_errors --write docs/gate.md

# Compare the pixels of every preset with the library's own (minutes; .venv-libraries gets torchvision and OpenCV) for docs/pixels.md.
pixels: $(VENV)/installed
	test -x .venv-libraries/bin/python || $(PYTHON) -m venv .venv-libraries
	.venv-libraries/bin/pip install --quiet torch==2.13.0 torchvision==0.28.0 opencv-python-headless==5.0.0.93 pillow==12.0.0
	$(RUN) -m benchmarks.studies.pixels --libraries .venv-libraries/bin/python --write docs/pixels.md

# Draw the pictures of README and docs/ again (minutes; after `make results` and `make benchmarks`; needs Chromium).
pictures: $(VENV)/installed
	$(RUN) -m benchmarks.pictures

# Hold every promise in full (hours): trainings killed, conversions repeated and killed, faults planted, docs/promises.md.
check-full: $(VENV)/installed
	$(RUN) -m pytest -m long --numprocesses auto --dist loadfile --no-loadscope-reorder
	$(RUN) -m tests.kills --kills 200 --backend jax
	$(RUN) -m tests.kills --kills 20 --backend tensorflow
	$(RUN) -m tests.convert.test_repeatable
	$(RUN) -m tests.convert.repair.planted
	$(RUN) -m tests.promises
	$(MAKE) pixels
	$(RUN) -m tests.convert.pictures.cases
	$(RUN) -m tests.train.distributed.two_hosts

# Check style, form and types.
lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Remake the model in the wheel from MNIST in EDGEPROOF_DATA (ten minutes).
shipped-model: $(VENV)/installed examples
	$(RUN) -m train.mnist --arch lenet5-relu --background --out runs/shipped
	$(RUN) -m convert --int8 --formats tflite --checkpoint runs/shipped --goldens examples --out artifacts/shipped
	cp artifacts/shipped/lenet5-relu-mnist-int8.tflite edge/models/

# Draw the example pictures again.
examples: $(VENV)/installed
	$(RUN) examples/draw.py examples

# Write down the newest versions that pyproject.toml allows, for CI to repeat.
constraints:
	rm -rf .venv-new && $(PYTHON) -m venv .venv-new
	.venv-new/bin/pip install --quiet --editable '.[dev]'
	.venv-new/bin/pip freeze --exclude-editable > constraints/ci.txt
	rm -rf .venv-new

# Remove the environment and everything made, but not the data.
clean:
	rm -rf $(VENV) .venv-device .arm .pythons demo runs artifacts reports build dist *.egg-info

# The environment is made again when what it holds changes; Python compiles what it imports, when it does. Debian splits
# venv from Python: where it is missing and we may install it, we do; else the line says what to do.
$(VENV)/installed: pyproject.toml constraints/ci.txt
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y python3-venv; } \
	  || { echo "make: Python's venv module is missing: sudo apt install python3-venv" >&2; exit 69; }
	@echo 'Installing into $(VENV): TensorFlow and company, a minute or two.'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints/ci.txt --editable '.[dev]'
	@touch $@
