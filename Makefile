# KitePilot. Two commands matter: `make paper` and `make test`; `make help` lists the rest.

SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
KP := $(BIN)/kitepilot
STAMP := $(VENV)/.bootstrapped
UV_PIN := 0.13.8
# Test files that run at once: most of a stack test is waiting.
JOBS ?= 2
# Where the OpenMP runtime goes on a machine that has none (see infra/openmp.py).
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/lib/openmp$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))

# What `make paper` passes on: FEED=, SESSION=, SPEED=, LOG=, SEED=, CONFIG=, INSTRUMENTS=, JSON=1
PAPER_ARGS := $(if $(FEED),--feed '$(FEED)') $(if $(SESSION),--session $(SESSION)) $(if $(SPEED),--speed $(SPEED)) \
  $(if $(LOG),--log $(LOG)) $(if $(SEED),--seed $(SEED)) $(if $(CONFIG),--config '$(CONFIG)') \
  $(if $(INSTRUMENTS),--instruments $(INSTRUMENTS)) $(if $(JSON),--json)

.DEFAULT_GOAL := help
.PHONY: api-client api-contract bench-api console-weight clickhouse-size help bootstrap paper test seed up down status doctor lint format simulate leaks mutations chaos kill-gateway stress-clickhouse bench bench-quick bench-analytics bench-dashboards bench-research faults storm sandbox-demo repin lock docs dashboards dashboards-export clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

bootstrap: $(STAMP) .venv-dbt/.made ## Install everything into .venv and .venv-dbt and compile the kernels (once)

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found: install Python 3.11 (Debian: apt-get install python3.11 python3.11-venv), or say make PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PYTHON) cannot make a virtual environment: apt-get install python3.11-venv"; exit 2; }
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_PIN)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@$(BIN)/python infra/openmp.py $(VENV)/lib/openmp
	@$(KP) warm
	@touch $(STAMP)

paper: bootstrap ## Trade one whole session on paper (FEED= SESSION= SPEED= LOG=kafka SEED= CONFIG= JSON=1)
	@$(KP) paper $(PAPER_ARGS)

test: bootstrap ## Run all tests, files side by side (JOBS=2)
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

sandbox-demo: bootstrap ## The sandbox exchange alone, and a kiteconnect script that buys there (Ctrl-C stops it)
	@$(KP) sandbox --from 09:16 --speed 1 --demo

seed: bootstrap ## Train the first model on earlier synthetic days
	@$(KP) seed

up: bootstrap ## Start the system in the background on a paper session
	@$(KP) up $(if $(SESSION),--session $(SESSION)) $(if $(SPEED),--speed $(SPEED)) $(if $(LOG),--log $(LOG))

down: ## Stop everything in order
	@$(KP) down

status: ## Processes and account
	@$(KP) status

doctor: bootstrap ## Can this machine run KitePilot?
	@$(KP) doctor

lint: bootstrap ## Format check, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: bootstrap ## Format the tree and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: bootstrap ## All benchmarks, full length (some minutes)
	@for b in kernels live_path order_path day_max log archive clickhouse_codecs audit ticker replay flatten drift scoring features live_readers; do echo "== $$b"; $(BIN)/python benchmarks/$$b.py || exit 1; done

api-contract: bootstrap ## Ask every operation of the API whatever its OpenAPI allows, and what it does not (minutes; EXAMPLES=100)
	@KITEPILOT_CONTRACT_EXAMPLES=$(or $(EXAMPLES),100) $(BIN)/python -m pytest -q --timeout=3600 tests/api/test_the_schema_is_kept.py

api-client: bootstrap .venv-client/.made ## Let a generator make a client of the API's OpenAPI, and trade messages with the real process
	@$(BIN)/python -m pytest -q tests/client

bench-api: bootstrap ## p95 of every read with twenty clients and a paper day trading (QUICK=1)
	@$(BIN)/python benchmarks/api_reads.py $(if $(QUICK),--quick)

bench-dashboards: bootstrap .venv-superset/.made ## Time every chart's query in a browser's words: each within a second
	@KITEPILOT_QUERY_WITHIN_S=1 $(BIN)/python -m pytest -q -s tests/superset/test_served_dashboards.py -k "shows_the_day or with_rows"

bench-analytics: bootstrap ## Build a month of the book of analysis (HOME_OF=home with a 50-instrument day; QUICK=1)
	@$(BIN)/python benchmarks/dbt_build.py $(if $(QUICK),--quick,--home '$(or $(HOME_OF),var)')

bench-research: bootstrap .venv-bench/.made ## Research against nautilus_trader, backtesting, backtrader and vectorbt; memory (minutes; QUICK=1)
	@$(BIN)/python benchmarks/research_peers.py $(if $(QUICK),--quick)
	@$(BIN)/python benchmarks/research_memory.py $(if $(QUICK),--quick)

.venv-dbt/.made: dbt_project/requirements.lock $(STAMP)
	@echo "installing dbt into .venv-dbt ..."
	@test -x .venv-dbt/bin/python || $(PYTHON) -m venv .venv-dbt
	@$(BIN)/uv pip install --quiet --python .venv-dbt/bin/python --require-hashes -r dbt_project/requirements.lock \
	  || .venv-dbt/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r dbt_project/requirements.lock
	@touch $@

.venv-client/.made: tests/client/requirements.lock $(STAMP)
	@echo "installing the generator of clients into .venv-client ..."
	@test -x .venv-client/bin/python || $(PYTHON) -m venv .venv-client
	@$(BIN)/uv pip install --quiet --python .venv-client/bin/python --require-hashes -r tests/client/requirements.lock \
	  || .venv-client/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/client/requirements.lock
	@touch $@

