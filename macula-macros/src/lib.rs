//! The macros of nebula: `#[service]`, `#[api]`, `#[plugin]`, `sel!`, `topology!`, `on_nodes!`,
//! `roles!` and the derive `IntoStatus`. Use them through `nebula`, which re-exports them; what they
//! expand to names only `::nebula`.
//!
//! An annotated trait goes through four steps, one module each: its arguments are read (`args`),
//! the trait becomes plain data (`model`), every rule is checked and all faults are kept
//! (`check`), and the pieces are written (`expand`). A fault never makes the trait vanish: what
//! is right is still expanded, so that the only errors a user sees are the ones to mend
//! (`recover`).
//!
//! The others are smaller. Selectors are read by `selector` and become a `clause`; `topology` knows
//! the nodes of a file, `on_nodes` and `roles` the Cargo features of the crate (`features`). `status`
//! reads `#[status(..)]` with the same grammar of options as `args`. `plugin` adds one constant.
//!
//! Limits: 8 arguments a method, 65 535 methods a trait, 4 KiB a selector, 1 MiB a topology. The
//! same input always gives the same output. `topology!` reads the file that it is told, `on_nodes!`
//! and `roles!` the `Cargo.toml` of the crate; the other macros read no file. Of the environment,
//! only what Cargo says of the crate is read.

mod args;
mod check;
mod clause;
mod expand;
mod features;
mod krate;
mod model;
mod names;
mod on_nodes;
mod plugin;
mod recover;
mod roles;
mod selector;
mod status;
mod topology;

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
/// - `policy = "round_robin"`: which node its calls to one node ask first, unless the method says
///   so; one of `local_first`, `round_robin`, `random`, `least_loaded`, `closest`.
/// - `timeout = "2s"`: the default time limit of its calls, where a method sets none.
/// - `max_concurrent = 64`: how many bodies of all its methods run at once on a node. A method's own
///   bound holds besides.
/// - `queue = 256`: how many of its calls wait for their turn on a node; 0 refuses at once. A call
///   that is not likely to be done in time if it waits is refused, too.
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
/// - `queue = 256`: how many of its calls wait for their turn on a node; 0 refuses at once. A call
///   that is not likely to be done in time if it waits is refused, too.
/// - `on = "&db"`: the default selector of its calls.
/// - `policy = "round_robin"`: which node its calls to one node ask first, as for `#[service]`.
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

/// Says which hooks a plugin has: those that its `impl` writes. What it does not write is not called
/// then, and costs calls nothing.
///
/// ```text
/// #[plugin]
/// impl Plugin for Watch {                       // const HOOKS: Hooks = Hooks::BEFORE;
///     fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
///         Ok(())
///     }
/// }
/// ```
///
/// It fills in `const HOOKS` and does nothing else. A hook under `#[cfg(..)]` counts where it is
/// there. `#[plugin(crate = "path")]` says where nebula is found when it was renamed.
///
/// # Errors
///
/// `HOOKS` is written as well; a macro in the `impl`, whose hooks cannot be seen; anything but an
/// `impl Plugin for ..`.
#[proc_macro_attribute]
pub fn plugin(args: TokenStream, item: TokenStream) -> TokenStream {
    plugin::expand(args.into(), item.into()).into()
}

/// A selector in the short form, checked when it is compiled: `sel!(&db !@backup)`.
///
/// `&tag` and `@node` are the clauses, `!` excludes, clauses side by side must all hold, `|` is
/// or and binds weaker, parentheses group, and `*` is every node. Names that Rust cannot read,
/// and full node names, are written in quotes: `@"db-1@host"`.
///
/// When nebula was renamed, its path comes first: `sel!(crate = my::nebula; &db)`. For names that
/// are checked against a topology, see `topology!`.
///
/// # Errors
///
/// A token out of place is a compile error under that token.
#[proc_macro]
pub fn sel(input: TokenStream) -> TokenStream {
    expand::sel(input.into()).into()
}

/// A topology that the compiler knows: constants for its tags and nodes, and a `sel!` that refuses
/// names it does not have.
///
/// ```text
/// nebula::topology!(pub mod cluster = "nebula.toml");     // or `topology!("nebula.toml")`
/// users.find(42).on(cluster::tags::DB & !cluster::nodes::DB_1).await?;
/// users.find(42).on(cluster::sel!(&db !@backup)).await?;
/// Node::builder("db-1").tag(cluster::tags::DB).topology(cluster::topology());
/// ```
///
/// The path counts from the folder of the crate's `Cargo.toml`. The file has the form of
/// `Topology::from_toml`; when it changes, the crate is compiled anew. The module holds:
///
/// - `tags`: a `Tag` for each tag, its name in upper case, with `_` for what no identifier holds;
/// - `nodes`: a `NodeName` for each full name and for each short one, named likewise (`db-1@h1` is
///   `DB_1_H1`, and `DB_1` is every node called `db-1`);
/// - `topology()`: the nodes, for `NodeBuilder::topology`;
/// - `sel!`: as the crate's own, and a tag or a node that the file does not have is an error under
///   that name, and so is a selector that means no node. It can be used in this crate; another one
///   writes a `topology!` of its own.
///
/// Without `mod ..` the module is called `topology` and private. Attributes go before it:
/// `topology!(#[cfg(test)] mod cluster = ..)`. When nebula was renamed, its path comes first, from
/// the root: `topology!(crate = crate::my::nebula; mod cluster = ..)`.
///
/// # Errors
///
/// A file that is missing or is no topology, with the line, and two names that would be one
/// constant.
#[proc_macro]
pub fn topology(input: TokenStream) -> TokenStream {
    topology::expand(input.into()).into()
}

