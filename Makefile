# picopost: `make run` is the appliance on an emulated board, `make test` proves it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := host_tools/requirements.txt firmware/requirements.txt \
	tests/requirements.txt tests/requirements-chips.txt
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench
# Options for `python -m host_tools run`, e.g. make run RUN="--board pico_w"
RUN ?=
# Options for the bench, e.g. make bench BENCH="smtp --quick"
BENCH ?=
# Options for pytest, e.g. make test PYTEST="-k pop3"
PYTEST ?=

# Options for the campaign, e.g. make campaign CAMPAIGN="--time 600"
CAMPAIGN ?=
# Options for the fuzzing after it, e.g. make campaign FUZZ="--lines 20000 --seed 7"
FUZZ ?=
# Messages on which the MIME reader and CPython's email are compared after them
MIME ?= 50000

# For `make deploy` and its like, e.g. make deploy BOARD=pico_w PORT=/dev/ttyACM0 ANSWERS=answers.json
BOARD ?=
PORT ?=
UF2 ?=
ANSWERS ?=
# An emulated board: what `run --usb FOLDER` was given, and where it says that its ports are
USB ?=
REACH ?=
# For `make backup` and `make restore`, e.g. make backup TO=mail.0 and make restore FROM=mail.0
TO ?=
FROM ?=
# Whose mail `make backup FROM=HOST` fetches over the network
MAILBOX ?=
# YES=1: `make deploy`, `make flash` and `make wipe` do not ask
YES ?=
AT_PORT = $(if $(PORT),--port $(PORT)) $(if $(USB),--usb $(USB))

.PHONY: help venv run deploy doctor flash console logs status backup restore wipe test lint campaign \
	bench clean

help:
	@echo "make run    the appliance on an emulated board (RUN=... passes options on)"
	@echo "make deploy [BOARD=pico_w] [PORT=/dev/...] [UF2=FILE] [ANSWERS=FILE]"
	@echo "            bring it onto a board, from nothing or from another version"
	@echo "make doctor   what is wrong with it, and what to do (REACH=... for one elsewhere)"
	@echo "make flash [UF2=FILE] [YES=1]      put MicroPython on it"
	@echo "make console  MicroPython's prompt on it; make logs: what its firmware says"
	@echo "make status  how a board is that serves"
	@echo "make backup TO=FOLDER [FROM=HOST MAILBOX=NAME]; make restore FROM=FOLDER: its mail"
	@echo "make wipe [YES=1]  remove picopost from it, the mail on its card stays"
	@echo "make test   lint and all tests (PYTEST=... passes options on)"
	@echo "make campaign  cut the power at every block write, then fuzz SMTP, carry letters"
	@echo "               and look what sessions leave in the heap, then compare the MIME"
	@echo "               reader with CPython's (CAMPAIGN=... and FUZZ=... pass options on,"
	@echo "               MIME=... is how many messages)"
	@echo "make bench  beside other servers, and what letters cost on the buses (BENCH=... passes"
	@echo "            options on)"
	@echo "make lint   ruff, codespell, and mpy-cross on every firmware file"
	@echo "make venv   the set-up alone"
	@echo "make clean  remove what was built, card images included"

venv: $(READY)

# One at a time: `make run` and `make deploy` stand side by side in two terminals.
$(READY): $(REQUIREMENTS)
	@flock Makefile $(MAKE) --no-print-directory $(VENV)/.made
	@touch $@

$(VENV)/.made: $(REQUIREMENTS)
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check \
		-r host_tools/requirements.txt -r tests/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps \
		--target $(VENV)/device_packages -r firmware/requirements.txt \
		-r tests/requirements-chips.txt
	@touch $@

# What is only compared, or drawn with: no test needs it.
$(BENCH_READY): $(READY) tests/requirements-bench.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r tests/requirements-bench.txt
	@touch $@

run: $(READY)
	@$(BIN)/python -m host_tools run $(RUN)

deploy: $(READY)
	@$(BIN)/python -m host_tools deploy $(AT_PORT) $(if $(BOARD),--board $(BOARD)) \
		$(if $(UF2),--uf2 $(UF2)) $(if $(ANSWERS),--answers $(ANSWERS)) \
		$(if $(REACH),--reach $(REACH)) $(if $(YES),--yes)

doctor: $(READY)
	@$(BIN)/python -m host_tools doctor $(AT_PORT) $(if $(REACH),--reach $(REACH))

flash: $(READY)
	@$(BIN)/python -m host_tools flash $(AT_PORT) $(if $(BOARD),--board $(BOARD)) \
		$(if $(UF2),--uf2 $(UF2)) $(if $(YES),--yes)

console logs status: $(READY)
	@$(BIN)/python -m host_tools $@ $(AT_PORT)

backup: $(READY)
	@$(BIN)/python -m host_tools backup $(AT_PORT) $(if $(TO),--to "$(TO)") \
		$(if $(FROM),--from $(FROM)) $(if $(MAILBOX),--user $(MAILBOX))

restore: $(READY)
	@$(BIN)/python -m host_tools restore $(AT_PORT) $(if $(FROM),--from "$(FROM)")

wipe: $(READY)
	@$(BIN)/python -m host_tools wipe $(AT_PORT) $(if $(YES),--yes)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/python -m host_tools compile

test: lint
	$(BIN)/python -m pytest -n 2 $(PYTEST)

campaign: $(READY)
	$(BIN)/python -m tests.campaign $(CAMPAIGN)
	$(BIN)/python -m tests.fuzz $(FUZZ)
	PICOPOST_MIME_MESSAGES=$(MIME) $(BIN)/python -m pytest --timeout 0 \
		tests/mime/test_oracle.py

bench: $(READY) $(BENCH_READY)
	$(BIN)/python -m tests.bench $(BENCH)

clean:
	rm -rf build
