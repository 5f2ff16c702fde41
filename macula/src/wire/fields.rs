use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};

use super::WireError;

/// Reads fields off the front of a message, each checked for being there.
#[derive(Debug)]
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        self.0.try_get_u8().map_err(|_| WireError::Truncated)
    }

    pub(super) fn u16(&mut self) -> Result<u16, WireError> {
        self.0.try_get_u16_le().map_err(|_| WireError::Truncated)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        self.0.try_get_u64_le().map_err(|_| WireError::Truncated)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        self.0.try_copy_to_slice(&mut array).map_err(|_| WireError::Truncated)?;
        Ok(array)
    }

    /// A LEB128 number of at most ten bytes.
    pub(super) fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireError::BadField);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::BadField)
    }

    /// So many bytes, uncopied.
    pub(super) fn bytes(&mut self, length: u64) -> Result<Bytes, WireError> {
        match usize::try_from(length) {
            Ok(length) if length <= self.0.len() => Ok(self.0.split_to(length)),
            _ => Err(WireError::Truncated),
        }
    }

    /// A length of time, in microseconds.
    pub(super) fn micros(&mut self) -> Result<Duration, WireError> {
        self.varint().map(Duration::from_micros)
    }

    /// All that is left.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// Refuses what is left, if anything is.
    pub(super) fn end(self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert!(out.len() <= 10);
            let mut fields = Fields::new(out.into());
            prop_assert_eq!(fields.varint(), Ok(value));
            prop_assert_eq!(fields.end(), Ok(()));
        }
    }

    #[test]
    fn an_endless_varint_is_refused() {
        assert_eq!(Fields::new(Bytes::from(vec![0xff; 20])).varint(), Err(WireError::BadField));
    }
}