/// What the `sel!` of a `topology!` becomes. Not for other code.
#[doc(hidden)]
#[proc_macro]
pub fn sel_of(input: TokenStream) -> TokenStream {
    topology::sel(input.into()).into()
}

/// Code for some roles only: a build without them leaves it out, with all that only it names.
///
/// A role is a Cargo feature of the crate: the tag `&db` is the feature `db`, the node `@web-1` the
/// feature `web-1`. `&db &eu` is a build that carries both, `&db | &web` one that carries either,
/// `!&db` one that does not carry `db`. Make all roles `default` features: then an ordinary build
/// carries everything and can run as any node, and `--no-default-features --features db` is pruned.
///
/// ```text
/// nebula::on_nodes!(&db {                      // around items, any number of them
///     mod store;
///     pub use store::Store;
/// });
///
/// fn main() {
///     nebula::on_nodes!(if &db { open(); });                             // a statement
///     let kind = nebula::on_nodes!(if &db { "db" } else { "other" });    // an expression
/// }
/// ```
///
/// - Without `if` the braces hold items, in a module or in an `impl`. With `if` they hold a body,
///   and the whole is a block: what is declared in it ends with it, and without `else` its value
///   is `()`.
/// - `else if &web { .. }` and `else { .. }` may follow; a build carries the first that fits it.
/// - The question is about the build, never about the node that it runs as: a build that carries
///   everything has no `else`. Which nodes a call goes to is a matter of selectors.
/// - It may stand inside itself. The code that is left out must be Rust, and is not checked.
///
/// # Errors
///
/// A name that is no feature of the crate; a full name (`@"db-1@h1"`), since a build is not for one
/// machine; missing braces; what is no item, without `if`.
#[proc_macro]
pub fn on_nodes(input: TokenStream) -> TokenStream {
    on_nodes::expand(input.into()).into()
}

/// The roles of this program, and which of them this build carries: `roles![db, web]`, for
/// `NodeBuilder::roles`.
///
/// The value is a `Roles`, also in a `const`. Each role is a Cargo feature, as with `on_nodes!`;
/// names that Rust cannot read are written in quotes. Name all roles, so that a build can say
/// which ones it lacks. When nebula was renamed, its path comes first: `roles![crate = my::n; db]`.
///
/// # Errors
///
/// A name that is no feature of the crate, or is there twice; no names.
#[proc_macro]
pub fn roles(input: TokenStream) -> TokenStream {
    roles::expand(input.into()).into()
}

/// Makes an error one that has a status: `nebula::IntoStatus`, and `From` into `nebula::Status`, so
/// that `?` works in a function that returns one.
///
/// ```text
/// #[derive(Debug, thiserror::Error, IntoStatus)]
/// enum OrderError {
///     #[error("there is no order {id}")]
///     #[status(code = 404, name = "not_found", public)]
///     NoOrder { #[status(data)] id: u64 },
///     #[error("sold out")]
///     #[status(code = 409, public)]                       // its code is `sold_out`
///     SoldOut,
///     #[error("the disk is full")]                        // internal: 500, and withheld
///     DiskFull,
///     #[error(transparent)]
///     #[status(transparent)]
///     Stock(#[from] CallError<StockError>),
/// }
/// ```
///
/// It goes on an enum or a struct; what is said here of a variant holds for a struct, too.
///
/// # Options of a variant
///
/// - `code = 404`: the HTTP number, in 300..=599; 500 unless set.
/// - `public`: strangers may see it. It needs a `code`. What is not public is withheld from them,
///   and logged.
/// - `name = "not_found"`: the code for machines, of letters `a` to `z`, digits, `_`, `-` and `.`;
///   the name of the variant in snake case unless set.
/// - `message = "No such order"`: the sentence, as it is; what `Display` writes unless set.
/// - `transparent`, alone: the status of its only field.
///
/// On a field, `data` puts what its `Display` writes into the data of the status, under the name
/// of the field; `data = "order"` under another.
///
/// On the type, `crate = "path"` says where nebula is found when it was renamed.
///
/// # Errors
///
/// A broken rule is a compile error under the token to change; all of a type's errors are reported
/// together.
#[proc_macro_derive(IntoStatus, attributes(status))]
pub fn into_status(item: TokenStream) -> TokenStream {
    status::derive(item.into()).into()
}
