# Lists the recipes.
default:
    @just --list

# Checks everything and changes nothing.
verify:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace
    cargo run -p examples --bin roles --no-default-features --features web
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Formats, and applies what clippy can repair by itself.
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

# A cluster of three processes that loses two of them; `just quickstart --data FILE` takes a table.
quickstart *args:
    cargo run --release -p examples --bin quickstart -- {{args}}

# The simulations of the pure machines, for seconds; `SEED=7 just sim` replays one seed.
sim:
    cargo test -p macula --lib sim::

# The same with thousands of seeds, and the figures that docs/reliability.md quotes, for an hour.
nightly-sim:
    SIM_SEEDS=20000 cargo test -p macula --lib --config profile.dev.package.macula.opt-level=3 sim:: -- --nocapture
    cargo test -p macula --lib --config profile.dev.package.macula.opt-level=3 sim::membership::targets -- --ignored --nocapture --test-threads 1
