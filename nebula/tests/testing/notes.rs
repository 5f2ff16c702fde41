//! The service of these tests.

use std::sync::{Arc, Mutex};

use nebula::prelude::*;
use tokio::sync::mpsc;

/// Keeps notes.
#[service(global)]
pub(crate) trait Notes {
    /// Gives the number back.
    #[api(idempotent)]
    async fn echo(&self, number: u32) -> u32;
    /// Keeps a note, and says how many there are.
    #[api]
    async fn keep(&self, note: String) -> usize;
    /// Never ends; says when it begins and when it is dropped.
    #[api]
    async fn hang(&self) -> u8;
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    notes: Arc<Mutex<Vec<String>>>,
    hangs: Option<mpsc::UnboundedSender<&'static str>>,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One that tells how its hanging calls fare.
    pub(crate) fn telling() -> (Self, mpsc::UnboundedReceiver<&'static str>) {
        let (hangs, told) = mpsc::unbounded_channel();
        (Self { hangs: Some(hangs), ..Self::default() }, told)
    }
}

struct Hanging(Option<mpsc::UnboundedSender<&'static str>>);

impl Hanging {
    fn tell(&self, what: &'static str) {
        // The test may have ended.
        self.0.as_ref().map(|told| told.send(what));
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.tell("dropped");
    }
}

impl Notes for Book {
    async fn echo(&self, number: u32) -> u32 {
        number
    }

    async fn keep(&self, note: String) -> usize {
        let mut notes = self.notes.lock().unwrap();
        notes.push(note);
        notes.len()
    }

    async fn hang(&self) -> u8 {
        let hanging = Hanging(self.hangs.clone());
        hanging.tell("began");
        std::future::pending().await
    }
}
