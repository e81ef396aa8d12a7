//! `starttls send`.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::net::Ipv4Addr;
use std::path::Path;

use starttls::Policy;
use starttls::lmtp::Lmtp;
use starttls::mail::session::Mechanism;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_std::{ClientTls, Error, Login, Mailer, Receipt, Settings, Timeouts};
use starttls_tokio::{Answer, Deliver, Inbox, Mail, Prompt, Silent};
use tokio::net::TcpListener;

use crate::args::{Send, Tls};
use crate::bulk;
use crate::compose;
use crate::dial::trust;
use crate::identity::Made;
use crate::ladder::Ladder;
use crate::mailbox::Mailbox;
use crate::mx;
use crate::out::out;
use crate::outcome::Failure;
use crate::picture::Tone;
use crate::probe;
use crate::serve::{self, runtime};
use crate::url::{Kind, Scheme, Url};

const SAMPLE: &str = "It is 21.5 degrees in the greenhouse.\n\
    .dots at the start of a line arrive as they are,\n\
    and nobody on the way could read or change a word.\n";

pub(crate) fn run(args: &Send) -> Result<(), Failure> {
    let mailbox = args.file.as_deref().map(Mailbox::find).transpose()?.flatten();
    if args.mx {
        return match mailbox {
            None => mx::run(args),
            Some(_) => Err(Failure::local("many mails need one server; name it with --server")),
        };
    }
    if args.lookup.is_given() {
        return Err(Failure::local("nothing is looked up without --mx"));
    }
    match (&args.server, mailbox) {
        (Some(url), Some(mailbox)) => bulk::run(args, url, &mailbox),
        (Some(_), None) if args.to.is_empty() => {
            Err(Failure::local("nobody to send it to; say who receives it with --to"))
        }
        (Some(url), None) => to_server(args, url),
        (None, Some(_)) => {
            Err(Failure::local("many mails need a server to go to; name it with --server"))
        }
        (None, None) => to_ourselves(args),
    }
}

/// How mail gets to `url`, by the options.
pub(crate) fn settings(args: &Send, url: &Url, tls: ClientTls) -> Result<Settings, Failure> {
    let settings = Settings::new(&url.host, tls.inspecting())
        .with_port(url.port)
        .with_mode(url.scheme.mode)
        .with_domain(&args.helo)
        .with_timeouts(Timeouts::new().with_total(args.timeout))
        .with_policy(match args.tls {
            Tls::Required => Policy::Required,
            Tls::Opportunistic => Policy::Opportunistic,
        });
    let (Some(user), Some(file)) = (&args.user, &args.password_file) else { return Ok(settings) };
    let secret = first_line(file)?;
    Ok(settings.with_login(match args.auth {
        Some(mechanism @ Mechanism::XOAuth2) => Login::bearer(user, secret).by(mechanism),
        Some(mechanism) => Login::new(user, secret).by(mechanism),
        None => Login::new(user, secret),
    }))
}

fn to_server(args: &Send, url: &Url) -> Result<(), Failure> {
    let mailer = Mailer::new(settings(args, url, trust(args.ca.as_deref())?)?);
    let title = format!("a mail to {}://{}:{}", url.scheme.name(), url.host, url.port);
    let message = message(args, &args.to)?;
    let (outcome, mut ladder) = exchange(args, mailer, url, &args.to, &message, &title);
    finish(args, url, &mut ladder, outcome, &args.to)
}

