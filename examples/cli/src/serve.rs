//! `starttls serve`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use starttls::Policy;
use starttls::lmtp::Lmtp;
use starttls::mail::receiver::{self, Authentication};
use starttls::server::Config;
use starttls::smtp::Smtp;
use starttls_tokio::{
    Answer, Deliver, Error, Inbox, InboxSettings, Mail, Observer, Silent, Timeouts, serve,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::block_in_place;

use crate::args::Serve;
use crate::backend;
use crate::identity::{self, Made};
use crate::out::out;
use crate::outcome::Failure;
use crate::send::first_line;
use crate::url::{Kind, Scheme};
use crate::watch::{Pictures, Watch};

/// Connections served at the same time; more wait in the listener's queue.
const CONNECTIONS: usize = 16 * 1024;

const TIMEOUTS: Timeouts = Timeouts::new().with_total(Duration::from_secs(60 * 60));

pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    let local = |doing: String| move |error: io::Error| Failure::local(format!("{doing}: {error}"));
    let scheme = args.protocol;
    if args.backend.is_none() && !scheme.takes_mail() && scheme.protocol().begins_anew {
        return Err(Failure::local(format!(
            "only mail ends here; name the {} server behind with --backend HOST:PORT",
            scheme.protocol().name
        )));
    }
    if args.backend.is_some() && !scheme.protocol().begins_anew {
        return Err(Failure::local(format!(
            "a {} server without TLS cannot go on behind the TLS of another",
            scheme.name()
        )));
    }
    if matches!(scheme.kind, Kind::Xmpp | Kind::XmppServer) && !args.require_tls {
        return Err(Failure::local(format!(
            "{} needs --require-tls: a stream before TLS is with us, and not with the server behind",
            scheme.name()
        )));
    }
    if let Some(directory) = &args.deliver {
        fs::create_dir_all(directory).map_err(local(directory.display().to_string()))?;
    }
    let tls = match (&args.cert, &args.key) {
        (Some(certificate), Some(key)) => identity::read(certificate, key)?,
        _ => {
            let made = Made::new(names(args.listen))?;
            let directory = made.save()?;
            out!("ca {}", directory.join("ca.pem").display());
            made.server()?
        }
    };
    let runtime = runtime()?;
    let listener = runtime
        .block_on(TcpListener::bind(args.listen))
        .map_err(local(format!("listening on {}", args.listen)))?;
    let address = listener.local_addr().map_err(local("listening".into()))?;
    out!("listening {} {} {}", scheme.name(), address.ip(), address.port());
    crate::out::result()?;
    let policy = if args.require_tls { Policy::Required } else { Policy::Opportunistic };
    let pictures = args.ladder_svg.clone().map(Pictures::new);
    let backend = args.backend.clone();
    if backend.is_some() || !scheme.takes_mail() {
        let mut tls = ServerConfig::clone(&tls);
        tls.alpn_protocols.extend(scheme.protocol().alpn.map(<[u8]>::to_vec));
        let tls = Arc::new(tls);
        let front = Arc::new(Front { scheme, policy, tls, timeouts: TIMEOUTS, backend });
        runtime.block_on(serve(&listener, CONNECTIONS, not_accepted, |stream, peer| {
            let front = Arc::clone(&front);
            let mut watched = Watched::new(pictures.as_ref(), peer);
            async move {
                let outcome = backend::connection(&front, stream, watched.observer()).await;
                watched.end(outcome);
            }
        }));
        return Ok(());
    }
    let mut receiver = receiver_config();
    let mut place = Place { directory: args.deliver.clone(), login: None };
    if let (Some(user), Some(file)) = (&args.user, &args.password_file) {
        receiver = receiver.with_authentication(Authentication::Required);
        place.login = Some((user.clone(), first_line(file)?));
    }
    let inbox = Inbox::new(settings(scheme, tls, policy).with_receiver(receiver));
    let (inbox, place) = (Arc::new(inbox), Arc::new(place));
    runtime.block_on(serve(&listener, CONNECTIONS, not_accepted, |stream, peer| {
        let (inbox, place) = (Arc::clone(&inbox), Arc::clone(&place));
        let mut watched = Watched::new(pictures.as_ref(), peer);
        async move {
            let (place, observer) = (&mut &*place, watched.observer());
            let outcome = match scheme.kind {
                Kind::Lmtp => inbox.receive::<Lmtp, _>(stream, place, observer).await,
                _ => inbox.receive::<Smtp, _>(stream, place, observer).await,
            };
            watched.end(outcome);
        }
    }));
    Ok(())
}

/// What connections are served on.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Runtime::new().map_err(|error| Failure::local(format!("starting: {error}")))
}

pub(crate) fn not_accepted(error: io::Error) {
    eprintln!("starttls: accepting: {error}");
}

/// What stands in front of a server that has no TLS.
pub(crate) struct Front {
    pub(crate) scheme: Scheme,
    pub(crate) policy: Policy,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) timeouts: Timeouts,
    /// Where it is, if there can be one.
    pub(crate) backend: Option<String>,
}

