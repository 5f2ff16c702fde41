//! What peers do wrong, in the log.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing_subscriber::fmt::MakeWriter;

use crate::alone;
use crate::frames::still_listens;
use crate::rude::Rude;
use crate::victim::{PATIENCE, Victim};

/// What is written to the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    /// How many lines say this.
    fn lines(&self, what: &str) -> usize {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines().filter(|line| line.contains(what)).count()
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_does_wrong_again_and_again_does_not_fill_the_log() {
    let _alone = alone().await;
    let log = Log::default();
    let to = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _logged = tracing::subscriber::set_default(to);
    let victim = Victim::new().await;
    // The same member, a thousand records that are none, and as many digests.
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    for _ in 0..1000 {
        lane.say(&[6, 1, 2, 3]).await;
        lane.say(&[8, 0xff, 0xff, 0xff]).await;
    }
    lane.say(&[14]).await;
    assert_eq!(rude.closed().await, 2);
    // Strangers and members, each another, who are sent away.
    for host in 0..100 {
        let rude = Rude::connect(&victim, 20 + host).await;
        rude.open().await.say(b"who is there?").await;
        assert_eq!(rude.closed().await, 1);
        let (rude, mut lane) = Rude::member(&victim, 120 + host).await;
        lane.say(&[14]).await;
        assert_eq!(rude.closed().await, 2);
    }
    victim.is_well(0).await;
    for (what, most) in [
        ("a record was refused", 1),
        ("a digest does not decode", 1),
        ("a peer was refused", 16),
        ("closing a connection", 16),
    ] {
        let lines = log.lines(what);
        assert!((1..=most).contains(&lines), "{lines} lines: {what}");
    }
    let lines = log.lines("");
    println!("{lines} lines");
    assert!(lines < 300, "{lines} lines");
}

/// Members that do wrong once each, and begin again under another name.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_members_does_not_fill_the_log() {
    const MEMBERS: u8 = 10;
    const GOODBYE: u8 = 11;
    let _alone = alone().await;
    let log = Log::default();
    let to = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _logged = tracing::subscriber::set_default(to);
    // The honest node is all that there is room for.
    let victim = Victim::with(|limits| limits.max_members = 1).await;
    for host in 0..100 {
        let (rude, mut lane) = Rude::member(&victim, 20 + host).await;
        still_listens(&mut lane).await;
        rude.connection.close(0_u32.into(), b"");
    }
    victim.is_well(0).await;
    // One that is alone asks whoever comes for its member table.
    let victim = Victim::new().await;
    victim.honest.shutdown(Duration::from_secs(1)).await;
    while !victim.mesh.view().nodes().iter().all(|node| node.id == victim.mesh.id()) {
        sleep(Duration::from_millis(10)).await;
    }
    for host in 120..220 {
        let (rude, mut lane) = Rude::member(&victim, host).await;
        lane.say(&[MEMBERS, 0xff, 0xff, 0xff]).await;
        lane.say(&[GOODBYE]).await;
        timeout(PATIENCE, rude.connection.closed()).await.expect("it is let go");
    }
    for what in ["the cluster is at its limit", "a member table does not decode"] {
        let lines = log.lines(what);
        assert!((1..=16).contains(&lines), "{lines} lines: {what}");
    }
}
