//! The mail client.

use std::io::{self, ErrorKind, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateRevocationListDer, ServerName};
use rustls::{AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore};

use crate::channel::Channel;
use crate::faults;
use crate::verifier::Lenient;

faults! {
    /// What is wrong with the client.
    ClientFault {
        /// It logs in without TLS that was not offered.
        LoginNotOffered "login-not-offered",
        /// It mails without TLS that was not offered, and without a login.
        MailNotOffered "mail-not-offered",
        /// It goes on after a refusal for a time.
        AfterLater "after-later",
        /// It goes on after a refusal.
        AfterNo "after-no",
        /// It connects again without TLS after the connection ended.
        AfterClose "after-close",
        /// It goes on after every other reply.
        AfterOther "after-other",
        /// It begins TLS after every 2xx.
        Any2xx "any-2xx",
        /// It begins TLS after 3xx.
        Any3xx "any-3xx",
        /// It begins TLS after whatever begins with 220.
        Prefix "prefix",
        /// It keeps what follows the go-ahead.
        KeepsAhead "keeps-ahead",
        /// It shows what follows the go-ahead, and drops it.
        ShowsAhead "shows-ahead",
        /// It goes on reading after the go-ahead.
        ReadsOn "reads-on",
        /// It takes a go-ahead that was there before the request.
        TakesEarly "takes-early",
        /// It takes a greeting inside TLS for the answer to its first request there.
        TakesUnasked "takes-unasked",
        /// It logs in as was offered before TLS.
        StaleLogin "stale-login",
        /// It does not introduce itself inside TLS.
        NoHello "no-hello",
        /// It asks for TLS where it is offered, inside TLS, too.
        AsksAgain "asks-again",
        /// It takes a greeting that says that it is logged in for an excuse from TLS.
        LoggedIn "greeting-logged-in",
        /// It goes on after a greeting that refuses.
        Refused "greeting-refusal",
        /// It goes on after a greeting that is none.
        Strange "greeting-strange",
        /// It takes certificates of every issuer.
        AnyIssuer "any-issuer",
        /// It takes certificates whose time is over.
        Expired "expired",
        /// It takes certificates whose time has not come.
        NotYet "not-yet",
        /// It takes certificates for every name.
        AnyName "any-name",
        /// It takes certificates for every purpose.
        AnyPurpose "any-purpose",
        /// It takes certificates that are on its list of revoked ones.
        IgnoresList "ignores-list",
        /// It connects again without TLS after an alert.
        AfterAlert "after-alert",
        /// It connects again without TLS after plaintext instead of a ServerHello.
        AfterPlaintext "after-plaintext",
        /// It negotiates SSL 3.
        Ssl3 "ssl3",
        /// It waits for a ServerHello for ever.
        Patient "patient",
        /// It waits for ever when the connection has ended inside TLS.
        IgnoresEnd "ignores-end",
    }
}

/// The server, and the login.
#[derive(Debug)]
pub struct Target {
    /// The name, which the certificate must have.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The only authority to trust.
    pub roots: RootCertStore,
    /// The authority's lists of revoked certificates.
    pub revocations: Vec<CertificateRevocationListDer<'static>>,
    /// The name for the login and its password, as the response of the mechanism PLAIN.
    pub plain: String,
    /// The same, each for itself, for the mechanism LOGIN.
    pub login: [String; 2],
}

const PATIENCE: Duration = Duration::from_millis(1500);

/// The time in which a reply comes that was sent before its request.
const EARLY: Duration = Duration::from_millis(150);

