use core::fmt;

use crate::Protocol;

/// What tells SMTP and LMTP apart.
pub trait Dialect: sealed::Sealed + Copy + Default + fmt::Debug + 'static {
    /// Names and numbers.
    const PROTOCOL: Protocol;
    /// The command that introduces a client, with the blank in front of its name.
    #[doc(hidden)]
    const HELLO: &'static [u8];
    /// Whether `HELO` exists, and one reply answers a mail for all its recipients.
    #[doc(hidden)]
    const IS_SMTP: bool;
}

/// SMTP, RFC 5321.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Smtp;

impl Dialect for Smtp {
    const PROTOCOL: Protocol = Protocol::SMTP;
    const HELLO: &'static [u8] = b"EHLO ";
    const IS_SMTP: bool = true;
}

/// LMTP, RFC 2033.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lmtp;

impl Dialect for Lmtp {
    const PROTOCOL: Protocol = Protocol::LMTP;
    const HELLO: &'static [u8] = b"LHLO ";
    const IS_SMTP: bool = false;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Smtp {}
    impl Sealed for super::Lmtp {}
}
