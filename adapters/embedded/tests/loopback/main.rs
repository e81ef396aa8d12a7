//! Mails over real TLS on the loopback interface, to a server of `starttls-std`.

mod common;
mod mail;
