use super::DataConnection;
use crate::wire::split_word;

/// Answers a client's commands of RFC 2228 and RFC 4217 inside TLS, and knows whether data connections need
/// TLS.
///
/// It does no I/O. Pass it each command, and send its reply if it returns one. It refuses `REIN` and `CCC`,
/// which would end TLS on the connection.
///
/// ```
/// # use starttls::{Tls, ftp::Guard};
/// let mut guard = Guard::new(&Tls::implicit_server());
/// assert_eq!(guard.answer(b"PROT P"), Some("503 Send PBSZ first\r\n"));
/// assert_eq!(guard.answer(b"PBSZ 0"), Some("200 PBSZ=0\r\n"));
/// assert_eq!(guard.answer(b"PROT P"), Some("200 Data connections are private\r\n"));
/// assert!(guard.is_private());
/// assert_eq!(guard.answer(b"USER me"), None);
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Guard {
    buffer_size: bool,
    private: bool,
}

impl Guard {
    /// The reply to a transfer whose data connection has not the level that the server demands (RFC 4217
    /// §10).
    pub const WRONG_LEVEL: &'static str = "521 Data connections must be private, send PROT P\r\n";

    /// The reply to a transfer whose TLS handshake failed (RFC 4217 §10).
    pub const TLS_FAILED: &'static str = "522 TLS on the data connection failed\r\n";

    /// A guard for the control connection of this TLS. Data connections start in clear.
    #[must_use]
    pub const fn new(_: &crate::Tls) -> Self {
        Self { buffer_size: false, private: false }
    }

    /// Whether the client asked for data connections with TLS. This side is the TLS server on each.
    ///
    /// If not, answer a transfer with [`WRONG_LEVEL`](Self::WRONG_LEVEL), or allow it in clear.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.private
    }

    /// How to set up TLS on each data connection; `None` while the client wants them in clear.
    #[must_use]
    pub const fn data_connection(&self) -> Option<DataConnection> {
        if self.private { Some(DataConnection::SERVER) } else { None }
    }

    /// The reply to a command of those RFCs, with its CRLF. `None` leaves the command to the application.
    pub fn answer(&mut self, command: &[u8]) -> Option<&'static str> {
        let (verb, argument) = split_word(command);
        let is = |wanted: &[u8]| verb.eq_ignore_ascii_case(wanted);
        let level = argument.trim_ascii_end();
        Some(if is(b"PBSZ") {
            if level.is_empty() || level.len() > 10 || !level.iter().all(u8::is_ascii_digit) {
                return Some("501 Number of bytes required\r\n");
            }
            self.buffer_size = true;
            "200 PBSZ=0\r\n"
        } else if is(b"PROT") {
            match level {
                _ if !self.buffer_size => "503 Send PBSZ first\r\n",
                b"P" | b"p" => {
                    self.private = true;
                    "200 Data connections are private\r\n"
                }
                b"C" | b"c" => {
                    self.private = false;
                    "200 Data connections are clear\r\n"
                }
                b"S" | b"s" | b"E" | b"e" => "536 TLS has no such level\r\n",
                _ => "504 No such level\r\n",
            }
        } else if is(b"AUTH") {
            "503 TLS is up already\r\n"
        } else if is(b"ADAT") {
            "503 TLS needs no ADAT\r\n"
        } else if is(b"CCC") {
            "534 The control connection stays private\r\n"
        } else if is(b"MIC") || is(b"CONF") || is(b"ENC") {
            "533 TLS protects commands\r\n"
        } else if is(b"REIN") {
            "502 Close the connection and open another one\r\n"
        } else {
            return None;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_rfc_2228_are_answered() {
        let mut guard = Guard::new(&crate::Tls::implicit_server());
        for (command, code, private) in [
            ("PROT P", "503", false),
            ("PBSZ", "501", false),
            ("PBSZ -1", "501", false),
            ("PBSZ 99999999999", "501", false),
            ("PROT C", "503", false),
            ("pbsz 16384", "200 PBSZ=0", false),
            ("PROT C", "200", false),
            ("prot p", "200", true),
            ("PROT S", "536", true),
            ("PROT E", "536", true),
            ("PROT X", "504", true),
            ("PROT", "504", true),
            ("AUTH TLS", "503", true),
            ("ADAT AAAA", "503", true),
            ("CCC", "534", true),
            ("MIC AAAA", "533", true),
            ("CONF AAAA", "533", true),
            ("ENC AAAA", "533", true),
            ("REIN", "502", true),
            ("PBSZ 0", "200", true),
            ("PROT C", "200", false),
        ] {
            let answer = guard.answer(command.as_bytes()).expect("an answer");
            assert!(answer.starts_with(code) && answer.ends_with("\r\n"), "{command}: {answer}");
            assert_eq!(guard.is_private(), private, "{command}");
            let data = guard.data_connection();
            assert_eq!(data.map(|data| data.tls_client), private.then_some(false), "{command}");
        }
        for command in ["USER me", "LIST", "PASV", ""] {
            assert_eq!(guard.answer(command.as_bytes()), None, "{command}");
        }
    }
}
