# The ways in: `make demo` and `make test`. Each needs git, make and Rust (stable), nothing else;
# what else is missing they install, saying so.
.PHONY: demo test build release deb check packages clean

# Shows the main job: calls on a wire, recorded, played in the browser. DEMO_SECONDS=30 ends it.
demo: packages
	@tests/harness/demo

# Every test of the project.
test:
	@tests/check/all

# One check: make check NAME=fmt
check:
	@tests/check/$(NAME)

build:
	cargo build --locked --workspace

release:
	cargo build --locked --release --workspace

# Debian packages of release builds, into target/debian/.
deb:
	tests/harness/cargo-deb -p nightjar-control
	tests/harness/cargo-deb -p nightjar-sensor

# System packages that the build and the demo need.
packages:
	@tests/check/packages demo

clean:
	cargo clean
