//! A server's address and protocol.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use rustls::pki_types::ServerName;
use starttls::{Protocol, Roles};
use starttls_std::{Error, Mode, Proxy, Route};

use crate::international;

macro_rules! kinds {
    ([] $($module:ident::$Type:ident,)*) => {
        /// The protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($Type),*
        }

        impl Kind {
            const ALL: &[Self] = &[$(Self::$Type),*];

            const fn protocol(self) -> Protocol {
                match self {
                    $(Self::$Type => <starttls::$module::$Type as Roles>::PROTOCOL),*
                }
            }
        }
    };
}
starttls::for_each_protocol!(kinds []);

/// Runs `$then` with `$P` for the protocol of `$scheme`, which implements [`Roles`].
macro_rules! speaking {
    ([$scheme:expr, $P:ident => $then:expr] $($module:ident::$Type:ident,)*) => {
        match $scheme.kind {
            $($crate::url::Kind::$Type => {
                type $P = starttls::$module::$Type;
                $then
            })*
        }
    };
    ($scheme:expr, $P:ident => $then:expr) => {
        starttls::for_each_protocol!(speaking [$scheme, $P => $then])
    };
}
pub(crate) use speaking;

/// A protocol, and when its TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheme {
    pub(crate) kind: Kind,
    pub(crate) mode: Mode,
}

static SCHEMES: LazyLock<Vec<Scheme>> = LazyLock::new(|| {
    let schemes = |kind: &Kind| {
        let asked = Scheme { kind: *kind, mode: Mode::StartTls };
        let implicit = Scheme { mode: Mode::Implicit, ..asked };
        [Some(asked), kind.protocol().implicit_name.map(|_| implicit)].into_iter().flatten()
    };
    Kind::ALL.iter().flat_map(schemes).collect()
});

impl ValueEnum for Scheme {
    fn value_variants<'a>() -> &'a [Self] {
        &SCHEMES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl Scheme {
    /// SMTP, with STARTTLS.
    pub(crate) const SMTP: Self = Self { kind: Kind::Smtp, mode: Mode::StartTls };

    pub(crate) const fn name(self) -> &'static str {
        let protocol = self.protocol();
        match (self.mode, protocol.implicit_name) {
            (Mode::Implicit, Some(name)) => name,
            _ => protocol.name,
        }
    }

    pub(crate) const fn protocol(self) -> Protocol {
        self.kind.protocol()
    }

    /// Whether it carries mail.
    pub(crate) const fn takes_mail(self) -> bool {
        matches!(self.kind, Kind::Smtp | Kind::Lmtp)
    }

    const fn port(self) -> u16 {
        match (self.mode, self.protocol()) {
            (Mode::Implicit, Protocol { implicit_port: Some(port), .. }) => port,
            (_, protocol) => protocol.port,
        }
    }

    /// The schemes whose servers are identified by their domains.
    pub(crate) fn of_domains() -> String {
        let all = SCHEMES.iter().filter(|scheme| scheme.protocol().services.is_some());
        all.map(|scheme| scheme.name()).collect::<Vec<_>>().join(" and ")
    }

    /// The forms of a URL, with the default ports.
    pub(crate) fn forms() -> String {
        let form = |scheme: &Self| format!("{}:// ({})", scheme.name(), scheme.port());
        let all = |mode| {
            let schemes = SCHEMES.iter().filter(move |scheme| scheme.mode == mode);
            schemes.map(form).collect::<Vec<_>>().join(", ")
        };
        format!(
            "SCHEME://HOST[:PORT] with one of {}; or for implicit TLS {}",
            all(Mode::StartTls),
            all(Mode::Implicit)
        )
    }
}

/// `SCHEME://HOST[:PORT]`, `SCHEME:///PATH` of a Unix socket, and `?domain=NAME` if the protocol's servers are identified by their domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    /// Where to connect.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name that the certificate must have, if it is not the host.
    pub(crate) name: Option<String>,
    /// The path of a Unix socket, if the URL has one instead of a host.
    pub(crate) socket: Option<PathBuf>,
    /// Only a domain is given, so its SRV records give the host.
    pub(crate) is_domain: bool,
}

impl Url {
    pub(crate) const fn new(scheme: Scheme, host: String, port: u16) -> Self {
        Self { scheme, host, port, name: None, socket: None, is_domain: false }
    }

    /// The way to the server, with the proxy of an option.
    pub(crate) fn route(&self, proxy: Option<&Proxy>) -> Result<Route, Error> {
        match (&self.socket, proxy) {
            (Some(_), Some(_)) => Err(Error::Argument {
                what: "--proxy",
                why: format!("applies to a host; {self} is a Unix socket"),
            }),
            (Some(path), None) => Ok(Route::Unix(path.clone())),
            (None, Some(proxy)) => Ok(Route::Proxy(proxy.clone())),
            (None, None) => Ok(Route::Direct),
        }
    }

