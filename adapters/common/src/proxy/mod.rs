//! Connections through a proxy.

mod http;
mod socks;
mod tunnel;

use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;

use rustls::pki_types::ServerName;
use starttls::Error as Rule;

use self::tunnel::{Reply, Tunnel};
use crate::{Dial, Doing, Driver, Error, Link, Observer, Runtime, Secret, Silent, Timeouts};

/// A proxy: SOCKS5 (RFC 1928, 1929) or HTTP `CONNECT` (RFC 9110 §9.3.6).
///
/// The proxy looks up the server's name. It carries the connection and is not trusted: TLS to the server is checked as
/// without it. A login to the proxy itself is sent in plaintext, as both protocols have it.
///
/// ```
/// use starttls_common::Proxy;
///
/// let proxy = Proxy::socks5("proxy.example.net", 1080).with_login("user", "password");
/// assert_eq!(format!("{proxy:?}"), r#"Proxy { kind: Socks5, host: "proxy.example.net", port: 1080, .. }"#);
/// ```
#[derive(Clone)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<(String, Secret)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Socks5,
    Http,
}

impl Proxy {
    /// A SOCKS5 proxy. Its usual port is 1080.
    #[must_use]
    pub fn socks5(host: impl Into<String>, port: u16) -> Self {
        Self { kind: Kind::Socks5, host: host.into(), port, login: None }
    }

    /// An HTTP proxy that allows `CONNECT` to the server's port. Usual ports are 3128 and 8080.
    #[must_use]
    pub fn http(host: impl Into<String>, port: u16) -> Self {
        Self { kind: Kind::Http, ..Self::socks5(host, port) }
    }

    /// Logs in to the proxy: `USERNAME/PASSWORD` of SOCKS5, `Basic` of HTTP. The user name has 1 to 255 bytes, the
    /// password at most 255.
    #[must_use]
    pub fn with_login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some((user.into(), Secret::new(password)));
        self
    }

    /// Opens a connection through the proxy to `host` and `port`.
    ///
    /// The driver may already have received bytes of the server.
    ///
    /// # Errors
    /// [`Error::Proxy`] if the proxy cannot be reached, refuses or breaks its protocol. [`Error::Argument`] if the
    /// host is no name or address, or the login has a wrong length.
    pub async fn connect<'o, R: Dial + Runtime<<R as Dial>::Stream>>(
        &self,
        host: &str,
        port: u16,
        timeouts: &Timeouts,
        observer: impl Observer + Send + 'o,
    ) -> Result<Driver<'o, R::Stream, R>, Error> {
        let mut link = Link::new(*timeouts, R::now(), observer);
        let stream = self.open::<R>(host, port, &mut link).await?;
        Ok(Driver::over(stream, link))
    }

    /// Opens the connection. The link then has the bytes of the server that are received already.
    pub(crate) async fn open<R: Dial + Runtime<<R as Dial>::Stream>>(
        &self,
        host: &str,
        port: u16,
        link: &mut Link<'_>,
    ) -> Result<R::Stream, Error> {
        let mut tunnel = self.tunnel(host, port)?;
        let named = |error| Error::Proxy { proxy: self.to_string(), error: Box::new(error) };
        let stream = R::dial(&self.host, self.port, link).await.map_err(named)?;
        // The proxy's dialogue is no part of the server's, so the observer does not see it.
        let observer = link.observed_by(Box::new(Silent));
        let mut driver: Driver<'_, _, R> = Driver::over(stream, link.take());
        let opened = driver.run(&mut tunnel, |_, reply, _| match reply {
            Reply::Open => Ok(ControlFlow::Break(())),
            refused => Err(Error::io(Doing::Connecting)(refused.into())),
        });
        let opened = opened.await;
        let (stream, dialogue) = driver.into_parts();
        *link = dialogue;
        drop(link.observed_by(observer));
        match opened.map_err(named)? {
            Some(()) => Ok(stream),
            None => Err(named(Rule::Closed.into())),
        }
    }

    fn tunnel(&self, host: &str, port: u16) -> Result<Tunnel, Error> {
        let argument = |what, why: &str| Error::Argument { what, why: why.to_owned() };
        let login = self.login.as_ref().map(|(user, password)| (user.as_str(), &**password));
        if let Some((user, password)) = login {
            if user.is_empty() || user.len() > 255 || password.len() > 255 {
                let why = "has a user name of 1 to 255 bytes and a password of at most 255 bytes";
                return Err(argument("the proxy's login", why));
            }
            if self.kind == Kind::Http && (user.contains(':') || has_control(user, password)) {
                let why = "cannot be sent by HTTP: no user name has a colon, neither part a control character \
                           (RFC 7617)";
                return Err(argument("the proxy's login", why));
            }
        }
        if ServerName::try_from(host).is_err() {
            return Err(argument("the server's host", "is neither a name nor an address"));
        }
        Ok(match self.kind {
            Kind::Socks5 => Tunnel::socks(socks::Requests::new(host, port, login)),
            Kind::Http => Tunnel::http(http::request(host, port, login)),
        })
    }
}

fn has_control(user: &str, password: &str) -> bool {
    user.chars().chain(password.chars()).any(char::is_control)
}

/// The host as it stands beside a port: an IPv6 address in brackets.
fn bracketed(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut f = f.debug_struct("Proxy");
        f.field("kind", &self.kind).field("host", &self.host).field("port", &self.port);
        f.finish_non_exhaustive()
    }
}

impl From<Reply<'_>> for io::Error {
    fn from(reply: Reply<'_>) -> Self {
        let kind = match reply {
            Reply::NeedsLogin => io::ErrorKind::PermissionDenied,
            Reply::Socks(reply) => socks::kind(reply),
            Reply::Open | Reply::Http(_) => io::ErrorKind::ConnectionRefused,
        };
        Self::new(kind, reply.to_string())
    }
}
