//! An exchange, drawn live as a ladder.

use std::net::SocketAddr;
use std::path::Path;

use starttls_std::{Observer, explain};

use crate::certificate::Certificate;
use crate::excerpt::{Excerpt, escaped};
use crate::out::out;
use crate::outcome::Failure;
use crate::picture::{Picture, Tone};
use crate::rails::{self, STRONG};
use crate::security::Security;

/// Observes a connection, draws it, and stores the TLS parameters.
#[derive(Debug)]
pub(crate) struct Ladder {
    draw: bool,
    asked: String,
    /// Connected to a host found by a lookup.
    connected: bool,
    lines: usize,
    message: Option<Excerpt>,
    /// Whether the client's last command of substance was its introduction.
    pub(crate) introducing: bool,
    /// The server's greeting, escaped.
    pub(crate) greeting: String,
    pub(crate) offered: Option<bool>,
    pub(crate) security: Option<Security>,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) problem: Option<rustls::Error>,
    picture: Picture,
}

impl Ladder {
    /// Draws only if `draw`; `asked` is the name that the certificate must have.
    pub(crate) fn new(draw: bool, asked: &str) -> Self {
        Self {
            draw,
            asked: asked.to_owned(),
            connected: false,
            lines: 0,
            message: None,
            introducing: false,
            greeting: String::new(),
            offered: None,
            security: None,
            certificate: None,
            problem: None,
            picture: Picture::default(),
        }
    }

    /// Observes another connection, which begins in plaintext again.
    pub(crate) fn again(&mut self) {
        self.begin_again("another connection");
    }

    /// Begins a connection to a host without a name.
    pub(crate) fn meet(&mut self, host: &str, address: SocketAddr) {
        Observer::connecting(self, host, address);
    }

    fn begin_again(&mut self, what: &str) {
        self.picture.again(what);
        (self.lines, self.message, self.security) = (0, None, None);
        self.greeting.clear();
    }

    /// Adds the verdicts, and writes the picture, if wanted.
    pub(crate) fn save(
        &mut self,
        file: Option<&Path>,
        verdicts: impl IntoIterator<Item = (String, Tone)>,
    ) -> Result<(), Failure> {
        let Some(file) = file else { return Ok(()) };
        for (text, tone) in verdicts {
            self.picture.verdict(&text, tone);
        }
        self.picture.save(file)
    }

    /// Whether TLS was reached with a certificate that verifies.
    pub(crate) const fn is_verified(&self) -> bool {
        self.security.is_some() && self.problem.is_none()
    }

    pub(crate) fn open(&mut self, title: &str) {
        self.title(title);
        self.head(title);
    }

    /// Names the picture.
    pub(crate) fn title(&mut self, title: &str) {
        self.picture.title(title);
    }

    fn head(&self, title: &str) {
        if !self.draw {
            return;
        }
        out!("\n  {STRONG}{title}{STRONG:#}\n");
        out!("{}", rails::names());
        out!("{}", rails::gap());
    }

    pub(crate) fn close(&self) {
        if self.draw {
            out!("{}", rails::gap());
            out!("");
        }
    }

    fn fact(&mut self, name: &str, value: &str, tone: Tone) {
        self.picture.fact(name, value, tone);
        if self.draw {
            out!("{}", rails::fact(name, value, tone));
        }
    }

    fn rung(&mut self, text: &str, from_client: bool) {
        self.picture.line(text, from_client);
        if self.draw {
            for line in rails::rung(text, from_client, self.security.is_some()) {
                out!("{line}");
            }
        }
    }
}

impl Observer for Ladder {
    fn connecting(&mut self, host: &str, address: SocketAddr) {
        if self.connected {
            self.close();
        }
        self.connected = true;
        host.clone_into(&mut self.asked);
        let what = format!("{host} at {address}");
        self.begin_again(&what);
        self.head(&what);
    }

    fn sent(&mut self, octets: &[u8]) {
        let is = |verb: &[u8]| octets.starts_with(verb);
        self.introducing =
            is(b"EHLO ") || is(b"HELO ") || is(b"LHLO ") || self.introducing && is(b"QUIT");
        if let Some(mut message) = self.message.take() {
            message.take(octets, |line| self.rung(&escaped(line), true));
            self.message = Some(message);
            return;
        }
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            self.rung(&escaped(line), true);
        }
    }

    fn withheld(&mut self, octets: usize) {
        self.rung(&format!("●●●●●●  (a credential, {octets} bytes)"), true);
    }

    fn received(&mut self, octets: &[u8]) {
        if let Some(message) = self.message.take() {
            message.end(true, |line| self.rung(line, true));
        }
        self.message = octets.starts_with(b"354").then(Excerpt::default);
        if self.greeting.is_empty() {
            self.greeting = escaped(octets);
        }
        self.lines += 1;
        if self.security.is_none() {
            let keyword = octets.get(4..).unwrap_or_default().trim_ascii();
            if octets.starts_with(b"250") {
                let offered = keyword.eq_ignore_ascii_case(b"STARTTLS");
                self.offered = Some(self.offered == Some(true) || offered);
            }
        }
        self.rung(&escaped(octets), false);
    }

    fn secured(&mut self, tls: &rustls::CommonState, problem: Option<&rustls::Error>) {
        self.problem = problem.cloned();
        self.certificate =
            tls.peer_certificates().and_then(|chain| chain.first()).and_then(Certificate::read);
        self.picture.tls();
        if self.draw {
            out!("{}", rails::gap());
            out!("{}", rails::rule("plaintext ends here"));
        }
        let forgotten = match self.lines {
            0 => "nothing: there was no plaintext".to_owned(),
            n => format!("all {n} lines of the server, including its capabilities"),
        };
        self.fact("forgotten", &forgotten, Tone::Neutral);
        let security = Security::of(tls);
        self.fact("TLS", &security.to_string(), Tone::Neutral);
        if let Some(certificate) = self.certificate.take() {
            self.fact("certificate", &certificate.subject, Tone::Neutral);
            self.fact("for", &certificate.names.join(", "), Tone::Neutral);
            self.fact("issued by", &certificate.issuer, Tone::Neutral);
            let until = format!("{} ({} days)", certificate.not_after, certificate.days_left);
            self.fact("valid until", &until, Tone::Neutral);
            self.certificate = Some(certificate);
        }
        match problem {
            None => self.fact("verified", &format!("yes, as {}", self.asked), Tone::Good),
            Some(problem) => self.fact("verified", &format!("NO: {}", explain(problem)), Tone::Bad),
        }
        self.security = Some(security);
        if self.draw {
            let rule = match problem {
                None => "encrypted: only the verified peer can read it",
                Some(_) => "encrypted, peer not verified",
            };
            out!("{}", rails::rule(rule));
            out!("{}", rails::gap());
        }
    }
}
