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
    Imap,
    Imaps,
    Pop3,
    Pop3s,
    Ftp,
    Ftps,
    Nntp,
    Nntps,
    Sieve,
    Irc,
    Ircs,
    Nut,
    Postgres,
    /// TLS first, since PostgreSQL 17.
    Postgress,
    Ldap,
    Ldaps,
    Mysql,
    Nbd,
    Xmpp,
    XmppServer,
    Vnc,
    Rdp,
}

impl Scheme {
    const fn row(self) -> (&'static str, Protocol, Mode) {
        use Mode::{Implicit, StartTls};
        match self {
            Self::Smtp => ("smtp", Protocol::SMTP, StartTls),
            Self::Smtps => ("smtps", Protocol::SMTP, Implicit),
            Self::Lmtp => ("lmtp", Protocol::LMTP, StartTls),
            Self::Imap => ("imap", Protocol::IMAP, StartTls),
            Self::Imaps => ("imaps", Protocol::IMAP, Implicit),
            Self::Pop3 => ("pop3", Protocol::POP3, StartTls),
            Self::Pop3s => ("pop3s", Protocol::POP3, Implicit),
            Self::Ftp => ("ftp", Protocol::FTP, StartTls),
            Self::Ftps => ("ftps", Protocol::FTP, Implicit),
            Self::Nntp => ("nntp", Protocol::NNTP, StartTls),
            Self::Nntps => ("nntps", Protocol::NNTP, Implicit),
            Self::Sieve => ("sieve", Protocol::SIEVE, StartTls),
            Self::Irc => ("irc", Protocol::IRC, StartTls),
            Self::Ircs => ("ircs", Protocol::IRC, Implicit),
            Self::Nut => ("nut", Protocol::NUT, StartTls),
            Self::Postgres => ("postgres", Protocol::POSTGRES, StartTls),
            Self::Postgress => ("postgress", Protocol::POSTGRES, Implicit),
            Self::Ldap => ("ldap", Protocol::LDAP, StartTls),
            Self::Ldaps => ("ldaps", Protocol::LDAP, Implicit),
            Self::Mysql => ("mysql", Protocol::MYSQL, StartTls),
            Self::Xmpp => ("xmpp", Protocol::XMPP, StartTls),
            Self::XmppServer => ("xmpp-server", Protocol::XMPP_SERVER, StartTls),
            Self::Nbd => ("nbd", Protocol::NBD, StartTls),
            Self::Vnc => ("vnc", Protocol::VNC, StartTls),
            Self::Rdp => ("rdp", Protocol::RDP, StartTls),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.row().0
    }

    pub(crate) const fn protocol(self) -> Protocol {
        self.row().1
    }

    pub(crate) const fn mode(self) -> Mode {
        self.row().2
    }

    /// Whether mail can be handed over by it.
    pub(crate) const fn takes_mail(self) -> bool {
        matches!(self, Self::Smtp | Self::Smtps | Self::Lmtp)
    }

    /// Whether inside TLS the protocol begins as it does without, so that a client or a server without
    /// TLS can be brought to it.
    pub(crate) const fn begins_anew(self) -> bool {
        !matches!(self, Self::Mysql | Self::Vnc | Self::Rdp)
    }

    const fn port(self) -> u16 {
        match self.row() {
            (_, Protocol { implicit_port: Some(port), .. }, Mode::Implicit) => port,
            (_, protocol, _) => protocol.port,
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
            let s = if scheme.mode() == Mode::Implicit { "s" } else { "" };
            assert_eq!(scheme.name(), format!("{}{s}", scheme.protocol().name));
        }
    }

    #[test]
    fn urls() {
        for (text, scheme, host, port) in [
            ("smtp://mail.example.org", Scheme::Smtp, "mail.example.org", 587),
            ("smtp://mail.example.org:25", Scheme::Smtp, "mail.example.org", 25),
            ("smtps://mail.example.org/", Scheme::Smtps, "mail.example.org", 465),
            ("lmtp://[::1]:2424", Scheme::Lmtp, "::1", 2424),
            ("imap://mail.example.org", Scheme::Imap, "mail.example.org", 143),
            ("pop3s://mail.example.org", Scheme::Pop3s, "mail.example.org", 995),
            // A scheme that browsers know, whose default port a parser may leave out.
            ("ftp://ftp.example.org:21/", Scheme::Ftp, "ftp.example.org", 21),
            ("ftp://[::1]:2121", Scheme::Ftp, "::1", 2121),
            ("nntps://news.example.org", Scheme::Nntps, "news.example.org", 563),
            ("sieve://mail.example.org", Scheme::Sieve, "mail.example.org", 4190),
            ("ircs://irc.example.org", Scheme::Ircs, "irc.example.org", 6697),
            ("nut://ups.example.org", Scheme::Nut, "ups.example.org", 3493),
            ("postgres://db.example.org", Scheme::Postgres, "db.example.org", 5432),
            ("ldap://[::1]", Scheme::Ldap, "::1", 389),
            ("ldaps://directory.example.org", Scheme::Ldaps, "directory.example.org", 636),
            ("mysql://db.example.org", Scheme::Mysql, "db.example.org", 3306),
            ("xmpp://im.example.org", Scheme::Xmpp, "im.example.org", 5222),
            ("xmpp-server://im.example.org", Scheme::XmppServer, "im.example.org", 5269),
            ("nbd://disk.example.org", Scheme::Nbd, "disk.example.org", 10809),
            ("vnc://desk.example.org:5901", Scheme::Vnc, "desk.example.org", 5901),
            ("rdp://desk.example.org", Scheme::Rdp, "desk.example.org", 3389),
            ("postgress://db.example.org", Scheme::Postgress, "db.example.org", 5432),
        ] {
            let url = Url { scheme, host: host.to_owned(), port };
            assert_eq!(text.parse(), Ok(url), "{text}");
        }
        for bad in [
            "mail.example.org",
            "mail.example.org:25",
            "sieves://x",
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
