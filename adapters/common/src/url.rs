//! Settings from a URL.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use std::{env, fs};

use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use starttls::lmtp::Lmtp;
use starttls::mail::session::Mechanism;
use starttls::smtp::{Dialect, Smtp};
use starttls::{Policy, Protocol};
use url::Url;
use zeroize::Zeroizing;

use crate::{Error, Login, Mode, Proxy, Route, Settings, Timeouts};

/// A mail server and how to reach it, in one URL. The password is never shown.
///
/// ```
/// use starttls_common::MailUrl;
///
/// let url: MailUrl = "smtp://shop:secret@mail.example.org?ehlo=shop.example.org".parse()?;
/// assert_eq!(url.to_string(), "smtp://shop@mail.example.org:587");
/// assert!("smtp://mail.example.org?tsl=required".parse::<MailUrl>().is_err());
/// # Ok::<(), starttls_common::Error>(())
/// ```
///
/// | form | meaning |
/// |---|---|
/// | `smtp://HOST` | `STARTTLS`, port 587 |
/// | `smtps://HOST` | implicit TLS, port 465 |
/// | `lmtp://HOST` | LMTP with `STARTTLS`, port 24 |
/// | `smtp://USER:PASSWORD@HOST:PORT` | with a login and another port |
/// | `lmtp:///run/lmtp.sock` | by a Unix socket; the certificate is for `localhost` |
///
/// | parameter | meaning |
/// |---|---|
/// | `tls=required` | no mail without verified TLS; the default |
/// | `tls=opportunistic` | TLS if the server offers it, unverified or not; without a login |
/// | `tls=none` | plaintext, for a server on the same machine; without a login |
/// | `name=NAME` | the name that the certificate has to contain |
/// | `ehlo=NAME` | the name by which the client introduces itself |
/// | `auth=MECHANISM` | only this mechanism, such as `plain` or `scram-sha-256`; for `xoauth2` the password is the token; `external` has none |
/// | `password-file=PATH` | the password is the first line of this file |
/// | `proxy=URL` | through a proxy: `socks5://` or `http://`, with `USER:PASSWORD@` if it demands a login |
/// | `timeout=SECONDS` | the limit of a whole connection |
///
/// Percent-encode what has a meaning in URLs (RFC 3986 §2.1): `@` in a user name is `%40`. With the feature `serde`, a
/// URL is read from a string.
#[derive(Clone)]
pub struct MailUrl {
    protocol: Protocol,
    mode: Mode,
    host: String,
    port: u16,
    route: Route,
    policy: Policy,
    asks_for_tls: bool,
    name: Option<String>,
    domain: Option<String>,
    user: Option<String>,
    login: Option<Login>,
    total: Option<Duration>,
}

impl MailUrl {
    /// Reads the URL from a variable of the environment.
    ///
    /// # Errors
    /// [`Error::Argument`] if the variable is not set, or is no such URL. The error does not show its value.
    pub fn from_env(variable: &'static str) -> Result<Self, Error> {
        let text = env::var(variable).map_err(|error| invalid(variable, error))?;
        let text = Zeroizing::new(text);
        text.parse().map_err(|error| match error {
            Error::Argument { why, .. } => Error::Argument { what: variable, why },
            other => other,
        })
    }

    /// Settings with the URL's host, login and parameters, and this TLS.
    #[must_use]
    pub fn settings<T>(&self, tls: T) -> Settings<T> {
        let mut settings = Settings::new(self.host.clone(), tls)
            .with_protocol(self.protocol)
            .with_port(self.port)
            .with_mode(self.mode)
            .with_policy(self.policy)
            .with_route(self.route.clone());
        if !self.asks_for_tls {
            settings = settings.without_asking_for_tls();
        }
        if let Some(name) = &self.name {
            settings = settings.with_name(name);
        }
        if let Some(domain) = &self.domain {
            settings = settings.with_domain(domain);
        }
        if let Some(login) = &self.login {
            settings = settings.with_login(login.clone());
        }
        if let Some(total) = self.total {
            settings = settings.with_timeouts(Timeouts::new().with_total(total));
        }
        settings
    }
}

/// The values of the parameters.
#[derive(Default)]
struct Parameters {
    tls: Option<String>,
    name: Option<String>,
    ehlo: Option<String>,
    auth: Option<String>,
    password_file: Option<String>,
    proxy: Option<Zeroizing<String>>,
    timeout: Option<String>,
}

/// The parameters, for errors.
const KNOWN: &str = "tls, name, ehlo, auth, password-file, proxy, timeout";

