//! Every protocol upgraded to TLS, in both roles, by the same two calls, in every cut.

use std::time::Duration;

use starttls::server::{Config, Grammar};
use starttls::{
    Client, Error as Rule, Introduction, Policy, Roles, Server, client, mysql, postgres,
};
use starttls_tokio::{
    Driver, Error, Silent, Timeouts, accept, accept_or_plaintext, upgrade, upgrade_with,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio::{join, try_join};

use crate::common::{self, Cut, Identity, ping, pipe};

async fn meet<C: client::Grammar, S: Grammar>(
    client: impl Fn() -> Client<C>,
    server: impl Fn() -> Server<S>,
    cuts: impl IntoIterator<Item = usize>,
) {
    let identity = Identity::offering(C::PROTOCOL.alpn);
    for cut in cuts {
        let (here, there) = pipe();
        let (here, there) = try_join!(
            upgrade(Cut(here, cut), client(), &identity.connector, "localhost"),
            accept(Cut(there, cut), server(), &identity.server),
        )
        .expect("upgraded");
        assert_eq!(here.get_ref().1.alpn_protocol(), C::PROTOCOL.alpn, "{}", C::PROTOCOL.name);
        ping(here, there).await;
    }
}

macro_rules! meet_all {
    ([] $($module:ident::$Type:ident,)*) => {
        $(meet_in_five_cuts::<starttls::$module::$Type>().await;)*
    };
}

async fn meet_in_five_cuts<P: Roles>() {
    let names = Introduction::new("im.example.org", *b"abcdefghijklmnopqrst");
    let client = || P::client(&names, Policy::Required).expect("names");
    let server = || P::server(&names, Config::default()).expect("names");
    meet(client, server, [1, 2, 3, 7, 4096]).await;
}

#[tokio::test(start_paused = true)]
async fn every_protocol_upgrades() {
    starttls::for_each_protocol!(meet_all []);
}

#[tokio::test(start_paused = true)]
async fn mail_in_every_cut() {
    meet(common::client, common::server, 1..=100).await;
}

const SCRAMBLE: [u8; 20] = *b"abcdefghijklmnopqrst";

fn mysql_client(policy: Policy) -> mysql::Client {
    mysql::Client::new(mysql::SslRequest::default(), policy)
}

fn mysql_server(config: Config) -> mysql::Server<'static> {
    let version = mysql::Text::new("8.0.0").expect("a version");
    mysql::Server::new(mysql::Greeting::new(version, 1, mysql::Scramble::new(SCRAMBLE)), config)
}

/// A MySQL client needs the server's plaintext handshake inside TLS.
#[tokio::test(start_paused = true)]
async fn plaintext_data_can_be_kept() {
    let identity = Identity::new();
    let (here, there) = pipe();
    let look = |client: &mysql::Client| {
        let said = client.handshake().expect("it has arrived");
        said.scramble().collect::<Vec<_>>()
    };
    let client = mysql_client(Policy::Required);
    let ((here, scramble), there) = try_join!(
        upgrade_with(here, client, &identity.connector, "localhost", look),
        accept(there, mysql_server(Config::default()), &identity.server),
    )
    .expect("upgraded");
    assert_eq!(scramble, SCRAMBLE);
    ping(here, there).await;
}

/// A client that starts with TLS on a plaintext port has to name the protocol by ALPN.
#[tokio::test(start_paused = true)]
async fn a_client_that_starts_with_tls_names_the_protocol() {
    let offers: [&[&[u8]]; 4] = [&[b"postgresql"], &[b"http/1.1", b"postgresql"], &[], &[b"nntp"]];
    for (server_alpn, welcome) in [(Some(&b"postgresql"[..]), true), (None, false)] {
        let identity = Identity::offering(server_alpn);
        for (offer, named) in offers.into_iter().zip([true, true, false, false]) {
            let (here, there) = pipe();
            let offer = offer.iter().map(|id| id.to_vec()).collect();
            let name = "localhost".try_into().expect("a name");
            let server = postgres::Server::new(Config::default());
            let (client, server) = join!(
                identity.connector.with_alpn(offer).connect(name, here),
                accept(there, server, &identity.server),
            );
            match server {
                Ok(server) => {
                    assert!(named && welcome);
                    ping(client.expect("connected"), server).await;
                }
                Err(Error::Tls(error)) => {
                    assert_eq!(error, rustls::Error::NoApplicationProtocol);
                }
                Err(error) => {
                    assert!(!(named && welcome));
                    assert_eq!(error.protocol(), Some(Rule::Foreign), "{error}");
                }
            }
        }
    }
}

/// CVE-2026-25949: silence after the request, once the server's plaintext deadline has ended.
#[tokio::test(start_paused = true)]
async fn silence_after_the_request_times_out() {
    let identity = Identity::new();
    for total in [None, Some(Duration::from_secs(30))] {
        let (here, mut there) = pipe();
        // Only an SSLRequest of PostgreSQL.
        there.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f").await.expect("written");
        let timeouts = total.map_or(Timeouts::default(), |total| Timeouts::new().with_total(total));
        let driver = Driver::new(here, timeouts, Silent);
        let server = postgres::Server::new(Config::default());
        let start = Instant::now();
        let failed = accept_or_plaintext(driver, server, &identity.server).await;
        assert_eq!(failed.expect_err("silence").protocol(), Some(Rule::TimedOut));
        // The limit of a whole handshake is a minute.
        let expected = total.unwrap_or(Duration::from_secs(60));
        assert!(start.elapsed().abs_diff(expected) < Duration::from_millis(5));
        let mut said = [0];
        there.read_exact(&mut said).await.expect("the go-ahead");
        assert_eq!(said, *b"S");
    }
}