/// Why a mail was not sent.
#[derive(Debug)]
enum Failed {
    Io(io::Error),
    Reply(String),
    /// The connection ended before there was a reply to the request for TLS.
    NoReply,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Sends a mail. Returns whether it was accepted.
#[must_use]
pub fn send(target: &Target, fault: Option<ClientFault>) -> bool {
    let Err(failed) = attempt(target, fault, true) else { return true };
    let tls = match &failed {
        Failed::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()),
        _ => None,
    };
    let again = match fault {
        Some(ClientFault::AfterClose) => matches!(failed, Failed::NoReply),
        Some(ClientFault::AfterAlert) => {
            matches!(tls, Some(Error::AlertReceived(AlertDescription::HandshakeFailure)))
        }
        Some(ClientFault::AfterPlaintext) => matches!(tls, Some(Error::InvalidMessage(_))),
        _ => false,
    };
    if let Failed::Reply(reply) = &failed {
        let _ = writeln!(io::stderr(), "the server said: {reply}");
    }
    again && attempt(target, fault, false).is_ok()
}

/// One connection.
struct Client<'a> {
    target: &'a Target,
    fault: Option<ClientFault>,
    channel: Channel,
}

fn attempt(target: &Target, fault: Option<ClientFault>, tls: bool) -> Result<(), Failed> {
    let socket = TcpStream::connect((&target.host[..], target.port))?;
    let patience = (fault != Some(ClientFault::Patient)).then_some(PATIENCE);
    let mut client = Client { target, fault, channel: Channel::new(socket, patience)? };
    let sent = client.session(tls);
    client.channel.close();
    sent
}

