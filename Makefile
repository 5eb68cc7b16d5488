# `make demo` and `make test` need nothing done before them; both make .venv in this checkout.
# PYTHON=… chooses the Python 3.11, PYTEST_ARGS="-k rates" hands options to pytest.

VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.PHONY: install demo test check bench bench-check fix clean blender

install: $(VENV)/.installed  ## the command, the editor and the trainer

demo: $(VENV)/.demo  ## re-dub a clip that the project makes itself
	$(BIN)/julnet demo

test: $(VENV)/.dev  ## every test that this machine can run
	QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal $(PYTEST_ARGS)

blender: .venv-blender/.installed  ## Blender as a module, in an environment of its own (370 MB): tests then run in it

check: $(VENV)/.dev  ## what a reviewer's machine looks at: format, lint, types, directions of imports, known weaknesses
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/audit.py

bench: $(VENV)/.dev  ## every number of speed and memory, with machine and versions, into benchmarks/results
	$(BIN)/python -m benchmarks network
	$(BIN)/python -m benchmarks render

bench-check: $(VENV)/.dev  ## fail when something became 15 % slower than the ratios in benchmarks/ratios.json
	$(BIN)/python -m benchmarks check

fix: $(VENV)/.dev  ## format, and mend what can be mended without thinking
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove everything that these targets made
	rm -rf $(VENV) .venv-blender build dist *.egg-info demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is installed is written down in stamps; a larger installation serves for a smaller one.
$(VENV)/.dev: pyproject.toml requirements.lock scripts/install.sh
	sh scripts/install.sh editor,train,dev
	touch $(VENV)/.demo $(VENV)/.installed $@

$(VENV)/.installed: pyproject.toml requirements.lock scripts/install.sh
	sh scripts/install.sh editor,train
	touch $(VENV)/.demo $@

$(VENV)/.demo: pyproject.toml requirements.lock scripts/install.sh
	sh scripts/install.sh
	touch $@

.venv-blender/.installed:
	$${PYTHON:-python3.11} -m venv .venv-blender
	.venv-blender/bin/pip install --quiet bpy==4.5.15
	touch $@
