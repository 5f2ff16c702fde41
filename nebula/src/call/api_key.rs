#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
//! The fingerprint of a method's shape.

use std::fmt;

/// Eight bytes that stand for the shape of a method: its name, its version, and the types of its
/// arguments and its reply. Two nodes whose keys differ never decode each other's bytes.
///
/// It is made from the types as they are *written* in the trait: `User` stays `User` whatever its
/// fields. Who changes the fields of a type but not its name says so with
/// `#[api(version = 2)]`, or nodes of both kinds take each other's bytes for their own.
///
/// Written as 16 lower-case hexadecimal digits, by `Display` and by `Debug`.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ApiKey([u8; 8]);

impl ApiKey {
    /// Takes the eight bytes as they are.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The eight bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form() {
        let key = ApiKey::from_bytes([0, 1, 0x2a, 0xff, 9, 8, 7, 6]);
        assert_eq!(key.to_string(), "00012aff09080706");
        assert_eq!(format!("{key:?}"), "00012aff09080706");
    }
}
