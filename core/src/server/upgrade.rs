use crate::conceal::conceal;
use crate::{Error, Tls, Verification};

/// A server's TLS handshake in progress. The plaintext machine is gone.
///
/// Pass [`early`](Self::early) to TLS first, check [`alpn`](Self::alpn) after the handshake, then call
/// [`established`](Self::established).
#[must_use = "pass the early bytes to the handshake"]
#[derive(PartialEq, Eq)]
pub struct Upgrade<'i> {
    early: &'i [u8],
    alpn: Option<&'static [u8]>,
}

conceal!("Upgrade", Upgrade<'_>);

impl<'i> Upgrade<'i> {
    /// The start of a handshake after the go-ahead. Only `unread` bytes that begin a TLS record may belong
    /// to it (I3).
    pub(crate) const fn new(unread: &'i [u8], alpn: Option<&'static [u8]>) -> Result<Self, Error> {
        const HANDSHAKE: u8 = 0x16;
        match unread {
            [] | [HANDSHAKE, ..] => Ok(Self { early: unread, alpn }),
            _ => Err(Error::PlaintextAfterGoAhead { unread: unread.len() }),
        }
    }

    /// The bytes that the client sent before it saw the go-ahead. Pass them to TLS before any byte from the
    /// network.
    #[must_use]
    pub const fn early(&self) -> &'i [u8] {
        self.early
    }

    /// The ALPN id that the handshake has to agree on; without it, fail with [`Error::Foreign`].
    ///
    /// It is set if no plaintext told which protocol the client speaks. Only ALPN then keeps out a client
    /// of another protocol that an attacker redirected here.
    #[must_use]
    pub const fn alpn(&self) -> Option<&'static [u8]> {
        self.alpn
    }

    /// The same upgrade without its early bytes, for use once TLS has them.
    pub const fn without_early(self) -> Upgrade<'static> {
        Upgrade { early: b"", alpn: self.alpn }
    }

    /// Reports a successful handshake, with a client that showed no certificate. If the handshake fails,
    /// drop this value and close the connection: there is no way back to plaintext.
    #[must_use]
    pub const fn established(self) -> Tls {
        self.established_with(Verification::Unverified)
    }

    /// Like [`established`](Self::established). Pass [`Verification::Verified`] if the client showed a
    /// certificate that the server accepted.
    #[must_use]
    pub const fn established_with(self, client: Verification) -> Tls {
        Tls::of_server(false, client)
    }
}
