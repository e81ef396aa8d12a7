//! `starttls serve`.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use starttls::lmtp::Lmtp;
use starttls::mail::receiver::{self, Authentication, Proof, Scram};
use starttls::server::Config;
use starttls::smtp::Smtp;
use starttls::{Policy, Roles as _};
use starttls_tokio::{Error, Inbox, InboxSettings, Mode, Observer, Silent, TcpOrUnix, Timeouts};

use crate::args::Serve;
use crate::backend;
use crate::backend_offer;
use crate::delivery::{Account, Delivery, Store};
use crate::hostname;
use crate::identity::{self, Certified, Clients, Made};
use crate::out::{out, tell};
use crate::outcome::Failure;
use crate::service::{Needs, Service, named};
use crate::stop::Stop;
use crate::url::{Kind, Scheme, speaking};
use crate::watch::{Pictures, Watch};

pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    let scheme = args.protocol;
    check(args)?;
    let account = match (&args.user, &args.password_file) {
        (Some(user), Some(file)) => Some(Account::read(user, file)?),
        _ => None,
    };
    let front = args.backend.is_some() || !scheme.takes_mail();
    let store = match front {
        true => None,
        false => {
            let store = Store::new(args.deliver.as_deref(), account)?;
            Some(Arc::new(match args.deliver.is_some() && !args.no_trace {
                true => store.with_trace(hostname::qualified().unwrap_or("localhost")),
                false => store,
            }))
        }
    };
    let certified = certified(args)?;
    // A forwarded connection has two descriptors, and one that receives mail may have a file.
    let needs = if args.backend.is_some() { Needs::Pair } else { Needs::Mail };
    let service = Service::open(scheme.name(), &args.listen, args.reuse_port, &args.limits, needs)?;
    let away: &[u8] = match scheme.mode {
        Mode::StartTls => speaking!(scheme, P => P::PHRASES.unavailable),
        Mode::Implicit => b"",
    };
    let serving = Serving {
        scheme,
        policy: if args.require_tls { Policy::Required } else { Policy::Opportunistic },
        timeouts: timeouts(args),
        pictures: args.ladder_svg.clone().map(Pictures::new),
    };
    let again = certified.again();
    match store {
        None => forward(args, service, (again, away), serving, &certified),
        Some(store) => take(args, service, (again, away), serving, &certified, &store),
    }
}

/// The time for a client's TLS handshake, unless `--max-wait` is shorter.
const HANDSHAKE: Duration = Duration::from_secs(60);

fn timeouts(args: &Serve) -> Timeouts {
    let timeouts = Timeouts::new().with_total(args.max_time);
    match args.max_wait {
        Some(wait) => timeouts.with_wait(wait).with_handshake(wait.min(HANDSHAKE)),
        None => timeouts.with_handshake(HANDSHAKE),
    }
}

/// The common state of all connections.
struct Serving {
    scheme: Scheme,
    policy: Policy,
    timeouts: Timeouts,
    pictures: Option<Pictures>,
}

/// Checks for options that exclude each other.
fn check(args: &Serve) -> Result<(), Failure> {
    let scheme = args.protocol;
    if args.backend.is_none() && !scheme.takes_mail() && scheme.protocol().begins_anew {
        return Err(Failure::local(format!(
            "only SMTP and LMTP are served directly; pass the {} server with --backend HOST:PORT",
            scheme.protocol().name
        )));
    }
    if args.backend.is_some() && !scheme.protocol().begins_anew {
        return Err(Failure::local(format!(
            "--backend does not work for {}: a server without TLS cannot continue a dialogue after another server's TLS",
            scheme.name()
        )));
    }
    let begins_with_us =
        scheme.mode == Mode::StartTls && matches!(scheme.kind, Kind::Xmpp | Kind::XmppServer);
    if begins_with_us && !args.require_tls {
        return Err(Failure::local(format!(
            "{} needs --require-tls: before TLS the client's stream ends here, and the backend cannot continue it",
            scheme.name()
        )));
    }
    Ok(())
}

/// Uses the certificate of the options, or a new one.
fn certified(args: &Serve) -> Result<Certified, Failure> {
    let clients = args.client_ca.as_deref().map(|path| Clients::read(path, args.client_auth));
    let clients = clients.transpose()?;
    if let (Some(certificate), Some(key)) = (&args.cert, &args.key) {
        return identity::read(certificate, key, clients.as_ref());
    }
    let made = Made::new(args.listen.names())?;
    let directory = made.save()?;
    out!("ca {}", directory.join("ca.pem").display());
    made.server(clients.as_ref())
}