impl Parameters {
    fn of(url: &Url) -> Result<Self, Error> {
        let mut all = Self::default();
        for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded("a parameter", value)?;
            let known = match key {
                "tls" => all.tls.replace(value),
                "name" => all.name.replace(value),
                "ehlo" => all.ehlo.replace(value),
                "auth" => all.auth.replace(value),
                "password-file" => all.password_file.replace(value),
                "proxy" => all.proxy.replace(Zeroizing::new(value)).map(|_| String::new()),
                "timeout" => all.timeout.replace(value),
                _ => {
                    return Err(invalid(
                        URL,
                        format!("has an unknown parameter {key:?}; known are {KNOWN}"),
                    ));
                }
            };
            if known.is_some() {
                return Err(invalid(URL, format!("has the parameter {key} twice")));
            }
        }
        Ok(all)
    }
}

impl FromStr for MailUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let url = parsed(URL, text)?;
        let (smtp, lmtp) = (Smtp::PROTOCOL, Lmtp::PROTOCOL);
        let (protocol, mode, default) = match url.scheme() {
            scheme if scheme == smtp.name => (smtp, Mode::StartTls, smtp.port),
            scheme if scheme == lmtp.name => (lmtp, Mode::StartTls, lmtp.port),
            scheme if smtp.implicit_name == Some(scheme) => {
                (smtp, Mode::Implicit, smtp.implicit_port.unwrap_or(smtp.port))
            }
            other => {
                let why = format!("begins with {other:?}; write smtp://, smtps:// or lmtp://");
                return Err(invalid(URL, why));
            }
        };
        let parameters = Parameters::of(&url)?;
        let (host, port, route) = place(&url, default, parameters.proxy.as_deref())?;
        let (policy, asks_for_tls) = match parameters.tls.as_deref() {
            None | Some("required") => (Policy::Required, true),
            Some("opportunistic") => (Policy::Opportunistic, true),
            Some("none") if mode == Mode::Implicit => {
                return Err(invalid(URL, format!("is {}://, which has no tls=none", url.scheme())));
            }
            Some("none") => (Policy::Opportunistic, false),
            Some(other) => {
                let why = format!("has tls={other}; known are required, opportunistic and none");
                return Err(invalid(URL, why));
            }
        };
        let (user, login) = login(&url, &parameters)?;
        if login.is_some() && policy != Policy::Required {
            let why = "has a login, which is sent only to a verified server; leave out tls=";
            return Err(invalid(URL, why));
        }
        let name = parameters.name.map(|name| server_name(URL, &name)).transpose()?;
        let total = parameters.timeout.map(|seconds| seconds.parse().map(Duration::from_secs));
        let total = total.transpose().ok().filter(|total| *total != Some(Duration::ZERO));
        let total =
            total.ok_or_else(|| invalid(URL, "has a timeout that is no number of seconds"))?;
        if let Some(domain) = &parameters.ehlo {
            starttls::smtp::Domain::new(domain).map_err(Error::argument("the URL's ehlo"))?;
        }
        Ok(Self {
            protocol,
            mode,
            host,
            port,
            route,
            policy,
            asks_for_tls,
            name,
            domain: parameters.ehlo,
            user,
            login,
            total,
        })
    }
}

/// Host, port and route.
fn place(url: &Url, default: u16, proxy: Option<&String>) -> Result<(String, u16, Route), Error> {
    let path = decoded("the path", url.path())?;
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() {
        return match path.len() {
            0 | 1 => Err(invalid(URL, "has no host; write smtp://HOST or lmtp:///PATH/OF/SOCKET")),
            _ if proxy.is_some() => Err(invalid(URL, "has a Unix socket, which needs no proxy")),
            _ => Ok(("localhost".to_owned(), default, Route::Unix(PathBuf::from(path)))),
        };
    }
    if !matches!(&*path, "" | "/") || url.fragment().is_some() {
        return Err(invalid(
            URL,
            "has a path after the host; only parameters (?NAME=VALUE) may follow",
        ));
    }
    let route = proxy.map(|proxy| proxy.parse().map(Route::Proxy)).transpose()?;
    let host = server_name(URL, host)?;
    Ok((host, url.port().unwrap_or(default), route.unwrap_or_default()))
}

/// A host name or an address, without the brackets of an IPv6 address.
fn server_name(what: &'static str, host: &str) -> Result<String, Error> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match ServerName::try_from(host) {
        Ok(_) => Ok(host.to_owned()),
        Err(_) if percent_decode_str(host).any(|byte| !byte.is_ascii()) => {
            Err(invalid(what, "has a name that is not ASCII; write it with its A-labels (xn--)"))
        }
        Err(_) => {
            Err(invalid(what, format!("has {host:?}, which is neither a host name nor an address")))
        }
    }
}

