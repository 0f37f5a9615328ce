//! Signs tokens by HMAC with `ring`, which TLS already brings along.
//!
//! `jsonwebtoken` leaves cryptography to a provider. Its Rust provider needs the crate `rsa`, whose private-key
//! operations leak by their timing (RUSTSEC-2023-0071, unfixed). Its other provider builds a second C library beside
//! ring.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use ring::hmac;
use signature::{Error, Signer, Verifier};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hmac::new(*algorithm, key.family(), || Ok(key.as_bytes()))?)),
    verifier_factory: |algorithm, key| Ok(Box::new(Hmac::new(*algorithm, key.family(), || key.try_get_as_bytes())?)),
    // Needed for sets of public keys only, which the server does not use.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Installs the provider. Call it before the first token is signed or verified; repeated calls do no harm.
pub fn prepare() {
    // It fails if a provider is already installed.
    let _ = PROVIDER.install_default();
}

/// An HMAC key and its algorithm.
struct Hmac {
    algorithm: Algorithm,
    key: hmac::Key,
}

impl Hmac {
    fn new<'a>(
        algorithm: Algorithm,
        family: AlgorithmFamily,
        secret: impl FnOnce() -> Result<&'a [u8]>,
    ) -> Result<Self> {
        let digest = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            _ => return Err(ErrorKind::InvalidAlgorithm.into()),
        };
        // A public key cannot serve as an HMAC secret.
        if family != AlgorithmFamily::Hmac {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Self { algorithm, key: hmac::Key::new(digest, secret()?) })
    }
}

impl Signer<Vec<u8>> for Hmac {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(hmac::sign(&self.key, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hmac {
    /// Compares in constant time.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        hmac::verify(&self.key, message, signature).map_err(|_| Error::new())
    }
}

impl JwtSigner for Hmac {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl JwtVerifier for Hmac {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, EncodingKey};

    /// RFC 7515, A.1: a foreign token under a known key.
    #[test]
    fn it_signs_and_verifies_as_the_standard_has_it() {
        prepare();
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==";
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
                      Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let sign = EncodingKey::from_base64_secret(secret).unwrap();
        let verify = DecodingKey::from_base64_secret(secret).unwrap();
        let made = jsonwebtoken::crypto::sign(signed.as_bytes(), &sign, Algorithm::HS256).unwrap();
        assert_eq!(made, signature);
        let is_good = |signature: &str, message: &str, algorithm| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &verify, algorithm).unwrap_or(false)
        };
        assert!(is_good(signature, signed, Algorithm::HS256));
        for (signature, message, algorithm) in [
            (signature, "x", Algorithm::HS256),
            (&signature[..42], signed, Algorithm::HS256),
            ("", signed, Algorithm::HS256),
            (signature, signed, Algorithm::HS512),
            (signature, signed, Algorithm::RS256),
            (signature, signed, Algorithm::EdDSA),
        ] {
            assert!(!is_good(signature, message, algorithm), "{signature} {algorithm:?}");
        }
    }
}
