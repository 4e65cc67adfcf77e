# Everything runs in a virtual environment of its own, made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := runs/demo

.PHONY: demo test test-slow lint format bench clean

$(INSTALLED): setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "Python 3.10 or newer is needed; $$($(PYTHON) --version) is PYTHON=$(PYTHON)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,serving]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/zoo-train --preset=color_mnist_mini/vae --run_dir=$(DEMO)/vae
	$(BIN)/zoo-evaluate --run_dir=$(DEMO)/vae --metrics=elbo,marginal_kl
	$(BIN)/zoo-sample --run_dir=$(DEMO)/vae --num_samples=64 --output=$(DEMO)/samples.png
	$(BIN)/zoo-export --run_dir=$(DEMO)/vae --output=$(DEMO)/served --name=vae
	$(BIN)/zoo-report --run_dir=$(DEMO)/vae

test: lint
	$(BIN)/python -m pytest -n 2 --dist load -m 'not slow'

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist load -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf $(VENV) build dist *.egg-info
