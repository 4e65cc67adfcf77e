# Everything runs in a virtual environment of its own, made on first use. A PYTHON that is named has
# another one, by its version: make test PYTHON=python3.13
ifdef PYTHON
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
else
PYTHON := python3
VENV := .venv
endif
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CLIENTS := $(VENV)/.clients
PEERS := $(VENV)/.peers
DOCS := $(VENV)/.docs
RUNTIME := node_modules/.package-lock.json
DEMO := runs/demo

.PHONY: demo test test-slow test-clients lint format notebooks bench docs clean

$(INSTALLED): setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	    { echo "PYTHON=$(PYTHON): $$($(PYTHON) --version 2>&1 | head -1); needed is Python 3.10 or newer"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@# The pip of Python 3.10 tries dozens of versions of packages that are not the matter.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,serving]'
	@touch $@

$(CLIENTS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,clients]'
	@touch $@

$(PEERS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,bench]'
	@touch $@

# What the page without a server runs by.
$(RUNTIME): package-lock.json .npmrc
	@command -v npm >/dev/null || \
	    { echo "npm is needed for the page without a server; install it, as by apt-get install npm"; exit 2; }
	npm ci --silent
	@touch $@

demo: $(INSTALLED)
	$(BIN)/zoo-train --preset=color_mnist_mini/vae --run_dir=$(DEMO)/vae
	$(BIN)/zoo-evaluate --run_dir=$(DEMO)/vae --metrics=elbo,marginal_kl,population_kl
	$(BIN)/zoo-sample --run_dir=$(DEMO)/vae --num_samples=64 --output=$(DEMO)/samples.png
	$(BIN)/zoo-export --run_dir=$(DEMO)/vae --output=$(DEMO)/served --name=vae
	$(BIN)/zoo-report --run_dir=$(DEMO)/vae
	$(BIN)/zoo-sample --pretrained=color_mnist_mini/vae --num_samples=64 --output=$(DEMO)/pretrained.png

# A file is one worker's, which makes what its tests share once.
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not clients'

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

# Foreign runtimes, a C program and a browser: one process, so that each export is made once.
test-clients: $(CLIENTS) $(RUNTIME)
	@command -v gcc >/dev/null || { echo "gcc is needed for the C example; install it"; exit 2; }
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	    command -v google-chrome >/dev/null || \
	    { echo "Chromium is needed for the pages; install it, as by apt-get install chromium"; exit 2; }
	$(BIN)/python -m pytest -m clients

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(INSTALLED)
	$(BIN)/python -m notebooks.execute

bench: $(PEERS)
	$(BIN)/python -m benchmarks.run

$(DOCS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,docs]'
	@touch $@

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .venv-* build dist site node_modules *.egg-info
