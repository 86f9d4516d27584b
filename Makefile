# The front door of Lethe: every target is a line or two; the work is done in tools/ and meson.build.

.DEFAULT_GOAL := all
.PHONY: all deps build test test-long bench check coverage fuzz fuzz-planted gpu-test gpu-bench demo install clean help

all: ## installs what is missing (asks for root once) and builds build/lethe
	@tools/deps build
	@tools/build gcc

deps: ## installs everything any target below needs, and builds nothing
	@tools/deps build test bench check engine

build: ## builds build/lethe with what is there
	@tools/build gcc

test: ## installs what is missing, builds every way, runs every test (about ten minutes)
	@tools/deps build test engine
	@tools/test

test-long: ## as test, with full fault sweeps, fuzzing, data races, and a bare Debian in a chroot (hours)
	@tools/deps build test engine long
	@tools/test --long

bench: ## measures speed against others; ONLY=name runs what starts with that name
	@tools/deps build test bench
	@tools/build gcc
	@build/bench/lethe-bench --json build/bench.json $(ONLY)

check: ## format, layers, shell scripts, traceability and clang-tidy
	@tools/deps build test check
	@tools/check-format
	@tools/check-layers
	@tools/check-shell
	@tools/check-trace
	@tools/check-tidy

coverage: ## line coverage of the rooms that guard secrets; at least 90 % each
	@tools/deps build test engine
	@tools/coverage

fuzz: ## every parser under libFuzzer; ONLY=name for one, SECONDS_EACH=60
	@tools/deps build test
	@tools/fuzz $(ONLY)

fuzz-planted: ## shows that every fuzz target finds the bugs planted for it; ONLY=name for one
	@tools/deps build test
	@tools/fuzz-planted $(ONLY)

gpu-test: ## builds build/gpu/lethe-gpu-test, to be run on a machine with NVIDIA GPUs (needs nvcc here)
	@tools/deps build
	@tools/gpu-program lethe-gpu-test

gpu-bench: ## builds build/gpu/lethe-gpu-bench, likewise
	@tools/deps build
	@tools/gpu-program lethe-gpu-bench

demo: ## the main job end to end on a real model; MODEL=path ENGINE='command {model}'
	@tools/deps build engine
	@tools/build gcc
	@tools/demo

install: ## installs the program (PREFIX is meson's; DESTDIR=dir for packaging)
	@tools/build gcc
	@meson install -C build --no-rebuild

clean: ## removes everything that was built
	@rm -rf build build-asan build-tsan build-clang build-coverage build-fuzz

help: ## prints this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 15
