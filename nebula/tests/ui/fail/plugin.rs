use nebula::plugin;
use nebula::plugin::{Hooks, Plugin};

struct Twice;

#[plugin]
impl Plugin for Twice {
    const HOOKS: Hooks = Hooks::NONE;
}

macro_rules! hooks {
    () => {};
}

struct Hidden;

#[plugin]
impl Plugin for Hidden {
    hooks!();
}

#[plugin]
struct NoImpl;

#[plugin]
impl Hidden {}

struct Options;

#[plugin(before)]
impl Plugin for Options {}

fn main() {}
