# `make` alone prints this help. Only Python 3.11+, git and make need to be there.
.DEFAULT_GOAL := help
.PHONY: help env repro test test-fast lint docs format clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The stages are run as `python -m …` by DVC, so the environment's python must come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## Print this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

env: $(VENV)/.complete ## Make the environment in .venv (about 6 GB with torch's CUDA packages)

$(VENV)/.complete: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]}; set PYTHON=… to another.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

repro: env ## Run the pipeline, fetch to export, with the settings of params.yaml
	$(BIN)/dvc repro

# Two files at a time with one thread each: threads of both on the same cores wait for one another.
test: env ## Run all tests, two files at a time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: env ## Run the tests that take a moment each, in less than a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not seconds"

lint: env ## Check style, types and the order of rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: env ## Build the documentation as a site in site/; broken links are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "site/index.html; with search: python3 -m http.server --directory site"

format: env ## Put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what the pipeline made (DVC's cache keeps it)
	rm -rf data/raw data/faces data/soft_landmarks data/teacher_predictions dvc_plots
	rm -rf models/tough models/tolerant models/baseline models/kd models/landmarks.onnx
	rm -rf reports/curves reports/asm reports/evaluation reports/kd_loss reports/times.json reports/durations
	rm -f reports/index.html reports/compare.html
	rm -rf reports/export_times.json models/landmarks_fp16.onnx models/landmarks_int8.onnx
