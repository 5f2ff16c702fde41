//! The contract kept by a table in memory.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::contract::{TimeZones, ZoneError};
use crate::zones::{LoadError, Table, Zone};

/// A table of time zones and the file it came from.
#[derive(Debug)]
pub struct Store {
    data: PathBuf,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    table: Arc<Table>,
    /// Rises with every change, by correction or by reload. From 1.
    revision: u64,
}

impl Store {
    /// Loads the table in the file `data`. Blocks on the disk.
    ///
    /// # Errors
    /// Those of [`Table::load`].
    pub fn open(data: impl Into<PathBuf>) -> Result<Self, LoadError> {
        let data = data.into();
        let table = Arc::new(Table::load(&data)?);
        Ok(Self { data, state: RwLock::new(State { table, revision: 1 }) })
    }

    /// The table as it is now. Later changes do not reach it.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.read().table)
    }

    /// How often the table changed since it was first loaded, plus 1.
    pub fn revision(&self) -> u64 {
        self.read().revision
    }

    // A panic between lock and unlock leaves the state whole: each change is one assignment.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TimeZones for Store {
    async fn zones_of(&self, country: String) -> Vec<Zone> {
        self.table().zones_of(&country)
    }

    async fn nearest(&self, lat: f64, lon: f64) -> Result<Zone, ZoneError> {
        self.table().nearest(lat, lon).ok_or(ZoneError::NoPlace { lat, lon })
    }

    async fn reload(&self) -> Result<u64, ZoneError> {
        let data = self.data.clone();
        let table = tokio::task::spawn_blocking(move || Table::load(data))
            .await
            .map_err(|error| ZoneError::Data(error.to_string()))?
            .map_err(|error| ZoneError::Data(error.to_string()))?;
        let zones = table.len() as u64;
        let mut state = self.write();
        state.table = Arc::new(table);
        state.revision += 1;
        Ok(zones)
    }

    async fn correct(&self, zone: String, comment: String) -> Result<u64, ZoneError> {
        let mut state = self.write();
        let mut table = Table::clone(&state.table);
        if table.correct(&zone, &comment)? {
            state.table = Arc::new(table);
            state.revision += 1;
        }
        Ok(state.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "DE\t+5230+01322\tEurope/Berlin\nFR\t+4852+00220\tEurope/Paris\n";

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data.tab");
        std::fs::write(&data, TWO).unwrap();
        (dir, Store::open(data).unwrap())
    }

    #[tokio::test]
    async fn questions_are_answered_from_the_table() {
        let (_dir, store) = store();
        assert_eq!(store.zones_of("fr".into()).await, store.table().zones_of("FR"));
        assert_eq!(store.nearest(52.0, 13.0).await.unwrap().name, "Europe/Berlin");
        let nowhere = ZoneError::NoPlace { lat: 91.0, lon: 0.0 };
        assert_eq!(store.nearest(91.0, 0.0).await, Err(nowhere));
    }

    #[tokio::test]
    async fn the_same_correction_twice_is_one() {
        let (_dir, store) = store();
        let before = store.table();
        assert_eq!(store.correct("Europe/Berlin".into(), "here".into()).await, Ok(2));
        assert_eq!(store.correct("Europe/Berlin".into(), "here".into()).await, Ok(2));
        assert_eq!(store.zones_of("DE".into()).await[0].comment.as_deref(), Some("here"));
        assert_eq!(before.zone("Europe/Berlin").unwrap().comment, None);
        let refused = store.correct("Europe/Bonn".into(), "here".into()).await;
        assert!(matches!(refused, Err(ZoneError::Correction(_))), "{refused:?}");
        assert_eq!(store.revision(), 2);
    }

    #[tokio::test]
    async fn a_reload_reads_the_file_or_changes_nothing() {
        let (dir, store) = store();
        let data = dir.path().join("data.tab");
        std::fs::write(&data, &TWO[..TWO.find('F').unwrap()]).unwrap();
        assert_eq!(store.reload().await, Ok(1));
        assert_eq!(store.revision(), 2);
        std::fs::write(&data, "DE\tnowhere\tEurope/Berlin\n").unwrap();
        let Err(ZoneError::Data(message)) = store.reload().await else { panic!("must fail") };
        assert!(message.contains("data.tab line 1"), "{message}");
        assert_eq!((store.table().len(), store.revision()), (1, 2));
    }
}
