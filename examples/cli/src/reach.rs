//! The way to TLS on a server, in any protocol of a URL.

use std::path::Path;

use starttls::lmtp::Lmtp;
use starttls::smtp::{ClientGrammar, Dialect, Domain, Smtp};
use starttls::{Policy, Tls};
use starttls_std::{
    ClientStream, ClientTls, Driver, Error, Mode, Observer, Timeouts, Upgraded, connect, handshake,
    upgrade_or_plaintext,
};

use crate::url::{Scheme, Url};

/// Connects to `url` and upgrades; nothing without verified TLS.
pub(crate) fn upgrade<'o>(
    url: &Url,
    tls: &ClientTls,
    timeouts: Timeouts,
    observer: &'o mut dyn Observer,
) -> Result<(Driver<'o, ClientStream>, Tls), Error> {
    let stream = connect((url.host.as_str(), url.port), &timeouts)?;
    let driver = Driver::new(stream, timeouts, observer);
    if url.scheme.mode() == Mode::Implicit {
        let alpn = url.scheme.protocol().alpn;
        let (driver, verification) = handshake(driver, tls, &url.host, alpn, Policy::Required)?;
        return Ok((driver, Tls::implicit(Policy::Required, verification)?));
    }
    let upgraded = match url.scheme {
        Scheme::Smtp | Scheme::Smtps => {
            upgrade_or_plaintext(driver, mail::<Smtp>(), tls, &url.host)?
        }
        Scheme::Lmtp => upgrade_or_plaintext(driver, mail::<Lmtp>(), tls, &url.host)?,
    };
    match upgraded {
        Upgraded::Tls(driver, tls) => Ok((driver, tls)),
        Upgraded::Plaintext(..) => Err(starttls::Error::NotOffered.into()),
    }
}

fn mail<D: Dialect>() -> starttls::Client<ClientGrammar<'static, D>> {
    starttls::Client::<ClientGrammar<'static, D>>::new(Domain::LOCALHOST, Policy::Required)
}

/// Whom to trust: a CA file, or the system.
pub(crate) fn trust(ca: Option<&Path>) -> Result<ClientTls, Error> {
    match ca {
        None => ClientTls::system(),
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| Error::Io { doing: "reading the CA file", error })?;
            ClientTls::with_ca_pem(&pem)
        }
    }
}
