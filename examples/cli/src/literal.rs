//! `starttls send --mx` to an address literal (RFC 5321 §4.1.3): the host itself, without a domain's policy.

use std::net::{IpAddr, SocketAddr};

use starttls::Policy;
use starttls::smtp::Smtp;
use starttls_std::{Error, Mailer, Mode, Receipt, Settings, Timeouts, broken_handshake};
use starttls_tokio::mx::Protection;

use crate::args::Send;
use crate::dial::authorities;
use crate::ladder::Ladder;
use crate::letter::Letter;
use crate::outcome::{self, Failure};
use crate::picture::Tone;
use crate::report::{self, Report, Tried, Way};
use crate::send::{accepted, envelope, parse, sender, verdicts};
use crate::url::{Scheme, Url};

/// The host of a mailbox whose domain is `text`; `None` if that is not a literal.
pub(crate) fn read(text: &str) -> Option<Result<Host, String>> {
    let address = text.strip_prefix('[')?.strip_suffix(']')?;
    let parsed = match address.split_at_checked("IPv6:".len()) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => {
            address.parse().map(IpAddr::V6).ok()
        }
        _ => address.parse().map(IpAddr::V4).ok(),
    };
    let mistake =
        || format!("{text} is not an address literal; write [192.0.2.1] or [IPv6:2001:db8::1]");
    Some(parsed.map(|address| Host { text: text.to_owned(), address }).ok_or_else(mistake))
}

/// A host known only by its address.
#[derive(Debug)]
pub(crate) struct Host {
    /// The text in the mailbox, with brackets.
    pub(crate) text: String,
    address: IpAddr,
}

/// The result of a mail to it.
pub(crate) struct Outcome {
    at: SocketAddr,
    sent: Result<Receipt, Error>,
    protection: Protection,
    failure: Option<Failure>,
}

impl Host {
    /// Sends the mail, over TLS if available. If the mail requires it, only over verified TLS.
    pub(crate) fn send(
        &self,
        args: &Send,
        port: u16,
        to: &[String],
        letter: &Letter,
        ladder: &mut Ladder,
    ) -> Result<Outcome, Failure> {
        let requires_tls = args.lookup.require_tls;
        let tls = authorities(args.account.peer.ca.as_deref())?.inspecting();
        let settings = Settings::new(self.address.to_string(), tls)
            .with_port(port)
            .with_mode(Mode::StartTls)
            .with_timeouts(Timeouts::new().with_total(args.account.timeout))
            .with_policy(if requires_tls { Policy::Required } else { Policy::Opportunistic });
        let settings = match args.account.own_name() {
            Some(name) => settings.with_domain(name),
            None => settings,
        };
        let (from, recipients) = parse(sender(args), to)?;
        let mut envelope = envelope(from, &recipients, letter)?;
        if requires_tls {
            envelope = envelope.with_required_tls();
        }
        let at = SocketAddr::new(self.address, port);
        ladder.meet(&self.address.to_string(), at);
        let message = || letter.message.reader();
        let send = |settings, ladder: &mut Ladder| {
            Mailer::new(settings).send_to_all_as::<Smtp, _>(&envelope, message, &mut *ladder)
        };
        let mut sent = send(settings.clone(), ladder);
        // As with the hosts of a domain, mail that may go in plaintext does so if the handshake fails.
        if !requires_tls && matches!(&sent, Err(error) if broken_handshake(error).is_some()) {
            ladder.again();
            ladder.meet(&self.address.to_string(), at);
            sent = send(settings.without_asking_for_tls(), ladder);
        }
        ladder.close();
        let protection = match (&ladder.security, ladder.is_verified()) {
            (None, _) => Protection::Plaintext,
            (Some(_), true) => Protection::Pkix,
            (Some(_), false) => Protection::Encrypted,
        };
        let url = Url::new(Scheme::SMTP, self.address.to_string(), port);
        let failure = sent.as_ref().err().map(|error| outcome::of_mail(error, &url, ladder));
        Ok(Outcome { at, sent, protection, failure })
    }
}