    /// The name that the certificate must have, and that the server is told.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host)
    }

    /// Adds the name of an option, if given.
    ///
    /// # Errors
    /// The URL has one, too.
    pub(crate) fn named(&self, name: Option<&str>) -> Result<Self, String> {
        let Some(name) = name else { return Ok(self.clone()) };
        match &self.name {
            Some(own) if own != name => Err(format!(
                "--name {name} differs from the domain of {self}; pass only one of the two"
            )),
            _ => Ok(Self { name: Some(name.to_owned()), is_domain: false, ..self.clone() }),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, .. } = self;
        match &self.socket {
            Some(path) => {
                let path = path.to_string_lossy();
                write!(f, "{}://{}", scheme.name(), utf8_percent_encode(&path, IN_PATH))
            }
            // An IPv6 address.
            None if host.contains(':') => write!(f, "{}://[{host}]:{port}", scheme.name()),
            None => write!(f, "{}://{host}:{port}", scheme.name()),
        }?;
        match &self.name {
            Some(name) if scheme.protocol().services.is_some() => write!(f, "?domain={name}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write SCHEME://HOST[:PORT], for example smtp://mail.example.org:587";
        // The parser would silently drop some of them.
        if text.contains(|c: char| c.is_control() || c == ' ') {
            return Err(format!("a URL contains no spaces or control characters; {form}"));
        }
        // With a prefix, because the parser has rules of its own for schemes that browsers know: it takes the path of a
        // URL without a host for one.
        let url = format!("{PREFIX}{text}");
        let url = url::Url::parse(&url).map_err(|error| format!("{error}; {form}"))?;
        let name_of_scheme = url.scheme().trim_start_matches(PREFIX);
        let scheme = Scheme::from_str(name_of_scheme, false).map_err(|_| {
            let names: Vec<_> = Scheme::value_variants().iter().map(|known| known.name()).collect();
            format!("unknown protocol {name_of_scheme:?}; known are {}", names.join(", "))
        })?;
        let host = url.host_str().unwrap_or_default();
        let socket = if host.is_empty() { socket(&url).ok_or(form)? } else { None };
        let has_services = scheme.protocol().services.is_some();
        let domain = url.query().and_then(|query| query.strip_prefix("domain="));
        let more = socket.is_none() && !matches!(url.path(), "" | "/")
            || url.query().is_some() && !(has_services && domain.is_some())
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if more {
            let has_login = !url.username().is_empty() || url.password().is_some();
            return Err(match has_services {
                _ if has_login => format!(
                    "a URL may not have a login, which other users could see: `send` has --user and --password-file; {form}"
                ),
                true => format!("only a host, a port and ?domain=NAME are allowed; {form}"),
                false => format!("only a host and a port are allowed; {form}"),
            });
        }
        let known = domain.map(|domain| {
            let domain = percent_decode_str(domain).decode_utf8_lossy();
            server_name(&domain)
        });
        // Only URLs write an IPv6 address with brackets.
        let host = match socket {
            Some(_) => "localhost".to_owned(),
            None => name(host.trim_start_matches('[').trim_end_matches(']'))?,
        };
        let is_address = host.parse::<IpAddr>().is_ok();
        Ok(Self {
            scheme,
            name: known.transpose()?,
            is_domain: has_services
                && domain.is_none()
                && url.port().is_none()
                && !is_address
                && socket.is_none(),
            socket,
            host,
            port: url.port().unwrap_or(scheme.port()),
        })
    }
}

const PREFIX: &str = "x-";

/// The path of a URL without a host. `None` if it has none either, and where there are no Unix sockets.
fn socket(url: &url::Url) -> Option<Option<PathBuf>> {
    let path = percent_decode_str(url.path()).decode_utf8().ok()?;
    (cfg!(unix) && path.len() > 1).then(|| Some(PathBuf::from(path.into_owned())))
}

/// What a path has percent-encoded.
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

/// A certificate's name, in A-labels, or an address.
pub(crate) fn server_name(text: &str) -> Result<String, String> {
    let name = international::host(text)?;
    match ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(name),
        Err(_) => Err(format!("{text:?} is not a name that a certificate can have")),
    }
}

