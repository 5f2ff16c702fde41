//! What the tests of the strategies share: every set of results of a few nodes, in every order.

mod exhaustive;
mod tables;
mod word;

use super::error::CallError;
use super::log::Log;

/// What one node says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Said {
    /// A value that counts.
    Success,
    /// A failure. For nodes with an even number a value that the predicate turns down, for the
    /// others a failed call that the predicate wrongly calls a success.
    Failure,
    /// Nothing until the deadline.
    Nothing,
}

impl Said {
    /// The result of node `index` and the predicate's word on it.
    pub(crate) fn result(self, index: usize) -> (Result<usize, CallError<()>>, bool) {
        match self {
            Self::Success => (Ok(index), true),
            Self::Failure if index.is_multiple_of(2) => (Ok(index), false),
            Self::Failure => (Err(CallError::Denied(Log::default())), true),
            Self::Nothing => (Err(CallError::Deadline(Log::default())), false),
        }
    }

    /// What the entry of node `index` holds when all is over.
    pub(crate) fn entry((index, said): (usize, &Self)) -> Result<usize, CallError<()>> {
        said.result(index).0
    }
}

/// Calls `check` with what each of 1 to `nodes` nodes says, and the order in which those who say
/// something are heard.
pub(crate) fn each_order(nodes: u32, mut check: impl FnMut(&[Said], &[usize])) {
    for nodes in 1..=nodes {
        for set in 0..3_usize.pow(nodes) {
            let said: Vec<_> = (0..nodes)
                .map(|node| match set / 3_usize.pow(node) % 3 {
                    0 => Said::Success,
                    1 => Said::Failure,
                    _ => Said::Nothing,
                })
                .collect();
            let heard = (0..said.len()).filter(|index| said[*index] != Said::Nothing).collect();
            permute(heard, 0, &mut |order| check(&said, order));
        }
    }
}

fn permute(mut order: Vec<usize>, fixed: usize, check: &mut impl FnMut(&[usize])) {
    if fixed >= order.len() {
        return check(&order);
    }
    for swapped in fixed..order.len() {
        order.swap(fixed, swapped);
        permute(order.clone(), fixed + 1, check);
        order.swap(fixed, swapped);
    }
}

#[test]
fn covers_all_orders() {
    let mut seen = std::collections::BTreeSet::new();
    each_order(3, |said, order| assert!(seen.insert(format!("{said:?}{order:?}"))));
    // For n nodes of which k speak: C(n, k) * 2^k sets in k! orders each.
    assert_eq!(seen.len(), (1 + 2) + (1 + 4 + 8) + (1 + 6 + 24 + 48));
}
