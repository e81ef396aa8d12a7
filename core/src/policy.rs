//! What the caller demands of a connection, and what the TLS layer found.

/// Whether a connection may go on without TLS.
///
/// The enum is exhaustive, because code that matches on it has to handle every policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Policy {
    /// TLS is required. A client fails if the upgrade is not offered or refused, or if the peer is not
    /// verified. A server answers only the upgrade and harmless commands (RFC 3207 §4, RFC 8314 §5).
    #[default]
    Required,
    /// TLS is used if the peer has it; else an explicit event reports that the connection stays in
    /// plaintext. An active attacker can always force plaintext, so no credential is sent there.
    Opportunistic,
}

/// The reason why an opportunistic connection stays in plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// The peer does not offer the upgrade.
    NotOffered,
    /// The peer offered the upgrade and then refused it.
    Refused,
    /// The client continued without asking for TLS. Only servers see this.
    NotAsked,
}

/// How far the TLS layer identified the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Verification {
    /// The connection is encrypted, but the peer may be anyone.
    Unverified,
    /// The certificate has a valid path to a trust anchor and is for the name that the caller asked for.
    Verified,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_required_by_default() {
        assert_eq!(Policy::default(), Policy::Required);
    }
}
