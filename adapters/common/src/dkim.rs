//! Signatures of mail (RFC 6376).

use std::fmt;

use mail_auth::common::crypto::{Algorithm, Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::{HeaderWriter as _, Writable};
use mail_auth::dkim::DkimSigner;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use starttls::ArgumentError;
use starttls::mail::{Address, Checked};

use crate::Error;

/// The fields that are signed even if the message has none of the name (RFC 6376 §5.4.1).
const SIGNED: [&str; 12] = [
    "From",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// The fields that are signed if the message has them. A mailing list may add its own to a message without.
const SIGNED_IF_PRESENT: [&str; 3] =
    ["Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post"];

/// A key by which a domain signs its mail: DKIM (RFC 6376), with RSA or Ed25519 (RFC 8463).
///
/// The public key is in the DNS, at `SELECTOR._domainkey.DOMAIN`. Not all receivers know Ed25519 yet.
pub struct Dkim {
    key: Key,
    domain: String,
    selector: String,
}

enum Key {
    Rsa(RsaKey<Sha256>),
    Ed25519(Ed25519Key),
}

impl SigningKey for &Key {
    type Hasher = Sha256;

    fn sign(&self, input: impl Writable) -> mail_auth::Result<Vec<u8>> {
        match self {
            Key::Rsa(key) => key.sign(input),
            Key::Ed25519(key) => key.sign(input),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Key::Rsa(key) => key.algorithm(),
            Key::Ed25519(key) => key.algorithm(),
        }
    }
}

impl Dkim {
    /// The key of this domain and selector, as PEM: an RSA key of PKCS #1 or #8, or an Ed25519 key of PKCS #8.
    ///
    /// # Errors
    /// [`Error::Argument`] for a text that is no such key, and for a domain or selector that is not a name of
    /// the DNS.
    pub fn new(domain: &str, selector: &str, key_pem: &str) -> Result<Self, Error> {
        check_name(domain).map_err(Error::argument("the domain of a DKIM signature"))?;
        check_name(selector).map_err(Error::argument("the selector of a DKIM signature"))?;
        let key = key(key_pem).ok_or_else(|| {
            Error::argument("the key of a DKIM signature")(ArgumentError::Malformed)
        })?;
        Ok(Self { key, domain: domain.to_owned(), selector: selector.to_owned() })
    }

    /// Signs a message, and returns it with the signature before it.
    ///
    /// The signature covers the body and the fields `From`, `Reply-To`, `To`, `Cc`, `Subject`, `Date`,
    /// `Message-ID`, `In-Reply-To`, `References` and those of MIME. If the message has them, it covers
    /// `Auto-Submitted`, `List-Unsubscribe` and `List-Unsubscribe-Post`, too. Sign last: a change of the body or
    /// of these fields breaks the signature, and so does another field of the same name.
    ///
    /// # Errors
    /// [`Error::Protocol`] for lines that mail cannot carry, as [`Checked::new`] finds them: a server that
    /// mends them would break the signature. [`Error::Argument`] for a message without `From`, which RFC 6376
    /// §5.4 requires.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Checked::new(message)?;
        let unsigned =
            || Error::argument("a message without From to sign")(ArgumentError::Malformed);
        if !has_field(message, "From") {
            return Err(unsigned());
        }
        // Once more than it occurs: a field that is added later breaks the signature (RFC 6376 §8.15). The
        // signer takes all fields of the name for its first entry.
        let present = |name: &&str| has_field(message, name);
        let others = SIGNED_IF_PRESENT.into_iter().filter(present);
        let again = SIGNED.into_iter().filter(present).chain(others.clone());
        let signer = DkimSigner::from_key(&self.key)
            .domain(&self.domain)
            .selector(&self.selector)
            .headers(SIGNED.into_iter().chain(others).chain(again));
        let signature = signer.sign(message).map_err(|_| unsigned())?;
        let mut field = signature.to_header();
        // A line end before the last semicolon belongs to no value (RFC 6376 §3.7), but not all verifiers know.
        if let Some(start) = field.strip_suffix("\r\n\t;\r\n") {
            field = format!("{start};\r\n");
        }
        let mut signed = field.into_bytes();
        signed.extend_from_slice(message);
        Ok(signed)
    }
}

impl fmt::Debug for Dkim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Dkim");
        shown.field("domain", &self.domain).field("selector", &self.selector);
        shown.finish_non_exhaustive()
    }
}

/// The key in a PEM text.
fn key(pem: &str) -> Option<Key> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    // OpenSSL writes Ed25519 keys without the public key.
    let ed25519 = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_der()).map(Key::Ed25519);
    ed25519.or_else(|_| RsaKey::from_key_der(der).map(Key::Rsa)).ok()
}

/// Checks a name of the DNS, as in an address: no byte of it can end a tag of the signature.
fn check_name(name: &str) -> Result<(), ArgumentError> {
    if name.starts_with('[') {
        return Err(ArgumentError::Malformed);
    }
    Address::new(&format!("a@{name}")).map(drop)
}

