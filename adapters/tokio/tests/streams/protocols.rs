//! Every protocol to TLS, in both roles, by the same two calls, in every cut.

use starttls::server::{Config, Grammar};
use starttls::{
    Client, Error as Rule, Introduction, Policy, Roles, Server, client, mysql, postgres,
};
use starttls_tokio::{Error, accept, upgrade, upgrade_with};
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
async fn all_of_them_meet() {
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

/// A client of MySQL answers inside TLS what the server said before.
#[tokio::test(start_paused = true)]
async fn what_was_said_can_be_kept() {
    let identity = Identity::new();
    let (here, there) = pipe();
    let look = |client: &mysql::Client| {
        let said = client.handshake().expect("it has come");
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

/// A client that begins with TLS, where a server sees that, has to name the protocol.
#[tokio::test(start_paused = true)]
async fn who_begins_with_tls_names_the_protocol() {
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
