//! Signing and verifying keys, and where the signing key lives.
//!
//! **In:** a key file that only its owner may read, or verifier-key text.
//! **Out:** keys that sign and check notes; the secret never reaches a log.
//! **Not here:** the note format (see [`crate::note`]).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use sha2::{Digest, Sha256};

use crate::export::sync_directory_of;
use crate::hex::{from_hex, to_hex};
use crate::note::{ED25519, key_id};

/// First word of a key file, so that no other file is taken for one.
const FILE_TAG: &str = "evenkeel-signing-key-v1";

/// Longest key file read.
///
/// Why 256: the tag, 44 base64 characters and a newline are below 80 bytes.
const FILE_BYTES_MAX: u64 = 256;

/// Why a key could not be read, made or understood.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read, made or synced.
    #[error("cannot {what} signing key `{path}`")]
    Io {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error("signing key `{path}` has mode {mode:04o}, it must be 0600 or stricter")]
    Permissions { path: PathBuf, mode: u32 },
    /// The file is not a key file of this program.
    #[error("`{path}` is not an Evenkeel signing key")]
    NotAKey { path: PathBuf },
    /// The operating system gave no random bytes for a new key.
    #[error("no random bytes for a new signing key")]
    Entropy(#[source] getrandom::Error),
    /// Verifier-key text that is not `name+hexkeyid+base64`, or whose parts disagree.
    #[error("`{text}` is not an Ed25519 verifier key of the form name+keyid+base64")]
    Text { text: String },
}

impl KeyError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            KeyError::Io { .. } => Some("check that the directory exists and belongs to the user of the daemon".into()),
            KeyError::Permissions { path, .. } => Some(format!(
                "`chmod 600 {}`; if others could read it, make a new key and start a new journal",
                path.display()
            )),
            KeyError::NotAKey { .. } => Some(
                "restore the key from a backup; with a new key the old journal can be verified but not continued".into(),
            ),
            KeyError::Entropy(_) => None,
            KeyError::Text { .. } => Some("`evenkeel audit verify` prints the key that a journal names".into()),
        }
    }
}

/// Ed25519 key that signs checkpoints. The secret never appears in `Debug`.
pub struct SigningKey {
    inner: ed25519_dalek::SigningKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("fingerprint", &fingerprint(&self.public()))
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key with this seed: 32 secret bytes, from a good source of chance.
    pub fn from_seed(seed: [u8; 32]) -> SigningKey {
        SigningKey { inner: ed25519_dalek::SigningKey::from_bytes(&seed) }
    }

    /// Reads the key in `path`, or makes one there with mode 0600 when there is no file.
    ///
    /// The new file appears whole or not at all. Two callers at once get the same key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Permissions`] when others may read or write an existing file;
    /// [`KeyError::NotAKey`] for any other content; [`KeyError::Io`], [`KeyError::Entropy`].
    pub fn load_or_create(path: &Path) -> Result<SigningKey, KeyError> {
        match SigningKey::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(KeyError::Entropy)?;
        let text = format!("{FILE_TAG} {}\n", STANDARD.encode(seed));
        match create_whole(path, text.as_bytes()) {
            Ok(()) => Ok(SigningKey::from_seed(seed)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => SigningKey::load(path),
            Err(source) => Err(KeyError::Io { path: path.into(), what: "create", source }),
        }
    }

    /// Reads the key in `path`. Errors as [`SigningKey::load_or_create`].
    pub fn load(path: &Path) -> Result<SigningKey, KeyError> {
        let io = |what| move |source| KeyError::Io { path: path.into(), what, source };
        let file = File::open(path).map_err(io("open"))?;
        let metadata = file.metadata().map_err(io("read"))?;
        if !metadata.is_file() {
            return Err(KeyError::NotAKey { path: path.into() });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Permissions { path: path.into(), mode });
        }
        let mut text = String::new();
        let not_a_key = || KeyError::NotAKey { path: path.into() };
        match file.take(FILE_BYTES_MAX).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(not_a_key()),
            Err(error) => return Err(io("read")(error)),
        }
        let (tag, secret) = text.trim_end().split_once(' ').ok_or_else(not_a_key)?;
        let seed = STANDARD.decode(secret).map_err(|_| not_a_key())?;
        let seed: [u8; 32] = seed.try_into().map_err(|_| not_a_key())?;
        if tag != FILE_TAG {
            return Err(not_a_key());
        }
        Ok(SigningKey::from_seed(seed))
    }

    /// The public half, under the name of the journal it signs.
    pub fn verifying_key(&self, origin: &str) -> VerifyingKey {
        VerifyingKey { name: origin.into(), inner: self.inner.verifying_key() }
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.inner.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.inner.sign(message).to_bytes()
    }
}

/// Public key with the name (origin) of the journal it speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    inner: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    /// Parses C2SP verifier-key text, `name+hexkeyid+base64(0x01 || key)`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Text`] when a part is missing or the key id is not that of name and key.
    pub fn from_text(text: &str) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::parse(text.trim_end())
            .ok_or_else(|| KeyError::Text { text: text.trim_end().into() })
    }

    fn parse(text: &str) -> Option<VerifyingKey> {
        let mut parts = text.splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = STANDARD.decode(key).ok()?;
        let public: &[u8; 32] = key.strip_prefix(&[ED25519])?.try_into().ok()?;
        let key = VerifyingKey::from_bytes(name, public)?;
        (from_hex(id)? == key.key_id() && is_origin(name)).then_some(key)
    }

    /// The key with these 32 bytes; `None` when they are not a point of the curve.
    pub(crate) fn from_bytes(name: &str, public: &[u8; 32]) -> Option<VerifyingKey> {
        let inner = ed25519_dalek::VerifyingKey::from_bytes(public).ok()?;
        Some(VerifyingKey { name: name.into(), inner })
    }

    /// C2SP verifier-key text, `name+hexkeyid+base64(0x01 || key)`.
    pub fn to_text(&self) -> String {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.inner.as_bytes());
        format!("{}+{}+{}", self.name, to_hex(&self.key_id()), STANDARD.encode(key))
    }

    /// Name of the journal the key speaks for (its origin).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the 32 public bytes, as 64 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.inner.as_bytes())
    }

    pub(crate) fn key_id(&self) -> [u8; 4] {
        key_id(&self.name, self.inner.as_bytes())
    }

    // Strict: refuses the malleable signatures that RFC 8032 leaves open.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.inner.verify_strict(message, &signature).is_ok()
    }
}

/// Whether `name` can be an origin and a key name: 1 to 255 bytes without
/// spaces, control characters or `+` (the C2SP rule, with a length).
pub(crate) fn is_origin(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn fingerprint(public: &[u8; 32]) -> String {
    to_hex(&Sha256::digest(public))
}

// A hard link fails when the name exists, so nobody sees half a key or loses one.
fn create_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.draft", std::process::id()));
    let draft = PathBuf::from(draft);
    let _ = std::fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&draft, path))
        .and_then(|()| sync_directory_of(path));
    let _ = std::fs::remove_file(&draft);
    written
}
