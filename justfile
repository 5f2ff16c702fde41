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
