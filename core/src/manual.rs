//! [attack]: mod@self::attack
//! [attacks]: mod@self::attacks
//! [conformance]: mod@self::conformance
//! [defaults]: mod@self::defaults
//! [errors]: mod@self::errors
//! [event-loop]: mod@self::event_loop
//! [firmware]: mod@self::firmware
//! [fleet]: mod@self::fleet
//! [mail-between-servers]: mod@self::mail_between_servers
//! [migrating]: mod@self::migrating
//! [monitor]: mod@self::monitor
//! [other-clients]: mod@self::other_clients
//! [receive-mail]: mod@self::receive_mail
//! [states]: mod@self::states
//! [tls-in-front]: mod@self::tls_in_front
//! [web-service]: mod@self::web_service
//! [which-crate]: mod@self::which_crate
//!
#![doc = include_str!("../manual/README.md")]
//!
//! The code of these pages is compiled by `starttls-tests`, which has the adapters.

/// Makes a module of each page. The definitions in front of a page win over those at its end (CommonMark §4.7), so that
/// its links lead to files on a forge and to modules here.
macro_rules! pages {
    ($($module:ident $file:literal,)+) => {$(
        #[doc = concat!(
            "[attack]: mod@self::attack\n",
            "[attacks]: mod@self::attacks\n",
            "[conformance]: mod@self::conformance\n",
            "[defaults]: mod@self::defaults\n",
            "[errors]: mod@self::errors\n",
            "[event-loop]: mod@self::event_loop\n",
            "[mail-between-servers]: mod@self::mail_between_servers\n",
            "[other-clients]: mod@self::other_clients\n",
            "[protocols]: crate::Protocol\n",
            "[receive-mail]: mod@self::receive_mail\n",
            "[tls-in-front]: mod@self::tls_in_front\n",
            "[which-crate]: mod@self::which_crate\n\n",
            include_str!(concat!("../manual/", $file, ".md"))
        )]
        pub mod $module {}
    )+};
}

pages! {
    attack "attack",
    attacks "attacks",
    conformance "conformance",
    defaults "defaults",
    errors "errors",
    event_loop "event-loop",
    firmware "firmware",
    fleet "fleet",
    mail_between_servers "mail-between-servers",
    migrating "migrating",
    monitor "monitor",
    other_clients "other-clients",
    receive_mail "receive-mail",
    states "states",
    tls_in_front "tls-in-front",
    web_service "web-service",
    which_crate "which-crate",
}
