# Every target does its own set-up; all that is needed is Python >= 3.11 and git.
PYTHON ?= python3
export UV_PYTHON_DOWNLOADS = never
UV = .venv/bin/uv
RUN = $(UV) run --frozen

.PHONY: demo test faults lint bench servers setup clean

demo: setup
	$(RUN) headway demo $(ARGS)

# Three at a time, also on two cores: much of a test is waiting.
test: lint
	$(RUN) pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder $(ARGS)

# Every system call of an activation failed in every way, ten thousand power cuts, hundreds of rounds
# of stores under fire, a hundred million simulated steps: hours. What is done is not done again.
# Tells how far it is, and goes on where it was stopped; HEADWAY_FAULTS_SEED=N repeats a run.
faults: setup
	HEADWAY_FAULTS=full $(RUN) pytest tests/faults -s $(ARGS)

lint: setup
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports --no-cache

bench: setup
	$(UV) run --frozen --group bench python -m benchmarks

servers: setup
	@sh tests/servers.sh

setup: .venv/ready

.venv/ready: pyproject.toml uv.lock
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	test -x $(UV) || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) sync --frozen --quiet --inexact
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
