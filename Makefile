# Everything a stranger types. Each target sets up what it needs and nothing twice.

PORT ?= 8000
SCHEME ?= demo
BIN := .venv/bin
export PORT SCHEME

# Real city data may lie beside the checkout; where it does, its tests are required.
SHARED := $(if $(wildcard ../shared/data),--require-shared)

# Where the set-up found or installed QGIS, its tests are required; asked after the set-up, by the
# late `=`. setup.sh says so where there is none.
QGIS = $(shell scripts/has_qgis.sh && echo --require-qgis)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-test demo test check lock bench equality benches notebooks qgis-template qgis-pictures clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup:  ## install what is missing: PostGIS, a Python environment
	@scripts/setup.sh

setup-dev:  ## the same, and what checks need
	@scripts/setup.sh --dev

setup-test:  ## the same, and for the tests a browser with a Chinese font, and QGIS
	@scripts/setup.sh --test

demo: setup  ## load the demo city and serve it on PORT (8000)
	@scripts/demo.sh

test: setup-test  ## run every test, the database's included
	$(BIN)/pytest --require-db $(QGIS) $(SHARED) -n 2 --dist loadfile

check: setup-dev  ## format, lint, types, layers, containers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

# The locks name no index: pip asks whichever one the machine is set up for. The second holds
# what checks and tests use too; both are resolved together, so they agree on every version.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --custom-compile-command "make lock"
lock:  ## pin the newest dependencies that pyproject.toml allows, with hashes
	$(COMPILE) --upgrade --group dev --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --constraints requirements-dev.lock --output-file requirements.lock pyproject.toml

# The peers are needed for nothing else. One that cannot be installed takes no part, and is named.
PEERS := .venv/.peers.txt
bench: setup-dev  ## compare look-ups with GeoPandas, DuckDB, SedonaDB, PostGIS; QUICK=1 takes 3 minutes
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["bench"], sep="\n")' >$(PEERS)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r $(PEERS) || true
	$(BIN)/python -m tools.bench $(if $(QUICK),--quick)

equality: setup-dev  ## hold index, GEOS and SQL against each other on 44 million points
	$(BIN)/python -m tools.equality

benches: setup-test  ## measure all else; prints, never fails on a slow machine
	$(BIN)/pytest --require-db $(QGIS) $(SHARED) -s tests/bench --override-ini 'python_files=bench_*.py test_*.py'

notebooks: setup-dev  ## run the notebooks; copies with their pictures in out/notebooks
	$(BIN)/python -m tools.notebooks

# Both need QGIS for the system's Python and the demo city in this installation's database.
qgis-template:  ## have QGIS write the template of the planners' project again
	$(BIN)/python -m tools.qgis_template

qgis-pictures:  ## have QGIS draw the pictures of the planners' guide again
	$(BIN)/python -m tools.qgis_pictures

clean:  ## stop the embedded databases and remove them with all that was installed or built
	@for home in .gridsvc*; do \
	    [ -d "$$home" ] || continue; \
	    if [ -x $(BIN)/gridsvc ]; then \
	        env -u GRIDSVC_DATABASE_URL GRIDSVC_HOME="$$home" $(BIN)/gridsvc down || exit 1; \
	    fi; \
	    if [ -L "$$home/postgres" ]; then rm -rf "$$(readlink -f "$$home/postgres")"; fi; \
	done
	rm -rf .venv .gridsvc* build dist out *.egg-info .pytest_cache .mypy_cache .ruff_cache \
	    .hypothesis .import_linter_cache