impl Outcome {
    /// The printed lines.
    pub(crate) fn verdicts(&self, host: &Host, to: &[String]) -> Vec<(String, Tone)> {
        // No domain authenticates an address, and few CAs do.
        let note = match self.protection {
            Protection::Encrypted => "; only a certificate for the address itself could verify it",
            _ => "",
        };
        match &self.sent {
            Ok(receipt) => {
                let way = format!("{} at {}: {}{note}", host.text, self.at, self.protection);
                let mut told = vec![(way, Tone::Neutral)];
                told.extend(verdicts(receipt, to));
                told
            }
            Err(error) => {
                let verdict = report::unsent(error.fate());
                vec![(format!("{verdict} to {}: {error}", host.text), Tone::Bad)]
            }
        }
    }

    /// The output of `--json`.
    pub(crate) fn report<'a>(
        &'a self,
        mail: Option<&'a str>,
        host: &'a Host,
        envelope: (&'a str, &'a [String]),
    ) -> Report<'a> {
        let delivered = self.sent.is_ok();
        let problem = self.sent.as_ref().err();
        let tried = problem.map(|problem| Tried {
            host: &host.text,
            address: Some(self.at),
            problem: problem.to_string(),
        });
        let report = Report::new(mail, envelope, self.sent.as_ref());
        let report = match &self.failure {
            Some(failure) => report.with_failure(report::fate(self.sent.as_ref()), failure),
            None => report,
        };
        report.with_way(Way::Domain {
            domain: &host.text,
            delivered,
            host: delivered.then_some(&host.text[..]),
            address: delivered.then_some(self.at),
            protection: delivered.then(|| self.protection.to_string()),
            attempts: tried.into_iter().collect(),
            temporary: match problem {
                Some(Error::Rejected { answer, .. }) => answer.code < 500,
                Some(Error::Io { .. } | Error::Unfinished { .. } | Error::Tls(_)) => true,
                _ => false,
            },
        })
    }

    /// The command's end.
    pub(crate) fn end(self, to: &[String]) -> Result<(), Failure> {
        match (self.sent, self.failure) {
            (_, Some(failure)) => Err(failure),
            (Ok(receipt), None) => accepted(&receipt, to),
            (Err(error), None) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use clap::Parser as _;
    use starttls_std::{Answer, Deliver, Inbox, Mail, Silent};

    use super::*;
    use crate::args::{Args, Command};
    use crate::identity::Made;
    use crate::message::Source;
    use crate::serve;

    struct Accepts;

    impl Deliver for Accepts {
        fn deliver(&mut self, _: &Mail) -> Answer {
            Answer::new(250, "2.0.0 Delivered")
        }
    }

    fn sent(certified: &str, more: &[&str]) -> (Vec<String>, Result<(), Failure>) {
        let made = Made::new(vec![certified.to_owned()]).expect("a certificate");
        let mut ca = tempfile::NamedTempFile::new().expect("a file");
        ca.write_all(made.ca.as_bytes()).expect("written");
        let made = made.server(None).expect("a configuration");
        let tls = std::sync::Arc::clone(made.config());
        let inbox = Inbox::new(serve::settings(Scheme::SMTP, tls, Policy::Opportunistic));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            let _ = inbox.receive::<Smtp>(stream, &mut Accepts, Silent);
        });
        let to = vec!["you@[127.0.0.1]".to_owned()];
        let ca = ca.path().to_str().expect("UTF-8");
        let line = ["starttls", "send", "--mx", "--to", &to[0], "--ca", ca];
        let args = Args::try_parse_from([&line[..], more].concat()).expect("arguments");
        let Command::Send(args) = args.command else { panic!("another command") };
        let host = read("[127.0.0.1]").expect("a literal").expect("an address");
        let letter = Letter::read(Source::Memory(b"Subject: x\n\nx\n".to_vec())).expect("memory");
        let mut ladder = Ladder::new(false, "");
        let outcome = host.send(&args, port, &to, &letter, &mut ladder).expect("tried");
        server.join().expect("no panic");
        let verdicts = outcome.verdicts(&host, &to).into_iter().map(|(verdict, _)| verdict);
        (verdicts.collect(), outcome.end(&to))
    }

    #[test]
    fn a_certificate_for_the_address_verifies_it() {
        let (verdicts, end) = sent("127.0.0.1", &["--require-tls"]);
        assert!(verdicts[0].ends_with("over TLS, verified by an authority"), "{verdicts:?}");
        assert!(verdicts[1].starts_with("sent to <you@[127.0.0.1]>"), "{verdicts:?}");
        end.expect("sent");
    }

    #[test]
    fn after_a_broken_handshake_optional_tls_falls_back_to_plaintext() {
        for (more, code) in [(&[][..], 0), (&["--require-tls"], 5)] {
            let made = Made::new(vec!["localhost".to_owned()]).expect("a certificate");
            let tls = std::sync::Arc::clone(made.server(None).expect("one").config());
            let inbox = Inbox::new(serve::settings(Scheme::SMTP, tls, Policy::Opportunistic));
            let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
            let port = listener.local_addr().expect("an address").port();
            let server = thread::spawn(move || {
                let mut stream = BufReader::new(listener.accept().expect("a connection").0);
                let mut line = String::new();
                for said in ["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n"] {
                    stream.get_mut().write_all(said.as_bytes()).expect("written");
                    if !said.ends_with("go\r\n") {
                        stream.read_line(&mut line).expect("a line");
                    }
                }
                // Not TLS, and only after the client began with it; the end, when the client has closed.
                stream.read_exact(&mut [0]).expect("a ClientHello");
                stream.get_mut().write_all(b"what is this?\r\n").expect("written");
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                if code == 0 {
                    let (stream, _) = listener.accept().expect("another connection");
                    let _ = inbox.receive::<Smtp>(stream, &mut Accepts, Silent);
                }
            });
            let to = vec!["you@[127.0.0.1]".to_owned()];
            let mut ca = tempfile::NamedTempFile::new().expect("a file");
            ca.write_all(made.ca.as_bytes()).expect("written");
            let ca = ca.path().to_str().expect("UTF-8");
            let line = ["starttls", "send", "--mx", "--to", &to[0], "--ca", ca];
            let args = Args::try_parse_from([&line[..], more].concat()).expect("arguments");
            let Command::Send(args) = args.command else { panic!("another command") };
            let host = read("[127.0.0.1]").expect("a literal").expect("an address");
            let letter =
                Letter::read(Source::Memory(b"Subject: x\n\nx\n".to_vec())).expect("memory");
            let mut ladder = Ladder::new(false, "");
            let outcome = host.send(&args, port, &to, &letter, &mut ladder).expect("tried");
            server.join().expect("no panic");
            assert_eq!(outcome.sent.is_ok(), code == 0, "{:?}", outcome.sent);
            if code == 0 {
                assert!(matches!(outcome.protection, Protection::Plaintext));
            }
            assert_eq!(outcome.end(&to).err().map_or(0, |failure| failure.code), code);
        }
    }

    #[test]
    fn another_certificate_does_not_verify_it() {
        let (verdicts, end) = sent("localhost", &[]);
        let note = "only a certificate for the address itself could verify it";
        assert!(verdicts[0].ends_with(note), "{verdicts:?}");
        end.expect("sent");
        let (verdicts, end) = sent("localhost", &["--require-tls"]);
        assert!(verdicts[0].starts_with("NOT sent to [127.0.0.1]"), "{verdicts:?}");
        assert_eq!(end.expect_err("not verified").code, 5);
    }

    #[test]
    fn literals() {
        let address = |text| read(text).map(|host| host.ok().map(|host| host.address.to_string()));
        assert_eq!(address("a.example"), None);
        assert_eq!(address("[192.0.2.1]"), Some(Some("192.0.2.1".into())));
        assert_eq!(address("[IPv6:2001:db8::1]"), Some(Some("2001:db8::1".into())));
        assert_eq!(address("[ipv6:::1]"), Some(Some("::1".into())));
        for bad in
            ["[]", "[2001:db8::1]", "[a.example]", "[192.0.2]", "[IPv6:192.0.2.1]", "[x400:y]"]
        {
            assert_eq!(address(bad), Some(None), "{bad}");
        }
    }
}
