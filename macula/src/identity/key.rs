use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::NodeId;
use super::file::{FileError, PrivateFile, create_private_dir, hex_line};

/// The secret half of a node's identity: an Ed25519 key (RFC 8032).
///
/// It is wiped from memory on drop and never printed: `Debug` shows the public half.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// A node's key, or the generation beside it, could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key file holds something else. It was left as it is.
    #[error(
        "`{}` does not hold a key: one line of 64 hexadecimal digits is expected; \
         move it away to get a new identity", path.display()
    )]
    MalformedKey {
        /// The key file.
        path: PathBuf,
    },
    /// The generation file holds something else, or the last generation there is. It was left
    /// as it is.
    #[error(
        "`{}` does not hold a generation: one line with a whole number is expected; \
         remove it to begin again from the clock", path.display()
    )]
    MalformedGeneration {
        /// The generation file.
        path: PathBuf,
    },
}

/// 64 digits and a line end, which an editor may have made two bytes long.
const KEY_FILE_LIMIT: usize = 66;
/// The longest `u64` has 20 digits.
const GENERATION_FILE_LIMIT: usize = 22;

impl SecretKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give: no node can be safe there.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(&mut *seed).expect("the operating system gives randomness");
        Self::from_bytes(*seed)
    }

    /// The key with this seed (the "private key" of RFC 8032). Any 32 bytes will do, but only
    /// random ones are secret.
    pub fn from_bytes(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self(SigningKey::from_bytes(&seed))
    }

    /// The seed, to be kept as secret as the key: [`SecretKey::from_bytes`] takes it back.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half, by which others know the node.
    pub fn id(&self) -> NodeId {
        NodeId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// The signature of `message`, which [`NodeId::verify`] accepts. Equal messages have equal
    /// signatures.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The key kept in the file at `path`: one line of 64 hexadecimal digits. Where there is no
    /// file, a new key is made and kept there, with mode 0600, in a directory made with mode 0700.
    ///
    /// Processes that race to create the file end with the same key.
    ///
    /// # Errors
    ///
    /// [`KeyError::File`] when the file cannot be used or others may read it,
    /// [`KeyError::MalformedKey`] when it holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let generate = || hex_line(Self::generate().0.as_bytes());
        let content = PrivateFile::new(path).read_or_create(KEY_FILE_LIMIT, generate);
        let malformed = || KeyError::MalformedKey { path: path.to_owned() };
        match content {
            Ok(content) => parse_seed(&content).map(|seed| Self::from_bytes(*seed)),
            Err(FileError::TooLarge { .. }) => None,
            Err(error) => return Err(error.into()),
        }
        .ok_or_else(malformed)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl NodeId {
    /// Whether the holder of this node's secret key signed `message`.
    ///
    /// Strict (RFC 8032 with small-order keys refused), so that no signature fits two messages.
    /// An id that is no valid key verifies nothing.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(self.as_bytes())
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

/// The generation for one more start of the node whose key is at `path`: `now_ms` (milliseconds
/// since 1970), or one more than the last one where the clock has not moved on or has gone back.
///
/// It is kept in `<path>.generation` and has reached the disk before this returns.
///
/// # Errors
///
/// [`KeyError::File`] when that file cannot be used, [`KeyError::MalformedGeneration`] when it
/// holds something else.
pub fn next_generation(path: &Path, now_ms: u64) -> Result<u64, KeyError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".generation");
    let path = PathBuf::from(name);
    let file = PrivateFile::new(&path);

    create_private_dir(file.directory())?;
    // Starts at the same moment take turns. Where directories cannot be locked they do not, but
    // two processes with one key are in conflict anyhow.
    let turn = File::open(file.directory());
    let _turn = turn.inspect(|directory| drop(directory.lock()));

    let malformed = || KeyError::MalformedGeneration { path: path.clone() };
    let generation = match file.read(GENERATION_FILE_LIMIT) {
        Ok(None) => now_ms,
        Ok(Some(content)) => {
            let stored = parse_generation(&content);
            let next = stored.and_then(|stored| stored.checked_add(1)).ok_or_else(malformed)?;
            next.max(now_ms)
        }
        Err(FileError::TooLarge { .. }) => return Err(malformed()),
        Err(error) => return Err(error.into()),
    };
    file.replace(format!("{generation}\n").as_bytes())?;
    Ok(generation)
}

