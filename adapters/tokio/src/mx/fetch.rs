use std::future::pending;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use starttls::Policy;
use starttls::mx::{ResultType, sts};
use tokio::time::timeout;

use super::dns::Dns;
use super::found::{Found, Unfetched};
use crate::{ClientTls, Driver, Error, Secured, Silent, Timeouts, connect, handshake};

/// The time limit of a fetch (RFC 8461 §3.3).
const PATIENCE: Duration = Duration::from_secs(60);

/// Fetches the policy from its host. It follows no redirect and uses no HTTP cache (RFC 8461 §3.3).
pub(super) async fn policy(
    dns: &Dns,
    tls: &ClientTls,
    host: &str,
    port: u16,
) -> Result<Vec<u8>, Unfetched> {
    match timeout(PATIENCE, get(dns, tls, host, port)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(failed("the policy host took more than a minute")),
    }
}

fn failed(reason: impl ToString) -> Unfetched {
    Unfetched { result: ResultType::StsPolicyFetchError, reason: reason.to_string() }
}

async fn get(dns: &Dns, tls: &ClientTls, host: &str, port: u16) -> Result<Vec<u8>, Unfetched> {
    let Found::Address { addresses, .. } = dns.addresses(host).await else {
        return Err(failed(format!("{host} could not be looked up")));
    };
    let addresses: Vec<_> = addresses.into_iter().map(|address| (address, port).into()).collect();
    let timeouts = Timeouts::new().with_connect(PATIENCE).with_handshake(PATIENCE);
    let stream = connect(&addresses[..], &timeouts).await.map_err(failed)?;
    let driver = Driver::new(stream, timeouts, Silent);
    let shaken = handshake(driver, tls, host, Some(b"http/1.1"), Policy::Required).await;
    let Secured { stream: driver, .. } = shaken.map_err(|error| match error {
        Error::Tls(_) => {
            Unfetched { result: ResultType::StsWebpkiInvalid, reason: error.to_string() }
        }
        other => failed(other),
    })?;
    let stream = TokioIo::new(driver.into_stream());
    let (mut sender, connection) = http1::handshake(stream).await.map_err(failed)?;
    let request = Request::get(sts::POLICY_PATH)
        .header(HOST, host)
        .header(USER_AGENT, concat!("starttls/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(failed)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(failed(format!("the policy host answered {}", response.status())));
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("text/plain")) {
            return Err(failed("the policy host's answer is not text/plain"));
        }
        let body = Limited::new(response.into_body(), sts::MAX_POLICY).collect().await;
        Ok(body.map_err(failed)?.to_bytes().to_vec())
    };
    // This drives the exchange and notices its end.
    let driven = async {
        let _ = connection.await;
        pending().await
    };
    tokio::select! {
        outcome = exchange => outcome,
        () = driven => Err(failed("the policy host closed the connection")),
    }
}
