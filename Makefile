PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-slow check bench bench-archive bench-bank bench-detect bench-scores clean

setup: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# A small synthetic fleet through all stages; run again, it goes on where it stopped.
demo: demo/few_labels.csv demo/new/few_labels.csv
	$(BIN)/python -m jobs.pipeline --archive demo/archive --run demo/run --labels demo/few_labels.csv --image-size 64
	$(BIN)/python -m jobs.diagnose --run demo/run --archive demo/new/archive --out demo/new.parquet
	$(BIN)/python -m jobs.evaluate --run demo/run --scores demo/new.parquet --labels demo/new/labels.csv

demo/few_labels.csv: | setup
	rm -rf demo/archive
	$(BIN)/python -m jobs.synth --out demo --units 12 --times 64 --fault-share 0.06

demo/new/few_labels.csv: | setup
	rm -rf demo/new/archive
	$(BIN)/python -m jobs.synth --out demo/new --units 12 --times 12 --fault-share 0.2 --first-day 2024-07-01

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(BIN)/pytest

test-slow: setup
	$(BIN)/pytest -m slow

bench: setup
	$(BIN)/python -m bench.steps
	$(BIN)/python -m bench.images
	$(BIN)/python -m bench.bank 20000

bench-archive: setup
	$(BIN)/python -m bench.archive

bench-bank: setup
	$(BIN)/python -m bench.bank

bench-scores: setup
	$(BIN)/python -m bench.scores

# Synthetic fleets, and the gearbox recordings: archive/, new/ and labels.csv. Nine minutes of one core.
GEARBOX ?= ../shared/data/gearbox
bench-detect: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.fleets
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.detect $(GEARBOX)
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.splits $(GEARBOX)

clean:
	rm -rf .venv build demo runs *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
