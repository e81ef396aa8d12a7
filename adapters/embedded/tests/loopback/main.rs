//! Over real TLS: mails on the loopback interface to a server of `starttls-std`, and two stacks of smoltcp.

mod certificates;
mod common;
mod injected;
mod mail;
mod nameless;
mod smoltcp;
