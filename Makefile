# Two commands do everything, set-up included: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3.11
REAL ?=
BIN := .venv/bin
RUN := runs/demo
TINS := runs/tins
STUDY := runs/study
SEEDS ?= 0 1 2
TIN_TRAIN := --config.frame-px 160 --config.crop-px 96 --config.width 16 --config.steps 1300 --config.pairs 10 --config.warped 8 --config.unpaired 2

.PHONY: help demo tins study test lint bench bench-leaks bench-products bench-sensors bench-recipes bench-whole soak clean
.PHONY: help demo tins test lint bench bench-render bench-leaks bench-products bench-sensors bench-recipes bench-whole soak clean
.PHONY: help demo tins study test lint bench bench-train bench-leaks bench-products bench-sensors bench-recipes bench-whole soak clean

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

.venv/ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or name yours with 'make PYTHON=...'"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11, which Blender's wheel needs: name one with 'make PYTHON=...'"; exit 2; }
	@$(PYTHON) .ci/check_system.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch .venv/ready

demo: .venv/ready  ## Render, train, evaluate, report (REAL=<folder of real captures> adds the real part)
	$(BIN)/damageland render assets/recipes/demo.yaml --out $(RUN)
	$(BIN)/damageland train $(RUN) --out $(RUN)/model
	$(BIN)/damageland evaluate --model $(RUN)/model --data $(RUN) --out $(RUN)/report $(if $(REAL),--real $(REAL))
	@echo "Report: $(CURDIR)/$(RUN)/report/report.html"
	@if [ -z "$$CI" ] && command -v xdg-open >/dev/null && [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then xdg-open $(RUN)/report/report.html; fi

tins: .venv/ready  ## What renders alone teach about photographs of tins (REAL=<folder>, SEEDS='0 1 2'): docs/tins.md
	@[ -n "$(REAL)" ] || { echo "say where the photographs are: make tins REAL=path/to/photos (docs/real-captures.md has the layout)"; exit 2; }
	$(BIN)/damageland render assets/recipes/tins.yaml --out $(TINS)
	for seed in $(SEEDS); do [ -f $(TINS)/model-$$seed/model.json ] || $(BIN)/damageland train $(TINS) --out $(TINS)/model-$$seed --config.seed $$seed $(TIN_TRAIN) || exit; done
	$(BIN)/damageland evaluate --model $(TINS)/model-$(firstword $(SEEDS)) --data $(TINS) --out $(TINS)/report --real $(REAL)
	$(BIN)/python bench/bench_tins.py $(SEEDS:%=$(TINS)/model-%) --real $(REAL)
	@echo "Report: $(CURDIR)/$(TINS)/report/report.html"

study: .venv/ready  ## What renders are worth beside k real captures (half an hour; REAL=<folder>, else a rendered stand-in)
	$(BIN)/damageland render assets/studies/renders.yaml --out $(STUDY)/renders
	[ -n "$(REAL)" ] || $(BIN)/damageland render assets/studies/pretend-real.yaml --out $(STUDY)/pretend-real
	OMP_NUM_THREADS=1 $(BIN)/damageland study assets/studies/demo.yaml --data $(STUDY)/renders --real $(if $(REAL),$(REAL),$(STUDY)/pretend-real) --out $(STUDY)/result
	@echo "Report: $(CURDIR)/$(STUDY)/result/report.html"

test: .venv/ready  ## Lint, types and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: .venv/ready  ## Format, lint, types
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/pyright

bench-render: .venv/ready  ## Renderers against a stock BlenderProc script and a rasteriser (hours; goes on where it was: KEEP=folder)
	OMP_NUM_THREADS=1 $(BIN)/python bench/bench_render.py --keep $(or $(KEEP),runs/bench-render)

bench: .venv/ready  ## Print every figure that the documentation quotes
	$(BIN)/python bench/bench.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/bench_damages.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/bench_batch.py
	$(BIN)/python bench/bench_reading.py

bench-train: .venv/ready  ## A training step from shards against memory, and scoring a capture
	OMP_NUM_THREADS=1 $(BIN)/python bench/bench_train.py

bench-leaks: .venv/ready  ## Try to tell damaged items from sound ones by anything but the damage (half an hour)
	$(BIN)/python bench/bench_leaks.py --keep runs/leaks

bench-sensors: .venv/ready  ## Our depth sensors beside real frames: make bench-sensors REAL=path/to/captures
	$(BIN)/python bench/bench_sensors.py $(if $(REAL),REAL=$(REAL))

bench-products: .venv/ready  ## Build times of every packaging family, and how many products differ
	$(BIN)/python bench/bench_products.py

bench-recipes: .venv/ready  ## What each shipped recipe takes, from a few samples of it
	OMP_NUM_THREADS=1 $(BIN)/python bench/bench_recipes.py

bench-whole: .venv/ready  ## Render a thousand captures, check, export and train on them (half an hour)
	OMP_NUM_THREADS=1 $(BIN)/python bench/whole.py

soak: .venv/ready  ## Kill workers and drivers twenty times, and compare the bytes (ten minutes)
	OMP_NUM_THREADS=1 $(BIN)/python bench/soak.py

clean:  ## Remove the environment and all runs
	rm -rf .venv runs
