# Comforts; nothing needs `just`: each recipe is one command.

# What there is.
default:
    @just --list

# Builds and serves on http://127.0.0.1:8080, data in ./data.
run *arguments:
    cargo run --release -- {{ arguments }}

# Every test; arguments go to `cargo test`.
test *arguments:
    ./scripts/test.sh {{ arguments }}

# Format and lints, as CI has them.
check:
    cargo fmt --all --check
    cargo check --quiet -p domain
    cargo clippy --workspace --all-targets -- -D warnings

# Formats everything.
fmt:
    cargo fmt --all

# All that CI does.
ci:
    bash .ci/run

# Measures everything and prints the table of docs/performance.md; arguments go to it (`--full`, `--rows page,send64`).
bench *arguments:
    cargo run --release -p bench -- table {{ arguments }}

# Advisories (fetched from the net), licences, bans and sources of what we depend on (`cargo install cargo-deny --locked`).
deny:
    cargo deny check advisories licenses bans sources

# What is shipped: slower to build, smaller and faster.
dist:
    cargo build --profile dist --locked -p parlance
