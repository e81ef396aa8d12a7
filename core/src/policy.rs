//! What the caller demands, and what the TLS layer found.

/// Whether a connection may go on without TLS. Exhaustive: whoever asks has to know every answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Policy {
    /// TLS or nothing. A client fails if the upgrade is not offered, refused or unverified; a
    /// server refuses everything but the upgrade (RFC 3207 §4, RFC 8314 §5).
    #[default]
    Required,
    /// TLS if the peer can, plaintext otherwise, said by an explicit event. An active attacker
    /// can always choose plaintext; no credential is sent then.
    Opportunistic,
}

/// Why an opportunistic connection goes on in plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// The peer does not offer the upgrade.
    NotOffered,
    /// The peer offered the upgrade and then refused it.
    Refused,
    /// The client went on without asking for TLS (server role).
    NotAsked,
}

/// How far the TLS layer identified the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Verification {
    /// Encrypted, but the peer may be anyone.
    Unverified,
    /// A valid certificate path to a trust anchor, for the name that the caller asked for.
    Verified,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_required_where_nobody_chooses() {
        assert_eq!(Policy::default(), Policy::Required);
    }
}