impl Client<'_> {
    fn is(&self, fault: ClientFault) -> bool {
        self.fault == Some(fault)
    }

    /// A whole reply.
    fn reply(&mut self) -> Result<String, Failed> {
        let mut reply = String::new();
        loop {
            let line = self.channel.line(true, 4096);
            let line = match line {
                Err(error) if self.channel.is_secured() && self.is(ClientFault::IgnoresEnd) => {
                    thread::sleep(PATIENCE * 10);
                    return Err(error.into());
                }
                line => String::from_utf8_lossy(&line?).into_owned(),
            };
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }

    fn ask(&mut self, command: &str) -> Result<String, Failed> {
        self.channel.send(format!("{command}\r\n").as_bytes())?;
        self.reply()
    }

    fn expect(&mut self, command: &str, code: &str) -> Result<String, Failed> {
        let reply = self.ask(command)?;
        let any = self.is(ClientFault::TakesUnasked) && self.channel.is_secured();
        let fits = reply.starts_with(if any { &code[..1] } else { code });
        if fits { Ok(reply) } else { Err(Failed::Reply(reply)) }
    }

    fn session(&mut self, tls: bool) -> Result<(), Failed> {
        use ClientFault::{LoggedIn, LoginNotOffered, MailNotOffered, Refused, Strange};
        let greeting = self.reply()?;
        let excused = match &greeting[..1] {
            "2" if !greeting.starts_with("220") => self.is(LoggedIn),
            "5" => self.is(Refused),
            "2" => false,
            _ => self.is(Strange),
        };
        if !excused && !greeting.starts_with("220") {
            return Err(Failed::Reply(greeting));
        }
        let hello = self.expect("EHLO client.invalid", "250")?;
        let offered = hello.contains("STARTTLS");
        let mut logins = hello;
        if tls && offered && !excused {
            if self.upgrade()? {
                self.unasked()?;
                if !self.is(ClientFault::NoHello) {
                    let inside = self.expect("EHLO client.invalid", "250")?;
                    if inside.contains("STARTTLS") && self.is(ClientFault::AsksAgain) {
                        self.expect("STARTTLS", "220")?;
                    }
                    if !self.is(ClientFault::StaleLogin) {
                        logins = inside;
                    }
                }
            }
        } else if tls && !excused && !self.is(LoginNotOffered) && !self.is(MailNotOffered) {
            return Err(Failed::Reply("TLS is not offered".to_owned()));
        }
        if !self.is(MailNotOffered) && !self.is(LoggedIn) {
            self.login(&logins)?;
        }
        self.expect("MAIL FROM:<me@wrong.invalid>", "250")?;
        self.expect("RCPT TO:<you@wrong.invalid>", "250")?;
        self.expect("DATA", "354")?;
        self.expect("Subject: a mail\r\n\r\nHello.\r\n.", "250")?;
        self.expect("QUIT", "221").map(drop)
    }

    /// Inside TLS nothing comes before it is asked for.
    fn unasked(&mut self) -> Result<(), Failed> {
        use ClientFault::{KeepsAhead, ReadsOn, TakesUnasked};
        if self.is(TakesUnasked) || self.is(KeepsAhead) || self.is(ReadsOn) {
            return Ok(());
        }
        self.channel.linger(EARLY)?;
        match self.channel.ahead.is_empty() {
            true => Ok(()),
            false => Err(Failed::Reply("a reply without a request".to_owned())),
        }
    }

    fn login(&mut self, offer: &str) -> Result<(), Failed> {
        let Target { plain, login: [user, password], .. } = self.target;
        let mechanisms = offer.lines().find(|line| line.get(4..8) == Some("AUTH"));
        if mechanisms.is_some_and(|line| line.contains("PLAIN")) || self.is(ClientFault::NoHello) {
            self.expect(&format!("AUTH PLAIN {plain}"), "235")?;
        } else {
            self.expect("AUTH LOGIN", "334")?;
            self.expect(user, "334")?;
            self.expect(password, "235")?;
        }
        Ok(())
    }

    /// Whether TLS is active then; otherwise the client goes on without it.
    fn upgrade(&mut self) -> Result<bool, Failed> {
        use ClientFault::{
            AfterLater, AfterNo, AfterOther, Any2xx, Any3xx, KeepsAhead, Prefix, ReadsOn,
            ShowsAhead, TakesEarly,
        };
        if !self.channel.ahead.is_empty() && !self.is(TakesEarly) {
            return Err(Failed::Reply("a reply without a request".to_owned()));
        }
        let reply = match self.ask("STARTTLS") {
            Err(Failed::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(Failed::NoReply);
            }
            reply => reply?,
        };
        let (code, rest) = reply.split_at(3.min(reply.len()));
        let goes = code == "220" && (rest.starts_with([' ', '\r', '\n']) || self.is(Prefix))
            || reply.starts_with('2') && rest.starts_with(' ') && self.is(Any2xx)
            || reply.starts_with('3') && self.is(Any3xx);
        if !goes {
            let goes_on = match &reply[..1] {
                "4" => self.is(AfterLater),
                "5" => self.is(AfterNo),
                _ => self.is(AfterOther),
            };
            return if goes_on { Ok(false) } else { Err(Failed::Reply(reply)) };
        }
        if self.is(ShowsAhead) {
            let ahead = std::mem::take(&mut self.channel.ahead);
            io::stderr().write_all(&ahead)?;
        }
        if self.is(ReadsOn) {
            self.channel.linger(EARLY)?;
        } else if !self.channel.ahead.is_empty() && !self.is(KeepsAhead) {
            return Err(Failed::Reply("a reply after the go-ahead".to_owned()));
        }
        self.secure()?;
        Ok(true)
    }

    fn secure(&mut self) -> Result<(), Failed> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(self.target.roots.clone());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .with_crls(self.target.revocations.clone())
            .build()
            .map_err(io::Error::other)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient { verifier, fault: self.fault }))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(self.target.host.clone()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        if self.is(ClientFault::Ssl3) {
            while tls.wants_write() {
                tls.write_tls(&mut self.channel.socket)?;
            }
            let mut first = [0; 3];
            if self.channel.peek(&mut first)? == 3 && first == [22, 3, 0] {
                self.channel.send(&[22, 3, 0, 0, 1, 0])?;
                return Err(Failed::Reply("SSL 3".to_owned()));
            }
        }
        self.channel.secure(tls.into()).map_err(Failed::Io)
    }
}
