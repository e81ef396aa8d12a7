//! The list of protocols, and the constants that an adapter needs to know of each.

/// A protocol's names, ports and ALPN protocol id, and how it goes on inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Protocol {
    /// The URL scheme, lower case.
    pub name: &'static str,
    /// The URL scheme of TLS that comes first, where one is in use.
    pub implicit_name: Option<&'static str>,
    /// The default TCP port on which the connection starts in plaintext.
    pub port: u16,
    /// The default TCP port on which TLS comes first (RFC 8314 §3), where one is registered.
    pub implicit_port: Option<u16>,
    /// The registered ALPN protocol id (RFC 7301), where one exists.
    pub alpn: Option<&'static [u8]>,
    /// Whether the server speaks first inside TLS that was asked for.
    pub server_first: bool,
    /// Whether the dialogue begins anew inside TLS that was asked for, so that a client or a server
    /// without TLS can be connected to it. If not, it goes on where it was before TLS.
    pub begins_anew: bool,
}

impl Protocol {
    /// A protocol of your own: no port for TLS that comes first, no ALPN id; inside TLS that was asked
    /// for, the dialogue begins anew and the client speaks first.
    #[must_use]
    pub const fn new(name: &'static str, port: u16) -> Self {
        Self {
            name,
            implicit_name: None,
            port,
            implicit_port: None,
            alpn: None,
            server_first: false,
            begins_anew: true,
        }
    }

    /// With a port on which TLS comes first.
    #[must_use]
    pub const fn with_implicit_port(self, port: u16) -> Self {
        Self { implicit_port: Some(port), ..self }
    }

    /// With a port on which TLS comes first, and the URL scheme that stands for it.
    #[must_use]
    pub const fn with_implicit(self, name: &'static str, port: u16) -> Self {
        Self { implicit_name: Some(name), ..self.with_implicit_port(port) }
    }

    /// With an ALPN protocol id.
    #[must_use]
    pub const fn with_alpn(self, id: &'static [u8]) -> Self {
        Self { alpn: Some(id), ..self }
    }

    /// With a server that speaks first inside TLS that was asked for.
    #[must_use]
    pub const fn with_server_first(self) -> Self {
        Self { server_first: true, ..self }
    }

    /// With a dialogue that goes on inside TLS where it was before.
    #[must_use]
    pub const fn with_dialogue_going_on(self) -> Self {
        Self { begins_anew: false, ..self }
    }
}

/// Everything that goes through all protocols derives from this list: the constants, [`Protocol::ALL`]
/// and [`for_each_protocol!`](crate::for_each_protocol). A line has the constant, the module and the
/// type of the protocol in it. The feature is called like the module, but for LMTP, which is SMTP's.
macro_rules! protocols {
    ($dollar:tt $($(#[$doc:meta])* $NAME:ident = $module:ident::$Type:ident: $protocol:expr;)*) => {
        impl Protocol {
            $($(#[$doc])* pub const $NAME: Self = $protocol;)*

            /// All protocols that this crate knows, whatever its features.
            pub const ALL: &'static [Self] = &[$(Self::$NAME),*];
        }

        /// Hands `(module::Type, …)` of all protocols to a macro of yours, behind what else it is to be
        /// given. Each type implements [`Roles`](crate::Roles).
        ///
        /// ```
        /// macro_rules! names {
        ///     ([$between:literal] $($module:ident::$Type:ident,)*) => {
        ///         [$(<starttls::$module::$Type as starttls::Roles>::PROTOCOL.name),*].join($between)
        ///     };
        /// }
        ///
        /// let names = starttls::for_each_protocol!(names [", "]);
        /// assert!(names.starts_with("smtp, lmtp, imap, "));
        /// ```
        #[cfg(feature = "protocols")]
        #[macro_export]
        macro_rules! for_each_protocol {
            ($dollar then:ident [$dollar ($dollar given:tt)*]) => {
                $dollar then! { [$dollar ($dollar given)*] $($module::$Type,)* }
            };
        }
    };
}

protocols! { $
    /// SMTP message submission, RFC 6409 and RFC 3207; relays use port 25. No ALPN id is registered.
    SMTP = smtp::Smtp: Self::new("smtp", 587).with_implicit("smtps", 465);

    /// LMTP, RFC 2033. Port 24 is customary; nothing is registered for TLS.
    LMTP = lmtp::Lmtp: Self::new("lmtp", 24);

    /// IMAP, RFC 9051 and RFC 8314.
    IMAP = imap::Imap: Self::new("imap", 143).with_implicit("imaps", 993).with_alpn(b"imap");

    /// POP3, RFC 2595 and RFC 8314.
    POP3 = pop3::Pop3: Self::new("pop3", 110).with_implicit("pop3s", 995).with_alpn(b"pop3");

    /// The control connection of FTP, RFC 4217.
    FTP = ftp::Ftp: Self::new("ftp", 21).with_implicit("ftps", 990).with_alpn(b"ftp");

    /// NNTP for readers, RFC 4642 and RFC 8143.
    NNTP = nntp::Nntp: Self::new("nntp", 119).with_implicit("nntps", 563).with_alpn(b"nntp");

    /// ManageSieve, RFC 5804; inside TLS the server says its capabilities unasked (§2.2).
    SIEVE = sieve::Sieve: Self::new("sieve", 4190).with_alpn(b"managesieve").with_server_first();

    /// IRC, IRCv3 `tls`; port 6697 is RFC 7194's.
    IRC = irc::Irc: Self::new("irc", 6667).with_implicit("ircs", 6697).with_alpn(b"irc");

    /// NUT, RFC 9271.
    NUT = nut::Nut: Self::new("nut", 3493);

    /// PostgreSQL, protocol 3; since version 17 TLS may come first on the same port, with ALPN.
    POSTGRES = postgres::Postgres:
        Self::new("postgres", 5432).with_implicit("postgress", 5432).with_alpn(b"postgresql");

    /// LDAP, RFC 4511. No ALPN id is registered.
    LDAP = ldap::Ldap: Self::new("ldap", 389).with_implicit("ldaps", 636);

    /// MySQL and MariaDB. No ALPN id is registered.
    MYSQL = mysql::Mysql: Self::new("mysql", 3306).with_dialogue_going_on();

    /// NBD, fixed newstyle. No ALPN id is registered.
    NBD = nbd::Nbd: Self::new("nbd", 10809);

    /// XMPP between clients and servers, RFC 6120 and XEP-0368.
    XMPP = xmpp::Xmpp: Self::new("xmpp", 5222).with_implicit_port(5223).with_alpn(b"xmpp-client");

    /// XMPP between servers, RFC 6120 and XEP-0368.
    XMPP_SERVER = xmpp::XmppServer:
        Self::new("xmpp-server", 5269).with_implicit_port(5270).with_alpn(b"xmpp-server");

    /// VNC with VeNCrypt. Inside TLS the subtype says who speaks first.
    VNC = vnc::Vnc: Self::new("vnc", 5900).with_dialogue_going_on();

    /// RDP, MS-RDPBCGR.
    RDP = rdp::Rdp: Self::new("rdp", 3389).with_dialogue_going_on();
}
