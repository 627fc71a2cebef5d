# The one entrance. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
LAB := target/debug/lab
# Queries are checked against .sqlx; `make sqlx` refreshes it.
export SQLX_OFFLINE ?= true

.PHONY: help doctor deps build up down clean tour test test-17 kill faults bench lint fmt sqlx

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

doctor: ## Check what tour and test need, in under two seconds
	@deploy/local/doctor.sh

deps: ## Install what doctor misses, where that is allowed
	@deploy/local/doctor.sh --install

build: deps ## Build every program
	cargo build --workspace

tour: build ## Watch a capability leave the monolith and come back, under load (5 minutes)
	$(LAB) tour $(TOUR)

test: build ## Run every test on real PostgreSQL and a real broker
	$(LAB) scratch -- cargo test --workspace --no-fail-fast

# Every test that goes by what PostgreSQL does but the one of five million rows, by name so that it is built as for
# `test`, and what the crates test within; fewer of the random ones.
TESTS_17 := bounded crowd fence follow prepare schedule events migrate silence picker moves app locks mails transaction move_folder parity api
test-17: build ## Run the tests of stores, events and the mover on PostgreSQL 17 (x86-64 Linux)
	folder=$$(deploy/local/postgres-17.sh) && FICUS_KILLS=1 FICUS_WALKS=6 FICUS_EVENTS=20000 $(LAB) scratch --postgres "$$folder" -- \
		cargo test --workspace --no-fail-fast --lib $(addprefix --test ,$(TESTS_17))

kill: build ## Kill whatever runs, under load, and see that nothing is lost (6 minutes)
	$(LAB) kill $(KILL)

faults: build ## Take out one mechanism at a time, and see that it is noticed (15 minutes)
	$(LAB) faults $(FAULTS)

bench: deps ## Measure beside opponents, on a release build
	cargo build --release --workspace --bins
	target/release/lab bench $(BENCH)

up: build ## Start Trellis and Ficus on this machine
	$(LAB) up

down: ## Stop every process, remove the servers' data, free the ports
	@if [ -x $(LAB) ]; then $(LAB) down; else echo "nothing was built, so nothing runs"; fi

clean: down ## Stop everything and remove what was built and written
	rm -rf .ficus
	cargo clean

lint: ## Check format, lints and the directions between crates
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	deploy/local/bounds.sh

fmt: ## Format the code
	cargo fmt --all

sqlx: deps ## Refresh .sqlx on scratch servers
	@[ -x $(LAB) ] || cargo build -p trellis-lab
	rm -rf target/sqlx && mkdir -p target/sqlx
	touch crates/*/src/lib.rs services/*/src/lib.rs
	$(LAB) scratch --migrated -- env SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$(CURDIR)/target/sqlx \
		cargo check --workspace --all-targets
	rm -rf .sqlx && cp -r target/sqlx .sqlx
