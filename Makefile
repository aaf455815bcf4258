# Every command that this project has; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT := out

.DEFAULT_GOAL := help
.PHONY: help demo test unit integration browser lint typing bench extension clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/user nix ## run examples/pandas.ipynb in its own Nix environment and show its result
	@mkdir -p $(OUT)
	@cp examples/pandas.ipynb $(OUT)/pandas.ipynb
	@echo "$(OUT)/pandas.ipynb: the packages of its lock, with a Python that this machine can have"
	@$(BIN)/nixenv lock $(OUT)/pandas.ipynb >/dev/null
	@$(BIN)/nixenv run $(OUT)/pandas.ipynb --output $(OUT)/pandas.ipynb
	@echo
	@$(BIN)/python tools/show_outputs.py $(OUT)/pandas.ipynb
	@echo
	@echo "The same notebook in JupyterLab:"
	@echo "  $(BIN)/pip install jupyterlab && $(BIN)/nixenv kernelspec install --sys-prefix && $(BIN)/jupyter lab $(OUT)/pandas.ipynb"

test: $(VENV)/dev nix compiler chromium ## every test: style, types, unit, laws, and the real things
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile --reruns 1

unit: $(VENV)/dev ## the tests that need neither Nix nor a network
	$(BIN)/pytest -n 2 tests/unit tests/property -m "not daemon and not network"

integration: $(VENV)/dev nix compiler ## the tests with a real Nix, registry and Jupyter
	$(BIN)/pytest -n 2 --dist loadfile tests/contract tests/integration

browser: $(VENV)/dev nix chromium ## the tests with a real Chromium
	$(BIN)/pytest tests/browser

lint: $(VENV)/dev ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typing: $(VENV)/dev ## types
	$(BIN)/mypy

bench: $(VENV)/dev nix ## the figures of the README, each a ratio against a named tool
	$(BIN)/python -m benchmarks

extension: ## build the JupyterLab extension again (needs Node)
	cd extension && npm ci --no-progress && npm run build
	$(PYTHON) tools/extension_digest.py --write

clean: ## remove what the commands above made here
	rm -rf $(VENV) $(OUT) extension/node_modules extension/lib

.PHONY: nix
nix:
	@sh tools/install_nix.sh

.PHONY: compiler
compiler:
	@sh tools/install_compiler.sh

.PHONY: chromium
chromium:
	@sh tools/install_browser.sh

$(VENV)/python:
	@sh tools/make_venv.sh "$(PYTHON)" $(VENV)
	@touch $@

$(VENV)/user: $(VENV)/python pyproject.toml
	@echo "installing nixenv into $(VENV)"
	@$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/dev: $(VENV)/user pyproject.toml
	$(BIN)/pip install --quiet "pip>=25.1"
	$(BIN)/pip install --quiet --group dev
	@touch $@