.venv-bench/.made: benchmarks/research_requirements.txt
	@echo "installing the peers into .venv-bench ..."
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	@$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --require-hashes -r benchmarks/research_requirements.txt
	@touch $@

bench-quick: bootstrap ## The same benchmarks, short form
	@for b in kernels live_path order_path day_max log archive clickhouse_codecs audit ticker replay flatten drift scoring features live_readers; do echo "== $$b"; $(BIN)/python benchmarks/$$b.py --quick || exit 1; done

console-weight: bootstrap ## What each page of the console weighs on a thin line, and when it is painted (QUICK=1)
	@$(BIN)/python benchmarks/page_weight.py $(if $(QUICK),--quick)

simulate: bootstrap ## Simulated trading days with everything going wrong (SEEDS=0:300 JOBS=2 STOP=1 TRACE=1)
	@$(BIN)/python tests/simulation/run.py --seeds $(or $(SEEDS),0:300) --jobs $(JOBS) \
	  $(if $(STOP),--stop-first) $(if $(TRACE),--trace)

leaks: bootstrap ## Known leaks, ten seeds: every one must be caught, nothing honest suspected (SEEDS="1 2 3")
	@for seed in $(or $(SEEDS),1 2 3 4 5 6 7 8 9 10); do $(KP) leak-check --catalogue --seed $$seed | tail -1 ; test $${PIPESTATUS[0]} -eq 0 || exit 1; done

mutations: bootstrap ## Bugs that real systems had, put into copies of the code: the simulation must catch each (SEEDS= ONLY= JOBS= QUICK=1 NOTE=1)
	@$(BIN)/python tests/simulation/mutations.py $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ONLY),--only $(ONLY)) --jobs $(JOBS) \
	  $(if $(QUICK),--quick) $(if $(NOTE),--note)

chaos: bootstrap ## Kill, freeze, cut and fill real processes through paper days on both logs: a table (LOG= SEED= ONLY= QUICK=1 PAGE=)
	@$(BIN)/python tests/e2e/chaos.py $(if $(LOG),--log $(LOG)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) \
	  $(if $(PAIRS),--pairs $(PAIRS)) $(if $(QUICK),--quick) $(if $(PAGE),--page $(PAGE))

clickhouse-size: bootstrap ## A month of 300 instruments in ClickHouse: size forecast, query times (15 minutes, 10 GB; QUICK=1)
	@$(BIN)/python benchmarks/clickhouse_size.py $(if $(QUICK),--quick)

storm: bootstrap ## An hour of orders and reads against the sandbox's rate limits: no 429 (about five minutes)
	@$(BIN)/python benchmarks/storm.py

stress-clickhouse: bootstrap ## Eight clients at once on ClickHouse, then kill -9 under writing (SECONDS=60; CLICKHOUSE_URL= another server)
	@$(BIN)/python tests/clickhouse/stress.py --seconds $(or $(SECONDS),60)
	@$(BIN)/python -m pytest -q -rP tests/clickhouse/test_clickhouse_crash.py

kill-gateway: bootstrap ## kill -9 the gateway at every await and every line it passes (up to an hour)
	@KILL_EVERYWHERE=1 $(BIN)/python -m pytest -q -s tests/gateway/test_killed_at_every_await.py

faults: bootstrap ## Every fault of the sandbox against a real gateway: a table (some minutes; SEED= ONLY= QUICK=1)
	@$(BIN)/python tests/faults/fault_table.py $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

repin: bootstrap ## Decide the stored days again and pin what comes out (NEW=1 records them anew); say why in the commit
	@$(BIN)/python tests/replay/store_days.py $(if $(NEW),--new)

lock: bootstrap ## Resolve the dependencies again into requirements.lock
	@$(BIN)/uv pip compile --quiet pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	@$(BIN)/uv pip compile --quiet dbt_project/requirements.in --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o dbt_project/requirements.lock
	@$(BIN)/uv pip compile --quiet superset/requirements.in --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o superset/requirements.lock
	@$(BIN)/uv pip compile --quiet tests/client/requirements.in --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o tests/client/requirements.lock

docs: bootstrap ## Write the reference pages that are made from the code
	@$(BIN)/python docs/generate.py

dashboards: bootstrap .venv-superset/.made ## Superset over the book of analysis, on this machine alone (PORT= BACKGROUND=1 CONFIG=)
	@$(KP) dashboards up $(if $(PORT),--port $(PORT)) $(if $(BACKGROUND),--background) $(if $(CONFIG),--config '$(CONFIG)')

dashboards-export: bootstrap .venv-superset/.made ## What was changed in the browser, back into superset/assets (CHECK=1 only tells)
	@$(KP) dashboards export $(if $(CHECK),--check) $(if $(CONFIG),--config '$(CONFIG)')

.venv-superset/.made: superset/requirements.lock superset/remove_telemetry.py $(STAMP)
	@echo "installing Superset into .venv-superset (650 MB) ..."
	@test -x .venv-superset/bin/python || $(PYTHON) -m venv .venv-superset
	@$(BIN)/uv pip install --quiet --python .venv-superset/bin/python --require-hashes -r superset/requirements.lock \
	  || .venv-superset/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r superset/requirements.lock
	@.venv-superset/bin/python superset/remove_telemetry.py
	@touch $@

clean: ## Remove everything the runs wrote (not the virtual environment)
	@test ! -x $(KP) || $(KP) down >/dev/null 2>&1 || true
	@rm -rf var