/// A connection that somebody may want a picture of.
struct Watched {
    peer: SocketAddr,
    watch: Option<Box<Watch>>,
    silent: Silent,
}

impl Watched {
    fn new(pictures: Option<&Pictures>, peer: SocketAddr) -> Self {
        let watch =
            pictures.map(|pictures| Box::new(pictures.watch(&format!("a connection from {peer}"))));
        Self { peer, watch, silent: Silent }
    }

    fn observer(&mut self) -> &mut (dyn Observer + Send) {
        match &mut self.watch {
            Some(watch) => &mut **watch,
            None => &mut self.silent,
        }
    }

    /// Says what went wrong.
    fn end(self, outcome: Result<(), Error>) {
        let saved = self.watch.map_or(Ok(()), |watch| watch.save(&outcome));
        if let Err(error) = outcome {
            eprintln!("starttls: {}: {error}", self.peer);
        }
        if let Err(failure) = saved {
            eprintln!("starttls: {}", failure.message);
        }
    }
}

/// An inbox on this machine.
pub(crate) fn settings(scheme: Scheme, tls: Arc<ServerConfig>, policy: Policy) -> InboxSettings {
    InboxSettings::new("localhost", tls)
        .with_mode(scheme.mode)
        .with_upgrade(Config::default().with_policy(policy))
        .with_receiver(receiver_config())
        .with_timeouts(TIMEOUTS)
}

/// Mail ends here, so that it can go no further without TLS.
fn receiver_config() -> receiver::Config {
    receiver::Config::default().with_smtp_utf8(true).with_require_tls(true)
}

/// The names that a certificate for this address is good for.
fn names(address: SocketAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let ip = address.ip();
    if !ip.is_unspecified() && !ip.is_loopback() {
        names.push(ip.to_string());
    }
    names
}

/// Where mails go: a directory, or standard output; and who may send them.
struct Place {
    directory: Option<PathBuf>,
    login: Option<(String, String)>,
}

impl Deliver for &Place {
    async fn authenticate(&mut self, user: &str, password: &str) -> Answer {
        let known = self.login.as_ref().is_some_and(|(name, right)| {
            name == user && same(right.as_bytes(), password.as_bytes())
        });
        if known {
            eprintln!("starttls: {user:?} logged in");
            return Answer::new(235, "2.7.0 Authentication successful");
        }
        // Not who: people type their passwords into the wrong field.
        eprintln!("starttls: a login was refused");
        Answer::new(535, "5.7.8 Authentication credentials invalid")
    }

    async fn deliver(&mut self, mail: &Mail) -> Answer {
        // The disk and standard output may take their time.
        block_in_place(|| self.take(mail))
    }
}

impl Place {
    fn take(&self, mail: &Mail) -> Answer {
        let stored = match &self.directory {
            Some(directory) => store(directory, &mail.message),
            None => Ok("standard output".to_owned()),
        };
        let place = match stored.and_then(|place| announce(mail, &place, self.directory.is_none()))
        {
            Ok(place) => place,
            Err(error) => {
                eprintln!("starttls: delivering: {error}");
                return Answer::new(451, "4.3.0 Could not be stored, try again later");
            }
        };
        Answer::new(250, format!("2.0.0 Delivered to {place}"))
    }
}

/// Compares in a time that tells the length alone.
fn same(right: &[u8], offered: &[u8]) -> bool {
    let differences = right.iter().zip(offered).fold(0, |all, (a, b)| all | (a ^ b));
    right.len() == offered.len() && differences == 0
}

/// A path for a terminal: outside ASCII there is more than letters.
fn shown(path: &str) -> String {
    if path.is_ascii() { path.to_owned() } else { path.escape_debug().to_string() }
}

/// Prints the envelope, and the message if it goes nowhere else, in one piece.
fn announce(mail: &Mail, place: &str, with_message: bool) -> io::Result<String> {
    let channel = if mail.encrypted { "tls" } else { "plaintext" };
    let to: Vec<String> = mail.to.iter().map(|to| format!("<{}>", shown(&to.path))).collect();
    let (from, to, octets) = (shown(&mail.from), to.join(","), mail.message.len());
    let user = mail.user.as_ref().map(|user| format!(" user={user:?}")).unwrap_or_default();
    let by = if mail.chunked { " by=BDAT" } else { "" };
    let mut text = format!(
        "mail from=<{from}> to={to} octets={octets} channel={channel}{user}{by} in={place}\n"
    )
    .into_bytes();
    if with_message {
        text.extend_from_slice(&mail.message);
        text.push(b'\n');
    }
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()?;
    Ok(place.to_owned())
}

/// Writes a file that appears under its name only when it is whole and safe.
fn store(directory: &Path, message: &[u8]) -> io::Result<String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{now}-{}-{number}.eml", std::process::id());
    let mut file = tempfile::Builder::new().prefix(".incoming-").tempfile_in(directory)?;
    file.write_all(message)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(directory.join(&name))?;
    File::open(directory)?.sync_all()?;
    Ok(name)
}
