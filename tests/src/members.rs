use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use macula::MemberEvent;
use nebula::Node;
use tokio::sync::broadcast::error::RecvError;

/// What nodes learned about who is there: a line each, in a file of each node, which survives its
/// process.
#[derive(Debug)]
pub struct Members;

/// What a node learned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Whether it is alive, or has left or died.
    pub up: bool,
    /// The identity of the node that this is about, as text.
    pub id: String,
}

impl Members {
    /// Writes down whom this node knows and what it learns from now on, as long as it runs, in
    /// `<dir>/<name>.log`, behind what is there.
    ///
    /// # Errors
    /// The system refuses the directory or the file.
    pub fn write(node: &Node, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        let file = dir.join(format!("{}.log", node.name()));
        let log = File::options().create(true).append(true).open(file)?;
        let mut events = node.mesh().watch_members();
        // Who comes in between is written twice.
        let view = node.mesh().view();
        let known: String = view.nodes().iter().map(|node| format!("up {}\n", node.id)).collect();
        (&log).write_all(known.as_bytes())?;
        tokio::spawn(async move {
            loop {
                let line = match events.recv().await {
                    Ok(MemberEvent::Up(id)) => format!("up {id}\n"),
                    Ok(MemberEvent::Down(id)) => format!("down {id}\n"),
                    Err(RecvError::Closed) => return,
                    // A line that cannot be read: nobody is to count what is not whole.
                    Ok(_) | Err(RecvError::Lagged(_)) => "missed\n".to_owned(),
                };
                (&log).write_all(line.as_bytes()).expect("a writable log");
            }
        });
        Ok(())
    }

    /// All that the node of this name has learned.
    ///
    /// # Panics
    /// If it missed some of it.
    pub fn read(dir: &Path, name: &str) -> Vec<Seen> {
        // A node that has learned nothing may not have begun to write.
        let text = fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default();
        let seen = text.lines().map(|line| {
            let (what, id) = line.split_once(' ').unwrap_or_else(|| panic!("{name} said {line:?}"));
            Seen { up: what == "up", id: id.to_owned() }
        });
        seen.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Site, until};

    #[tokio::test]
    async fn who_comes_and_goes_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(dir.path(), "none");
        let one = site.node("one").start().await.unwrap();
        assert_eq!(Members::read(&site.members(), "one"), []);
        Members::write(&one, &site.members()).unwrap();
        let itself = Seen { up: true, id: one.id().to_string() };
        let other = site.node("other").start().await.unwrap();
        let id = other.id().to_string();
        let seen = |up| Seen { up, id: id.clone() };
        let read = || Members::read(&site.members(), "one");
        until("it comes", async || read() == [itself.clone(), seen(true)]).await;
        other.shutdown().await.unwrap();
        until("it goes", async || read() == [itself.clone(), seen(true), seen(false)]).await;
        fs::write(site.members().join("gap.log"), "missed\n").unwrap();
        let members = site.members();
        assert!(std::panic::catch_unwind(|| Members::read(&members, "gap")).is_err());
    }
}
