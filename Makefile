# Two commands do all the set-up:   make lab   |   make test
PYTHON   ?= python3
VENV     ?= .venv
# The versions to install: constraints-oldest.txt has the oldest ones that pyproject.toml promises.
CONSTRAINTS ?= constraints.txt
LAB_ARGS ?=
PYTEST_ARGS ?=
ifeq ($(OS),Windows_NT)
SCRIPTS := Scripts
else
SCRIPTS := bin
endif
BIN := $(VENV)/$(SCRIPTS)
LITE := $(VENV)-lite/$(SCRIPTS)
STAMP := $(VENV)/.installed
ifneq ($(words $(VENV)),1)
$(error VENV is "$(VENV)"; a path without spaces is needed)
endif
NOTEBOOKS := notebooks/*.ipynb notebooks/solutions/*.ipynb
# JupyterLab refuses to run as root (in a container, say) unless it is told that this is meant.
ROOT_OK := $(if $(filter 0,$(shell id -u 2>/dev/null)),--allow-root)

# One thread for each of the test processes: together they keep all cores busy.
BLAS := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: help lab restore test cluster notebooks format constraints clean site slides lite pdf check-site bench \
	minutes address

help: ## list these commands
	@$(PYTHON) -c "import re; [print(f'make {n:12} {h}') for n, h in re.findall(r'(?m)^(\w+):.*?## (.*)', open('Makefile').read())]"

lab: $(STAMP) ## install what is needed and open your copy of the course, my_course/ (LAB_ARGS="--no-browser" passes options)
	$(BIN)/python tools/make_copies.py
	$(BIN)/python -m jupyter lab $(ROOT_OK) $(LAB_ARGS) my_course/00_start_here.ipynb

restore: $(STAMP) ## give one lesson back as it is in the course, and keep what you wrote (LESSON=03)
	$(BIN)/python tools/make_copies.py --restore $(LESSON)

test: $(STAMP) ## check everything: style, unit tests, every notebook output, every explorer in a browser
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BLAS) $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

cluster: $(STAMP) ## install what the Spark cells of lesson 7 need (half a gigabyte; and Java 17, which is yours to install)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[cluster]" --constraint $(CONSTRAINTS)

notebooks: $(STAMP) ## run all notebooks again and write them byte-reproducibly
	$(BIN)/python tools/run_notebooks.py $(NOTEBOOKS)

# MathJax for the site comes from the npm registry, once; the build itself needs no network.
VENDORED := site/_build/vendored
$(VENDORED)/mathjax:
	mkdir -p $@
	cd $(VENDORED) && npm pack --silent mathjax@3.2.2 && tar -xzf mathjax-3.2.2.tgz package/es5
	cd $(VENDORED)/package/es5 && cp -r tex-mml-chtml.js output sre ui a11y input ../../mathjax
	rm -r $(VENDORED)/package $(VENDORED)/mathjax-3.2.2.tgz

$(VENDORED)/reveal:
	mkdir -p $(VENDORED)
	cd $(VENDORED) && npm pack --silent reveal.js@4.6.1 && tar -xzf reveal.js-4.6.1.tgz package/dist
	cd $(VENDORED) && mv package/dist reveal && rm -r package reveal.js-4.6.1.tgz

$(VENDORED)/axe-core.js:
	mkdir -p $(VENDORED)
	cd $(VENDORED) && npm pack --silent axe-core@4.10.3 && tar -xzf axe-core-4.10.3.tgz package/axe.min.js
	cd $(VENDORED) && mv package/axe.min.js axe-core.js && rm -r package axe-core-4.10.3.tgz

# The version that jupyterlite-pyodide-kernel was made for.
$(VENDORED)/pyodide:
	mkdir -p $(VENDORED)
	cd $(VENDORED) && npm pack --silent pyodide@314.0.6 && tar -xzf pyodide-314.0.6.tgz package
	cd $(VENDORED)/package && rm *.ts *.map *.html
	cd $(VENDORED) && mv package pyodide && rm pyodide-314.0.6.tgz

$(VENV)/.site: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[site]" --constraint $(CONSTRAINTS)
	@echo installed > $@

site: $(VENV)/.site $(VENDORED)/mathjax ## build the static site in site/_build/html (needs npm once)
	$(BLAS) $(BIN)/python tools/make_site.py

slides: $(STAMP) $(VENDORED)/mathjax $(VENDORED)/reveal ## make the slides in site/_build/html/slides (needs npm once)
	$(BLAS) $(BIN)/python tools/make_slides.py

# JupyterLite has an environment of its own: its extension of JupyterLab is for pages without a server.
$(VENV)-lite/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)-lite
	$(LITE)/python -m pip install --disable-pip-version-check --quiet --editable ".[lab,test,browser,lite]" --constraint $(CONSTRAINTS)
	@echo installed > $@

lite: $(VENV)-lite/.installed $(VENDORED)/pyodide ## build the experimental JupyterLite for the site: make lite site (needs npm once, and pip)
	$(LITE)/python tools/make_lite.py

pdf: site ## print the lessons on A4 in site/_build/pdf (needs Chromium)
	$(BIN)/python tools/make_pdf.py

check-site: lite site slides pdf $(VENDORED)/axe-core.js ## visit every page of the site, every slide and every print in a browser
	$(BIN)/python -m pytest --numprocesses auto tests/site --ignore=tests/site/test_lite.py
	$(LITE)/python -m pytest tests/site/test_lite.py

bench: $(STAMP) ## compare with the peers that are installed, and write benchmarks/RESULTS.md
	$(BLAS) $(BIN)/python benchmarks/run.py

minutes: $(STAMP) ## renew the minutes of the lessons in README, TEACHING and the notebooks
	$(BIN)/python tools/lesson_minutes.py --write

address: ## write the address of your repository into every link (REPOSITORY=https://github.com/owner/name)
	$(if $(filter undefined,$(origin REPOSITORY)),$(error say REPOSITORY=https://github.com/owner/name, or REPOSITORY= to take it out))
	@$(PYTHON) tools/set_address.py "$(REPOSITORY)" $(BRANCH)

format: $(STAMP) ## format the code, notebooks included
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

COMPILE := uv pip compile --quiet --upgrade --all-extras --python-version 3.11 pyproject.toml

constraints: ## renew the pinned versions, newest and oldest (needs uv)
	$(COMPILE) --universal --output-file constraints.txt
	$(COMPILE) --resolution lowest-direct --output-file constraints-oldest.txt

clean: ## remove the environment
	rm -rf $(VENV) $(VENV)-lite

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c "import sys; sys.exit('This course needs Python 3.11 or newer, and $(PYTHON) is %d.%d: try make PYTHON=python3.12 ...' % sys.version_info[:2] if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[lab,test,browser]" --constraint $(CONSTRAINTS)
	@echo installed > $@
