//! Where a server is and what it speaks.

use std::str::FromStr;

use clap::ValueEnum;
use starttls::Protocol;
use starttls_std::Mode;

/// A protocol, and when its TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheme {
    Smtp,
    Smtps,
    Lmtp,
}

impl Scheme {
    pub(crate) const fn protocol(self) -> Protocol {
        match self {
            Self::Smtp | Self::Smtps => Protocol::SMTP,
            Self::Lmtp => Protocol::LMTP,
        }
    }

    pub(crate) const fn mode(self) -> Mode {
        match self {
            Self::Smtps => Mode::Implicit,
            Self::Smtp | Self::Lmtp => Mode::StartTls,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Smtps => "smtps",
            Self::Lmtp => "lmtp",
        }
    }

    const fn port(self) -> u16 {
        match (self, self.protocol().implicit_port) {
            (Self::Smtps, Some(port)) => port,
            _ => self.protocol().port,
        }
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
            format!("no protocol {:?}; there are smtp, smtps and lmtp", url.scheme())
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
    fn urls() {
        for (text, scheme, host, port) in [
            ("smtp://mail.example.org", Scheme::Smtp, "mail.example.org", 587),
            ("smtp://mail.example.org:25", Scheme::Smtp, "mail.example.org", 25),
            ("smtps://mail.example.org/", Scheme::Smtps, "mail.example.org", 465),
            ("lmtp://[::1]:2424", Scheme::Lmtp, "::1", 2424),
        ] {
            let url = Url { scheme, host: host.to_owned(), port };
            assert_eq!(text.parse(), Ok(url), "{text}");
        }
        for bad in [
            "mail.example.org",
            "mail.example.org:25",
            "imap://x",
            "smtp://",
            "smtp://user:password@host",
            "smtp://host/path",
            "smtp://host:99999",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
