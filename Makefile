# The project's commands. `make` alone lists them; ARGS="…" is handed on, as in `make demo ARGS="--exit --json"`.

# The first Python on PATH that is new enough; name another with `make PYTHON=/path/to/python3 …`.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench chaos words lock format clean environment development

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: environment ## Build .venv from the lock, and nothing more

demo: environment ## Show the whole service at work; ARGS="--exit --json", "--feed URL", "--mails FOLDER" …
	@.venv/bin/newsletter demo $(ARGS)

test: development ## Run the test suite; ARGS are pytest's
	@.venv/bin/pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

check: development ## Check lint, format, types, import contracts, and migrations up and down on both databases
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/pytest -q tests/migrations

bench: development ## Measure, each figure beside a peer or limit; ARGS=--json gives one document
	@.venv/bin/python -m bench $(ARGS)

chaos: development ## Break things while digests go out, and count; ARGS="--only X1 --seed 7 --full"
	@.venv/bin/python -m tests.chaos $(ARGS)

words: development ## Gather the words that readers see into newsletter/translations, and list what is untranslated
	@.venv/bin/python -m scripts.words

# The runtime lock carries the build backend too, so that installing reaches for nothing unlocked. The second lock is
# held to the first one's versions: one .venv serves both.
lock: development ## Lock the dependencies anew; ARGS=--upgrade takes the newest versions
	.venv/bin/uv pip compile -q pyproject.toml --universal --generate-hashes --no-header $(ARGS) \
		--extra build -o requirements.lock
	.venv/bin/uv pip compile -q pyproject.toml --universal --generate-hashes --no-header $(ARGS) \
		--extra build --extra dev -c requirements.lock -o requirements-dev.lock

format: development ## Put the code in order: imports, safe fixes, layout
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean: ## Remove what was built (.venv, caches); data under var/ stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment: ; @$(python) scripts/environment.py requirements.lock
development: ; @$(python) scripts/environment.py requirements-dev.lock

python = $(or $(PYTHON),$(error Python 3.11 or newer is needed, and none of "$(CANDIDATES)" is. \
	Install one (on Debian: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3))
