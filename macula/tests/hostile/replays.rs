//! Signed records at the wrong time or in the wrong place.

use std::time::Duration;

use macula::directory::NodeRecord;
use tokio::time::sleep;

use crate::members::{sealed, still_listens};
use crate::rude::Rude;
use crate::victim::{REALM, Victim};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_record_counts_once_in_its_realm_and_while_its_node_is_there() {
    let victim = Victim::new().await;
    let (rude, mut lane) = Rude::member(&victim, 10).await;
    let (other, mut farewell) = Rude::member(&victim, 20).await;
    let key = other.key.clone();
    let mut known = NodeRecord::clone(&victim.mesh.record(&victim.honest.id()).unwrap());
    known.node = key.id();
    let with = |version, name: &str| {
        let mut record = known.clone();
        (record.version, record.name) = (version, name.into());
        record
    };
    let named = || victim.mesh.record(&key.id()).map(|record| record.name.clone());

    // Of what a node signs, the newest counts, whoever brings it and however often.
    lane.say(&sealed(&with(9, "newer"), &key, REALM)).await;
    still_listens(&mut lane).await;
    assert_eq!(named().as_deref(), Some("newer"));
    for (version, name) in [(1, "first"), (8, "older"), (9, "another of the same version")] {
        lane.say(&sealed(&with(version, name), &key, REALM)).await;
    }
    lane.say(&sealed(&with(99, "elsewhere"), &key, "another realm")).await;
    lane.say(&sealed(&with(99, "forged"), &rude.key, REALM)).await;
    // Signed by the right key for another purpose.
    let bytes = postcard::to_stdvec(&with(99, "another purpose")).unwrap();
    lane.say(&[&[6][..], &bytes, &key.sign(&bytes)].concat()).await;
    still_listens(&mut lane).await;
    assert_eq!(named().as_deref(), Some("newer"));

    // It leaves; nothing that it signed before brings it back.
    let last = with(9, "newer");
    farewell.say(&[11]).await;
    sleep(SECOND).await;
    lane.say(&sealed(&last, &key, REALM)).await;
    still_listens(&mut lane).await;
    assert!(victim.mesh.view().node(&key.id()).is_none(), "a node that left serves nothing");
    // The liar answers no probes, and is somebody else by then.
    sleep(40 * SECOND).await;
    assert!(victim.mesh.record(&key.id()).is_none(), "its record is forgotten");
    let (_rude, mut lane) = Rude::member(&victim, 11).await;
    lane.say(&sealed(&last, &key, REALM)).await;
    still_listens(&mut lane).await;
    assert!(victim.mesh.record(&key.id()).is_none(), "and stays away");
    victim.is_well(0).await;
}