/// Whether the header has a field of this name.
fn has_field(message: &[u8], name: &str) -> bool {
    let lines = message.split(|octet| *octet == b'\n');
    let mut header = lines.take_while(|line| !line.trim_ascii_end().is_empty());
    header.any(|line| {
        let Some((found, rest)) = line.split_at_checked(name.len()) else { return false };
        // Blanks before the colon are obsolete, but were allowed (RFC 5322 §4.5).
        found.eq_ignore_ascii_case(name.as_bytes()) && rest.trim_ascii_start().starts_with(b":")
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Borrow;
    use std::hash::Hash;
    use std::sync::Arc;
    use std::time::Instant;

    use mail_auth::common::parse::TxtRecordParser as _;
    use mail_auth::common::verify::DomainKey;
    use mail_auth::{
        AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt,
    };

    use super::*;
    use crate::ready;

    const MESSAGE: &str = "From: <me@example.org>\r\nSubject: 21.5 C\r\n\r\nAll is well.\r\n";

    /// A DNS with one record, whatever the question.
    struct Record(Txt);

    impl ResolverCache<Box<str>, Txt> for Record {
        fn get<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
        where
            Box<str>: Borrow<Q>,
        {
            Some(self.0.clone())
        }

        fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
        where
            Box<str>: Borrow<Q>,
        {
            None
        }

        fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
    }

    struct Nothing;

    impl<K, V> ResolverCache<K, V> for Nothing {
        fn get<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
        where
            K: Borrow<Q>,
        {
            None
        }

        fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
        where
            K: Borrow<Q>,
        {
            None
        }

        fn insert(&self, _: K, _: V, _: Instant) {}
    }

    /// Whether mail-auth's verifier finds one good signature by this key.
    fn is_good(signed: &[u8], record: &str) -> bool {
        // It asks no server: the record is known.
        let authenticator = MessageAuthenticator::new_cloudflare().expect("a resolver");
        let key = DomainKey::parse(record.as_bytes()).expect("a record");
        let record = Record(Txt::DomainKey(Arc::new(key)));
        let message = AuthenticatedMessage::parse(signed).expect("a message");
        let parameters = Parameters {
            params: &message,
            cache_txt: Some(&record),
            cache_mx: None::<&Nothing>,
            cache_ptr: None::<&Nothing>,
            cache_ipv4: None::<&Nothing>,
            cache_ipv6: None::<&Nothing>,
        };
        let found = ready(authenticator.verify_dkim(parameters));
        found.len() == 1 && found[0].result() == &DkimResult::Pass
    }

    const KEYS: [(&str, &str); 2] = [
        (include_str!("dkim/rsa.pem"), include_str!("dkim/rsa.txt")),
        (include_str!("dkim/ed25519.pem"), include_str!("dkim/ed25519.txt")),
    ];

    #[test]
    fn a_verifier_accepts_the_signed_message_and_no_other() {
        for (pem, record) in KEYS {
            let record = record.trim_end();
            let dkim = Dkim::new("example.org", "a", pem).expect("a key");
            let message = MESSAGE.replace("\r\n\r\n", "\r\nList-Unsubscribe: <https://a>\r\n\r\n");
            for message in [MESSAGE, &message] {
                let signed = dkim.sign(message.as_bytes()).expect("a message");
                let signed = String::from_utf8(signed).expect("ASCII");
                assert!(signed.starts_with("DKIM-Signature: v=1;") && signed.ends_with(message));
                assert!(is_good(signed.as_bytes(), record), "{signed}");
                // A field that is added before is the last one that a verifier takes.
                let signature = signed.strip_suffix(message).expect("it is before");
                for (what, other) in [
                    ("another From", format!("{signature}From: <a@b.example>\r\n{message}")),
                    ("a Reply-To", format!("{signature}Reply-To: <a@b.example>\r\n{message}")),
                    ("a subject", format!("{signature}Subject: a\r\n{message}")),
                    ("a body", signed.replace("well", "ill")),
                    ("a changed URL", signed.replace("<https://a>", "<https://b>")),
                ] {
                    let is_same = other == signed;
                    assert_eq!(is_good(other.as_bytes(), record), is_same, "{what}: {other}");
                }
            }
        }
    }

    #[test]
    fn a_mailing_list_may_add_its_fields() {
        let (pem, record) = KEYS[1];
        let dkim = Dkim::new("example.org", "a", pem).expect("a key");
        let signed = dkim.sign(MESSAGE.as_bytes()).expect("a message");
        let listed = [b"List-Unsubscribe: <https://a>\r\n", &signed[..]].concat();
        assert!(is_good(&listed, record.trim_end()));
    }

    #[test]
    fn arguments() {
        let (rsa, ed25519) = (KEYS[0].0, KEYS[1].0);
        assert!(Dkim::new("example.org", "2026._a", rsa).is_ok());
        for (domain, selector, key) in [
            ("example.org;a=b", "a", rsa),
            ("example.org", "a\r\nBcc: b@c", rsa),
            ("", "a", rsa),
            ("example.org", "", rsa),
            ("[192.0.2.1]", "a", rsa),
            ("bücher.example", "a", rsa),
            ("example.org", "a", ""),
            ("example.org", "a", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            ("example.org", "a", KEYS[0].1),
        ] {
            let refused = Dkim::new(domain, selector, key);
            assert!(matches!(refused, Err(Error::Argument { .. })), "{domain} {selector} {key}");
        }
        let dkim = Dkim::new("example.org", "a", ed25519).expect("a key");
        assert!(!format!("{dkim:?}").contains("key"));
        for (message, is_protocol) in [
            ("From: a@b\n", true),
            ("From: a@b\0\r\n", true),
            ("Subject: a\r\n\r\nFrom: a@b\r\n", false),
            ("", false),
        ] {
            let error = dkim.sign(message.as_bytes()).expect_err("not to be signed");
            assert_eq!(matches!(error, Error::Protocol { .. }), is_protocol, "{message:?}");
        }
    }
}
