//! Where a server is and what it speaks.

use std::str::FromStr;
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use starttls::{Protocol, Roles};
use starttls_std::Mode;

macro_rules! kinds {
    ([] $($module:ident::$Type:ident,)*) => {
        /// What is spoken.
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

    /// Whether mail can be handed over by it.
    pub(crate) const fn takes_mail(self) -> bool {
        matches!(self.kind, Kind::Smtp | Kind::Lmtp)
    }

    const fn port(self) -> u16 {
        match (self.mode, self.protocol()) {
            (Mode::Implicit, Protocol { implicit_port: Some(port), .. }) => port,
            (_, protocol) => protocol.port,
        }
    }

    /// The forms of a URL, with the ports that need not be said.
    pub(crate) fn forms() -> String {
        let form = |scheme: &Self| format!("{}:// ({})", scheme.name(), scheme.port());
        let all = |mode| {
            let schemes = SCHEMES.iter().filter(move |scheme| scheme.mode == mode);
            schemes.map(form).collect::<Vec<_>>().join(", ")
        };
        format!(
            "SCHEME://HOST[:PORT] with one of {}; or for TLS from the start {}",
            all(Mode::StartTls),
            all(Mode::Implicit)
        )
    }
}

/// `SCHEME://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write SCHEME://HOST[:PORT], for example smtp://mail.example.org:587";
        let url = url::Url::parse(text).map_err(|error| format!("{error}; {form}"))?;
        let scheme = Scheme::from_str(url.scheme(), false).map_err(|_| {
            let names: Vec<_> = Scheme::value_variants().iter().map(|known| known.name()).collect();
            format!("no protocol {:?}; there are {}", url.scheme(), names.join(", "))
        })?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(form)?;
        let more = !matches!(url.path(), "" | "/")
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if more {
            return Err(format!("nothing but a host and a port can be given; {form}"));
        }
        // An IPv6 address is known without its brackets to everybody but URLs.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { scheme, host, port: url.port().unwrap_or(scheme.port()) })
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
            let s = if scheme.mode == Mode::Implicit { "s" } else { "" };
            assert_eq!(scheme.name(), format!("{}{s}", scheme.protocol().name));
            let (name, port) = (scheme.name(), scheme.port());
            let url = Url { scheme: *scheme, host: "a.example".to_owned(), port };
            assert_eq!(format!("{name}://a.example").parse().as_ref(), Ok(&url));
            // Of a scheme that browsers know, too, whose default port a parser may leave out.
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
        ] {
            let url = Url { scheme, host: host.to_owned(), port };
            assert_eq!(text.parse(), Ok(url), "{text}");
        }
        for bad in [
            "mail.example.org",
            "mail.example.org:25",
            "lmtps://x",
            "gopher://x",
            "smtp://",
            "smtp://user:password@host",
            "smtp://host/path",
            "smtp://host:99999",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
