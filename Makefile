# `make demo` and `make test` need python3 >= 3.11, pip and make; everything else is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)-tools
DEMO ?= out/demo
WORLDS ?= out/worlds
# Two test processes with one thread each use two cores best.
export OMP_NUM_THREADS ?= 1
# Without cached bytecode every worker and every test process would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env demo test quick fuzz check format bench gpu calibrate chaos clean

help:
	@echo "make demo   phantom study from nothing to the report (minutes on two cores)"
	@echo "make test   the whole test suite"
	@echo "make quick  the tests that take less than five seconds each"
	@echo "make fuzz   inputs damaged at random, 500 of each kind: read or refused in one line (FUZZ_EXAMPLES, FUZZ_SEED)"
	@echo "make check  lint, format, types"
	@echo "make bench  how close training comes to the bare model and to peers (installs LibMTL); how fast the analysis is"
	@echo "make gpu    on a machine with a card: does all of it work there, and how fast (ten minutes at most)"
	@echo "make calibrate  intervals and verdicts on 500 simulated studies per scenario (hours on two cores), and"
	@echo "            the claim on capacity in planted worlds (an hour more); both continue where they were"
	@echo "make chaos  a grid interrupted a hundred times at random, its scores against an undisturbed one"
	@echo "make clean  remove the environment and outputs"

env: $(READY)

# uv links the 5 GB of torch from its cache instead of copying them. It is put into a folder of its own: some systems
# ship pip without venv, or forbid changes to their own packages.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "agglab needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target $(TOOLS) uv -c constraints.txt
	$(TOOLS)/bin/uv venv --quiet --clear --python $(PYTHON) $(VENV)
	$(TOOLS)/bin/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	env -u OMP_NUM_THREADS $(BIN)/agglab run-grid demo --out $(DEMO)
	$(BIN)/agglab scores $(DEMO)
	$(BIN)/agglab report $(DEMO)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

quick: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

fuzz: $(READY)
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-500} $(BIN)/python -m pytest -n 2 --dist worksteal tests -k fuzz

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The peer LibMTL is an extra, which `make env` leaves out.
bench: $(READY)
	$(TOOLS)/bin/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt -e '.[bench]'
	env -u OMP_NUM_THREADS $(BIN)/python -m runners.bench

gpu: $(READY)
	env -u OMP_NUM_THREADS $(BIN)/python -m runners.bench.card

calibrate: $(READY)
	$(BIN)/python -m analysis.validation.calibrate
	$(BIN)/python -m runners.bench hypothesis --out $(WORLDS)

chaos: $(READY)
	$(BIN)/python -m tests.chaos --interruptions 100 --write docs/chaos.md

clean:
	rm -rf $(VENV) $(TOOLS) out build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