pub(crate) fn parse_generation(content: &[u8]) -> Option<u64> {
    std::str::from_utf8(content).ok()?.trim_end().parse().ok()
}

pub(crate) fn parse_seed(content: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let digits = content.trim_ascii_end();
    if digits.len() != 64 {
        return None;
    }
    let mut seed = Zeroizing::new([0; 32]);
    for (byte, pair) in seed.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(seed)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn agrees_with_the_rfc() {
        let seed: NodeId =
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb".parse().unwrap();
        let key = SecretKey::from_bytes(*seed.as_bytes());
        assert_eq!(
            key.id().to_string(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = key.sign(&[0x72]);
        assert_eq!(signature[..4], [0x92, 0xa0, 0x09, 0xa9]);
        assert!(key.id().verify(&[0x72], &signature));
        assert_eq!(key.to_bytes(), *seed.as_bytes());
    }

    #[test]
    fn only_the_signed_message_verifies() {
        let (key, other) = (SecretKey::generate(), SecretKey::generate());
        let signature = key.sign(b"message");
        assert!(key.id().verify(b"message", &signature));
        assert!(!key.id().verify(b"massage", &signature));
        assert!(!other.id().verify(b"message", &signature));
        let mut bent = signature;
        bent[40] ^= 1;
        assert!(!key.id().verify(b"message", &bent));
        assert!(!key.id().verify(b"message", &[0xff; 64]));
    }

    #[test]
    fn invalid_and_weak_ids_verify_nothing() {
        let arbitrary = (0..=255).map(|i| NodeId::from_bytes([i; 32]));
        assert!(arbitrary.into_iter().all(|id| !id.verify(b"", &[0; 64])));
        // The neutral element: with it, the signature (neutral, 0) fits every message.
        let neutral = NodeId::from_bytes(std::array::from_fn(|i| u8::from(i == 0)));
        let signature = std::array::from_fn(|i| u8::from(i == 0));
        assert!(!neutral.verify(b"anything", &signature));
    }

    #[test]
    fn debug_hides_the_secret() {
        let key = SecretKey::from_bytes([7; 32]);
        assert_eq!(format!("{key:?}"), format!("SecretKey {{ id: {:?}, .. }}", key.id()));
    }

    #[test]
    fn a_key_is_created_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/node.key");
        let key = SecretKey::load_or_create(&path).unwrap();
        assert_eq!(SecretKey::load_or_create(&path).unwrap().id(), key.id());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 65);
        assert_eq!(text.trim_end().parse::<NodeId>().unwrap().as_bytes(), &key.to_bytes());
    }

    #[test]
    fn a_malformed_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        for text in ["", "\n", &"a".repeat(63), &"g".repeat(64), &"a".repeat(65), &"a".repeat(900)]
        {
            PrivateFile::new(&path).replace(text.as_bytes()).unwrap();
            let error = SecretKey::load_or_create(&path).unwrap_err();
            assert!(matches!(error, KeyError::MalformedKey { .. }), "{text:?}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        PrivateFile::new(&path).replace("A5".repeat(32).as_bytes()).unwrap();
        assert_eq!(SecretKey::load_or_create(&path).unwrap().to_bytes(), [0xa5; 32]);
    }

    #[test]
    fn generations_rise_whatever_the_clock_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/node.key");
        let next = |now_ms| next_generation(&path, now_ms).unwrap();
        assert_eq!(next(1_000), 1_000);
        assert_eq!(next(1_000), 1_001);
        assert_eq!(next(5), 1_002);
        assert_eq!(next(9_000), 9_000);
        let kept = fs::read_to_string(dir.path().join("new/node.key.generation")).unwrap();
        assert_eq!(kept, "9000\n");
    }

    #[test]
    fn starts_at_the_same_moment_get_different_generations() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        let mut generations: Vec<u64> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| next_generation(&path, 7).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        generations.sort_unstable();
        assert_eq!(generations, (7..15).collect::<Vec<u64>>());
    }

    #[test]
    fn a_malformed_generation_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        for text in ["", "x", "-1\n", "18446744073709551615\n", "184467440737095516150000\n"] {
            PrivateFile::new(&dir.path().join("node.key.generation"))
                .replace(text.as_bytes())
                .unwrap();
            let error = next_generation(&path, 1).unwrap_err();
            assert!(matches!(error, KeyError::MalformedGeneration { .. }), "{text:?}: {error}");
        }
    }
}
