/// How to set up TLS on an FTP data connection.
///
/// It does not matter which side opened the TCP connection: the server does for `PORT`, the client for
/// `PASV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct DataConnection {
    /// Whether this side is the TLS client. The FTP client always is (RFC 4217 §7).
    pub tls_client: bool,
    /// Whether to resume the control connection's TLS session, or to demand that. It proves that both
    /// connections have the same peer (RFC 4217 §10.2).
    pub resumes: bool,
}

impl DataConnection {
    pub(super) const CLIENT: Self = Self { tls_client: true, resumes: true };
    pub(super) const SERVER: Self = Self { tls_client: false, resumes: true };
}
