//! `starttls send`.

use std::io::{self, IsTerminal as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use starttls::Policy;
use starttls::lmtp::Lmtp;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_std::{ClientTls, Error, Mailer, Receipt, Settings, Timeouts};
use starttls_tokio::{Answer, Deliver, Inbox, Mail, Prompt, Silent};
use tokio::net::TcpListener;

use crate::args::{Account, Send, Tls};
use crate::bulk;
use crate::compose;
use crate::dial::trust;
use crate::excerpt::visible;
use crate::files;
use crate::identity::Made;
use crate::ladder::Ladder;
use crate::letter::Letter;
use crate::login::login;
use crate::mailbox::Mailbox;
use crate::mbox::is_separator;
use crate::message::Source;
use crate::mx;
use crate::out::{self, out, tell};
use crate::outcome::{self, Failure};
use crate::picture::Tone;
use crate::probe;
use crate::queue;
use crate::report::{Report, Reports, Way, unsent};
use crate::serve;
use crate::service::runtime;
use crate::stop::Stop;
use crate::url::{Kind, Scheme, Url};

const SAMPLE: &str = "It is 21.5 degrees in the greenhouse.\n\
    .dots at the start of a line arrive as they are,\n\
    and no attacker on the network could read or change a word.\n";

/// The message on a signal while a mail is being sent: if it were aborted, its fate would be unknown.
pub(crate) const WAITS: &str = "the current mail is sent, or fails";

pub(crate) fn run(args: &Send) -> Result<(), Failure> {
    let mut reports = Reports::new(args.json);
    let outcome = route(args, &mut reports);
    match &outcome {
        Err(failure) => reports.end(args.file.as_deref().and_then(Path::to_str), failure),
        // A caller that retries by the exit code would send it twice.
        Ok(()) => out::forgive("everything was accepted; do not send it again"),
    }
    outcome
}

/// Reports invalid arguments as an object, if a program expects one.
pub(crate) fn usage(error: &clap::Error) {
    let mut given = std::env::args_os().skip(1);
    let sends = given.next().is_some_and(|command| command == "send");
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    Reports::new(sends && given.any(|option| option == "--json"))
        .end(None, &Failure::local(message));
}

fn route(args: &Send, reports: &mut Reports) -> Result<(), Failure> {
    let mailbox = args.file.as_deref().map(Mailbox::find).transpose()?.flatten();
    if mailbox.is_none() && (args.state.is_some() || args.again) {
        let option = if args.again { "--again" } else { "--state" };
        return Err(Failure::local(format!(
            "{option} is for many mails: an mbox, a Maildir, or a directory of .eml files"
        )));
    }
    if let Some(option) = args.account.peer.given().filter(|option| {
        // DANE and MTA-STS determine the trusted server.
        args.server.is_none() && (!args.mx || *option != "--ca")
    }) {
        return Err(Failure::local(format!("{option} needs --server")));
    }
    if args.mx {
        return match mailbox {
            None => mx::run(args, reports),
            Some(_) => Err(Failure::local("many mails need one server; pass it with --server")),
        };
    }
    if let Some(directory) = &args.queue {
        return match mailbox {
            None => queue::store(args, directory),
            Some(_) => Err(Failure::local("a queue takes one mail at a time; many need --server")),
        };
    }
    if args.lookup.is_given() {
        return Err(Failure::local("options for lookups need --mx"));
    }
    let server = args.server.as_ref().map(|url| url.named(args.account.name.as_deref()));
    let server = server.transpose().map_err(Failure::local)?;
    match (&server, mailbox) {
        (Some(url), Some(mailbox)) => bulk::run(args, url, &mailbox, reports),
        (Some(_), None) if args.to.is_empty() => {
            Err(Failure::local("no recipient; pass one with --to"))
        }
        (Some(url), None) => to_server(args, url, reports),
        (None, Some(_)) => Err(Failure::local("many mails need a server; pass it with --server")),
        (None, None) => to_ourselves(args, reports),
    }
}

/// The mailer for `url`, from the options.
pub(crate) fn settings(account: &Account, url: &Url, tls: ClientTls) -> Result<Settings, Failure> {
    let settings = Settings::new(&url.host, tls.inspecting())
        .with_name(url.name())
        .with_port(url.port)
        .with_route(url.route(account.peer.proxy.as_ref())?)
        .with_mode(url.scheme.mode)
        .with_timeouts(Timeouts::new().with_total(account.timeout))
        .with_policy(match account.tls {
            Tls::Required => Policy::Required,
            Tls::Opportunistic => Policy::Opportunistic,
        });
    let settings = match account.own_name() {
        Some(name) => settings.with_domain(name),
        None => settings,
    };
    Ok(match login(account)? {
        Some(login) => settings.with_login(login),
        None => settings,
    })
}

fn to_server(args: &Send, url: &Url, reports: &mut Reports) -> Result<(), Failure> {
    let mailer = Mailer::new(settings(&args.account, url, trust(&args.account.peer)?)?);
    let title = format!("a mail to {url}");
    let message = message(args, &args.to)?;
    let _stop = Stop::listen_apart(WAITS)?;
    let (outcome, mut ladder) = exchange(args, mailer, url, &args.to, &message, &title);
    finish(args, url, &mut ladder, outcome, &args.to, reports)
}

/// Starts a server of this command, which ends with its one connection.
fn to_ourselves(args: &Send, reports: &mut Reports) -> Result<(), Failure> {
    let to = if args.to.is_empty() { vec!["you@localhost".to_owned()] } else { args.to.clone() };
    let made = Made::new(vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()])?;
    let io = |error: io::Error| Failure::local(format!("starting a server: {error}"));
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(io)?;
    let port = listener.local_addr().map_err(io)?.port();
    let inbox = Inbox::new(serve::settings(
        Scheme::SMTP,
        Arc::clone(made.server(None)?.config()),
        Policy::Required,
    ));
    let server = runtime.spawn(async move {
        let mut kept = Kept::default();
        let (stream, _) = listener.accept().await.map_err(Failure::from_io)?;
        let stream = Prompt::new(stream).map_err(Failure::from_io)?;
        inbox.receive::<Smtp, _>(stream, None, &mut kept, Silent).await?;
        Ok::<_, Failure>(kept.0)
    });
    // The certificate is for 127.0.0.1, too, so no name service is involved.
    let url = Url::new(Scheme::SMTP, Ipv4Addr::LOCALHOST.to_string(), port);
    let tls = ClientTls::with_ca_pem(made.ca.as_bytes())?;
    let mailer = Mailer::new(settings(&args.account, &url, tls)?);
    let message = message(args, &to)?;
    let title = format!("a mail to our own server, started for it on port {port} of this machine");
    let (outcome, mut ladder) = exchange(args, mailer, &url, &to, &message, &title);
    let failed = outcome.is_err();
    finish(args, &url, &mut ladder, outcome, &to, reports)?;
    let arrived = runtime.block_on(server).map_err(|_| Failure::local("the server failed"))?;
    if failed || args.json {
        return Ok(());
    }
    for mail in arrived? {
        show(&mail, &message.message.to_bytes().map_err(Failure::from_io)?);
    }
    Ok(())
}

