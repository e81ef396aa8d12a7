//! The way to TLS on a server, in any protocol of a URL.

use std::path::Path;

use rustls::crypto::CryptoProvider;
use starttls::{Introduction, Policy, Roles as _, Tls};
use starttls_tokio::{
    ClientStream, ClientTls, Doing, Driver, Error, Mode, Observer, Prompt, Timeouts, Upgraded,
    connect, handshake, upgrade_or_plaintext,
};

use crate::url::{Url, speaking};

/// What is wrong where a protocol has no such server.
pub(crate) const NAME: &str = "the server's name";

/// Connects to `url` and upgrades; nothing without verified TLS.
pub(crate) async fn dial<'o>(
    url: &Url,
    tls: &ClientTls,
    timeouts: Timeouts,
    observer: impl Observer + Send + 'o,
) -> Result<(Driver<'o, ClientStream<Prompt>>, Tls), Error> {
    let stream = connect((url.host.as_str(), url.port), &timeouts).await?;
    let driver = Driver::new(stream, timeouts, observer);
    if url.scheme.mode == Mode::Implicit {
        let alpn = url.scheme.protocol().alpn;
        let secured = handshake(driver, tls, &url.host, alpn, Policy::Required).await?;
        let tls = Tls::implicit(Policy::Required, secured.verification)?;
        return Ok((secured.stream, tls));
    }
    let names = Introduction::new(&url.host, random(tls.rustls().crypto_provider())?);
    let upgraded = speaking!(url.scheme, P => {
        let client = P::client(&names, Policy::Required).map_err(Error::argument(NAME))?;
        upgrade_or_plaintext(driver, client, tls, &url.host).await
    })?;
    match upgraded {
        Upgraded::Tls(driver, tls) => Ok((driver, tls)),
        Upgraded::Plaintext(..) => Err(starttls::Error::NotOffered.into()),
    }
}

/// Octets that nobody can guess.
pub(crate) fn random(provider: &CryptoProvider) -> Result<[u8; 20], Error> {
    let mut octets = [0; 20];
    provider.secure_random.fill(&mut octets).map_err(|_| Error::Argument {
        what: "the cryptography provider",
        why: "has no random numbers".to_owned(),
    })?;
    Ok(octets)
}

/// Whom to trust: a CA file, or the system.
pub(crate) fn trust(ca: Option<&Path>) -> Result<ClientTls, Error> {
    match ca {
        None => ClientTls::system(),
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| Error::Io { doing: Doing::Other("reading the CA file"), error })?;
            ClientTls::with_ca_pem(&pem)
        }
    }
}
