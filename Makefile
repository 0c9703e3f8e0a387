# Every target sets up what it needs by itself, in $(VENV). `make help` lists them.
#
#   make test                      no server, no Java: Python 3.11 to 3.13 is enough
#   make test PYTHON=python3.13    the same on another Python, in an environment of its own

PYTHON  ?= python3
VENV    ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
WORKERS ?= 2

# Where `make servers` listens. Brokers take KAFKA_PORT, +2, +4; their controllers the ports between.
# REGISTRY_PORT=8081 adds a schema registry; without it there is none.
KAFKA_PORT ?= 9092
REDIS_PORT ?= 6379
NODES      ?= 1
export KAFKA_PORT REDIS_PORT REGISTRY_PORT NODES

BIN      := $(VENV)/bin
INSTALL  := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUNS     := $(VENV)/.maitred-runs
TESTS    := $(VENV)/.maitred-tests
PACKAGES := schemas features online_models sinks streams
SERVERS  := $(BIN)/python docker/servers.py

.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs site format integration servers servers-down servers-status bench lock

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(TESTS)  ## the environment: locked packages with checked hashes, and this project

$(RUNS): requirements.lock pyproject.toml  # what running takes, which is half of what testing does
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit(f"Maitred needs Python 3.11 to 3.13, $(PYTHON) is {v[0]}.{v[1]}: choose another with PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(TESTS): $(RUNS) requirements-dev.lock
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(RUNS)  ## a simulated shop scored and served live, for a minute; needs no server (ARGS="--seconds 20")
	$(BIN)/maitred demo $(ARGS)

test: setup  ## unit, property, simulation and golden tests and the docs' examples; needs no server
	$(BIN)/python -m pytest tests $(PACKAGES) --ignore=tests/integration --doctest-modules -n $(WORKERS) -q $(ARGS)

check: setup  ## what CI checks: format, lint, types, import directions, schema compatibility
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/maitred schemas check

docs: setup  ## write anew the pages that come from code: settings, commands, events and more
	$(BIN)/python -m streams.pages

site: docs  ## the docs as a site, in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: setup  ## put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

integration: setup  ## tests on real Kafka and Redis; `make servers` first (MAITRED_REQUIRE_SERVERS=1: none is a failure)
	MAITRED_KAFKA__BOOTSTRAP=127.0.0.1:$(KAFKA_PORT) MAITRED_REDIS__URL=redis://127.0.0.1:$(REDIS_PORT)/0 \
		$(BIN)/python -m pytest tests/integration -n $(WORKERS) --dist loadfile -q $(ARGS)

servers: setup  ## real Kafka and Redis on loopback, started and answering (KAFKA_PORT, REDIS_PORT, REGISTRY_PORT, NODES=3)
	$(SERVERS) up

servers-down: setup  ## stop what `make servers` started
	$(SERVERS) down

servers-status: setup  ## which of them run
	$(SERVERS) status

bench: setup  ## our benchmarks, one after the other
	@for script in $$(find benchmarks -maxdepth 1 -name '[a-z]*.py' 2>/dev/null | sort); do \
		echo "== $$script"; $(BIN)/python $$script || exit 1; done

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--python-version 3.11 --custom-compile-command "make lock" pyproject.toml

lock: setup  ## resolve both locks anew from pyproject.toml (ARGS=--upgrade: to the newest)
	@test -x $(BIN)/uv || $(INSTALL) uv
	$(LOCK) --extra dev $(ARGS) --output-file requirements-dev.lock
	$(LOCK) --extra build --extra embedded --extra tracing --constraint requirements-dev.lock --output-file requirements.lock