fn exchange(
    args: &Send,
    mailer: Mailer,
    url: &Url,
    to: &[String],
    letter: &Letter,
    title: &str,
) -> (Result<Receipt, Error>, Ladder) {
    let mut ladder = Ladder::new(!args.json, url.name());
    let outcome = parse(sender(args), to).and_then(|(from, to)| {
        let envelope = envelope(from, &to, letter)?;
        let message = || letter.message.reader();
        ladder.open(title);
        let outcome = match url.scheme.kind {
            Kind::Lmtp => mailer.send_to_all_as::<Lmtp, _>(&envelope, message, &mut ladder),
            _ => mailer.send_to_all_as::<Smtp, _>(&envelope, message, &mut ladder),
        };
        ladder.close();
        outcome
    });
    (outcome, ladder)
}

pub(crate) fn sender(args: &Send) -> &str {
    args.from.as_deref().unwrap_or("sender@localhost")
}

/// The envelope and message properties that the server needs in advance.
pub(crate) fn envelope<'a>(
    from: Option<Address<'a>>,
    to: &'a [Address<'a>],
    letter: &Letter,
) -> Result<Envelope<'a>, Error> {
    let message = &letter.message;
    let mut envelope =
        Envelope::new(from, to).map_err(bad("the list of recipients"))?.with_size(message.size);
    if letter.international {
        envelope = envelope.with_utf8();
    }
    Ok(if message.is_ascii { envelope } else { envelope.with_eight_bit() })
}

