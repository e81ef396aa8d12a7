//! Whole dialogues in memory with a placeholder for TLS. Each row runs blocking and async, byte by byte and
//! in one piece, with the same outcome and the same bytes.

mod common;
mod dropped;
mod ends;
mod mails;
mod roles;
mod through;
mod waits;
