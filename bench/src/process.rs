//! Processes of this program in other roles, and their lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Failure;

/// A process that was started, and that ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Closed first, so that a role that helps itself with processes of its own can end them.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// A server that is ready.
#[derive(Debug)]
pub struct Server {
    /// Where, in the words of its candidate.
    pub addr: String,
    /// Its processes.
    pub pids: Vec<u32>,
    _process: Process,
}

/// A client that is connected to a server.
#[derive(Debug)]
pub struct Client {
    process: Process,
}

impl Process {
    /// Starts this program again with other words, on one core if that is said.
    ///
    /// # Errors
    /// The system refuses.
    pub fn start(words: &[&str], core: Option<usize>) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(words);
        if let Some(core) = core {
            command.args(["--core", &core.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("a process without output")?);
        Ok(Self { child, orders, answers })
    }

    /// Its next line.
    ///
    /// # Errors
    /// It has ended; why stands on its error output, which is that of this process.
    pub fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err("a process ended before it answered".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn say(&mut self, order: &str) -> Result<(), Failure> {
        let orders = self.orders.as_mut().ok_or("a process that takes no orders")?;
        Ok(writeln!(orders, "{order}")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.orders.take());
        // A second is enough for any of them; a server that hangs must not stop the comparison.
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    /// It ends instead.
    pub fn start(words: &[&str], core: Option<usize>) -> Result<Self, Failure> {
        let words: Vec<_> = std::iter::once("serve").chain(words.iter().copied()).collect();
        let mut process = Process::start(&words, core)?;
        let line = process.line()?;
        let mut parts = line.split_whitespace().skip(1);
        let addr = parts.next().ok_or("a server that does not say where it is")?.to_owned();
        let mut pids = parts.map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        pids.push(process.child.id());
        Ok(Self { addr, pids, _process: process })
    }
}

impl Client {
    /// Starts a client of that server and waits until it is connected.
    ///
    /// # Errors
    /// It ends instead.
    pub fn start(id: &str, server: &Server, core: Option<usize>) -> Result<Self, Failure> {
        Self::of(id, &server.addr, &server.pids, core)
    }

    /// A client of these processes, of which one is at `addr`.
    ///
    /// # Errors
    /// It ends instead.
    pub fn of(id: &str, addr: &str, pids: &[u32], core: Option<usize>) -> Result<Self, Failure> {
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        let mut words = vec!["drive", id, addr];
        words.extend(pids.iter().map(String::as_str));
        let mut process = Process::start(&words, core)?;
        process.line()?;
        Ok(Self { process })
    }

    /// Gives an order and waits for the answer.
    ///
    /// # Errors
    /// It could not be carried out.
    pub fn order(&mut self, order: &str) -> Result<String, Failure> {
        self.process.say(order)?;
        let line = self.process.line()?;
        match line.strip_prefix("failed ") {
            Some(why) => Err(format!("`{order}`: {why}").into()),
            None => Ok(line),
        }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }
}