/// The host of a URL, in A-labels: the parser leaves it in percent-encoded UTF-8, because it does not know these schemes.
fn name(host: &str) -> Result<String, String> {
    let name = percent_decode_str(host).decode_utf8();
    match name {
        Ok(name) if name == host => Ok(name.into_owned()),
        Ok(name) if !name.is_ascii() => {
            international::host(&name).map_err(|why| format!("the URL {why}"))
        }
        _ => Err(format!("{host:?} is not a host name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for scheme in Scheme::value_variants() {
            let value = scheme.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), scheme.name());
            let protocol = scheme.protocol().name;
            let (first, rest) = protocol.split_at(protocol.find('-').unwrap_or(protocol.len()));
            let s = if scheme.mode == Mode::Implicit { "s" } else { "" };
            assert_eq!(scheme.name(), format!("{first}{s}{rest}"));
            let (name, port) = (scheme.name(), scheme.port());
            let url = Url::new(*scheme, "a.example".to_owned(), port);
            let is_domain = scheme.protocol().services.is_some();
            let alone = Url { is_domain, ..url.clone() };
            assert_eq!(format!("{name}://a.example").parse().as_ref(), Ok(&alone));
            assert_eq!(format!("{name}://a.example:{port}/").parse(), Ok(url));
        }
        assert!(Protocol::ALL.iter().all(|protocol| Scheme::forms().contains(protocol.name)));
    }

    #[test]
    fn urls() {
        let implicit = Scheme { mode: Mode::Implicit, ..Scheme::SMTP };
        for (text, scheme, host, port) in [
            ("smtp://mail.example.org", Scheme::SMTP, "mail.example.org", 587),
            ("smtp://mail.example.org:25", Scheme::SMTP, "mail.example.org", 25),
            ("smtps://mail.example.org/", implicit, "mail.example.org", 465),
            ("smtp://[::1]:2424", Scheme::SMTP, "::1", 2424),
            ("smtps://[::1]", implicit, "::1", 465),
            ("smtp://b\u{fc}cher.example:25", Scheme::SMTP, "xn--bcher-kva.example", 25),
            ("smtp://xn--bcher-kva.example:25", Scheme::SMTP, "xn--bcher-kva.example", 25),
        ] {
            let url = Url::new(scheme, host.to_owned(), port);
            assert_eq!(url.to_string().parse().as_ref(), Ok(&url), "{url}");
            assert_eq!(text.parse(), Ok(url), "{text}");
        }
        for bad in [
            "mail.example.org",
            "mail.example.org:25",
            "lmtps://x",
            "gopher://x",
            "smtp://",
            "smtp:///",
            "lmtp://host/run/x",
            "lmtp:///run/x#y",
            "smtp://user:password@host",
            "smtp://host/path",
            "smtp://host:99999",
            "smtp://a%0d%0ab",
            "smtp://a\r\nb",
            " smtp://a",
            "smtp://a%2eb",
            "smtp://\u{fc}%0db",
            "smtp://%ff.example",
            "smtp://a?domain=b",
            "smtp://a?x",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn sockets() {
        for scheme in Scheme::value_variants() {
            let text = format!("{}:///run/a%20b%25.sock", scheme.name());
            let url: Url = text.parse().expect("a URL");
            assert_eq!(url.socket.as_deref(), Some("/run/a b%.sock".as_ref()));
            assert_eq!((url.name(), url.is_domain), ("localhost", false));
            assert_eq!(url.to_string(), text);
            assert!(matches!(url.route(None), Ok(Route::Unix(_))));
            assert!(url.route(Some(&Proxy::socks5("a", 1))).is_err());
        }
    }

    #[test]
    fn domains() {
        let scheme = Scheme::value_variants().iter();
        for scheme in scheme.filter(|scheme| scheme.protocol().services.is_some()) {
            let at = |rest: &str| format!("{}://{rest}", scheme.name()).parse::<Url>();
            let url = at("im.example.net?domain=b\u{fc}cher.example").expect("a URL");
            assert_eq!(
                (url.host.as_str(), url.name()),
                ("im.example.net", "xn--bcher-kva.example")
            );
            assert!(!url.is_domain);
            assert_eq!(url.to_string().parse().as_ref(), Ok(&url));
            assert_eq!(url.named(None).as_ref(), Ok(&url));
            assert!(url.named(Some("other.example")).is_err());
            let url = at("a.example").expect("a URL");
            assert!(url.is_domain && url.name() == "a.example");
            let named = url.named(Some("b.example")).expect("one name");
            assert!(!named.is_domain && named.name() == "b.example" && named.host == "a.example");
            for host in ["a.example:5222", "192.0.2.1", "[::1]"] {
                assert!(!at(host).expect(host).is_domain, "{host}");
            }
            for bad in ["a?domain=", "a?domain=b%0dc", "a?domain=b&x=y", "a?x=y", "a?domain=a..b"] {
                assert!(at(bad).is_err(), "{bad}");
            }
        }
    }
}
