//! The quickstart: three server processes, one client process, and what happens to them.
//!
//! Promise: exit status 0 only if every step went as announced; 1 if one did not; 2 if the command
//! line or the data file is refused, before anything was started. No process outlives the run,
//! however it ends. Nothing is left on disk unless the launcher itself is killed with SIGKILL.
//!
//! Protocol. The program starts itself again, with roles that its help does not list:
//!
//! ```text
//! launcher ── checks the data; owns the directory, realm and cookie of this run
//!   └─ client ── a node that tells the story
//!        └─ server s1, s2, s3 ── nodes that serve the table
//! ```
//!
//! Each child holds a pipe from its parent as standard input and leaves when it closes
//! ([`Lifeline`]), which the system sees to even if the parent is killed. A server says
//! `ready <address>` on standard output once it can be called ([`ServerProcess`]).
//!
//! Limits: a server is ready within [`process::READY_WITHIN`], a step ends within
//! [`story::STEP_LIMIT`], and a child that was told to leave is gone after [`lifeline::GRACE`].

pub mod args;
pub mod launch;
pub mod lifeline;
pub mod process;
pub mod scenes;
pub mod servers;
pub mod serving;
pub mod stage;
pub mod story;
pub mod traffic;

pub use args::Args;
pub use lifeline::Lifeline;
pub use process::{ProcessError, ServerProcess};
pub use servers::Servers;
pub use stage::Stage;
pub use story::{Broken, Mishap, Story};
pub use traffic::Traffic;
