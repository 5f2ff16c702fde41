#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use macula::directory::MAX_NAME_BYTES;
use macula::text::{Safe, is_hidden};

use super::{MethodInfo, ServiceInfo, method_id};

/// How much of a text that is no name is repeated in the error, in bytes.
const REPEATED: usize = 64;

/// A text that no service can be called by.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is no name of a service: {fault}", Safe(.name))]
pub struct BadServiceName {
    name: String,
    fault: Fault,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
enum Fault {
    #[error("it is empty")]
    Empty,
    #[error("it has {0} bytes, and {MAX_NAME_BYTES} are the most")]
    Long(usize),
    #[error("it may hold no white space")]
    Blank,
    #[error("it has the character {}, which is not seen: leave it out", .0.escape_default())]
    Hidden(char),
    #[error("it may not hold `/`, which parts service and method on the wire")]
    Slash,
    #[error("two of its methods would have one wire id: choose another name")]
    Ids,
}

/// The contracts under other names than their own, by the type of their client. What is in here
/// stays, as the contracts themselves do: a name is a word of the program, of which there are few.
static NAMED: Mutex<BTreeMap<(TypeId, &str), &ServiceInfo>> = Mutex::new(BTreeMap::new());

impl ServiceInfo {
    /// This contract, which is that of the client with this type, under another wire name.
    ///
    /// # Errors
    ///
    /// It cannot be called so, by the same rules as in `#[service(name = "..")]`.
    pub(crate) fn named(
        &'static self,
        client: TypeId,
        name: &str,
    ) -> Result<&'static Self, BadServiceName> {
        if name == self.service_name() {
            return Ok(self);
        }
        let bad = |fault| {
            let shown = name.get(..name.floor_char_boundary(REPEATED)).unwrap_or_default();
            BadServiceName { name: shown.to_owned(), fault }
        };
        check(name).map_err(bad)?;
        let mut known = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&(client, name)) {
            return Ok(known);
        }
        let mut methods: Vec<MethodInfo> = self.methods().iter().copied().cloned().collect();
        let id = |method: &MethodInfo| method_id(name, method.method_name());
        if methods.iter().map(id).collect::<BTreeSet<_>>().len() < methods.len() {
            return Err(bad(Fault::Ids));
        }
        let name: &'static str = Box::leak(name.into());
        methods.iter_mut().for_each(|method| method.belongs_to(name));
        let methods: Vec<&'static MethodInfo> = Vec::leak(methods).iter().collect();
        let named: &'static Self = Box::leak(Box::new(self.renamed(name, Vec::leak(methods))));
        known.insert((client, name), named);
        Ok(named)
    }
}

impl MethodInfo {
    /// This method of a contract, as it is called where the contract has another name.
    #[inline]
    pub(crate) fn under(&'static self, renamed: Option<&'static ServiceInfo>) -> &'static Self {
        renamed.and_then(|info| info.at(self.position())).unwrap_or(self)
    }
}

fn check(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Fault::Long(name.len()));
    }
    if let Some(hidden) = name.chars().find(|letter| is_hidden(*letter)) {
        return Err(Fault::Hidden(hidden));
    }
    if name.contains(char::is_whitespace) {
        return Err(Fault::Blank);
    }
    if name.contains('/') {
        return Err(Fault::Slash);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIND: MethodInfo = MethodInfo::new("Users", "find", "(u64)->u64").index(3).idempotent();
    const USERS: ServiceInfo = ServiceInfo::new("Users", &[&FIND]).global().timeout_ms(70);
    static SERVICE: ServiceInfo = USERS;

    struct Client;
    struct Other;

    #[test]
    fn all_but_the_name_is_that_of_the_contract() {
        let eu = SERVICE.named(TypeId::of::<Client>(), "users-eu").unwrap();
        assert_eq!((eu.service_name(), eu.is_global()), ("users-eu", true));
        assert_eq!(eu.default_timeout(), SERVICE.default_timeout());
        let find = eu.at(3).unwrap();
        assert_eq!((find.service_name(), find.method_name()), ("users-eu", "find"));
        assert_eq!(find.wire_id(), method_id("users-eu", "find"));
        assert_eq!((find.key(), find.is_idempotent()), (FIND.key(), true));
        assert_ne!(find.wire_id(), FIND.wire_id());
        let contract = SERVICE.at(3).unwrap();
        assert_eq!(contract.under(Some(eu)).service_name(), "users-eu");
        assert_eq!(contract.under(None).service_name(), "Users");
    }

    #[test]
    fn each_name_is_kept_once_for_each_client() {
        let of = |client, name| SERVICE.named(client, name).unwrap();
        let (one, other) = (TypeId::of::<Client>(), TypeId::of::<Other>());
        assert!(std::ptr::eq(of(one, "users-us"), of(one, "users-us")));
        assert!(!std::ptr::eq(of(one, "users-us"), of(other, "users-us")));
        assert!(std::ptr::eq(of(one, "Users"), &raw const SERVICE));
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_fault() {
        let fault =
            |name: &str| SERVICE.named(TypeId::of::<Client>(), name).unwrap_err().to_string();
        assert_eq!(fault(""), "`` is no name of a service: it is empty");
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert!(fault(&long).ends_with("it has 129 bytes, and 128 are the most"));
        assert!(SERVICE.named(TypeId::of::<Client>(), &long[1..]).is_ok());
        assert!(fault("a b").ends_with("it may hold no white space"));
        assert!(fault("a\n").contains("has the character \\n,"));
        assert!(fault("a\u{200b}").contains("has the character \\u{200b},"));
        assert!(fault("a/b").contains("`/`"));
    }
}
