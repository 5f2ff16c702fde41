use std::io;
use std::time::Duration;

use tokio::sync::oneshot;

/// How long a process may take to leave once its parent is gone or has told it to.
const GRACE: Duration = Duration::from_secs(20);

/// The pipe from the parent. The system closes it when the parent ends, however it ends.
#[derive(Debug)]
pub struct Lifeline(oneshot::Receiver<()>);

impl Lifeline {
    /// Watches standard input. Some time after it closes the process exits with status 1, whatever
    /// it is doing.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn hold() -> io::Result<Self> {
        let (cut, closed) = oneshot::channel();
        // A thread of its own sees the end even while the runtime is stuck.
        std::thread::Builder::new().name("lifeline".to_owned()).spawn(move || {
            // An error ends the line as well as its end does.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            let _ = cut.send(());
            std::thread::sleep(GRACE);
            std::process::exit(1);
        })?;
        Ok(Self(closed))
    }

    /// Resolves when the parent is gone or wants this process to leave.
    pub async fn closed(self) {
        // The sender is dropped only by a thread that ended, which is as good as the word.
        let _ = self.0.await;
    }
}
