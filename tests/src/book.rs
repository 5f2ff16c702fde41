use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nebula::Context;

use crate::contract::{Ledger, Overdrawn, Who};

/// A ledger that writes down every call it executes: `method call`, a line each, in a file of its
/// own.
#[derive(Clone, Debug)]
pub struct Book {
    name: String,
    log: Arc<File>,
}

impl Book {
    /// Opens `<dir>/<name>.log` to write behind what is there.
    ///
    /// # Errors
    /// The system refuses the directory or the file.
    pub fn open(dir: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let log =
            File::options().create(true).append(true).open(dir.join(format!("{name}.log")))?;
        Ok(Self { name: name.to_owned(), log: Arc::new(log) })
    }

    fn executed(&self, method: &str, call: u64) -> u64 {
        // One write for the whole line: it is there or not, whenever the process is killed.
        (&*self.log).write_all(format!("{method} {call}\n").as_bytes()).expect("a writable log");
        call * 2
    }
}

impl Ledger for Book {
    async fn find(&self, call: u64) -> u64 {
        self.executed("find", call)
    }

    async fn find_slowly(&self, call: u64, wait: Duration) -> u64 {
        let answer = self.executed("find_slowly", call);
        tokio::time::sleep(wait).await;
        answer
    }

    async fn add(&self, call: u64) -> u64 {
        self.executed("add", call)
    }

    async fn add_slowly(&self, call: u64, wait: Duration) -> u64 {
        let answer = self.executed("add_slowly", call);
        tokio::time::sleep(wait).await;
        answer
    }

    async fn add_narrowly(&self, call: u64, wait: Duration) -> u64 {
        let answer = self.executed("add_narrowly", call);
        tokio::time::sleep(wait).await;
        answer
    }

    async fn spend(&self, call: u64, amount: u64) -> Result<u64, Overdrawn> {
        let answer = self.executed("spend", call);
        if amount > 100 { Err(Overdrawn { amount }) } else { Ok(answer) }
    }

    async fn break_down(&self, call: u64) -> u64 {
        self.executed("break_down", call);
        panic!("call {call} broke down on purpose");
    }

    async fn whoami(&self, cx: &Context) -> Who {
        let caller = cx.caller().map(|caller| caller.name.to_string());
        Who { name: self.name.clone(), pid: std::process::id(), caller }
    }

    async fn reversed(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.reverse();
        bytes
    }
}
