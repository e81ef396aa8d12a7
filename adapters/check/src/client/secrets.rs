//! The user name and the password of a run, which must not appear in plaintext.

use base64ct::{Base64, Base64Unpadded, Encoding as _};

/// The login of one run.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Secrets {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (user, password) = random.split_at(4);
        Ok(Self { user: format!("user{}", hex(user)), password: format!("pw{}", hex(password)) })
    }

    /// What of them the bytes show, as they are or in base64.
    pub(crate) fn shown(&self, bytes: &[u8]) -> Option<&'static str> {
        let has = |text: &str, bytes: &[u8]| {
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        let decoded = bytes
            .split(|byte| !byte.is_ascii_alphanumeric() && !b"+/=".contains(byte))
            .filter_map(|word| std::str::from_utf8(word).ok())
            .filter_map(|word| {
                Base64::decode_vec(word).or_else(|_| Base64Unpadded::decode_vec(word)).ok()
            });
        let mut all: Vec<Vec<u8>> = decoded.collect();
        all.push(bytes.to_vec());
        if all.iter().any(|bytes| has(&self.password, bytes)) {
            return Some("the password");
        }
        all.iter().any(|bytes| has(&self.user, bytes)).then_some("the user's name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_in_every_form() {
        let secrets = Secrets { user: "user1".to_owned(), password: "pw2".to_owned() };
        let plain = Base64::encode_string(b"\0user1\0pw2");
        for text in [
            "PASS pw2\r\n".to_owned(),
            format!("AUTH PLAIN {plain}\r\n"),
            format!("<auth>{plain}</auth>"),
            format!("{}\r\n", Base64::encode_string(b"pw2")),
        ] {
            assert_eq!(secrets.shown(text.as_bytes()), Some("the password"), "{text}");
        }
        assert_eq!(secrets.shown(b"USER user1\r\n"), Some("the user's name"));
        assert_eq!(secrets.shown(b"EHLO client.invalid\r\n"), None);
    }
}
