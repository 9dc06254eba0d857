# Every command of the project. `make` alone lists them.
#
# Settings come from the environment or from .env (see .env.example). With no
# DATABASE_URL the embedded server below .postgres/ is used.

# The interpreter that .venv is made from: make demo PYTHON=python3.12. Left empty,
# python3, or if that will not do, another one of 3.10 to 3.13.
PYTHON ?=
# More arguments for dbt or pytest: make build ARGS="--select fct_mrr_monthly"
ARGS ?=
# Test processes: one more than cores, as each waits for servers now and then.
TEST_WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

export PYTHON
# dbt and its libraries phone home unless told not to: in the tests, too.
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

RUNTIME := .venv/.installed-runtime
EXPECTATIONS := .venv/.installed-expectations
DEVELOPMENT := .venv/.installed-development
SAAS := .venv/bin/saas

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# One server, one target folder: the steps queue up, also under `make -j`.
.NOTPARALLEL:
.PHONY: help setup demo build expectations refresh test test-versions test-zones audit judge mutation lint down format freshness docs requirements FORCE

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(RUNTIME) ## Make .venv with what the project needs to run

demo: $(RUNTIME) ## Set everything up: schema, a made-up company, every mart
	@$(SAAS) up
	@$(SAAS) migrate
	@$(SAAS) roles
	@$(SAAS) demo --if-empty
	@$(SAAS) build
	@$(SAAS) tour

build: $(RUNTIME) ## Build and test every mart (what a scheduler runs)
	@$(SAAS) build $(ARGS)

expectations: $(EXPECTATIONS) ## Judge volumes, distributions and drift (after a build)
	@$(SAAS) up
	@$(SAAS) expectations $(ARGS)

refresh: $(RUNTIME) ## Take in what changed, without dbt (ARGS="--every 60")
	@$(SAAS) refresh $(ARGS)

freshness: $(RUNTIME) ## Fail when the source tables have gone stale
	@$(SAAS) freshness $(ARGS)

docs: $(RUNTIME) ## Write the catalogue of models to target/static_index.html
	@$(SAAS) docs $(ARGS)

down: ## Stop the embedded server (its data stays)
	@if [ -x $(SAAS) ]; then $(SAAS) down; else echo "There is no .venv, so no server of ours is running."; fi

test: $(DEVELOPMENT) ## Run every test, on servers of their own
	@.venv/bin/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-versions: $(RUNTIME) ## Compare the marts on PostgreSQL 14 to 18 (ARGS="14 18")
	@.venv/bin/python -m tests.versions $(ARGS)

test-zones: $(RUNTIME) ## Build, test and refresh in three time zones (ARGS="Asia/Gaza")
	@.venv/bin/python -m tests.zones $(ARGS)

audit: $(DEVELOPMENT) ## Run dbt-bouncer, dbt-score and dbt-coverage (after a build)
	@$(SAAS) audit

judge: audit ## The former name of audit

mutation: $(DEVELOPMENT) ## Plant faults, and tell which a test catches (ARGS="--only ID")
	@.venv/bin/python -m tests.mutation $(ARGS)

lint: $(DEVELOPMENT) ## Check the style and the soundness of SQL and Python
	@scripts/lint $(ARGS)

format: $(DEVELOPMENT) ## Correct what the linters can correct
	@scripts/lint --fix

requirements: ## Compile requirements*.txt from pyproject.toml (needs uv)
	@scripts/compile_requirements $(ARGS)

# --- The virtual environment: pip runs only when the requirements changed ---------

ifneq ($(shell [ -x .venv/bin/python ] && cat .venv/.root 2>/dev/null),$(CURDIR))
$(RUNTIME) $(EXPECTATIONS) $(DEVELOPMENT): FORCE
endif

$(RUNTIME): requirements.txt scripts/install scripts/saas_analytics.pth
	@scripts/install requirements.txt $@

$(EXPECTATIONS): requirements-expectations.txt $(RUNTIME)
	@scripts/install requirements-expectations.txt $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	@scripts/install requirements-dev.txt $@
