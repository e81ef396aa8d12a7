//! The constants an adapter needs to know of a protocol.

/// A protocol's name, ports and ALPN protocol id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Protocol {
    /// The URL scheme, lower case.
    pub name: &'static str,
    /// The default TCP port on which the connection starts in plaintext.
    pub port: u16,
    /// The default TCP port on which TLS comes first (RFC 8314 §3), where one is registered.
    pub implicit_port: Option<u16>,
    /// The registered ALPN protocol id (RFC 7301), where one exists.
    pub alpn: Option<&'static [u8]>,
    /// Whether the server speaks first inside TLS that was asked for.
    pub server_first: bool,
}

impl Protocol {
    /// SMTP message submission, RFC 6409 and RFC 3207; relays use port 25. No ALPN id is registered.
    pub const SMTP: Self = Self::new("smtp", 587, Some(465), None);

    /// LMTP, RFC 2033. Port 24 is customary; nothing is registered for TLS.
    pub const LMTP: Self = Self::new("lmtp", 24, None, None);

    /// IMAP, RFC 9051 and RFC 8314.
    pub const IMAP: Self = Self::new("imap", 143, Some(993), Some(b"imap"));

    /// POP3, RFC 2595 and RFC 8314.
    pub const POP3: Self = Self::new("pop3", 110, Some(995), Some(b"pop3"));

    /// The control connection of FTP, RFC 4217.
    pub const FTP: Self = Self::new("ftp", 21, Some(990), Some(b"ftp"));

    /// NNTP for readers, RFC 4642 and RFC 8143.
    pub const NNTP: Self = Self::new("nntp", 119, Some(563), Some(b"nntp"));

    /// ManageSieve, RFC 5804; inside TLS the server says its capabilities unasked (§2.2).
    pub const SIEVE: Self =
        Self { server_first: true, ..Self::new("sieve", 4190, None, Some(b"managesieve")) };

    /// IRC, IRCv3 `tls`; port 6697 is RFC 7194's.
    pub const IRC: Self = Self::new("irc", 6667, Some(6697), Some(b"irc"));

    /// NUT, RFC 9271.
    pub const NUT: Self = Self::new("nut", 3493, None, None);

    /// PostgreSQL, protocol 3; since version 17 TLS may come first on the same port, with ALPN.
    pub const POSTGRES: Self = Self::new("postgres", 5432, Some(5432), Some(b"postgresql"));
    /// VNC with VeNCrypt. Inside TLS the subtype says who speaks first.
    pub const VNC: Self = Self::new("vnc", 5900, None, None);

    /// RDP, MS-RDPBCGR.
    pub const RDP: Self = Self::new("rdp", 3389, None, None);

    /// LDAP, RFC 4511. No ALPN id is registered.
    pub const LDAP: Self = Self::new("ldap", 389, Some(636), None);

    /// MySQL and MariaDB. No ALPN id is registered.
    pub const MYSQL: Self = Self::new("mysql", 3306, None, None);

    /// NBD, fixed newstyle. No ALPN id is registered.
    pub const NBD: Self = Self::new("nbd", 10809, None, None);

    /// XMPP between clients and servers, RFC 6120 and XEP-0368.
    pub const XMPP: Self = Self::new("xmpp", 5222, Some(5223), Some(b"xmpp-client"));

    /// XMPP between servers, RFC 6120 and XEP-0368.
    pub const XMPP_SERVER: Self = Self::new("xmpp-server", 5269, Some(5270), Some(b"xmpp-server"));

    /// A protocol of your own; in TLS that was asked for the client speaks first.
    #[must_use]
    pub const fn new(
        name: &'static str,
        port: u16,
        implicit_port: Option<u16>,
        alpn: Option<&'static [u8]>,
    ) -> Self {
        Self { name, port, implicit_port, alpn, server_first: false }
    }
}
