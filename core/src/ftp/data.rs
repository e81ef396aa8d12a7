/// What TLS on an FTP data connection has to be, for the side that asks.
///
/// Who opened the TCP connection plays no part: by `PORT` the server does, by `PASV` the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct DataConnection {
    /// Whether this side is the TLS client: the FTP client always is (RFC 4217 §7).
    pub tls_client: bool,
    /// Whether to resume the TLS session of the control connection, or to demand it: it shows that both
    /// connections have the same peer (RFC 4217 §10.2).
    pub resumes: bool,
}

impl DataConnection {
    pub(super) const CLIENT: Self = Self { tls_client: true, resumes: true };
    pub(super) const SERVER: Self = Self { tls_client: false, resumes: true };
}