/// Starts a server of our own, which ends with its one connection.
fn to_ourselves(args: &Send) -> Result<(), Failure> {
    let to = if args.to.is_empty() { vec!["you@localhost".to_owned()] } else { args.to.clone() };
    let made = Made::new(vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()])?;
    let io = |error: io::Error| Failure::local(format!("starting a server: {error}"));
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(io)?;
    let port = listener.local_addr().map_err(io)?.port();
    let inbox = Inbox::new(serve::settings(Scheme::SMTP, made.server()?, Policy::Required));
    let server = runtime.spawn(async move {
        let mut kept = Kept::default();
        let (stream, _) = listener.accept().await.map_err(Failure::from_io)?;
        let stream = Prompt::new(stream).map_err(Failure::from_io)?;
        inbox.receive::<Smtp, _>(stream, &mut kept, Silent).await?;
        Ok::<_, Failure>(kept.0)
    });
    // The certificate is for 127.0.0.1, too: no name service has a say in this.
    let url = Url { scheme: Scheme::SMTP, host: Ipv4Addr::LOCALHOST.to_string(), port };
    let tls = ClientTls::with_ca_pem(made.ca.as_bytes())?;
    let mailer = Mailer::new(settings(args, &url, tls)?);
    let message = message(args, &to)?;
    let title = format!("a mail to our own server, started for it on port {port} of this machine");
    let (outcome, mut ladder) = exchange(args, mailer, &url, &to, &message, &title);
    let failed = outcome.is_err();
    finish(args, &url, &mut ladder, outcome, &to)?;
    let arrived = runtime.block_on(server).map_err(|_| Failure::local("the server broke"))?;
    if failed || args.json {
        return Ok(());
    }
    for mail in arrived? {
        show(&mail, &message);
    }
    Ok(())
}

fn exchange(
    args: &Send,
    mailer: Mailer,
    url: &Url,
    to: &[String],
    message: &[u8],
    title: &str,
) -> (Result<Receipt, Error>, Ladder) {
    let mut ladder = Ladder::new(!args.json, &url.host);
    let outcome = parse(sender(args), to).and_then(|(from, to)| {
        let envelope = envelope(from, &to, message)?;
        ladder.open(title);
        let outcome = match url.scheme.kind {
            Kind::Lmtp => mailer.send_as::<Lmtp>(&envelope, message, &mut ladder),
            _ => mailer.send_as::<Smtp>(&envelope, message, &mut ladder),
        };
        ladder.close();
        outcome
    });
    (outcome, ladder)
}

pub(crate) fn sender(args: &Send) -> &str {
    args.from.as_deref().unwrap_or("sender@localhost")
}

/// What the server has to know of a message beforehand.
pub(crate) fn envelope<'a>(
    from: Address<'a>,
    to: &'a [Address<'a>],
    message: &[u8],
) -> Result<Envelope<'a>, Error> {
    let envelope = Envelope::new(Some(from), to)
        .map_err(bad("the list of recipients"))?
        .with_size(size(message));
    Ok(if message.is_ascii() { envelope } else { envelope.with_eight_bit() })
}

pub(crate) fn parse<'a>(
    from: &'a str,
    to: &'a [String],
) -> Result<(Address<'a>, Vec<Address<'a>>), Error> {
    let from = Address::international(from).map_err(bad("the sender's address"))?;
    let to = to
        .iter()
        .map(|to| Address::international(to).map_err(bad("a recipient's address")))
        .collect::<Result<_, _>>()?;
    Ok((from, to))
}

/// How many octets a message has when each of its lines ends with CRLF.
fn size(message: &[u8]) -> usize {
    let lines = message.split_inclusive(|octet| *octet == b'\n');
    lines.map(|line| content(line) + 2).sum()
}

/// How many octets a line has before its end.
fn content(line: &[u8]) -> usize {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line).len()
}

fn bad(what: &'static str) -> impl Fn(starttls::ArgumentError) -> Error {
    move |why| Error::Argument { what, why: why.to_string() }
}

