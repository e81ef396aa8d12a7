//! The board's trusted CA and its cryptography.

use alloc::sync::Arc;
use core::time::Duration;

use embassy_time::Instant;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use sensor::{Exit, Settings};
use starttls_embedded::rustls::ClientTls;

/// TLS 1.3 and 1.2 with a server of that name whose certificate leads to the CA in the settings.
/// `now` is the time, in seconds since 1970.
pub fn client(settings: &Settings<'_>, now: u64) -> Result<ClientTls, Exit> {
    let name = ServerName::try_from(settings.name).map_err(|_| {
        defmt::warn!("not a name: {=str}", settings.name);
        Exit::Settings
    })?;
    let config = config(settings.ca, now).map_err(|error| {
        defmt::warn!("{}", defmt::Display2Format(&error));
        Exit::Settings
    })?;
    Ok(ClientTls::new(name.to_owned(), Arc::new(config)))
}

fn config(ca: &[u8], now: u64) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls_rustcrypto::provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca).into_owned())?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| rustls::Error::General(alloc::format!("{error}")))?;
    Ok(ClientConfig::builder_with_details(provider, Arc::new(Clock::at(now)))
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier)
        .with_no_client_auth())
}

/// The current time, counted from when it was set.
#[derive(Debug)]
struct Clock {
    set: Instant,
    to: Duration,
}

impl Clock {
    fn at(now: u64) -> Self {
        Self { set: Instant::now(), to: Duration::from_secs(now) }
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.to + self.set.elapsed().into()))
    }
}
