# Everything runs in .venv, which is made here: only Python, make and pip need to be there.
PYTHON ?= python3
PYTEST_FLAGS ?= -n 2 --dist worksteal

BIN := .venv/bin
BENCHMARKS := mapper sensitivities codesign peers pareto scaling simulate nas_rank nas_energy nas_search nas_table nas_arms
SAVED := optimal ablation wires dosa fusion load silicon nas_predictors nas_transfer nas_layers  # those that keep their figures only when told to
# Read by every pip below, those that pip starts to build a package included.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test coverage lint docs bench fuzz kill clean
.DELETE_ON_ERROR:

demo: .venv/.installed
	mkdir -p out
	$(BIN)/dlco solve resnet18 --hardware eyeriss --objective edp --area 4 --plot out/resnet18.png

test: lint docs
	$(BIN)/pytest $(PYTEST_FLAGS)

# Which lines the tests run; tracing them takes twice as long.
coverage: .venv/.installed-test
	$(BIN)/pytest $(PYTEST_FLAGS) --cov --cov-report=term

lint: .venv/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Warnings are errors; the site is out/site/index.html.
docs: .venv/.installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir out/site

bench: .venv/.installed-test
	$(BIN)/python benchmarks/throughput.py
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done
	for name in $(SAVED); do $(BIN)/python benchmarks/$$name.py --save || exit 1; done
	$(BIN)/python benchmarks/report.py

# 100,000 damaged files for the readers, guided by coverage.
fuzz: .venv/.installed-test
	$(BIN)/pip install -qq --editable '.[fuzz]'
	$(BIN)/python tests/reliability/fuzz.py --runs 100000

# solve, pareto and cosearch, killed 50 times each and resumed.
kill: .venv/.installed-test
	$(BIN)/python tests/reliability/kill.py --kills 50

clean:
	rm -rf .venv .venv-peers build dist out *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

# An editable install: a change under dlco/ needs no new one.
.venv/.installed: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -qq --editable .
	touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/pip install -qq --editable '.[test,bench,docs]'
	touch $@
