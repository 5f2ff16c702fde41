//! A realm, and the proof that a node belongs to it.
//!
//! Once a connection has proved the keys of both ends, each end proves that it has the realm's
//! cookie: it sends a keyed hash over its role, a secret exported from the TLS session, the
//! realm's name and both node ids. The proof fits no other connection, direction or realm, so it
//! cannot be replayed, reflected or carried on by a node in the middle.
//!
//! Limit: whoever is sent a proof can test guesses of the cookie against it, so a cookie that
//! people make up can be found. A generated one cannot.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use zeroize::Zeroizing;

use super::{Cookie, NodeId};

/// The nodes that meet each other: those with the same name and the same cookie.
#[derive(Clone, Debug)]
pub struct Realm {
    name: String,
    cookie: Cookie,
}

/// The text cannot name a realm. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{name}` cannot name a realm: 1 to 64 letters, digits, `.`, `_` and `-` are expected, \
     with no `.` in front"
)]
pub struct RealmNameError {
    name: String,
}

/// What an end of a connection is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Dialler,
    Listener,
}

/// Separates these hashes from all others that anybody makes.
const TAG_CONTEXT: &str = "macula 2026-11 realm tag, version 1";
const PROOF_CONTEXT: &str = "macula 2026-11 realm admission proof, version 1";

impl Realm {
    /// The realm with this name, for the holders of this cookie.
    ///
    /// # Errors
    ///
    /// When the name is not 1 to 64 of the ASCII letters, digits, `.`, `_` and `-`, or begins
    /// with a `.`: it names files, too.
    pub fn new(name: impl Into<String>, cookie: Cookie) -> Result<Self, RealmNameError> {
        let name = name.into();
        check_name(&name)?;
        Ok(Self { name, cookie })
    }

    /// Its name, which is no secret.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Eight bytes that tell its name from others to strangers. Not a secret, and not a proof.
    pub(crate) fn tag(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key(TAG_CONTEXT, self.name.as_bytes());
        [a, b, c, d, e, f, g, h]
    }

    /// What `prover`, in `role`, sends to `verifier` over the connection that `exporter` was
    /// exported from.
    pub(crate) fn prove(
        &self,
        role: Role,
        exporter: &[u8; 32],
        prover: NodeId,
        verifier: NodeId,
    ) -> [u8; 32] {
        self.proof(role, exporter, prover, verifier).into()
    }

    /// Whether `proof` is what `prover`, in `role`, had to send. Takes as long for any answer.
    pub(crate) fn verify(
        &self,
        role: Role,
        exporter: &[u8; 32],
        prover: NodeId,
        verifier: NodeId,
        proof: &[u8; 32],
    ) -> bool {
        // `Hash` compares in constant time.
        self.proof(role, exporter, prover, verifier) == blake3::Hash::from_bytes(*proof)
    }

    fn proof(
        &self,
        role: Role,
        exporter: &[u8; 32],
        prover: NodeId,
        verifier: NodeId,
    ) -> blake3::Hash {
        let key = Zeroizing::new(blake3::derive_key(PROOF_CONTEXT, self.cookie.as_bytes()));
        let role = match role {
            Role::Dialler => 1,
            Role::Listener => 2,
        };
        // The name is the only part without a fixed length, so it needs its length in front.
        blake3::Hasher::new_keyed(&key)
            .update(&[role])
            .update(exporter)
            .update(&(self.name.len() as u64).to_le_bytes())
            .update(self.name.as_bytes())
            .update(prover.as_bytes())
            .update(verifier.as_bytes())
            .finalize()
    }
}

/// Whether the text can name a realm, and so be part of a file name.
pub(crate) fn check_name(name: &str) -> Result<(), RealmNameError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.') {
        return Ok(());
    }
    Err(RealmNameError { name: name.chars().take(80).collect() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn realm(name: &str, cookie: &str) -> Realm {
        Realm::new(name, Cookie::new(cookie).unwrap()).unwrap()
    }

    fn id(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn names_are_checked() {
        for name in ["a", "prod", "Blue-2.eu_west", "-", &"x".repeat(64)] {
            assert_eq!(realm(name, "c").name(), name);
        }
        for name in ["", ".", "..", ".a", "a/b", "a b", "é", "a\n", "a\0", &"x".repeat(65)] {
            assert!(Realm::new(name, Cookie::new("c").unwrap()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_tag_follows_the_name_alone() {
        assert_eq!(realm("a", "c").tag(), realm("a", "d").tag());
        assert_ne!(realm("a", "c").tag(), realm("b", "c").tag());
    }

    #[test]
    fn a_proof_fits_nothing_but_its_own_case() {
        let (a, b, exporter) = (id(1), id(2), [3; 32]);
        let ours = realm("r", "cookie");
        let proof = ours.prove(Role::Dialler, &exporter, a, b);
        assert!(ours.verify(Role::Dialler, &exporter, a, b, &proof));

        assert!(!ours.verify(Role::Listener, &exporter, a, b, &proof), "role");
        assert!(!ours.verify(Role::Dialler, &[4; 32], a, b, &proof), "connection");
        assert!(!ours.verify(Role::Dialler, &exporter, id(9), b, &proof), "prover");
        assert!(!ours.verify(Role::Dialler, &exporter, a, id(9), &proof), "verifier");
        assert!(!ours.verify(Role::Dialler, &exporter, b, a, &proof), "direction");
        let other_cookie = realm("r", "Cookie");
        assert!(!other_cookie.verify(Role::Dialler, &exporter, a, b, &proof), "cookie");
        let other_name = realm("s", "cookie");
        assert!(!other_name.verify(Role::Dialler, &exporter, a, b, &proof), "name");
    }

    /// A change here would shut new nodes out of old realms: raise the version in the context.
    #[test]
    fn the_proof_is_the_same_in_every_version() {
        let realm = realm("prod", "the cookie");
        let proof = realm.prove(Role::Listener, &[5; 32], id(6), id(7));
        assert_eq!(
            NodeId::from_bytes(proof).to_string(),
            "b13cd2dddfd593af21bd470db548f17609167b35419ce24e33da477a529ac53b"
        );
        assert_eq!(u64::from_be_bytes(realm.tag()), 6_582_038_365_685_531_938);
    }

    proptest! {
        #[test]
        fn any_bent_bit_is_seen(exporter: [u8; 32], bit in 0usize..256) {
            let realm = realm("r", "cookie");
            let mut proof = realm.prove(Role::Dialler, &exporter, id(1), id(2));
            prop_assert!(realm.verify(Role::Dialler, &exporter, id(1), id(2), &proof));
            proof[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!realm.verify(Role::Dialler, &exporter, id(1), id(2), &proof));
        }
    }
}
