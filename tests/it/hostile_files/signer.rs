//! Signs as `minisign` does, and wrongly where a test wants it.
//!
//! It is written from minisign's description of its formats and shares no code with what verifies; signatures that the
//! real program made are in the unit tests of `plugin::trust`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// Somebody with a key.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    id: [u8; 8],
}

impl Signer {
    /// Each seed is another person.
    pub(crate) fn new(seed: u8) -> Self {
        Self::numbered(seed, seed)
    }

    /// With the number of somebody else's key.
    pub(crate) fn numbered(seed: u8, id: u8) -> Self {
        Self {
            pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key"),
            id: [id; 8],
        }
    }

    /// The second line of `minisign.pub`.
    pub(crate) fn public(&self) -> String {
        let mut key = b"Ed".to_vec();
        key.extend(self.id);
        key.extend(self.pair.public_key().as_ref());
        STANDARD.encode(key)
    }

    /// `FILE.minisig`.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        self.write(*b"ED", &Blake2b512::digest(bytes))
    }

    /// In the old format, without a hash.
    pub(crate) fn sign_as_of_old(&self, bytes: &[u8]) -> String {
        self.write(*b"Ed", bytes)
    }

    fn write(&self, algorithm: [u8; 2], message: &[u8]) -> String {
        let signature = self.pair.sign(message);
        let mut line = algorithm.to_vec();
        line.extend(self.id);
        line.extend(signature.as_ref());
        let comment = "timestamp:1764000000\tfile:p.wasm";
        let mut all = signature.as_ref().to_vec();
        all.extend(comment.as_bytes());
        format!(
            "untrusted comment: signature\n{}\ntrusted comment: {comment}\n{}\n",
            STANDARD.encode(line),
            STANDARD.encode(self.pair.sign(&all))
        )
    }
}
