//! A client's certificate for servers that request one, with embedded-tls.

use embedded_tls::SignatureScheme;
use p256::ecdsa::signature::{Error, Signer};
use p256::ecdsa::{DerSignature, SigningKey};

use crate::conceal::conceal;

/// A certificate for servers that request one.
///
/// [`NoCertificate`] is a separate type, so that firmware without a certificate contains no signing code.
pub trait ClientCertificate {
    /// The bytes of a signature.
    type Signature: AsRef<[u8]>;

    /// The private key.
    type Key: Signer<Self::Signature>;

    /// The certificate in DER, its key and the signature scheme. `None` shows no certificate.
    fn shown(&self) -> Option<(&[u8], Self::Key, SignatureScheme)>;
}

/// No certificate. A server that demands one rejects the client.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoCertificate;

/// The uninhabited key of [`NoCertificate`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NoKey {}

impl Signer<[u8; 0]> for NoKey {
    fn try_sign(&self, _: &[u8]) -> Result<[u8; 0], Error> {
        match *self {}
    }
}

impl ClientCertificate for NoCertificate {
    type Signature = [u8; 0];
    type Key = NoKey;

    fn shown(&self) -> Option<(&[u8], NoKey, SignatureScheme)> {
        None
    }
}

/// A certificate with a P-256 key.
///
/// ```
/// use starttls_embedded::embedded_tls::P256Certificate;
///
/// let der = b"..."; // the certificate
/// assert!(P256Certificate::new(der, &[1; 32]).is_some());
/// assert!(P256Certificate::new(der, &[0; 32]).is_none(), "no key");
/// ```
pub struct P256Certificate<'a> {
    der: &'a [u8],
    key: SigningKey,
}

conceal!("P256Certificate", P256Certificate<'_>);

impl<'a> P256Certificate<'a> {
    /// Combines a certificate in DER with the 32 bytes of its private key. `None` if they are no P-256 key.
    ///
    /// The server has to trust the certificate's issuer directly, because no intermediate certificate is
    /// sent.
    #[must_use]
    pub fn new(der: &'a [u8], key: &[u8]) -> Option<Self> {
        SigningKey::from_slice(key).ok().map(|key| Self { der, key })
    }
}

impl ClientCertificate for P256Certificate<'_> {
    type Signature = DerSignature;
    type Key = SigningKey;

    fn shown(&self) -> Option<(&[u8], SigningKey, SignatureScheme)> {
        Some((self.der, self.key.clone(), SignatureScheme::EcdsaSecp256r1Sha256))
    }
}
