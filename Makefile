# What people run. Each target gets what it needs by itself; none starts a tor on the public network.

TARGET := $(or $(CARGO_TARGET_DIR),target)
STEM := $(CURDIR)/target/python/bin/python
export RUSTBALANCE_PYTHON ?= $(STEM)

.PHONY: help demo test test-all bench compare tor stem wireguard

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

tor: ## find a tor, or unpack one into target/tor without starting it
	@tools/get-tor

stem: ## a Python with stem in target/python, or word that there is none
	@tools/get-stem

wireguard: ## wireguard-go in target/wireguard, or word that there is none
	@tools/get-wireguard

demo: tor ## private Tor network, three fronts, one address; KEEP=1 leaves it running
	cargo build --release --locked --package rustbalance --package demo
	$(TARGET)/release/demo

test: tor stem wireguard ## everything that shows that it works, the private Tor network included
	cargo test --workspace --locked --no-fail-fast

test-all: tor stem wireguard ## and the long tests
	cargo test --workspace --locked --no-fail-fast -- --include-ignored

bench: ## the hot paths (criterion)
	cargo bench --locked --bench hs --bench engine --bench wire --bench transport

compare: ## the same work by Onionbalance 0.2.4 and by this, in one run
	tools/get-onionbalance
	cargo run --release --locked --example compare -- target/onionbalance/bin/python
