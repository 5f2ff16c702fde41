use std::any::Any;
use std::fmt;

use crate::call::options::Options;

/// A call that is about to be made.
pub struct Outgoing<'c> {
    pub(crate) names: (&'c str, &'c str),
    pub(crate) kind: &'c str,
    pub(crate) options: &'c mut Options,
    /// What the client says with all of its calls.
    pub(crate) usual: Option<&'c Options>,
    pub(crate) args: Option<&'c mut (dyn Any + 'static)>,
}

impl Outgoing<'_> {
    /// The wire name of the service.
    pub fn service(&self) -> &str {
        self.names.0
    }

    /// The wire name of the method.
    pub fn method(&self) -> &str {
        self.names.1
    }

    /// How it is made, in one word: `one`, `all`, `first`, `quorum`, `cast`, or `raw` for a
    /// call by name.
    pub fn kind(&self) -> &str {
        self.kind
    }

    /// What is written on the call, or by its client on all calls, under this key. A trace that it
    /// belongs to is not among it yet.
    pub fn header(&self, key: &str) -> Option<&str> {
        let said = [Some(&*self.options), self.usual].into_iter().flatten();
        said.filter_map(Options::written).find_map(|written| written.get(key))
    }

    /// Writes a header on the call, in place of another one under this key, as
    /// [`Call::header`](crate::Call::header) does: with one that cannot be sent, the call fails.
    pub fn set_header(&mut self, key: &str, value: &str) {
        self.options.write(key, value);
    }

    /// The arguments, as a tuple of their types, also for one argument or none; `None` if `A` is another
    /// type. A call by name has a `serde_json::Value`.
    pub fn args<A: 'static>(&mut self) -> Option<&mut A> {
        self.args.as_mut()?.downcast_mut()
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments are never printed: they are the application's.
        f.debug_struct("Outgoing")
            .field("service", &self.names.0)
            .field("method", &self.names.1)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
