//! What one run of the quickstart has to itself.

use std::io;
use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;

use super::args::Role;

/// A private directory, a realm nobody else has and a cookie nobody else knows. Dropping it removes
/// the directory.
#[derive(Debug)]
pub struct Stage {
    dir: TempDir,
    role: Role,
    cookie: String,
}

const RUNTIME: &str = "run";

impl Stage {
    /// Sets the stage, with `table` as the file that the servers load. It ends with a line break,
    /// so that rows can be appended to it.
    ///
    /// # Errors
    /// The temporary directory cannot be made or written.
    pub fn set(table: &str) -> io::Result<Self> {
        let dir = temp_dir()?;
        let data = dir.path().join("zones.tab");
        let end = if table.ends_with('\n') { "" } else { "\n" };
        std::fs::write(&data, format!("{table}{end}"))?;
        private_dir(&dir.path().join(RUNTIME))?;
        let role = Role {
            realm: format!("quickstart-{}", hex(&rand::random::<[u8; 8]>())),
            data,
            logs: dir.path().to_owned(),
        };
        Ok(Self { dir, role, cookie: hex(&rand::random::<[u8; 32]>()) })
    }

    /// What the processes of this run are told.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Lets `command` find this run's peers and be admitted by them, and keeps it away from the
    /// user's own nodes and files. The cookie is passed in the environment since command lines are
    /// visible to every user of the machine.
    pub fn admit(&self, command: &mut Command) {
        command.env("MACULA_CONFIG_DIR", self.dir.path());
        command.env("MACULA_RUNTIME_DIR", self.dir.path().join(RUNTIME));
        command.env("MACULA_COOKIE", &self.cookie);
    }
}

fn temp_dir() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("quickstart-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_runs_share_a_realm_or_a_cookie() {
        let (a, b) = (Stage::set("table").unwrap(), Stage::set("table").unwrap());
        assert_ne!(a.role.realm, b.role.realm);
        assert_ne!(a.cookie, b.cookie);
        assert_eq!((a.cookie.len(), a.role.realm.len()), (64, "quickstart-".len() + 16));
    }

    #[test]
    fn the_directory_goes_with_the_stage() {
        let stage = Stage::set("table").unwrap();
        let (data, logs) = (stage.role.data.clone(), stage.role.logs.clone());
        assert_eq!(std::fs::read_to_string(&data).unwrap(), "table\n");
        drop(stage);
        assert!(!logs.exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_look_into_the_runtime_directory() {
        use std::os::unix::fs::PermissionsExt;
        let stage = Stage::set("table").unwrap();
        for dir in [stage.dir.path().to_owned(), stage.dir.path().join(RUNTIME)] {
            assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}
