//! The macros of nebula: `#[service]`, `#[api]` and `sel!`. Use them through `nebula`, which
//! re-exports them; what they expand to names only `::nebula`.
//!
//! An annotated trait goes through four steps, one module each: its arguments are read (`args`),
//! the trait becomes plain data (`model`), every rule is checked and all faults are kept
//! (`check`), and the pieces are written (`expand`). A fault never makes the trait vanish: what
//! is right is still expanded, so that the only errors a user sees are the ones to mend
//! (`recover`).
//!
//! Limits: 8 arguments a method, 65 535 methods a trait, 4 KiB a selector. The macros read no
//! file and no environment, and the same input always gives the same output.

mod args;
mod check;
mod expand;
mod model;
mod names;
mod recover;
mod selector;

use proc_macro::TokenStream;

/// Turns a trait into a service: a contract that any node can implement and any node can call.
///
/// ```text
/// /// Finds and keeps users.
/// #[service(global)]
/// pub trait Users {
///     #[api(idempotent)]
///     async fn find(&self, id: u64) -> Option<User>;
///     #[api(timeout = "2s")]
///     async fn put(&self, user: User) -> Result<(), PutError>;
/// }
/// ```
///
/// The trait stays an ordinary trait, implemented with plain `async fn`. Beside it appears
/// `UsersClient`, which has one method for each `#[api]` method.
///
/// # Options
///
/// - `global`: the service is advertised to the cluster; without it, it is reachable in its own
///   process only.
/// - `name = "users"`: its name on the wire, instead of the trait's.
/// - `version = "1.2.0"`: shown to operators.
/// - `on = "&db !@backup"`: the default selector of its calls.
/// - `stragglers = "cancel" | "finish"`: what becomes of calls left over after a decision, for
///   methods that do not say so themselves.
/// - `max_extensions = 3`: how often a handler may extend its call, for methods that do not say so
///   themselves; 0 is never, at most 1000.
/// - `transparent`: the client implements the trait too. Every `#[api]` method then returns a
///   `Result<_, E>` with `E: From<CallError>`.
/// - `crate = "path"`: where nebula is found when it was renamed, instead of `::nebula`.
///
/// # Errors
///
/// A broken rule is a compile error under the token to change; all of a trait's errors are
/// reported together. The rules: no generics or lifetimes, no associated types or constants, no
/// supertraits but `Send`, `Sync` and `'static`, at least one `#[api]` method.
#[proc_macro_attribute]
pub fn service(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::service(args.into(), item.into()).into()
}

/// Marks a method of a `#[service]` trait that can be called through its client.
///
/// Methods without it are private to the implementation.
///
/// # Options
///
/// - `idempotent`: running it twice does no harm, so it may be retried or hedged elsewhere.
/// - `timeout = "2s"`: the default time limit of its calls, in `ms`, `s`, `m` or `h`; more than
///   zero, at most 24 hours.
/// - `max_concurrent = 64`: how many of its bodies run at once on a node.
/// - `queue = 256`: how many of its calls wait for their turn on a node.
/// - `on = "&db"`: the default selector of its calls.
/// - `stragglers = "cancel" | "finish"`: what becomes of calls left over after a decision;
///   unless set, those of an idempotent method are cancelled and all others finish.
/// - `max_extensions = 3`: how often a handler may extend its call (`cx.extend(..)`); 0 is never, at
///   most 1000, and 10 unless set.
/// - `spawn`: its bodies get a task of their own at once.
/// - `name = "store"`: its name on the wire, instead of the method's.
/// - `version = 2`: the version of its meaning; another version is another shape to peers, who
///   refuse the call as `Incompatible`. Raise it when the fields of a type in the signature
///   change: the key of a shape is made from the *text* of the types, which stays the same.
///
/// # Errors
///
/// The method is `async`, takes `&self`, then perhaps `cx: &Context`, then at most 8 named
/// arguments of owned types, and returns an owned type. Used outside a `#[service]` trait,
/// `#[api]` is an error that says so.
#[proc_macro_attribute]
pub fn api(args: TokenStream, item: TokenStream) -> TokenStream {
    recover::api_alone(args.into(), item.into()).into()
}

/// A selector in the short form, checked when it is compiled: `sel!(&db !@backup)`.
///
/// `&tag` and `@node` are the clauses, `!` excludes, clauses side by side must all hold, `|` is
/// or and binds weaker, parentheses group, and `*` is every node. Names that Rust cannot read,
/// and full node names, are written in quotes: `@"db-1@host"`.
///
/// # Errors
///
/// A token out of place is a compile error under that token.
#[proc_macro]
pub fn sel(input: TokenStream) -> TokenStream {
    expand::sel(input.into()).into()
}
