//! What a node may say of the calls of a connection as it ends it.

use bytes::BytesMut;
use tokio::time::{sleep, timeout};

use crate::members::{REPLY, patient, still_listens};
use crate::rude::Rude;
use crate::victim::{ECHO, PATIENCE, Victim};

const GOODBYE: u8 = 11;
const DONE: u8 = 13;
/// More than a connection takes in that nobody reads.
const LONG: usize = 4 << 20;

/// Has a long reply, reads it or not, and leaves: whether the victim says then that whatever has no
/// answer has not run.
async fn is_told_that_it_has_all(reads: bool) -> bool {
    let victim = Victim::with(|limits| limits.max_body = 2 * LONG).await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    let mut call = BytesMut::from(&patient(1, ECHO)[..]);
    call.resize(LONG, 0);
    let mut alone = rude.connection.open_uni().await.unwrap();
    alone.write_all(&u32::try_from(call.len()).unwrap().to_le_bytes()).await.unwrap();
    alone.write_all(&call).await.unwrap();
    alone.finish().unwrap();
    let mut reply = timeout(PATIENCE, rude.connection.accept_uni()).await.unwrap().unwrap();
    let mut head = [0; 6];
    reply.read_exact(&mut head).await.unwrap();
    assert_eq!(head[4..], [REPLY, 1]);
    match reads {
        true => drop(reply.read_to_end(2 * LONG).await.unwrap()),
        false => reply.stop(0_u32.into()).unwrap(),
    }
    still_listens(&mut lane).await;
    while victim.mesh.serving() > 0 {
        sleep(PATIENCE / 1000).await;
    }
    lane.say(&[GOODBYE]).await;
    while let Some(frame) = lane.frame().await {
        if frame == [DONE] {
            return true;
        }
    }
    false
}

/// A caller may stop reading because its own clock says that the body stands still; it waits on, and
/// must not be told that its call has not run.
#[tokio::test(start_paused = true)]
async fn a_call_whose_reply_was_not_read_is_not_said_not_to_have_run() {
    assert!(is_told_that_it_has_all(true).await);
    assert!(!is_told_that_it_has_all(false).await);
}
