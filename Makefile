# Every command of the project. `make` alone lists them.
#
# Settings come from the environment or from .env (see .env.example). With no
# DATABASE_URL the embedded server below .postgres/ is used.

# The interpreter for .venv: make demo PYTHON=python3.12. The default is python3 if it is
# 3.10 to 3.13, or else another of these.
PYTHON ?=
# More arguments for dbt or pytest: make build ARGS="--select fct_mrr_monthly"
ARGS ?=
# Test processes: one more than cores, because each waits for servers at times.
TEST_WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

export PYTHON
# Without these variables dbt and its libraries send usage statistics, even from tests.
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

RUNTIME := .venv/.installed-runtime
EXPECTATIONS := .venv/.installed-expectations
DEVELOPMENT := .venv/.installed-development
SAAS := .venv/bin/saas

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Targets share a server and a target folder, so they run one by one, even with `make -j`.
.NOTPARALLEL:
.PHONY: help setup demo build expectations refresh test test-versions test-zones audit judge mutation lint down format freshness docs requirements FORCE

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(RUNTIME) ## Install the project and its requirements into .venv
	@echo "The project is installed in .venv. Next: make demo. All commands: make help."

demo: $(RUNTIME) ## Create the schema, load a demo company, build every mart
	@$(SAAS) up
	@$(SAAS) migrate
	@$(SAAS) roles
	@$(SAAS) demo --if-empty
	@$(SAAS) build
	@$(SAAS) tour

build: $(RUNTIME) ## Build and test every mart (for a scheduler)
	@$(SAAS) build $(ARGS)

expectations: $(EXPECTATIONS) ## Check volumes, distributions and drift (after a build)
	@$(SAAS) up
	@$(SAAS) expectations $(ARGS)

refresh: $(RUNTIME) ## Apply source changes to the marts, without dbt (ARGS="--every 60")
	@$(SAAS) refresh $(ARGS)

freshness: $(RUNTIME) ## Fail if a source table has had no new rows for too long
	@$(SAAS) freshness $(ARGS)

docs: $(RUNTIME) ## Write the catalog of models to target/static_index.html
	@$(SAAS) docs $(ARGS)

down: ## Stop the embedded server (its data stays)
	@if [ -x $(SAAS) ]; then $(SAAS) down; else echo "There is no .venv, so the embedded server is not running."; fi

test: $(DEVELOPMENT) ## Run every test, on temporary servers
	@.venv/bin/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-versions: $(RUNTIME) ## Compare the marts on PostgreSQL 14 to 18 (ARGS="14 18")
	@.venv/bin/python -m tests.versions $(ARGS)

test-zones: $(RUNTIME) ## Build, test and refresh in three time zones (ARGS="Asia/Gaza")
	@.venv/bin/python -m tests.zones $(ARGS)

audit: $(DEVELOPMENT) ## Run dbt-bouncer, dbt-score and dbt-coverage (after a build)
	@$(SAAS) audit

judge: audit ## The former name of audit

mutation: $(DEVELOPMENT) ## Plant faults, and show which a test catches (ARGS="--only TEXT")
	@.venv/bin/python -m tests.mutation $(ARGS)

lint: $(DEVELOPMENT) ## Run every linter over SQL, Python and prose
	@scripts/lint $(ARGS)

format: $(DEVELOPMENT) ## Correct the findings that linters can correct
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
