# Lists the recipes.
default:
    @just --list

# Checks everything and changes nothing.
verify:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace
    cargo test -p macula --features dns --lib join::
    cargo run -p examples --bin roles --no-default-features --features web
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Formats, and applies what clippy can repair by itself.
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

# A cluster of three processes that loses two of them; `just quickstart --data FILE` takes a table.
quickstart *args:
    cargo run --release -p examples --bin quickstart -- {{args}}

# libFuzzer on one target for some seconds, from its corpus; what it finds is in `fuzz/artifacts`.
fuzz target seconds="60":
    mkdir -p fuzz/target/inputs/{{target}} fuzz/artifacts
    cd fuzz && RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing" cargo run --target "$(rustc -vV | sed -n 's/^host: //p')" --bin {{target}} -- -max_total_time={{seconds}} -artifact_prefix=artifacts/{{target}}- target/inputs/{{target}} corpus/{{target}}

# The figures of rows of the table in docs/reliability.md: `just figure 17`, or all but the soak.
figure *rows:
    tests/figure {{rows}}

# The long tiers of the tests and simulations, an hour or two, and their figures as a table.
nightly:
    tests/nightly

# Builds with each deliberate bug in turn, and demands that a test fails: about fifteen minutes.
mutants *names:
    tests/mutants {{names}}

# Twenty processes under steady calls and churn, by default for an hour; prints what memory grew by.
soak *seconds:
    cargo build -p tests --bins
    cargo run -p tests --bin soak -- {{seconds}}

# The simulations of the pure machines, for seconds; `SEED=7 just sim` replays one seed.
sim:
    cargo test -p macula --lib sim::
    cargo test -p nebula --lib sim::

# The same with thousands of seeds, and the figures that docs/reliability.md quotes, for an hour.
nightly-sim:
    SIM_SEEDS=20000 cargo test -p macula --lib --config profile.dev.package.macula.opt-level=3 sim:: -- --nocapture
    SIM_SEEDS=20000 cargo test -p nebula --lib --config profile.dev.package.nebula.opt-level=3 sim:: -- --nocapture
    cargo test -p macula --lib --config profile.dev.package.macula.opt-level=3 sim::membership::targets -- --ignored --nocapture --test-threads 1
