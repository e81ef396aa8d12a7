use std::net::SocketAddr;

/// Somebody who watches a connection: a log, a ladder, a test. All methods do nothing by default.
pub trait Observer {
    /// A connection to a host of a domain is about to be opened; what follows is said there. Only told where
    /// the domain has the choice of the host.
    fn connecting(&mut self, host: &str, address: SocketAddr) {
        let _ = (host, address);
    }

    /// These octets were sent.
    fn sent(&mut self, octets: &[u8]) {
        let _ = octets;
    }

    /// So many octets were sent that carry a credential.
    fn withheld(&mut self, octets: usize) {
        let _ = octets;
    }

    /// These octets were received and consumed: one line, or a piece of a message. On a server they
    /// are whatever clients say; inside TLS, or where the protocol goes on without, passwords included.
    fn received(&mut self, octets: &[u8]) {
        let _ = octets;
    }

    /// So many octets were received and consumed on the way to TLS that carry a credential, which a
    /// client should not have said there.
    fn credential(&mut self, octets: usize) {
        let _ = octets;
    }

    /// TLS is up, and `problem` says why the peer's certificate does not verify. What came before was
    /// plaintext, what follows is encrypted.
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

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
