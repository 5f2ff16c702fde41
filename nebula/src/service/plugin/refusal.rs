//! Why a plugin does not let a call through.

use std::time::Duration;

use macula::rpc::Fault;

/// Why a plugin ends a call without a reply of the method.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The caller may not do this: [`CallError::Denied`](crate::CallError::Denied).
    Denied(String),
    /// Not now: [`CallError::Overloaded`](crate::CallError::Overloaded). The call goes on to
    /// another node if there is one.
    Overloaded {
        /// When it may be worth while to ask again.
        retry_after: Duration,
    },
    /// Not here: the call goes on to another node if there is one.
    Unavailable(String),
    /// Its time is over: [`CallError::Deadline`](crate::CallError::Deadline).
    Expired,
    /// The plugin itself failed.
    Failed(String),
}

impl Refusal {
    /// The caller may not do this, and why.
    pub fn denied(reason: impl Into<String>) -> Self {
        Self::Denied(reason.into())
    }

    /// The same for a caller elsewhere.
    pub(crate) fn into_fault(self, executed: bool) -> Fault {
        // Until the mesh can say more.
        let _ = executed;
        Fault::Panicked(format!("{self:?}"))
    }
}
