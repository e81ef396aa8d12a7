//! The list of protocols, and the constants of each that an adapter needs.

/// The names, ports and ALPN id of a protocol, and how its dialogue continues inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Protocol {
    /// The URL scheme, in lower case.
    pub name: &'static str,
    /// The URL scheme for implicit TLS, if one is in use.
    pub implicit_name: Option<&'static str>,
    /// The default TCP port for connections that start in plaintext.
    pub port: u16,
    /// The default TCP port for implicit TLS (RFC 8314 §3), if one is registered.
    pub implicit_port: Option<u16>,
    /// The registered ALPN protocol id (RFC 7301), if there is one.
    pub alpn: Option<&'static [u8]>,
    /// Whether the server speaks first inside TLS after an upgrade.
    pub server_first: bool,
    /// Whether the dialogue starts over inside TLS after an upgrade. Only then can a client or server
    /// without TLS be connected to it. Else the dialogue continues where it was before TLS.
    pub begins_anew: bool,
    /// The labels before a domain at which SRV records name its hosts: for an upgrade, and for implicit TLS
    /// (XEP-0368). The hosts' certificates are for the domain itself (RFC 6120 §3.2.1).
    pub services: Option<[&'static str; 2]>,
}

impl Protocol {
    /// Whether implicit TLS has to agree on the ALPN id, in both roles.
    ///
    /// This holds where implicit TLS shares the port with plaintext: only ALPN then tells which protocol
    /// the peer speaks. PostgreSQL's clients and servers refuse a connection without it.
    #[must_use]
    pub const fn demands_alpn(&self) -> bool {
        matches!(self.implicit_port, Some(port) if port == self.port) && self.alpn.is_some()
    }

    /// A protocol of your own.
    ///
    /// It has no port for implicit TLS and no ALPN id. After an upgrade its dialogue starts over and the
    /// client speaks first.
    ///
    /// ```
    /// use starttls::Protocol;
    ///
    /// const ACAP: Protocol = Protocol::new("acap", 674).with_server_first();
    /// assert_eq!((ACAP.port, ACAP.implicit_port), (674, None));
    /// ```
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
            services: None,
        }
    }

    /// Sets the labels of its SRV records, see [`services`](Self::services).
    #[must_use]
    pub const fn with_services(self, starttls: &'static str, implicit: &'static str) -> Self {
        Self { services: Some([starttls, implicit]), ..self }
    }

    /// Sets the port for implicit TLS.
    #[must_use]
    pub const fn with_implicit_port(self, port: u16) -> Self {
        Self { implicit_port: Some(port), ..self }
    }

    /// Sets the port and the URL scheme for implicit TLS.
    #[must_use]
    pub const fn with_implicit(self, name: &'static str, port: u16) -> Self {
        Self { implicit_name: Some(name), ..self.with_implicit_port(port) }
    }

    /// Sets the ALPN protocol id.
    #[must_use]
    pub const fn with_alpn(self, id: &'static [u8]) -> Self {
        Self { alpn: Some(id), ..self }
    }

    /// Makes the server speak first inside TLS after an upgrade.
    #[must_use]
    pub const fn with_server_first(self) -> Self {
        Self { server_first: true, ..self }
    }

    /// Makes the dialogue continue inside TLS where it was before.
    #[must_use]
    pub const fn with_dialogue_going_on(self) -> Self {
        Self { begins_anew: false, ..self }
    }
}

/// The one list of protocols. The constants, [`Protocol::ALL`] and
/// [`for_each_protocol!`](crate::for_each_protocol) derive from it. Each line has the constant, the module
/// and the protocol's type in that module. The feature has the module's name, except for LMTP, which
/// belongs to `smtp`.
macro_rules! protocols {
    ($dollar:tt $($(#[$doc:meta])* $NAME:ident = $module:ident::$Type:ident: $protocol:expr;)*) => {
        impl Protocol {
            $($(#[$doc])* pub const $NAME: Self = $protocol;)*

            /// All protocols that this crate knows, whatever its features.
            pub const ALL: &'static [Self] = &[$(Self::$NAME),*];
        }

        /// Passes `module::Type, …` of all protocols to a macro of yours, after your own tokens in
        /// brackets. Each type implements [`Roles`](crate::Roles).
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

    /// ManageSieve, RFC 5804. Inside TLS the server sends its capabilities unasked (§2.2).
    SIEVE = sieve::Sieve: Self::new("sieve", 4190).with_alpn(b"managesieve").with_server_first();

    /// IRC, IRCv3 `tls`; RFC 7194 registers port 6697.
    IRC = irc::Irc: Self::new("irc", 6667).with_implicit("ircs", 6697).with_alpn(b"irc");

    /// NUT, RFC 9271.
    NUT = nut::Nut: Self::new("nut", 3493);

    /// PostgreSQL, protocol 3. Since version 17 the same port takes implicit TLS, with ALPN.
    POSTGRES = postgres::Postgres:
        Self::new("postgres", 5432).with_implicit("postgress", 5432).with_alpn(b"postgresql");

    /// LDAP, RFC 4511. No ALPN id is registered.
    LDAP = ldap::Ldap: Self::new("ldap", 389).with_implicit("ldaps", 636);

    /// MySQL and MariaDB. No ALPN id is registered.
    MYSQL = mysql::Mysql: Self::new("mysql", 3306).with_dialogue_going_on();

    /// NBD, fixed newstyle. No ALPN id is registered.
    NBD = nbd::Nbd: Self::new("nbd", 10809);

    /// XMPP between clients and servers, RFC 6120 and XEP-0368.
    XMPP = xmpp::Xmpp: Self::new("xmpp", 5222)
        .with_implicit("xmpps", 5223)
        .with_alpn(b"xmpp-client")
        .with_services("_xmpp-client._tcp", "_xmpps-client._tcp");

    /// XMPP between servers, RFC 6120 and XEP-0368.
    XMPP_SERVER = xmpp::XmppServer:
        Self::new("xmpp-server", 5269)
            .with_implicit("xmpps-server", 5270)
            .with_alpn(b"xmpp-server")
            .with_services("_xmpp-server._tcp", "_xmpps-server._tcp");

    /// VNC with VeNCrypt. Inside TLS the subtype decides which side speaks first.
    VNC = vnc::Vnc: Self::new("vnc", 5900).with_dialogue_going_on();

    /// RDP, MS-RDPBCGR.
    RDP = rdp::Rdp: Self::new("rdp", 3389).with_dialogue_going_on();
}
