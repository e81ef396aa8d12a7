//! Whole dialogues in memory, with a TLS that is none: every row blocking and async, octet by octet and
//! in one piece, with the same outcome and the same octets.

mod common;
mod ends;
mod mails;
mod roles;
mod through;
mod waits;
