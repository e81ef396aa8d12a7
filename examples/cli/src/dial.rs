//! Connects to a server and upgrades to TLS, in the protocol of a URL.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use starttls::mx::Domain;
use starttls::{Introduction, Policy, Roles as _, Tls};
use starttls_tokio::mx::Service;
use starttls_tokio::{
    ClientStream, ClientTls, Connector, Dialer, Doing, Driver, Error, Link, Mode, Observer, Proxy,
    Target, TcpOrUnix, Timeouts, Tokio, Upgraded, address_literal, connect_implicit,
    upgrade_or_plaintext,
};
use tokio::join;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::args::{Peer, Resolver};
use crate::files;
use crate::hostname;
use crate::url::{Scheme, Url, speaking};

/// The timeout for SRV records, at most half of `--timeout`.
const LOOKUP: Duration = Duration::from_secs(10);

/// The subject of an error about an invalid server name.
pub(crate) const NAME: &str = "the server's name";

/// Connects to `url` and upgrades, only with verified TLS. Also returns where it connected.
pub(crate) async fn dial<'o>(
    url: &Url,
    dns: &Resolver,
    proxy: Option<&Proxy>,
    tls: &ClientTls,
    timeouts: Timeouts,
    observer: impl Observer + Send + 'o,
) -> Result<(Driver<'o, ClientStream<TcpOrUnix>>, Tls, Url), Error> {
    let places = services(url, dns, timeouts).await?;
    let mut link = Link::new(timeouts, Instant::now().into_std(), observer);
    let (url, stream) = reach(places, proxy, &mut link).await?;
    let (driver, tls) = upgrade(&url, Driver::over(stream, link), tls).await?;
    Ok((driver, tls, url))
}

