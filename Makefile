# SPDX-License-Identifier: MIT
# Thin: every target is one command.  Meson builds, tools/ checks, lab/ shows.
#
#   make            build                        make demo       what it does, in a minute (root)
#   make test       everything that CI checks    make test-all   the whole matrix of live tests (root)
#   make test-stock inside the kernel that Debian ships, emulated: VLAN devices, netem as the oracle
#   make bench      figures                      make mutants    one-line breakages, each must be noticed
#   make sim        simulated connections: seeds 1 to SEEDS (or A-B) of each role, or of ROLE; broken ones are listed
#   make fuzz       each fuzzer for FUZZ_SECONDS make lint fmt   style
#   make deps       install what is missing      make install clean

CC ?= gcc
BUILD ?= build
FUZZ_SECONDS ?= 60
SEEDS ?= 20000
ROLE ?=
DESTDIR ?=

.PHONY: all demo test test-all test-live test-stock bench fuzz sim mutants lint fmt deps install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

$(BUILD)/build.ninja:
	@tools/deps.sh build
	@tools/build.sh $(BUILD) gcc

demo:
	@tools/deps.sh build demo
	@$(MAKE) --no-print-directory all
	@lab/demo.sh $(BUILD)/src/cli/suture

test:
	@tools/deps.sh build demo test
	@tools/test.sh

test-all:
	@tools/deps.sh build demo test
	@LIVE=all tools/test.sh

# One live test, or all of the core: make test-live [T=http]
test-live: all
	@tools/live.sh $(BUILD) $(T)

# Inside Debian's stock kernel, under emulation: no root needed, some four minutes.
test-stock: all
	@tools/deps.sh build demo stock
	@tools/stock.sh $(BUILD)

bench:
	@tools/deps.sh build demo bench
	@$(MAKE) --no-print-directory all
	@meson test -C $(BUILD) --benchmark --verbose

fuzz:
	@tools/deps.sh build test
	@tools/fuzz.sh $(FUZZ_SECONDS)

# make sim SEEDS=100000 ROLE=stack
sim: all
	@tools/sim.sh $(BUILD) $(SEEDS) $(ROLE)

mutants:
	@tools/deps.sh build demo test
	@tools/mutants.sh

lint: all
	@tools/lint.sh $(BUILD)

fmt:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

deps:
	@tools/deps.sh build demo test

install: all
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf build build-*