fn finish(
    args: &Send,
    url: &Url,
    ladder: &mut Ladder,
    outcome: Result<Receipt, Error>,
    to: &[String],
) -> Result<(), Failure> {
    if args.json {
        probe::print(url, ladder, outcome.as_ref().err());
    }
    let verdicts = match &outcome {
        Err(error) => vec![(format!("NOT sent: {error}"), Tone::Bad)],
        Ok(receipt) => verdicts(receipt, to),
    };
    let saved = ladder.save(args.ladder_svg.as_deref(), verdicts.iter().cloned());
    let receipt = outcome?;
    if !args.json {
        for (verdict, _) in &verdicts {
            out!("  {verdict}");
        }
    }
    saved?;
    accepted(&receipt, to)
}

/// Whether every recipient was accepted.
pub(crate) fn accepted(receipt: &Receipt, to: &[String]) -> Result<(), Failure> {
    let refused: Vec<String> = to
        .iter()
        .zip(&receipt.recipients)
        .filter(|(_, answer)| !answer.is_yes())
        .map(|(to, answer)| format!("<{to}>: {answer}"))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    let message = format!("the server refused some recipients: {}", refused.join("; "));
    Err(Failure { message, code: 6 })
}

pub(crate) fn verdicts(receipt: &Receipt, to: &[String]) -> Vec<(String, Tone)> {
    to.iter()
        .zip(&receipt.recipients)
        .map(|(to, answer)| match answer.is_yes() {
            true => (format!("sent to <{to}>: {answer}"), Tone::Good),
            false => (format!("NOT sent to <{to}>: {answer}"), Tone::Bad),
        })
        .collect()
}

pub(crate) fn first_line(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::local(format!("{}: {error}", path.display())))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Failure::local(format!("{}: has no password in its first line", path.display()))),
    }
}

/// The message as it is sent: what the file says, below a header if there is a subject.
pub(crate) fn message(args: &Send, to: &[String]) -> Result<Vec<u8>, Failure> {
    let sample = args.server.is_none() && !args.mx && args.file.is_none();
    let text = match &args.file {
        Some(path) if path.as_os_str() != "-" => fs::read(path)
            .map_err(|error| Failure::local(format!("{}: {error}", path.display())))?,
        _ if sample => SAMPLE.as_bytes().to_vec(),
        _ => {
            if io::stdin().is_terminal() {
                eprintln!("starttls: type the message, then end the input (Ctrl-D)");
            }
            let mut text = Vec::new();
            io::stdin()
                .read_to_end(&mut text)
                .map_err(|error| Failure::local(format!("standard input: {error}")))?;
            text
        }
    };
    let subject = match &args.subject {
        Some(subject) => subject.as_str(),
        None if sample => "Greetings from starttls",
        None => return Ok(text),
    };
    let text = String::from_utf8(text).map_err(|_| {
        Failure::local("the text is not UTF-8; send a whole message without --subject")
    })?;
    compose::message(sender(args), to, subject, &text, &args.attach)
}

/// Keeps what the demonstration's server receives.
#[derive(Default)]
struct Kept(Vec<Mail>);

impl Deliver for Kept {
    async fn deliver(&mut self, mail: &Mail) -> Answer {
        self.0.push(mail.clone());
        Answer::new(250, "2.0.0 Delivered")
    }
}

fn show(mail: &Mail, sent: &[u8]) {
    let lines = |octets: &[u8]| -> Vec<Vec<u8>> {
        octets
            .split_inclusive(|octet| *octet == b'\n')
            .map(|line| line.trim_ascii_end().to_vec())
            .collect()
    };
    let verdict = if mail.message == sent {
        "octet for octet what was sent"
    } else if lines(&mail.message) == lines(sent) {
        "what was sent, each line ended by CRLF"
    } else {
        "NOT what was sent"
    };
    let to: Vec<&str> = mail.to.iter().map(|to| to.path.as_str()).collect();
    let (from, to) = (&mail.from, to.join(">, <"));
    out!("\n  what arrived from <{from}> for <{to}>: {verdict}\n");
    for line in String::from_utf8_lossy(&mail.message).lines() {
        let shown: String =
            line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        out!("    {shown}");
    }
    out!("");
}