/// Connects to the first reachable one.
async fn reach(
    places: Vec<Url>,
    proxy: Option<&Proxy>,
    link: &mut Link<'_>,
) -> Result<(Url, TcpOrUnix), Error> {
    let mut outcome = Err(Error::Io {
        doing: Doing::LookingUp,
        error: io::Error::new(
            io::ErrorKind::NotFound,
            "the domain declares that it has no such service",
        ),
    });
    for url in places {
        let route = url.route(proxy)?;
        let target = Target::new(&url.host, url.port, &route);
        let stream = Connector::<Tokio>::connect(&Dialer, target, link).await;
        outcome = stream.map(|stream| (url, stream));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Where to connect: the URL's host, or the SRV records of a domain (RFC 6120 §3.2.1, XEP-0368). Without records it is the
/// domain itself. The certificate is for the domain in each case, so the records need no authentication.
async fn services(url: &Url, dns: &Resolver, timeouts: Timeouts) -> Result<Vec<Url>, Error> {
    let known = url.scheme.protocol().services.filter(|_| url.is_domain);
    let Some([starttls, implicit]) = known else {
        return match dns.resolver {
            None => Ok(vec![url.clone()]),
            Some(_) => Err(Error::Argument {
                what: "--resolver",
                why: format!("applies only to a URL with a domain alone; {url} needs no lookup"),
            }),
        };
    };
    let itself = || Ok(vec![Url { name: Some(url.host.clone()), is_domain: false, ..url.clone() }]);
    let Ok(domain) = Domain::new(&url.host) else { return itself() };
    let resolver = match dns.open() {
        Ok(resolver) => resolver,
        Err(error) if dns.resolver.is_some() => return Err(error),
        Err(_) => return itself(),
    };
    let lookups =
        async { join!(resolver.services(starttls, &domain), resolver.services(implicit, &domain)) };
    // The connection gets the remaining time.
    let patience = timeouts.total().map_or(LOOKUP, |total| LOOKUP.min(total / 2));
    let (starttls, implicit) = timeout(patience, lookups).await.unwrap_or_default();
    // A URL for implicit TLS uses only its records.
    let starttls = starttls.filter(|_| url.scheme.mode == Mode::StartTls);
    if starttls.is_none() && implicit.is_none() {
        return itself();
    }
    let of = |services: Option<Vec<Service>>, mode| {
        services.unwrap_or_default().into_iter().map(move |service| (service, mode))
    };
    let mut all: Vec<_> =
        of(implicit, Mode::Implicit).chain(of(starttls, Mode::StartTls)).collect();
    all.sort_by_key(|(service, _)| service.priority);
    let place = |(service, mode): (Service, Mode)| Url {
        scheme: Scheme { mode, ..url.scheme },
        host: service.host,
        port: service.port,
        name: Some(url.host.clone()),
        socket: None,
        is_domain: false,
    };
    Ok(all.into_iter().map(place).collect())
}

async fn upgrade<'o>(
    url: &Url,
    driver: Driver<'o, TcpOrUnix>,
    tls: &ClientTls,
) -> Result<(Driver<'o, ClientStream<TcpOrUnix>>, Tls), Error> {
    let local = driver.stream().local_address();
    if url.scheme.mode == Mode::Implicit {
        let protocol = url.scheme.protocol();
        return connect_implicit(driver, tls, url.name(), protocol, Policy::Required).await;
    }
    let literal = address_literal(local);
    let mut names = Introduction::new(url.name(), random(tls.rustls().crypto_provider())?);
    // In other protocols a client has no name before its user logs in.
    if url.scheme.takes_mail() {
        names = names.with_client(hostname::qualified().unwrap_or(&literal));
    }
    let upgraded = speaking!(url.scheme, P => {
        let client = P::client(&names, Policy::Required).map_err(Error::argument(NAME))?;
        upgrade_or_plaintext(driver, client, tls, url.name()).await
    })?;
    match upgraded {
        Upgraded::Tls(driver, tls) => Ok((driver, tls)),
        Upgraded::Plaintext(..) => Err(starttls::Error::NotOffered.into()),
    }
}

/// Unpredictable bytes.
pub(crate) fn random(provider: &CryptoProvider) -> Result<[u8; 20], Error> {
    let mut octets = [0; 20];
    provider.secure_random.fill(&mut octets).map_err(|_| Error::Argument {
        what: "the cryptography provider",
        why: "has no random numbers".to_owned(),
    })?;
    Ok(octets)
}

/// The trusted CAs: a file, or the system's.
pub(crate) fn authorities(ca: Option<&Path>) -> Result<ClientTls, Error> {
    match ca {
        None => ClientTls::system(),
        Some(path) => {
            ClientTls::with_ca_pem(&files::read(CA, path)?).map_err(named(CA, path, files::CHAIN))
        }
    }
}

/// The trusted CAs, and the client's certificate.
pub(crate) fn trust(peer: &Peer) -> Result<ClientTls, Error> {
    let tls = match &peer.pin {
        None => authorities(peer.ca.as_deref())?,
        Some(path) => ClientTls::with_pin_pem(&files::read(PIN, path)?).map_err(named(
            PIN,
            path,
            files::CHAIN,
        ))?,
    };
    match (&peer.client_cert, &peer.client_key) {
        (Some(chain), Some(key)) => {
            let pem = files::read(CERT, chain)?;
            let secret = Zeroizing::new(files::read(KEY, key)?);
            // The error may be about either file.
            CertificateDer::from_pem_slice(&pem).map_err(|_| {
                files::unusable(CERT, chain, "has no PEM certificate in it", files::CHAIN)
            })?;
            let advice = "Pass the private key of --client-cert in PEM, without a password.";
            tls.with_client_cert_pem(&pem, &secret).map_err(named(KEY, key, advice))
        }
        _ => Ok(tls),
    }
}

/// The TLS configuration with or without ALPN.
pub(crate) fn client(peer: &Peer, url: &Url, no_alpn: bool) -> Result<ClientTls, Error> {
    let tls = trust(peer)?;
    let implicit = url.scheme.mode == Mode::Implicit;
    match no_alpn {
        true if implicit && url.scheme.protocol().demands_alpn() => {
            let why = format!("cannot be used: {}:// demands ALPN", url.scheme.name());
            Err(Error::Argument { what: "--no-alpn", why })
        }
        true => Ok(tls.without_alpn()),
        false => Ok(tls),
    }
}

const CA: &str = "--ca";
const PIN: &str = "--pin";
const CERT: &str = "--client-cert";
const KEY: &str = "--client-key";

/// Converts the library's error about bytes into one about the option and its file.
fn named<'p>(
    option: &'static str,
    path: &'p Path,
    advice: &'p str,
) -> impl FnOnce(Error) -> Error + 'p {
    move |error| match error {
        Error::Argument { why, .. } => files::unusable(option, path, why, advice),
        other => other,
    }
}
