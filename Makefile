# Every target sets up the environment that it needs, once: a stamp file per extra
# records that it is installed, until pyproject.toml changes.  Only Python, with its
# venv module, and make have to be there.
#
#   make demo         learn to recognise spoken digits; pictures and model in fastgru-demo/
#   make test         lint, then all tests
#   make test-oldest  all tests on the oldest supported versions of the dependencies
#   make soak         everything at once, from threads and forked children, 10 minutes
#   make kill         fits killed at 50 random moments, and gone on with
#   make fuzz         10,000 damaged and forged model files
#   make bench        the benchmarks (BENCH=name to choose some)
#   make bench-quick  each of them once, to see that they run
#   make bench-peers  beside other libraries (PEERS_ARGS="--quick", "--help" and so on)
#   make docs         the documentation, in docs/_build/html
#   make lint         style, spelling and types
#   make clean        remove all that the targets above have made

PYTHON ?= python3
PYTEST_ARGS ?=
# Most tests keep one core busy.  Empty: all in one process.
TEST_PROCESSES ?= --numprocesses=2 --dist=worksteal
BENCH ?= .
PEERS_ARGS ?=
SOAK_ARGS ?=
KILL_ARGS ?=
FUZZ_ARGS ?=

BIN := .venv/bin
OLDEST_BIN := .venv-oldest/bin
PIP_INSTALL := -m pip install --disable-pip-version-check

# The lower bounds of pyproject.toml; of NumPy, the last release of that series.  They
# exist for Python 3.10 and 3.11.
OLDEST := numba==0.61.0 numpy==1.24.4 safetensors==0.4.5 scikit-learn==1.6.0 tqdm==4.60.0

# Two installations into one environment must not run at the same time.
.NOTPARALLEL:
.PHONY: demo test test-oldest soak kill fuzz bench bench-quick bench-peers docs lint clean

demo: .venv/stamp-plot
	$(BIN)/fastgru demo

test: lint .venv/stamp-test
	$(BIN)/python -m pytest $(TEST_PROCESSES) $(PYTEST_ARGS)

# A cache of its own: versions of Numba overwrite each other's.
test-oldest: export NUMBA_CACHE_DIR = $(CURDIR)/.venv-oldest/numba-cache
test-oldest: .venv-oldest/stamp-test
	$(OLDEST_BIN)/python -m pytest $(TEST_PROCESSES) $(PYTEST_ARGS)

soak: .venv/stamp-test
	$(BIN)/python tests/endurance/soak.py $(SOAK_ARGS)

kill: .venv/stamp-test
	$(BIN)/python tests/endurance/kill.py $(KILL_ARGS)

fuzz: .venv/stamp-test
	$(BIN)/python tests/endurance/fuzz.py $(FUZZ_ARGS)

bench: .venv/stamp-bench
	$(BIN)/asv machine --yes > /dev/null
	$(BIN)/asv run --python=same --show-stderr --bench '$(BENCH)'

bench-quick: .venv/stamp-bench
	$(BIN)/asv machine --yes > /dev/null
	$(BIN)/asv run --python=same --show-stderr --quick --bench '$(BENCH)'

bench-peers: .venv/stamp-peers
	$(BIN)/python -m benchmarks.peers $(PEERS_ARGS)

docs: .venv/stamp-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

lint: .venv/stamp-lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-oldest .asv build dist docs/_build docs/generated fastgru-demo
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(wildcard fastgru tests benchmarks docs) -name __pycache__ -prune -exec rm -rf {} +

.venv/stamp-created .venv-oldest/stamp-created:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) --upgrade pip
	touch $@

.venv/stamp-%: pyproject.toml .venv/stamp-created
	$(BIN)/python $(PIP_INSTALL) --editable '.[$*]'
	touch $@

.venv-oldest/stamp-test: pyproject.toml .venv-oldest/stamp-created
	$(OLDEST_BIN)/python $(PIP_INSTALL) --editable '.[test]' $(OLDEST)
	touch $@