/// Serves in front of a backend, or without one.
fn forward(
    args: &Serve,
    service: Service,
    (again, away): (impl Fn() + Send + 'static, &[u8]),
    serving: Serving,
    certified: &Certified,
) -> Result<(), Failure> {
    let Serving { scheme, policy, timeouts, pictures } = serving;
    let mut tls = ServerConfig::clone(certified.config());
    tls.alpn_protocols.extend(scheme.protocol().alpn.map(<[u8]>::to_vec));
    let (tls, backend, idle) = (Arc::new(tls), args.backend.clone(), args.limits.idle);
    let front = Arc::new(Front { scheme, policy, tls, timeouts, backend, idle });
    if let Some(warning) = service.block_on(backend_offer::warning(&front)) {
        tell!("{warning}");
    }
    service.run(again, away, |stream, peer, _: Stop| {
        let front = Arc::clone(&front);
        let mut watched = Watched::new(pictures.as_ref(), peer);
        async move {
            let outcome = backend::connection(&front, stream, watched.observer()).await;
            watched.end(outcome);
        }
    })
}

/// Receives mail.
fn take(
    args: &Serve,
    service: Service,
    (again, away): (impl Fn() + Send + 'static, &[u8]),
    serving: Serving,
    certified: &Certified,
    store: &Arc<Store>,
) -> Result<(), Failure> {
    let Serving { scheme, policy, timeouts, pictures } = serving;
    let (mut limits, mut upgrade) = (receiver::Limits::default(), Config::default());
    if let Some(most) = args.max_errors {
        (limits, upgrade) = (limits.with_errors(most), upgrade.with_max_errors(most));
    }
    let limits = limits
        .with_size(Some(args.max_size))
        .with_recipients(args.max_recipients)
        .with_commands(args.max_commands);
    let mut receiver = receiver_config().with_limits(limits).with_scram(Scram::Bound);
    receiver = match (&args.user, &args.client_ca) {
        (None, None) => receiver,
        (Some(_), None) => receiver.with_authentication(Authentication::Required),
        (None, Some(_)) => {
            receiver.with_authentication(Authentication::Offered).with_proof(Proof::Certificate)
        }
        (Some(_), Some(_)) => {
            receiver.with_authentication(Authentication::Required).with_proof(Proof::Either)
        }
    };
    let settings = settings(scheme, Arc::clone(certified.config()), policy)
        .with_upgrade(upgrade.with_policy(policy))
        .with_receiver(receiver)
        .with_timeouts(timeouts);
    let inbox = Arc::new(Inbox::new(settings));
    service.run(again, away, |stream: TcpOrUnix, peer, stop: Stop| {
        let (inbox, is_lmtp) = (Arc::clone(&inbox), matches!(scheme.kind, Kind::Lmtp));
        let mut delivery = Delivery::new(Arc::clone(store), is_lmtp);
        let mut watched = Watched::new(pictures.as_ref(), peer);
        async move {
            let (place, observer) = (&mut delivery, watched.observer());
            // Pinned here, because a future that is passed on by value takes its room twice.
            let stop = pin!(stop.wait());
            let outcome = match is_lmtp {
                true => inbox.receive_until::<Lmtp, _>(stream, peer, place, observer, stop).await,
                false => inbox.receive_until::<Smtp, _>(stream, peer, place, observer, stop).await,
            };
            watched.end(outcome);
        }
    })
}

/// The front of a server without TLS.
pub(crate) struct Front {
    pub(crate) scheme: Scheme,
    pub(crate) policy: Policy,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) timeouts: Timeouts,
    /// The backend's address, if the protocol can have one.
    pub(crate) backend: Option<String>,
    /// How long one side of a forwarded connection may be silent.
    pub(crate) idle: Duration,
}

impl Front {
    /// How long a side may be silent, and how long to wait for it after the other one has closed.
    pub(crate) const fn patience(&self) -> (Duration, Duration) {
        (self.idle, Duration::ZERO)
    }
}

/// A connection, with a picture if wanted.
struct Watched {
    peer: Option<SocketAddr>,
    watch: Option<Box<Watch>>,
    silent: Silent,
}

impl Watched {
    fn new(pictures: Option<&Pictures>, peer: Option<SocketAddr>) -> Self {
        let watch = pictures.map(|pictures| {
            Box::new(pictures.watch(&format!("a connection from {}", named(peer))))
        });
        Self { peer, watch, silent: Silent }
    }

    fn observer(&mut self) -> &mut (dyn Observer + Send) {
        match &mut self.watch {
            Some(watch) => &mut **watch,
            None => &mut self.silent,
        }
    }

    /// Reports the error.
    fn end(self, outcome: Result<(), Error>) {
        let saved = self.watch.map_or(Ok(()), |watch| watch.save(&outcome));
        if let Err(error) = outcome {
            tell!("{}: {error}", named(self.peer));
        }
        if let Err(failure) = saved {
            tell!("{}", failure.message);
        }
    }
}

/// An inbox on this machine.
pub(crate) fn settings(scheme: Scheme, tls: Arc<ServerConfig>, policy: Policy) -> InboxSettings {
    InboxSettings::new("localhost", tls)
        .with_mode(scheme.mode)
        .with_upgrade(Config::default().with_policy(policy))
        .with_receiver(receiver_config())
        .with_timeouts(Timeouts::new().with_total(Duration::from_secs(60 * 60)))
}

/// The mail stays on this machine, so REQUIRETLS can be honoured.
fn receiver_config() -> receiver::Config {
    receiver::Config::default().with_smtp_utf8(true).with_require_tls(true)
}
