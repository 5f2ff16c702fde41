use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};

use super::WireError;
use super::fields::Fields;
use crate::membership::Member;

/// The newest version of the protocol that this library speaks.
pub(crate) const VERSION: u16 = 1;
const MAGIC: [u8; 6] = *b"macula";

/// The dialler's first frame: what it speaks, and its proof of the realm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hello {
    /// The oldest and the newest version of the protocol that the dialler speaks.
    pub(crate) versions: (u16, u16),
    pub(crate) realm: [u8; 8],
    pub(crate) proof: [u8; 32],
}

impl Hello {
    /// The length of an encoded `Hello`, in bytes; nothing longer is read from a peer that has
    /// proved nothing.
    pub(crate) const LENGTH: usize = 6 + 4 + 8 + 32;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.put_u16_le(self.versions.0);
        out.put_u16_le(self.versions.1);
        out.extend_from_slice(&self.realm);
        out.extend_from_slice(&self.proof);
    }

    pub(crate) fn decode(frame: Bytes) -> Result<Self, WireError> {
        let mut fields = Fields::new(frame);
        if fields.array()? != MAGIC {
            return Err(WireError::NotMacula);
        }
        let versions = (fields.u16()?, fields.u16()?);
        let hello = Self { versions, realm: fields.array()?, proof: fields.array()? };
        fields.end()?;
        Ok(hello)
    }
}

/// The listener's answer: the version to speak, and its own proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Welcome {
    pub(crate) version: u16,
    pub(crate) proof: [u8; 32],
}

impl Welcome {
    /// The length of an encoded `Welcome`, in bytes.
    pub(crate) const LENGTH: usize = 2 + 32;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16_le(self.version);
        out.extend_from_slice(&self.proof);
    }

    pub(crate) fn decode(frame: Bytes) -> Result<Self, WireError> {
        let mut fields = Fields::new(frame);
        let welcome = Self { version: fields.u16()?, proof: fields.array()? };
        fields.end()?;
        Ok(welcome)
    }
}

/// What each side says of itself once both have proved the realm.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Introduction {
    pub(crate) member: Member,
    /// Knows nobody else yet, and wants the whole member table.
    pub(crate) joining: bool,
}

impl Introduction {
    /// The longest encoded introduction, in bytes.
    pub(crate) const LENGTH: usize = 256;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        // Writing into memory fails for no value of this type.
        if let Ok(bytes) = postcard::to_allocvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<Self, WireError> {
        match postcard::take_from_bytes(frame) {
            Ok((introduction, [])) => Ok(introduction),
            Ok(_) => Err(WireError::Trailing),
            Err(_) => Err(WireError::BadField),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::NodeId;

    #[test]
    fn all_parts_round_trip_within_their_lengths() {
        let hello = Hello { versions: (1, 7), realm: [3; 8], proof: [9; 32] };
        let mut out = Vec::new();
        hello.encode(&mut out);
        assert_eq!(out.len(), Hello::LENGTH);
        assert_eq!(Hello::decode(out.into()), Ok(hello));

        let welcome = Welcome { version: 1, proof: [9; 32] };
        let mut out = Vec::new();
        welcome.encode(&mut out);
        assert_eq!(out.len(), Welcome::LENGTH);
        assert_eq!(Welcome::decode(out.into()), Ok(welcome));

        let member = Member {
            id: NodeId::from_bytes([255; 32]),
            addr: "[ffff::ffff]:65535".parse().unwrap(),
            generation: u64::MAX,
        };
        let introduction = Introduction { member, joining: true };
        let mut out = Vec::new();
        introduction.encode(&mut out);
        assert!(out.len() <= Introduction::LENGTH);
        assert_eq!(Introduction::decode(&out), Ok(introduction));
    }

    #[test]
    fn another_protocol_is_named_as_such() {
        let bytes = Bytes::from(vec![b'x'; Hello::LENGTH]);
        assert_eq!(Hello::decode(bytes), Err(WireError::NotMacula));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Hello::decode(bytes.clone().into());
            let _ = Welcome::decode(bytes.clone().into());
            let _ = Introduction::decode(&bytes);
        }
    }
}
