use core::time::Duration;

use super::{Command, Said};
use crate::Protocol;
use crate::wire::{Framing, Line, Writer};

/// The interface of a protocol to the server engine. [`client`](crate::client#a-server) has a complete
/// example.
pub trait Grammar {
    /// How the protocol splits bytes into frames.
    type Framing: Framing;

    /// The replies of the grammar, besides those of the engine.
    type Reply: Copy;

    /// The protocol's names, ports and ALPN id.
    const PROTOCOL: Protocol;

    /// The length of the longest reply, with arguments of the largest size, in bytes.
    const MAX_OUTPUT: usize;

    /// Whether the server speaks first.
    const GREETS: bool = true;

    /// Whether a client has to introduce itself before other commands.
    const HELLO_FIRST: bool = false;

    /// Interprets a `frame` from the client.
    fn command(&mut self, frame: &[u8]) -> Command<Self::Reply>;

    /// Prints a reply. `offer` tells whether to list the upgrade. If it prints nothing, nothing is sent.
    fn print(&self, reply: Said<Self::Reply>, offer: bool, out: &mut Writer<'_>);

    /// Whether the connection ends after the reply `reply`, although the engine would continue.
    fn ends(&self, reply: Said<Self::Reply>) -> bool {
        let _ = reply;
        false
    }

    /// Prints an application's reply line. Most protocols end it with CRLF.
    fn line(&self, line: Line<'_>, out: &mut Writer<'_>) {
        out.put(line.as_str().as_bytes());
        out.put(b"\r\n");
    }

    /// Whether the client began with TLS, so that no plaintext told which protocol it speaks.
    fn is_direct(&self) -> bool {
        false
    }

    /// How many blanks after the upgrade request are dropped when the go-ahead is printed.
    ///
    /// Clients of some protocols send an extra line end. Blanks that arrive later, and any other byte, are
    /// plaintext after the boundary.
    const MAX_BLANKS: usize = 0;

    /// How long to wait for a command.
    const WAIT: Duration;
}