/// The envelope's addresses; the sender of a report is empty (RFC 5321 §4.5.5).
pub(crate) fn parse<'a>(
    from: &'a str,
    to: &'a [String],
) -> Result<(Option<Address<'a>>, Vec<Address<'a>>), Error> {
    let address = |what: &'static str| {
        move |text: &'a str| {
            let named = |why| Error::Argument { what, why: format!("<{text}> {why}") };
            Address::international(text).map_err(named)
        }
    };
    let from = match from {
        "" => None,
        from => Some(address("the sender's address")(from)?),
    };
    let recipient = address("a recipient's address");
    let to = to.iter().map(|to| recipient(to)).collect::<Result<_, _>>()?;
    Ok((from, to))
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
    reports: &mut Reports,
) -> Result<(), Failure> {
    let mail = args.file.as_deref().and_then(Path::to_str);
    let way = Way::Server(probe::seen(url, ladder, outcome.as_ref().err()));
    let report = Report::new(mail, (sender(args), to), outcome.as_ref());
    reports.print(&report.with_way(way));
    let verdicts = match &outcome {
        Err(error) => vec![(format!("{}: {error}", unsent(error.fate())), Tone::Bad)],
        Ok(receipt) => verdicts(receipt, to),
    };
    let saved = ladder.save(args.ladder_svg.as_deref(), verdicts.iter().cloned());
    let receipt = outcome.map_err(|error| outcome::of_mail(&error, url, ladder))?;
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

/// The message as sent: the file's content without `Bcc`, or with a new header if there is a subject.
pub(crate) fn message(args: &Send, to: &[String]) -> Result<Letter, Failure> {
    let sample = args.server.is_none() && !args.mx && args.queue.is_none() && args.file.is_none();
    let source = match &args.file {
        Some(path) if path.as_os_str() != "-" => {
            Source::open(path).map_err(|error| files::failed("the message", path, &error))?
        }
        _ if sample => Source::Memory(SAMPLE.as_bytes().to_vec()),
        _ => {
            if io::stdin().is_terminal() {
                tell!("type the message, then end the input (Ctrl-D)");
            }
            Source::copy(io::stdin().lock())
                .map_err(|error| Failure::local(format!("standard input: {error}")))?
        }
    };
    let unread = |error: io::Error| match &args.file {
        Some(path) if path.as_os_str() != "-" => files::failed("the message", path, &error),
        _ => Failure::local(format!("standard input: {error}")),
    };
    let subject = match &args.subject {
        Some(subject) => subject.as_str(),
        None if sample => "Greetings from starttls",
        None => {
            let letter = Letter::read(source).map_err(unread)?;
            let head = letter.message.head();
            // Sent as one message, it would reach people who are not its recipients.
            let first = head.split_inclusive(|octet| *octet == b'\n').next().unwrap_or_default();
            if is_separator(first) {
                return Err(Failure::local(
                    "the message is an mbox; pass its file, and a server with --server",
                ));
            }
            letter.check(args.allow_empty)?;
            return Ok(letter);
        }
    };
    let text = String::from_utf8(source.into_bytes().map_err(unread)?).map_err(|_| {
        Failure::local("the text is not UTF-8; send a whole message without --subject")
    })?;
    compose::message(sender(args), to, subject, &text, &args.attach)
}

/// Stores the mail that the demonstration's server receives.
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
        "byte for byte what was sent"
    } else if lines(&mail.message) == lines(sent) {
        "what was sent, each line ended by CRLF"
    } else {
        "NOT what was sent"
    };
    let to: Vec<&str> = mail.to.iter().map(|to| to.path.as_str()).collect();
    let (from, to) = (&mail.from, to.join(">, <"));
    out!("\n  what arrived from <{from}> for <{to}>: {verdict}\n");
    for line in String::from_utf8_lossy(&mail.message).lines() {
        out!("    {}", visible(line));
    }
    out!("");
}
