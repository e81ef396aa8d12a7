//! The mail server.

use std::io::{self, ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};

use crate::channel::Channel;
use crate::faults;

faults! {
    /// What is wrong with the server.
    ServerFault {
        /// It offers TLS, and refuses it.
        RefusesAll "refuses-tls",
        /// It gives the go-ahead, and has no TLS.
        NoTls "no-tls",
        /// It closes after the go-ahead.
        Closes "closes-after-go-ahead",
        /// Inside TLS it says nothing.
        Mute "mute-inside",
        /// It reads commands ahead and serves them inside TLS.
        KeepsCommands "keeps-commands",
        /// It reads ahead, and completes inside TLS a line that began before.
        KeepsHalfLine "keeps-half-a-line",
        /// It reads ahead, and answers a second request inside TLS.
        KeepsRequest "keeps-second-request",
        /// It goes on reading after the request, and serves what comes inside TLS.
        ReadsOn "reads-on",
        /// After the go-ahead it takes lines before it takes TLS, and serves them inside.
        TakesLines "takes-lines-after-go-ahead",
        /// It begins TLS in spite of a parameter.
        Argument "takes-argument",
        /// It begins TLS in the middle of a login.
        InLogin "in-login",
        /// It begins TLS inside TLS.
        Twice "twice",
        /// Its lines end with LF.
        BareLf "bare-lf",
        /// It offers TLS inside TLS.
        OffersInside "offers-inside",
        /// It remembers the client's name.
        KeepsHello "keeps-hello",
        /// It remembers the sender.
        KeepsSender "keeps-sender",
        /// It offers logins in plaintext.
        OffersLogin "offers-login",
        /// It begins logins in plaintext.
        BeginsLogin "begins-login",
        /// It wants a ClientHello in one segment.
        OneSegment "one-segment",
        /// It takes no ClientHello of more than 1,500 bytes.
        SmallHello "small-hello",
        /// After a failed handshake it goes on in plaintext.
        GoesOn "goes-on",
        /// It negotiates TLS 1.0.
        Tls10 "tls-1.0",
        /// It negotiates TLS 1.1.
        Tls11 "tls-1.1",
        /// It waits for a ClientHello for ever.
        Patient "patient",
        /// Each byte of a ClientHello gains time.
        SlowHello "slow-hello",
        /// Each byte of a command gains time.
        SlowCommand "slow-command",
        /// It takes lines of any length.
        LongLines "long-lines",
        /// LF, a dot and LF end a message.
        LfDotLf "lf-dot-lf",
        /// LF, a dot and CRLF end a message.
        LfDotCrLf "lf-dot-crlf",
        /// CRLF, a dot and LF end a message.
        CrLfDotLf "crlf-dot-lf",
        /// CR, a dot and CR end a message.
        CrDotCr "cr-dot-cr",
        /// CR, a dot and CRLF end a message.
        CrDotCrLf "cr-dot-crlf",
        /// CRLF, a dot and CR end a message.
        CrLfDotCr "crlf-dot-cr",
        /// NUL is dropped, so that CRLF, NUL, a dot and CRLF end a message.
        DropsNul "drops-nul",
    }
}

/// The longest line.
const LINE: usize = 4096;

/// The time for a handshake, and for each command.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Serves connections on a free port of this machine, as long as the process lives.
///
/// # Panics
/// There is no free port.
#[must_use]
pub fn start(fault: Option<ServerFault>, tls: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let tls = Arc::new(tls);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let tls = Arc::clone(&tls);
            thread::spawn(move || serve(fault, &tls, socket));
        }
    });
    address
}

/// Serves implicit TLS there, with a greeting.
///
/// # Panics
/// There is no free port.
#[must_use]
pub fn start_implicit(tls: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let tls = Arc::new(tls);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let server = ServerConnection::new(Arc::clone(&tls)).expect("a server");
            let channel = Channel::new(socket, Some(PATIENCE));
            let _ = channel.and_then(|mut channel| {
                channel.secure(server.into())?;
                channel.send(b"220 wrong.invalid ESMTP\r\n")?;
                channel.fill()
            });
        }
    });
    address
}

/// One connection.
struct Connection<'a> {
    fault: Option<ServerFault>,
    tls: &'a Arc<ServerConfig>,
    channel: Channel,
    hello: bool,
    sender: bool,
    recipient: bool,
}

