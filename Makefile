# `make report` and `make test` are the two commands that matter; both set up what they need. `make help` lists all.
# Written for GNU make 3.81 and later, so that macOS's own make runs it.

PRESET ?= standard
MODEL  ?= smollm2-135m
DAY    ?=
ARGS   ?=
PEERS  ?= llama

export PEERS

# Without its bytecode files Python compiles what it imports anew in each process: 2 s a day's kernel, 3 s a report.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup report test test-transformers check bench peers torture lab docs lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1 @/' | awk -F@ '{printf "%-22s %s\n", $$1, $$2}'

setup: .venv/.ready ## make .venv from requirements.lock (PYTHON=python3.12 chooses the interpreter)
	@:

.venv/.ready: requirements.lock pyproject.toml .ci/setup
	@.ci/setup

report: setup ## run every day on this machine and write the HTML report (PRESET=tiny is quick)
	@$(BIN)/workbench data get $(MODEL)
	@$(BIN)/workbench run all --preset $(PRESET) || [ $$? -eq 1 ] # 1: a claim was refuted, which is a result
	@$(BIN)/workbench report

test: setup ## run the whole test suite (ARGS="-k name" narrows it)
	@$(BIN)/workbench data get $(MODEL)
	@$(BIN)/python -m pytest $(if $(WORKBENCH_NO_SKIPS),-p tests.house.no_skips) $(ARGS)

test-transformers: setup ## test the cache for transformers, with torch in an environment of its own (0.2 to 3 GB)
	@PEERS=torch .ci/peers
	@PYTHONPATH=$$(echo $(abspath $(or $(WORKBENCH_PEERS),.peers))/venv/lib/python3*/site-packages) $(BIN)/python -m pytest \
	    $(if $(WORKBENCH_NO_SKIPS),-p tests.house.no_skips) -m transformers tests/workbench/inference/test_transformers_cache.py $(ARGS)

check: setup ## format, lint, types, layers, notebooks, the largest rooms
	@printf '%-10s' format && $(BIN)/ruff format --check .
	@printf '%-10s' lint && $(BIN)/ruff check .
	@printf '%-10s' types && $(BIN)/mypy
	@printf '%-10s' layers && said=$$($(BIN)/lint-imports --no-logo) \
	    && echo "$$said" | grep '^Contracts:' || { echo "$$said"; exit 1; }
	@printf '%-10s' notebooks && $(BIN)/python -m pytest -q tests/notebooks/test_lint.py
	@$(BIN)/python tests/house/largest_rooms.py

bench: setup ## run every named benchmark against its bar (PRESET=tiny is quick)
	@$(BIN)/workbench bench --all --preset $(PRESET)

peers: setup ## build llama.cpp in .peers, to be measured beside ours (PEERS="llama torch" adds transformers)
	@.ci/peers

torture: setup ## kill, cut off, damage and starve the SSD tier, change GGUF files, and print the counts (ARGS=--smoke is quick)
	@$(BIN)/python -m tests.torture $(or $(ARGS),--full)
	@$(BIN)/python -m tests.torture.gguf --files $(if $(findstring --smoke,$(ARGS)),20000,1000000)

lab: setup ## open JupyterLab on 127.0.0.1 (DAY=day01 opens that notebook)
	@$(BIN)/workbench lab $(DAY)

docs: setup ## write docs/cli.md and the list of modules in docs/structure.md from the code
	@$(BIN)/python tests/house/write_docs.py

lock: ## resolve pyproject.toml into requirements.lock again (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 2; }
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev \
	    --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

clean: ## remove .venv, tool caches and run outputs; data, models and peers stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find kernels workbench tests notebooks -name __pycache__ -type d -prune -exec rm -rf {} +
	@find kernels workbench notebooks \( -name '*.nbi' -o -name '*.nbc' \) -exec rm -f {} +
	@find papermill_runs -mindepth 1 -maxdepth 1 ! -name .gitkeep -exec rm -rf {} +
	@echo "removed .venv, caches and papermill_runs; kept data and .peers"
