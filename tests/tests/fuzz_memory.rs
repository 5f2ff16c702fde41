//! What the targets of the fuzzer allocate: for n bytes of a peer at most 4 n + 64 KiB. Alone in
//! its file, since the allocator counts for the whole process.

use std::alloc::System;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod fuzzing;
use fuzzing::{corpus, mutate, mutations, targets};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many mutated inputs each target gets.
const CASES: usize = 256;

#[test]
fn what_is_allocated_is_bounded_by_what_is_sent() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for target in targets() {
        let mut inputs = corpus(target.name);
        inputs.extend((target.samples)());
        for n in 0..CASES {
            let (one, other) = (&inputs[n % inputs.len()], &inputs[(n * 7) % inputs.len()]);
            let tree = mutations().new_tree(&mut runner).unwrap();
            inputs.push(mutate(one, other, &tree.current()));
        }
        // Long ones, whose counts promise as much as there may be.
        for byte in [0, 1, 0x7f, 0xff] {
            for prefix in
                [&[][..], &[0xff, 0xff, 0], &[0xff, 0xff, 3], &[0xff, 0xff, 0xff, 0xff, 15]]
            {
                inputs.push([prefix, &vec![byte; 64 << 10]].concat());
            }
        }
        let (times, more) = target.memory;
        for input in &inputs {
            let region = Region::new(ALLOCATOR);
            (target.run)(input);
            let allocated = region.change().bytes_allocated;
            let limit = times * input.len() + more;
            assert!(
                allocated <= limit,
                "{}: {allocated} bytes for {} of input: {:?}",
                target.name,
                input.len(),
                &input[..input.len().min(100)],
            );
        }
    }
}
