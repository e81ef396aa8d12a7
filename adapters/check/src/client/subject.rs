//! The tested client.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

/// The tested client: a command or a device.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A command that is started for each run.
    Command(Vec<OsString>),
    /// A device, which connects by itself.
    Device(Arc<TcpListener>, SocketAddr),
}

impl Subject {
    /// Whether the client runs on this machine, where 127.0.0.1 is the same for both sides.
    pub(super) fn is_here(&self) -> bool {
        match self {
            Self::Command(_) => true,
            Self::Device(_, address) => address.ip() == Ipv4Addr::LOCALHOST,
        }
    }

    /// Whether this stands in the command.
    pub(super) fn says(&self, word: &str) -> bool {
        match self {
            Self::Command(words) => words.iter().any(|at| at.to_string_lossy().contains(word)),
            Self::Device(..) => false,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => {
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                f.write_str(&words.join(" "))
            }
            Self::Device(_, address) => write!(f, "the device that connects to {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_elsewhere_is_not_referred() {
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
        for (address, is_here) in [("127.0.0.1:25", true), ("192.0.2.1:25", false)] {
            let address = address.parse().expect("an address");
            let subject = Subject::Device(Arc::clone(&listener), address);
            assert_eq!(subject.is_here(), is_here, "{address}");
        }
    }
}
