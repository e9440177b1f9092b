# The commands of this project. "make" alone lists them.
# PORT=4600 moves the local emulator; the other settings live in local/.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
RIG := $(PYTHON) -m local $(if $(PORT),--port $(PORT))

SEEDS ?= 200

.PHONY: help install up demo down status env batch trace dashboard simulate bench bench-publish capacity cost cost-record test lint scan iam-mutants format unit e2e synth snapshots lock clean

help: ## List the commands
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/\1	\2/p' Makefile | while IFS='	' read -r name text; do \
		printf '  make %-14s %s\n' "$$name" "$$text"; done

install: ## Install what the locks pin: .venv and node_modules (every other command does it, too)
	@sh local/bootstrap.sh install

up: install ## Start the AWS emulator on this machine and deploy to it (PORT=4600 for another port)
	@$(RIG) up

demo: install ## Make up, then pay one payment with curl and one CSV file, and show what became of them
	@$(RIG) demo

down: install ## Destroy the local deployment through cdktf and stop the emulator
	@$(RIG) down

status: install ## Show what runs on this machine, and where
	@$(RIG) status

env: ## Print what points a shell at the local cloud (curl, boto3, the AWS CLI); see the README
	@$(RIG) env

batch: install ## Upload a CSV file to the local cloud and show its report: make batch FILE=samples/payments.csv (DRY_RUN=1)
	@test -n "$(FILE)" || { echo 'Name a file: make batch FILE=samples/payments.csv' >&2; exit 2; }
	@$(RIG) batch $(if $(DRY_RUN),--dry-run) "$(FILE)"

trace: install ## Follow one payment through the local cloud: make trace ID=pay_123456
	@test -n "$(ID)" || { echo 'Name a payment: make trace ID=pay_123456' >&2; exit 2; }
	@$(RIG) trace "$(ID)"

dashboard: up ## Do some business in the local cloud and draw its dashboard into docs/dashboard.png
	@$(RIG) dashboard

test: install lint scan unit e2e ## Run everything: linters, scanners, unit and synth tests, end-to-end tests

lint: install ## Check style and types
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

scan: install ## Scan the synthesised stack with checkov and asl-validator
	@sh local/bootstrap.sh checkov
	@$(PYTHON) -m tests.scan

format: install ## Put the code into the project's style
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

unit: install ## Run the tests that need no emulator
	@$(PYTHON) -m pytest --numprocesses 2 --ignore tests/e2e tests

e2e: install ## Run the end-to-end tests against an emulator of their own
	@E2E_REQUIRED=1 $(PYTHON) -m pytest --durations 5 tests/e2e

iam-mutants: install ## Take each permission of each role away, one at a time, and see what fails
	@$(PYTHON) -m tests.iam_mutants

simulate: install ## Run the functions under injected faults: make simulate SEEDS=1000
	@$(PYTHON) -m tests.simulation --seeds $(SEEDS)

bench: install ## Measure speed side by side and judge it; writes build/bench.json (NAMES="rows enqueue")
	@$(PYTHON) -m benchmarks $(NAMES)

bench-publish: install ## Measure everything, growth included, and publish it in docs/performance.md
	@$(PYTHON) -m benchmarks.growth
	@$(PYTHON) -m benchmarks --publish

capacity: install ## Derive what binds first on the way to a million payments a minute (docs/capacity.md)
	@$(PYTHON) -m benchmarks.capacity

cost: install ## Price a million payments, line by line, beside a naive build (docs/cost.md)
	@$(PYTHON) -m benchmarks.cost

cost-record: install ## Run payments in process and write down what they take, for cost and capacity
	@$(PYTHON) -W ignore -m benchmarks.recording

synth: install ## Synthesise Terraform as the local deployment would see it, into .local/cdktf.out
	@$(RIG) synth

snapshots: install ## Accept the synthesised Terraform of today as the new snapshots
	@$(PYTHON) -m pytest --snapshot-update tests/synth

lock: install ## Pin again what Pipfile and package.json ask for
	@sh local/bootstrap.sh pipenv lock
	@npm install --package-lock-only --no-audit --no-fund --loglevel=error
	@$(PYTHON) -m local.locks Pipfile.lock package-lock.json
	@sh local/bootstrap.sh install

clean: ## Remove what was installed and generated (run "make down" first)
	@if [ -e .local/emulator.json ]; then echo 'The emulator may be running: run "make down" first.' >&2; exit 1; fi
	rm -rf .venv .tools node_modules .local cdktf.out .pytest_cache .mypy_cache .ruff_cache .hypothesis
