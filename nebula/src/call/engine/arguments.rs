//! The arguments of one call: as they were given until they are needed.

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::{Attempt, CallError, Outcome};
use crate::node::Node;
use crate::service::input::contained;
use crate::service::method::{Error, Method};
use crate::service::whole;
use crate::service::wire::{Args, written};

/// What is handed to each attempt of a call.
pub(crate) struct Arguments<M: Method> {
    node: Node,
    started: Instant,
    args: Option<M::Args>,
    body: Option<Bytes>,
    /// Why they cannot be written.
    fault: Option<String>,
}

impl<M: Method> Arguments<M> {
    /// The arguments of a call that `node` began at `started`.
    pub(crate) fn new(node: &Node, started: Instant, args: Option<M::Args>) -> Self {
        Self { node: node.clone(), started, args, body: None, fault: None }
    }

    /// For a local attempt; `again` keeps a copy for another one, if they can be written.
    pub(crate) fn take(&mut self, again: bool) -> Result<M::Args, CallError<Error<M>>> {
        if again {
            // Only an attempt elsewhere fails for what cannot be written.
            let _ = self.encoded();
        }
        if let Some(args) = self.args.take() {
            return Ok(args);
        }
        let body = self.encoded()?;
        contained(|| whole::read(&body, M::Args::decode))
            .map_err(|why| format!("the arguments cannot be read back: {why}"))
            .map_err(|why| self.error(Outcome::Unwritable(why.into())))
    }

    /// What a local attempt did not need after all.
    pub(crate) fn give_back(&mut self, args: Option<M::Args>) {
        self.args = self.args.take().or(args);
    }

    /// For an attempt elsewhere.
    pub(crate) fn encoded(&mut self) -> Result<Bytes, CallError<Error<M>>> {
        if let Some(body) = &self.body {
            return Ok(body.clone());
        }
        self.write().map(|body| self.body.insert(body).clone())
    }

    /// For an attempt elsewhere that is hardly ever followed by another one: they are encoded again
    /// then.
    pub(crate) fn encoded_for_one(&mut self) -> Result<Bytes, CallError<Error<M>>> {
        match &self.body {
            Some(body) => Ok(body.clone()),
            None => self.write(),
        }
    }

    fn write(&mut self) -> Result<Bytes, CallError<Error<M>>> {
        if self.fault.is_none() {
            let write = |args: &M::Args| written(|out| contained(|| args.encode(out)));
            match self.args.as_ref().map(write) {
                Some(Ok(body)) => return Ok(body),
                Some(Err(fault)) => self.fault = Some(fault),
                None => {}
            }
        }
        let why = match &self.fault {
            Some(fault) => {
                format!("the arguments cannot be written: {fault}; mend their `Serialize`")
            }
            None => "the arguments were given away".to_owned(),
        };
        Err(self.error(Outcome::Unwritable(why.into())))
    }

    /// Nothing was sent.
    fn error(&self, outcome: Outcome) -> CallError<Error<M>> {
        let elapsed = self.started.elapsed();
        CallError::Protocol(Attempt::unsent(Some(&self.node), elapsed, outcome).into())
    }
}
