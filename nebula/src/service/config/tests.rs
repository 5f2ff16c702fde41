//! What the parts do together.

mod cases;
mod laws;
mod types;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;

/// The configuration of a service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Store {
    decimals: u8,
    label: String,
    pool: Pool,
    ports: Vec<u16>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Pool {
    max: u32,
    password: String,
}

impl Default for Pool {
    fn default() -> Self {
        Self { max: 8, password: "hunter2".into() }
    }
}

/// The configuration of a plugin.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    per_second: u64,
}

fn plugin(name: &str) -> Part {
    Part::Plugin(name.into())
}

fn section<C: DeserializeOwned + Serialize + Send + Sync + 'static>(
    part: &Part,
    value: &C,
) -> Section {
    Section::new(part, value, None).unwrap()
}

/// A store that takes 12 decimals at most, and the plugin `limit`.
fn sections() -> Sections {
    let validate = |store: &Store| match store.decimals {
        0..=12 => Ok(()),
        _ => Err(Invalid::new("decimals", "there are at most 12")),
    };
    let store = Store::default();
    let own = Section::new(&Part::Service, &store, Some(Box::new(validate))).unwrap();
    let limit = plugin("limit");
    let limits = section(&limit, &Limit { per_second: 100 });
    BTreeMap::from([(Part::Service, own), (limit, limits)])
}

fn file(text: &str) -> Change {
    Change::Layer(Given::file(Path::new("users.toml"), text).unwrap())
}

fn environment(variables: &[(&str, &str)]) -> Change {
    Change::Layer(Given::environment("USERS", owned(variables)).unwrap())
}

fn start(text: &str) -> Change {
    Change::Layer(Given::start(text.into()).unwrap())
}

fn runtime(text: &str) -> Change {
    Change::Layer(Given::runtime(text.into()).unwrap())
}

fn owned(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|&(name, value)| (name.into(), value.into())).collect()
}

/// The cell of [`sections`] with these layers.
fn cell(mut layers: Vec<Change>) -> ConfigCell {
    layers.insert(0, Change::Sections(sections()));
    ConfigCell::new(layers).unwrap()
}

/// What is said of these layers over [`sections`].
fn told(mut layers: Vec<Change>) -> String {
    layers.insert(0, Change::Sections(sections()));
    ConfigCell::new(layers).unwrap_err().to_string()
}

fn change(cell: &ConfigCell, changes: Vec<Change>) -> Result<Vec<Part>, ConfigError> {
    let planned = cell.plan(changes)?;
    let changed = planned.changed().to_vec();
    cell.commit(planned)?;
    Ok(changed)
}

fn store(cell: &ConfigCell) -> Arc<Store> {
    cell.get(&Part::Service).unwrap()
}

fn limit(cell: &ConfigCell) -> u64 {
    cell.get::<Limit>(&plugin("limit")).unwrap().per_second
}
