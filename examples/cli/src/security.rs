//! The parameters that TLS negotiated.

use std::fmt;

use rustls::{CommonState, ProtocolVersion};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Security {
    pub(crate) version: &'static str,
    pub(crate) cipher: String,
    pub(crate) key_exchange: Option<String>,
    pub(crate) alpn: Option<String>,
}

impl Security {
    pub(crate) fn of(tls: &CommonState) -> Self {
        Self {
            version: match tls.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "1.3",
                Some(ProtocolVersion::TLSv1_2) => "1.2",
                _ => "unknown",
            },
            cipher: tls.negotiated_cipher_suite().map_or_else(String::new, |suite| {
                suite.suite().as_str().unwrap_or("unknown").to_owned()
            }),
            key_exchange: tls
                .negotiated_key_exchange_group()
                .and_then(|group| group.name().as_str().map(str::to_owned)),
            alpn: tls.alpn_protocol().map(|id| id.escape_ascii().to_string()),
        }
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.version, self.cipher)?;
        self.key_exchange.as_ref().map_or(Ok(()), |group| write!(f, ", {group}"))
    }
}
