//! The configuration of services: typed, in five layers, changed while they run.
//!
//! A service, and each of its plugins, has a configuration of its own type, which serde reads. Its
//! value is what five layers say together, the later ones over the earlier ones:
//!
//! | layer | what it is |
//! |---|---|
//! | [`Code`](Layer::Code) | the value that the service or the plugin is built with |
//! | [`File`](Layer::File) | a file in TOML |
//! | [`Environment`](Layer::Environment) | variables of the process under a prefix |
//! | [`Start`](Layer::Start) | what is given when this instance is started, or the plugin is added |
//! | [`Runtime`](Layer::Runtime) | each update while it runs |
//!
//! Tables are merged key by key, to any depth; arrays and all else are replaced. Keys at the top
//! are the service's own; the section of a plugin is `[plugins.<name>]`. The keys `name`, `class`,
//! `version`, `paused` and `silent` at the top are said in the code alone. The layers are kept, and
//! put together anew after each change: what was set at run time stays set when the file is read
//! again.
//!
//! A change is checked as a whole before any of it is in force: what does not fit the type, or what
//! its `validate` does not take, is refused with the key, the layer, the value and what was
//! expected ([`ConfigError`]). A key that nobody asks for is logged as a warning, with the one that
//! may have been meant; a type with `#[serde(deny_unknown_fields)]` refuses it.
//!
//! # Variables
//!
//! Under the prefix `USERS` the variable `USERS__RATE_LIMIT__PER_SECOND` gives the key
//! `rate_limit.per_second`: what follows the prefix is cut at each `__`, and in lower case. A value
//! is one of TOML if it reads as one (`500`, `true`, `[80, 443]`, `{ burst = 5 }`, `"5"`), and else
//! a string. Where the type wants a string it gets the text as it is (`007`), but for a string in
//! quotes, which comes without them. Two variables cannot give one key.
//!
//! # Limits
//!
//! 1 MiB a file, text or variable; 32 keys in each other; 10 000 values a layer. Integers are
//! those of TOML, from `i64::MIN` to `i64::MAX`; `None` is a key that is not there, so a later
//! layer cannot take back what an earlier one says.

pub use crate::service::config::{ConfigError, Invalid, Layer, Origin, Patch, Schema, Watched};
#[doc(no_inline)]
pub use toml::{Table, Value};