fn serve(fault: Option<ServerFault>, tls: &Arc<ServerConfig>, socket: TcpStream) {
    let patience = (fault != Some(ServerFault::Patient)).then_some(PATIENCE);
    let Ok(mut channel) = Channel::new(socket, patience) else { return };
    channel.patient_with_hellos = fault == Some(ServerFault::SlowHello);
    channel.patient_with_lines = fault == Some(ServerFault::SlowCommand);
    let (hello, sender, recipient) = (false, false, false);
    let mut connection = Connection { fault, tls, channel, hello, sender, recipient };
    if let Err(error) = connection.session()
        && error.kind() == ErrorKind::InvalidData
    {
        let _ = connection.channel.send(b"500 5.5.2 Line too long\r\n");
    }
    connection.channel.close();
}

impl Connection<'_> {
    fn is(&self, fault: ServerFault) -> bool {
        self.fault == Some(fault)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.channel.send(format!("{text}\r\n").as_bytes())
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let most = if self.is(ServerFault::LongLines) { usize::MAX } else { LINE };
        self.channel.line(self.is(ServerFault::BareLf), most)
    }

    fn session(&mut self) -> io::Result<()> {
        self.say("220 wrong.invalid ESMTP")?;
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line).trim_end().to_ascii_uppercase();
            let words: Vec<&str> = text.split_whitespace().collect();
            match words[..] {
                ["QUIT"] => return self.say("221 2.0.0 Bye"),
                ["STARTTLS", ..] => self.upgrade(words.len() > 1)?,
                ["EHLO", _] => self.introduced()?,
                ["NOOP"] => self.say("250 2.0.0 Ok")?,
                ["AUTH", "PLAIN"] => self.login()?,
                ["MAIL", ..] if !self.hello => self.say("503 5.5.1 Say EHLO first")?,
                ["MAIL", ..] => {
                    self.sender = true;
                    self.say("250 2.1.0 Ok")?;
                }
                ["RCPT", ..] if self.sender => {
                    self.recipient = true;
                    self.say("250 2.1.5 Ok")?;
                }
                ["RCPT", ..] => self.say("503 5.5.1 Say MAIL first")?,
                ["DATA"] if self.recipient => {
                    self.say("354 Go on")?;
                    self.message()?;
                    (self.sender, self.recipient) = (false, false);
                    self.say("250 2.0.0 Taken")?;
                }
                _ => self.say("502 5.5.1 Not here")?,
            }
        }
    }

    fn introduced(&mut self) -> io::Result<()> {
        self.hello = true;
        let secured = self.channel.is_secured();
        let offers = !secured || self.is(ServerFault::OffersInside);
        let logins = secured || self.is(ServerFault::OffersLogin);
        let mut text = "250-wrong.invalid\r\n".to_owned();
        if offers {
            text.push_str("250-STARTTLS\r\n");
        }
        if logins {
            text.push_str("250-AUTH PLAIN\r\n");
        }
        text.push_str("250 8BITMIME");
        self.say(&text)
    }

    fn login(&mut self) -> io::Result<()> {
        let begins = self.is(ServerFault::BeginsLogin) || self.is(ServerFault::InLogin);
        if !self.channel.is_secured() && !begins {
            return self.say("538 5.7.11 Encryption required");
        }
        self.say("334 ")?;
        let response = self.line()?;
        if self.is(ServerFault::InLogin) && response.starts_with(b"STARTTLS") {
            return self.upgrade(false);
        }
        self.say("501 5.5.2 No")
    }

    fn upgrade(&mut self, argument: bool) -> io::Result<()> {
        use ServerFault::{
            Argument, Closes, GoesOn, KeepsCommands, KeepsHalfLine, KeepsHello, KeepsRequest,
            KeepsSender, Mute, NoTls, ReadsOn, RefusesAll, TakesLines, Twice,
        };
        if argument && !self.is(Argument) {
            return self.say("501 5.5.4 No parameters");
        }
        if self.is(RefusesAll) {
            return self.say("454 4.7.0 Not now");
        }
        if self.channel.is_secured() {
            let (code, text) = if self.is(Twice) { (220, "Again") } else { (503, "Already") };
            return self.say(&format!("{code} 2.0.0 {text}"));
        }
        let mut kept = std::mem::take(&mut self.channel.ahead);
        if self.is(ReadsOn) || self.is(TakesLines) {
            self.channel.linger(Duration::from_millis(50))?;
            kept.append(&mut self.channel.ahead);
        }
        self.say("220 2.0.0 Go ahead")?;
        if self.is(Closes) {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        if self.is(NoTls) {
            return Ok(());
        }
        let mut lines = Vec::new();
        if self.is(TakesLines) {
            let mut first = [0];
            while self.channel.peek(&mut first)? == 1 && first != [22] {
                lines.extend(byte(&mut self.channel.socket)?);
            }
        }
        if !self.takes_hello()? {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let server = ServerConnection::new(Arc::clone(self.tls)).map_err(io::Error::other)?;
        if self.channel.secure(server.into()).is_err() {
            let goes_on = self.is(GoesOn);
            return if goes_on { Ok(()) } else { Err(ErrorKind::ConnectionAborted.into()) };
        }
        if self.is(Mute) {
            thread::sleep(PATIENCE * 4);
        }
        let is_line = kept.ends_with(b"\n");
        let is_request = kept.starts_with(b"STARTTLS");
        let keeps = match self.fault {
            Some(KeepsCommands) => is_line && !is_request,
            Some(KeepsHalfLine) => !is_line,
            Some(KeepsRequest) => is_request,
            Some(ReadsOn) => true,
            _ => false,
        };
        self.channel.ahead = if keeps { kept } else { lines };
        self.hello &= self.is(KeepsHello);
        self.sender &= self.is(KeepsSender);
        self.recipient = false;
        Ok(())
    }

    /// Looks at the ClientHello as some servers do, without taking it.
    fn takes_hello(&mut self) -> io::Result<bool> {
        let mut record = vec![0; 16 * 1024];
        let length = |record: &[u8]| usize::from(record[3]) << 8 | usize::from(record[4]);
        match self.fault {
            Some(ServerFault::OneSegment) => {
                let n = self.channel.peek(&mut record)?;
                Ok(n > 5 && n >= 5 + length(&record))
            }
            Some(ServerFault::SmallHello) => {
                while self.channel.peek(&mut record)? < 5 {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(length(&record) < 1500)
            }
            Some(fault @ (ServerFault::Tls10 | ServerFault::Tls11)) => {
                let n = self.channel.peek(&mut record)?;
                let minor = if fault == ServerFault::Tls10 { 1 } else { 2 };
                if n > 11 && record[9..11] == [3, minor] {
                    let hello = [&[3, minor][..], &[1; 32], &[0, 0xc0, 0x13, 0]].concat();
                    let head = [22, 3, minor, 0, 42, 2, 0, 0, 38];
                    self.channel.send(&[&head[..], &hello].concat())?;
                    return Ok(false);
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// Reads a message up to what this server takes for its end.
    fn message(&mut self) -> io::Result<()> {
        let mut read: Vec<u8> = b"\r\n".to_vec();
        let ends: &[&[u8]] = match self.fault {
            Some(ServerFault::LfDotLf) => &[b"\r\n.\r\n", b"\n.\n"],
            Some(ServerFault::LfDotCrLf) => &[b"\n.\r\n"],
            Some(ServerFault::CrLfDotLf) => &[b"\r\n.\r\n", b"\r\n.\n"],
            Some(ServerFault::CrDotCr) => &[b"\r\n.\r\n", b"\r.\r"],
            Some(ServerFault::CrDotCrLf) => &[b"\r\n.\r\n", b"\r.\r\n"],
            Some(ServerFault::CrLfDotCr) => &[b"\r\n.\r\n", b"\r\n.\rN"],
            _ => &[b"\r\n.\r\n"],
        };
        loop {
            while self.channel.ahead.is_empty() {
                self.channel.fill()?;
            }
            let next = self.channel.ahead.remove(0);
            if next == 0 && self.is(ServerFault::DropsNul) {
                continue;
            }
            read.push(next);
            if ends.iter().any(|end| read.ends_with(end)) {
                // The byte by which a lone CR is told from CRLF belongs to what follows.
                if read.ends_with(b"N") {
                    self.channel.ahead.insert(0, b'N');
                }
                return Ok(());
            }
        }
    }
}

fn byte(socket: &mut TcpStream) -> io::Result<[u8; 1]> {
    let mut byte = [0];
    socket.read_exact(&mut byte)?;
    Ok(byte)
}
