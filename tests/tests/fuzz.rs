//! The targets of the fuzzer (`fuzz/`), run on its committed corpus and on mutations of valid
//! inputs. A crash that the fuzzer finds becomes a file of the corpus, and so a case of this test.
//!
//! `FUZZ_CORPUS=write cargo test -p tests --test fuzz` adds the samples to the corpus.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

mod fuzzing;
use fuzzing::{corpus, folder, mutate, mutations, targets};

#[test]
fn the_corpus_is_replayed() {
    if std::env::var_os("FUZZ_CORPUS").is_some() {
        write_samples();
    }
    for target in targets() {
        let files = corpus(target.name);
        assert!(files.len() >= 2, "{}: {} files", target.name, files.len());
        for bytes in files.iter().chain(&(target.samples)()) {
            (target.run)(bytes);
        }
    }
    let root = fs::read_dir(folder()).unwrap();
    assert_eq!(root.count(), targets().len(), "a folder without a target");
}

#[test]
fn every_target_has_a_program() {
    let programs = folder().parent().unwrap().join("fuzz_targets");
    let manifest = fs::read_to_string(programs.parent().unwrap().join("Cargo.toml")).unwrap();
    for target in targets() {
        let source = fs::read_to_string(programs.join(format!("{}.rs", target.name))).unwrap();
        assert!(source.contains(&format!("\"{}\"", target.name)), "{source}");
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
}

#[test]
fn mutations_of_what_is_valid_are_borne() {
    for target in targets() {
        let mut seeds = (target.samples)();
        seeds.extend(corpus(target.name));
        let some = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
        let mut runner = TestRunner::new(Config { cases: 256, ..Config::default() });
        let run = runner.run(&(some, mutations()), |((one, other), mutations)| {
            let (one, other) = (one.get(&seeds), other.get(&seeds));
            (target.run)(&mutate(one, other, &mutations));
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{}: {error}", target.name));
    }
}

#[test]
fn garbage_is_borne() {
    for target in targets() {
        let mut runner = TestRunner::new(Config { cases: 256, ..Config::default() });
        let run = runner.run(&prop::collection::vec(any::<u8>(), 0..600), |bytes| {
            (target.run)(&bytes);
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{}: {error}", target.name));
    }
}

fn write_samples() {
    for target in targets() {
        let folder = folder().join(target.name);
        fs::create_dir_all(&folder).unwrap();
        let samples = (target.samples)();
        let cut = samples[0][..samples[0].len() / 2].to_vec();
        let lying = [&[0xff; 5][..], &samples[0]].concat();
        let all = samples.into_iter().chain([cut, lying]);
        for (n, bytes) in all.enumerate() {
            let path: PathBuf = folder.join(format!("{n:02}"));
            fs::write(path, bytes).unwrap();
        }
    }
}
