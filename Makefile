# Thin: every target calls python -m helpers or pytest in the repository's own .venv.
PYTHON ?= python3
SHOP ?= sample
NBVAL ?= --nbval
BIN := .venv/bin

# A target that failed is made again.
.DELETE_ON_ERROR:

BENCHES := $(patsubst benchmarks/%.py,bench-%,$(wildcard benchmarks/*.py))

.PHONY: install report lab slides exercises test test-slow test-engines test-browser lint refresh check bench $(BENCHES) clean

install: .venv/.ready

report: .venv/.ready $(if $(filter cdnow% complete_journey,$(SHOP)),.venv/.examples)
	$(BIN)/python -m helpers report --shop $(SHOP) $(if $(MONTH),--month $(MONTH)) $(if $(MONTHS),--months $(MONTHS)) $(ARGS)

lab: .venv/.ready $(if $(filter cdnow% complete_journey,$(SHOP)),.venv/.examples)
	$(BIN)/python -m helpers lab --shop $(SHOP) $(if $(MONTH),--month $(MONTH)) $(ARGS)

slides: .venv/.ready
	$(BIN)/python -m helpers slides $(ARGS)

exercises: .venv/.ready
	$(BIN)/python -m helpers exercises $(ARGS)

test: .venv/.tests lint
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  echo "No Chromium on this machine: make test-browser, which looks at pages in one, cannot run."
	$(BIN)/python -m pytest $(NBVAL) --nbval-current-env -n 2 --dist loadscope --no-loadscope-reorder -m "not slow" tests helpers notebooks $(ARGS)

# What takes long: whole months published, faults one at a time, odd files, erasure in every place.
test-slow: .venv/.tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow tests $(ARGS)

# Equal answers on DuckDB, Spark and PostgreSQL: needs Java 17 and PostgreSQL's server programs, which
# the tests start and stop themselves. Apart from `test`, so that nothing there is passed by skipping.
test-engines: .venv/.engines
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests_engines $(ARGS)

# The committed month, the slides and JupyterLab in a headless Chromium of this machine.
test-browser: .venv/.browser
	$(BIN)/python -m pytest -n 2 tests_browser $(ARGS)

lint: .venv/.tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check helpers tests tests_engines tests_browser

# Execute the committed notebooks anew and normalize them, after the month that 06 compares with;
# `check` says whether that would change anything.
refresh: .venv/.ready
	LTV_REPORTS= $(BIN)/python -m helpers report --month 2026-05
	$(BIN)/python -m helpers refresh

check: .venv/.ready
	$(BIN)/python -m helpers check

# What things cost beside a baseline, and how often intervals hold the truth: minutes, a page each
# under reports/benchmarks, and never part of the tests.
bench: bench-cleaning

bench-engines: .venv/.engines

$(BENCHES): bench-%: .venv/.tests
	PYTHONPATH=. $(BIN)/python benchmarks/$*.py $(ARGS)

.venv/bin/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.ready: .venv/bin/python requirements.txt constraints.txt pyproject.toml
	@echo "Installing into .venv, about a gigabyte: some minutes, once."
	$(BIN)/python -m pip install --quiet -r requirements.txt -c constraints.txt
	touch $@

.venv/.examples: .venv/.ready requirements-examples.txt
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-examples.txt
	touch $@

.venv/.tests: .venv/.examples requirements-test.txt
	$(BIN)/python -m pip install --quiet -r requirements-test.txt -c constraints.txt
	touch $@

.venv/.engines: .venv/.tests requirements-spark.txt requirements-postgres.txt
	$(BIN)/python -m pip install --quiet -r requirements-spark.txt -r requirements-postgres.txt -c constraints.txt
	touch $@

.venv/.browser: .venv/.tests requirements-browser.txt
	$(BIN)/python -m pip install --quiet -r requirements-browser.txt -c constraints.txt
	touch $@

clean:
	rm -rf .venv work data/*/clean data/*/summaries