/// `socks5://HOST:PORT` or `http://HOST:PORT`, with `USER:PASSWORD@` before the host if the proxy demands a login. Default
/// ports are 1080 and 80.
impl FromStr for Proxy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let url = parsed(PROXY, text)?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = server_name(PROXY, host.ok_or_else(|| invalid(PROXY, "has no host"))?)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid(PROXY, "has more than a host and a port"));
        }
        let proxy = match url.scheme() {
            "socks5" | "socks5h" => Self::socks5(host, url.port().unwrap_or(1080)),
            // The parser drops the default port of a scheme that it knows.
            "http" => Self::http(host, url.port_or_known_default().unwrap_or(80)),
            other => {
                let why =
                    format!("begins with {other:?}; write socks5://HOST:PORT or http://HOST:PORT");
                return Err(invalid(PROXY, why));
            }
        };
        match (url.username(), url.password()) {
            ("", None) => Ok(proxy),
            (user, password) => {
                let password = decoded("the password", password.unwrap_or_default())?;
                Ok(proxy.with_login(decoded("the user name", user)?, password))
            }
        }
    }
}

/// The user, for messages, and the login.
fn login(url: &Url, parameters: &Parameters) -> Result<(Option<String>, Option<Login>), Error> {
    let mechanism = parameters.auth.as_deref().map(mechanism).transpose()?;
    let user = decoded("the user name", url.username())?;
    let password = match (url.password(), &parameters.password_file) {
        (Some(_), Some(_)) => return Err(invalid(URL, "has a password and a password-file")),
        (Some(password), None) => Some(decoded("the password", password)?),
        (None, Some(path)) => {
            let text = fs::read_to_string(path).map(Zeroizing::new);
            let text = text
                .map_err(|error| invalid("the URL's password-file", format!("{path}: {error}")))?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        (None, None) => None,
    };
    let login = match (user.as_str(), password, mechanism) {
        ("", None, None) => return Ok((None, None)),
        (user, None, Some(Mechanism::External)) => Login::external(user),
        (_, Some(_), Some(Mechanism::External)) => {
            return Err(invalid(URL, "has auth=external, which has no password"));
        }
        ("", ..) => return Err(invalid(URL, "has a password or auth= without a user name")),
        (_, None, _) => return Err(invalid(URL, "has a user name without a password")),
        (user, Some(token), Some(Mechanism::XOAuth2)) => Login::bearer(user, token),
        (user, Some(password), None) => Login::new(user, password),
        (user, Some(password), Some(mechanism)) => Login::new(user, password).by(mechanism),
    };
    login.check()?;
    Ok((Some(user).filter(|user| !user.is_empty()), Some(login)))
}

fn mechanism(name: &str) -> Result<Mechanism, Error> {
    let known = Mechanism::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(name));
    known.copied().ok_or_else(|| {
        let all: Vec<_> = Mechanism::ALL.iter().map(|known| known.name()).collect();
        invalid(URL, format!("has auth={name}; known are {}", all.join(", ")))
    })
}

const URL: &str = "the URL";
const PROXY: &str = "the proxy's URL";

fn parsed(what: &'static str, text: &str) -> Result<Url, Error> {
    // The parser would silently drop some of them.
    if text.contains(|letter: char| letter.is_control() || letter == ' ') {
        return Err(invalid(what, "has a space or a control character; percent-encode it"));
    }
    Url::parse(text).map_err(|error| invalid(what, format!("cannot be read: {error}")))
}

fn decoded(what: &'static str, text: &str) -> Result<String, Error> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| invalid(URL, format!("has {what} that is not UTF-8")))
}

fn invalid(what: &'static str, why: impl fmt::Display) -> Error {
    Error::Argument { what, why: why.to_string() }
}

/// Without the password and the parameters.
impl fmt::Display for MailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.mode, self.protocol.implicit_name) {
            (Mode::Implicit, Some(name)) => name,
            _ => self.protocol.name,
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = &self.user {
            write!(
                f,
                "{}@",
                percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC)
            )?;
        }
        match &self.route {
            Route::Unix(path) => write!(f, "{}", path.display()),
            _ if self.host.contains(':') => write!(f, "[{}]:{}", self.host, self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for MailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailUrl({self})")
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for MailUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}
