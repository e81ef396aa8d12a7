use std::net::SocketAddr;

/// Observes a connection, for a log, a diagram or a test. All methods do nothing by default.
///
/// ```
/// use starttls_common::Observer;
///
/// #[derive(Default)]
/// struct Count(usize);
///
/// impl Observer for Count {
///     fn sent(&mut self, bytes: &[u8]) {
///         self.0 += bytes.len();
///     }
/// }
/// ```
pub trait Observer {
    /// A connection to one of a domain's hosts is about to be opened. The calls that follow belong to it. Not
    /// called if the caller named the host.
    fn connecting(&mut self, host: &str, address: SocketAddr) {
        let _ = (host, address);
    }

    /// These bytes were sent.
    fn sent(&mut self, octets: &[u8]) {
        let _ = octets;
    }

    /// So many bytes with a credential were sent. The bytes themselves are withheld.
    fn withheld(&mut self, octets: usize) {
        let _ = octets;
    }

    /// These bytes were received and consumed: one line, or a piece of a message. On a server, inside TLS or
    /// where the protocol continues without it, they include passwords.
    fn received(&mut self, octets: &[u8]) {
        let _ = octets;
    }

    /// So many bytes were received and consumed before TLS that carry a credential, or may carry one. A
    /// misspelt password command holds the password too.
    fn credential(&mut self, octets: usize) {
        let _ = octets;
    }

    /// The TLS handshake is complete. `problem` is the reason why the peer's certificate does not verify, if
    /// it does not. All bytes before this call were plaintext, all later ones are encrypted.
    fn secured(&mut self, tls: &rustls::CommonState, problem: Option<&rustls::Error>) {
        let _ = (tls, problem);
    }
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn connecting(&mut self, host: &str, address: SocketAddr) {
        (**self).connecting(host, address);
    }

    fn sent(&mut self, octets: &[u8]) {
        (**self).sent(octets);
    }

    fn withheld(&mut self, octets: usize) {
        (**self).withheld(octets);
    }

    fn received(&mut self, octets: &[u8]) {
        (**self).received(octets);
    }

    fn credential(&mut self, octets: usize) {
        (**self).credential(octets);
    }

    fn secured(&mut self, tls: &rustls::CommonState, problem: Option<&rustls::Error>) {
        (**self).secured(tls, problem);
    }
}

/// An observer that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
