//! The path of bytes: decode, run, encode.

use std::sync::Arc;
use std::time::Duration;

use nebula::__private::{Args, Dispatch, Fault, Input, Method, ShapeOf, Started, erase};
use nebula::Context;

use crate::contract::{__users, Alias, PutError, User, UsersClient};
use crate::store::{PANICS, Store, ada};

fn users() -> Arc<dyn Dispatch> {
    erase::<UsersClient, _>(Store::new())
}

fn encoded(args: &impl Args) -> Vec<u8> {
    let mut out = Vec::new();
    args.encode(&mut out).unwrap();
    out
}

fn start(method: u16, bytes: Vec<u8>) -> Started {
    let cx = Context::detached(Duration::from_secs(1));
    users().dispatch(method, cx, Input::wire(bytes.into()))
}

async fn finish(started: Started) -> Result<Vec<u8>, Fault> {
    match started {
        Started::Body(body) => body.await.map(|answer| answer.body.into()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bytes_in_bytes_out() {
    type Find = <__users::Find as Method>::Shape;
    let reply = finish(start(0, encoded(&(7u64,)))).await.unwrap();
    let found = <Find as ShapeOf<Option<User>>>::decode(&reply).unwrap();
    assert_eq!(found, Some(ada(7)));

    type Put = <__users::Put as Method>::Shape;
    let reply = finish(start(1, encoded(&(ada(0),)))).await.unwrap();
    let put = <Put as ShapeOf<Alias<()>>>::decode(&reply).unwrap();
    assert_eq!(put, Err(PutError::ReadOnly));
}

#[tokio::test]
async fn a_panic_is_a_fault() {
    let fault = finish(start(0, encoded(&(PANICS,)))).await.unwrap_err();
    assert_eq!(fault, Fault::Panicked("the index is broken".into()));
}

#[test]
fn what_cannot_be_read_does_not_run() {
    for bytes in [vec![], vec![1, 2], vec![0xff; 32]] {
        assert!(matches!(start(0, bytes), Started::Refused(Fault::Malformed(_))));
    }
    assert!(matches!(start(9, vec![]), Started::Unknown));
}

#[test]
fn a_slot_of_another_method_is_refused() {
    let mut slot = nebula::__private::Slot::<__users::Put>::new((ada(1),));
    let cx = Context::detached(Duration::from_secs(1));
    assert!(matches!(users().dispatch(0, cx, Input::slot(&mut slot)), Started::Unknown));
}
