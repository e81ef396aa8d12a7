//! Whom the board trusts, and by which cryptography.

use alloc::sync::Arc;
use core::time::Duration;

use embassy_time::Instant;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, Error, RootCertStore};
use starttls_rustls::ClientTls;

/// TLS 1.3 and 1.2 with a server whose certificate leads to the CA `ca` (DER). `now` is the time, in
/// seconds since 1970.
pub fn client(ca: &[u8], now: u64) -> Result<ClientTls, Error> {
    let provider = Arc::new(rustls_rustcrypto::provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_slice(ca).into_owned())?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| Error::General(alloc::format!("{error}")))?;
    let config = ClientConfig::builder_with_details(provider, Arc::new(Clock::at(now)))
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    Ok(ClientTls::new(Arc::new(config)))
}

/// The time, going on from when it was set.
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
